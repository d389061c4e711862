"""Audio files to write, WAV, FLAC or OGG, whole or not at all; and the first channel of any."""

from pathlib import Path
from typing import Tuple, Union

import numpy as np
import soundfile
import torch
from torch import Tensor

from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.atomic import in_one_step
from drumblender.files.reading import read_channels

PathLike = Union[str, Path]
FORMATS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG"}
SUBTYPES = {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}
# What a folder is searched for; a file that is named may have any suffix.
SUFFIXES = tuple(
    ".aif .aifc .aiff .au .caf .flac .mp3 .oga .ogg .opus .rf64 .snd .voc .w64 .wav".split()
)
# Beyond these, libsndfile refuses, and with Vorbis it crashes.
_HIGHEST_RATE = {"OGG": 192_000, "FLAC": 655_350}
_BLOCK = 1 << 16  # libsndfile's Vorbis encoder puts all that it is given on the stack


def read_audio(path: PathLike) -> Tuple[Tensor, int]:
    """First channel (N,) and sample rate of an audio file."""
    samples, rate = read_channels(path)
    return torch.from_numpy(samples[:, 0].copy()), rate


def check_name(path: PathLike, bits: int = 24) -> None:
    """Raise where no format goes with a name, or with the number of bits."""
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(f"{path}: the name must end in one of {', '.join(FORMATS)}.")
    if suffix == ".flac" and bits == 32:
        raise UsageError(f"{path}: FLAC holds 16 or 24 bits, not 32; write a WAV file.")


def check_samples(path: PathLike, samples) -> None:
    """Raise where samples are not numbers."""
    if not np.isfinite(samples).all():
        raise DrumblenderError(
            f"{path} is not written, because the model gives values that are not numbers; take "
            "another checkpoint, or train with a lower learning rate."
        )


def check_rate(path: PathLike, sample_rate: int) -> None:
    """Raise where the format that goes with a name cannot have a sample rate."""
    container = FORMATS[Path(path).suffix.lower()]
    highest = _HIGHEST_RATE.get(container, 10**9)
    if sample_rate > highest:
        raise DrumblenderError(
            f"{path} cannot be written at {sample_rate} Hz, as {container} ends at {highest} Hz; "
            "take another format, or a lower --sample_rate."
        )


def write_samples(
    path: PathLike,
    samples: np.ndarray,
    sample_rate: int,
    bits: int = 24,
    full_scale: float = 1.0,
) -> None:
    """Write an audio file in one step; folders are made as needed.

    Args:
        path: its suffix decides about the format.
        samples: not beyond ``full_scale``.
        sample_rate: in Hz.
        bits: 16, 24, or 32 (floats; WAV only). OGG is Vorbis, whatever this says.
        full_scale: the value that becomes 1 in the file.

    Shape:
        - samples: (N,) or (N, channels)
    """
    path = Path(path)
    check_name(path, bits)
    container = FORMATS[path.suffix.lower()]
    subtype = "VORBIS" if container == "OGG" else SUBTYPES[bits]
    check_rate(path, sample_rate)
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with in_one_step(path, " and run the command again") as temporary:
        try:
            with temporary.open("wb") as stream:
                options = (sample_rate, channels, subtype, None, container)
                with soundfile.SoundFile(stream, "w", *options) as file:
                    for start in range(0, len(samples), _BLOCK):
                        block = np.asarray(samples[start : start + _BLOCK])
                        file.write(block if full_scale == 1 else block / full_scale)
        except soundfile.SoundFileError as error:
            reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
            raise DrumblenderError(
                f"{path} cannot be written with {channels} channels at {sample_rate} Hz "
                f"({reason}); choose another format or --sample_rate."
            ) from None


def write_audio(path: Path, audio: Tensor, sample_rate: int) -> None:
    """Write a mono file (N,) in 24 bits; what exceeds full scale is scaled down, and said."""
    check_samples(path, audio.numpy())
    peak = float(audio.abs().max())
    if peak > 1:
        audio = audio / peak
        if peak > 1.005:  # less cannot be heard
            print(f"{path}: scaled by {-20 * np.log10(peak):.1f} dB, as it exceeded full scale.")
    write_samples(path, audio.numpy(), sample_rate)
