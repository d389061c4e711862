"""Audio files to write, WAV, FLAC or OGG, whole or not at all; and the first channel of any."""

import struct
from pathlib import Path
from typing import Any, BinaryIO, Iterable, Optional, Tuple, Union

import numpy as np
import soundfile
from torch import Tensor

from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.atomic import in_one_step

PathLike = Union[str, Path]
FORMATS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG"}
SUBTYPES = {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}
# What a folder is searched for; a file that is named may have any suffix.
SUFFIXES = tuple(
    ".aif .aifc .aiff .au .caf .flac .mp3 .oga .ogg .opus .rf64 .snd .voc .w64 .wav".split()
)
# Beyond these, libsndfile refuses, and with Vorbis it crashes.
_HIGHEST_RATE = {"OGG": 192_000, "FLAC": 655_350}
_LARGEST_WAV = 0xFFFFF000  # bytes of samples: 32 bits tell their number, and a header comes on top
_BLOCK = 1 << 16  # libsndfile's Vorbis encoder puts all that it is given on the stack


def check_name(path: PathLike, bits: int = 24) -> None:
    """Raise where no format goes with a name, or with the number of bits."""
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(f"{path}: the name must end in one of {', '.join(FORMATS)}.")
    if suffix == ".flac" and bits == 32:
        raise UsageError(f"{path}: FLAC holds 16 or 24 bits, not 32; write a WAV file.")


def check_samples(path: PathLike, samples: np.ndarray) -> None:
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


def write_samples(path: PathLike, samples: np.ndarray, sample_rate: int, bits: int = 24) -> None:
    """Write an audio file in one step; folders are made as needed.

    Args:
        path: its suffix decides about the format.
        samples: not beyond full scale.
        sample_rate: in Hz.
        bits: 16, 24, or 32 (floats; WAV only). OGG is Vorbis, whatever this says.

    Shape:
        - samples: (N,) or (N, channels)
    """
    samples = np.asarray(samples)
    blocks = (samples[start : start + _BLOCK] for start in range(0, len(samples), _BLOCK))
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with in_one_step(Path(path)) as temporary:
        encode(temporary, Path(path), blocks, (len(samples), channels), sample_rate, bits)


def encode(
    temporary: Path,
    path: Path,
    blocks: Iterable[np.ndarray],
    shape: Tuple[int, int],
    sample_rate: int,
    bits: int = 24,
) -> None:
    """Write an audio file of any length under a temporary name.

    Args:
        temporary: where to write it.
        path: the name that it is to have; its suffix decides about the format.
        blocks: of samples that follow each other.
        shape: how many samples there are in each channel, and how many channels.
        sample_rate: in Hz.
        bits: see :func:`write_samples`.

    Shape:
        - blocks: (n,) or (n, channels) each
    """
    check_name(path, bits)
    check_rate(path, sample_rate)
    length, channels = shape
    container = FORMATS[path.suffix.lower()]
    subtype = "VORBIS" if container == "OGG" else SUBTYPES[bits]
    if container == "WAV" and length * channels * bits // 8 > _LARGEST_WAV:
        container = "RF64"  # the same with room for longer lengths
    try:
        with temporary.open("wb") as file:
            target = _Target(file)
            try:
                options = (sample_rate, channels, subtype, None, container)
                with soundfile.SoundFile(target, "w", *options) as sound:
                    for block in blocks:
                        for start in range(0, len(block), _BLOCK):
                            sound.write(block[start : start + _BLOCK])
            finally:
                target.raise_what_went_wrong()
    except soundfile.SoundFileError as error:
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        raise DrumblenderError(
            f"{path} cannot be written with {channels} channels at {sample_rate} Hz "
            f"({reason}); choose another format or --sample_rate."
        ) from None


class _Target:
    """A file for libsndfile to write to, which keeps what goes wrong until Python can raise it.

    An exception in the midst of C code would be printed and forgotten.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self._error: Optional[BaseException] = None

    def write(self, data: Any) -> int:
        if self._error is None:
            try:
                return self._file.write(data)
            except BaseException as error:
                self._error = error
        return 0

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence) if self._error is None else 0

    def tell(self) -> int:
        return self._file.tell() if self._error is None else 0

    def raise_what_went_wrong(self) -> None:
        if self._error is not None:
            raise self._error


def write_audio(path: Path, audio: Tensor, sample_rate: int) -> None:
    """Write a mono file (N,) in 24 bits; what exceeds full scale is scaled down, and said."""
    check_samples(path, audio.numpy())
    peak = float(audio.abs().max())
    if peak > 1:
        audio = audio / peak
        if peak > 1.005:  # less cannot be heard
            print(f"{path}: scaled by {-20 * np.log10(peak):.1f} dB, as it exceeded full scale.")
    write_samples(path, audio.numpy(), sample_rate)


def wav_bytes(audio: Tensor, sample_rate: int) -> bytes:
    """Return the bytes of a mono WAV file of 32-bit floats.

    The same sound always gives the same bytes.

    Integers would clip a resampled recording, which may exceed full scale. The file is written here
    because libsndfile puts the time into the header of such a file.

    Shape:
        - audio: (N,)
    """
    data = audio.numpy().astype("<f4").tobytes()
    fmt = struct.pack("<4sIHHIIHHH", b"fmt ", 18, 3, 1, sample_rate, 4 * sample_rate, 4, 32, 0)
    fact = struct.pack("<4sII", b"fact", 4, len(audio))
    chunks = fmt + fact + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks), b"WAVE") + chunks
