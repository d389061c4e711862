"""From audio files to audio files with a trained model."""

from pathlib import Path
from typing import Optional, Tuple, Union

import numpy as np
import soundfile
import torch
from torch import Tensor

from drumblender.analysis import CQTModalAnalysis
from drumblender.checkpoint import load_model
from drumblender.data.atomic import in_one_step
from drumblender.data.recording import resample
from drumblender.errors import DrumblenderError, UsageError
from drumblender.signal import fit_length
from drumblender.tasks import Blender, Parts

PathLike = Union[str, Path]
# Encoders need some samples to see; shorter sounds are padded for them and cut again.
SHORTEST = 4096
FORMATS = {".wav": ("WAV", "PCM_24"), ".flac": ("FLAC", "PCM_24"), ".ogg": ("OGG", "VORBIS")}


def resynthesize(
    model: Blender, audio: Tensor, generator: Optional[torch.Generator] = None
) -> Parts:
    """Take a sound apart and put it together again.

    Args:
        model: from :func:`~drumblender.checkpoint.load_model`.
        audio: at the rate of ``model.analysis_settings``.
        generator: where the noise is drawn from; the global one when None.

    Shape:
        - audio: (N,)
        - Output: parts of shape (1, 1, N)
    """
    length = max(SHORTEST, audio.shape[-1])
    padded = fit_length(audio, length)
    params = CQTModalAnalysis(model.analysis_settings)(padded)
    with torch.inference_mode():
        device = next(iter(model.state_dict().values()), padded).device
        batch = padded.to(device)[None, None], params.to(device)[None]
        parts = model.synthesize(model.encode(*batch), length, generator)

    def cut(part: Optional[Tensor]) -> Optional[Tensor]:
        return None if part is None else part[..., : audio.shape[-1]]

    return Parts(cut(parts.modal), cut(parts.noise), cut(parts.transient))


def resynthesize_file(
    config: PathLike,
    checkpoint: PathLike,
    source: PathLike,
    destination: PathLike,
    seed: Optional[int] = None,
    device: str = "auto",
) -> None:
    """Resynthesize one recording: its first channel, whole, at its own sample rate.

    Args:
        config: of the model.
        checkpoint: of the model.
        source: any file that libsndfile reads.
        destination: .wav or .flac (24 bits) or .ogg.
        seed: of the noise; another noise each time when None.
        device: "auto" for a GPU if there is one.

    Raises:
        UsageError: for a name that no format goes with.
        DrumblenderError: when a file cannot be read or written.
    """
    destination = Path(destination)
    if destination.suffix.lower() not in FORMATS:
        raise UsageError(f"{destination}: the name must end in one of {', '.join(FORMATS)}.")
    audio, rate = read_audio(source)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_model(config, checkpoint, device)
    model_rate = model.analysis_settings.sample_rate
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    y = resynthesize(model, resample(audio, rate, model_rate), generator).sum[0, 0].cpu()
    y = fit_length(resample(y, model_rate, rate), len(audio))
    write_audio(destination, y, rate)
    print(f"{destination}: {len(y) / rate:.2f} s at {rate} Hz")


def read_audio(path: PathLike) -> Tuple[Tensor, int]:
    """First channel (N,) and sample rate of an audio file."""
    path = Path(path)
    if not path.is_file():
        raise DrumblenderError(f"{path} does not exist or is no file; check the path.")
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, TypeError) as error:
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        raise DrumblenderError(
            f"{path} is broken or no audio ({reason}); give a file such as WAV, FLAC or OGG."
        ) from None
    if not len(samples):
        raise DrumblenderError(f"{path} holds no samples; give a recording.")
    if not np.isfinite(samples).all():
        raise DrumblenderError(f"{path} holds samples that are not numbers; export it again.")
    return torch.from_numpy(samples[:, 0].copy()), rate


def write_audio(path: Path, audio: Tensor, sample_rate: int) -> None:
    """Write a mono file in one step; what exceeds full scale is scaled down, and said."""
    container, subtype = FORMATS[path.suffix.lower()]
    if not audio.isfinite().all():
        raise DrumblenderError(
            f"{path} is not written, because the model gives values that are not numbers; take "
            "another checkpoint, or train with a lower learning rate."
        )
    peak = float(audio.abs().max())
    if peak > 1:
        audio = audio / peak
        if peak > 1.005:  # less cannot be heard
            print(f"{path}: scaled by {-20 * np.log10(peak):.1f} dB, as it exceeded full scale.")
    with in_one_step(path) as temporary:
        try:
            soundfile.write(temporary, audio.numpy(), sample_rate, subtype, format=container)
        except soundfile.SoundFileError as error:
            raise DrumblenderError(
                f"{path} cannot be written ({getattr(error, 'error_string', error)}); check that "
                "its folder exists and can be written to."
            ) from None
