"""Audio files that are written whole or not at all, as WAV, FLAC or OGG."""

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
# Beyond these, libsndfile refuses, and with Vorbis it crashes.
_HIGHEST_RATE = {"OGG": 192_000, "FLAC": 655_350}
_LARGEST_WAV = 0xFFFFF000  # bytes of samples: 32 bits tell their number, and a header comes on top
_BLOCK = 1 << 16  # libsndfile's Vorbis encoder puts all that it is given on the stack


def check_name(path: PathLike, bits: int = 24) -> None:
    """Check that a name has a format, and that the format has a number of bits.

    Raises:
        UsageError: if the name ends in no known suffix, or if its format has no such samples.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(f"{path}: the name must end in one of {', '.join(FORMATS)}.")
    if suffix == ".flac" and bits == 32:
        raise UsageError(f"{path}: FLAC holds 16 or 24 bits, not 32; write a WAV file.")


def check_samples(path: PathLike, samples: np.ndarray) -> None:
    """Check that samples are numbers.

    Raises:
        DrumblenderError: if a sample is NaN or infinite.
    """
    if not np.isfinite(samples).all():
        raise DrumblenderError(
            f"{path} is not written, because the model gives values that are not numbers; take "
            "another checkpoint, or train with a lower learning rate."
        )


def check_rate(path: PathLike, sample_rate: int) -> None:
    """Check that the format of a name can have a sample rate.

    Raises:
        DrumblenderError: if the rate, in Hz, is too high for the format.
    """
    container = FORMATS[Path(path).suffix.lower()]
    highest = _HIGHEST_RATE.get(container, 10**9)
    if sample_rate > highest:
        raise DrumblenderError(
            f"{path} cannot be written at {sample_rate} Hz, as {container} ends at {highest} Hz; "
            "take another format, or a lower --sample_rate."
        )


def write_samples(path: PathLike, samples: np.ndarray, sample_rate: int, bits: int = 24) -> None:
    """Write an audio file in one step. Folders are made as needed.

    Args:
        path: file to write. Its suffix decides about the format.
        samples: samples, which do not exceed full scale.
        sample_rate: in Hz.
        bits: 16, 24, or 32 for floats, which only WAV has. OGG is Vorbis, whatever this says.

    Shape:
        - samples: (N,) or (N, channels)

    Raises:
        UsageError: if the name has no known format, or if its format has no such samples.
        DrumblenderError: if the disk refuses the file, or its format refuses the rate or the
            channels.
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
        temporary: file to write.
        path: name that the file is to get. Its suffix decides about the format.
        blocks: blocks of samples that follow each other.
        shape: number of samples in each channel, and number of channels.
        sample_rate: in Hz.
        bits: number of bits, as in :func:`write_samples`.

    Shape:
        - each block: (n,) or (n, channels)

    Raises:
        UsageError: if the name has no known format, or if its format has no such samples.
        DrumblenderError: if the format refuses the rate or the number of channels.
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
                        if subtype in ("PCM_16", "PCM_24"):
                            block = _integers(block, bits)
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


def rounded(samples: np.ndarray, bits: int) -> np.ndarray:
    """Round samples to what integers of so many bits hold, in float64.

    >>> rounded(np.array([0.3, 1.0]), 16)
    array([0.29998779, 0.99996948])
    """
    steps = 2 ** (bits - 1)
    return np.rint(np.asarray(samples, np.float64) * steps).clip(-steps, steps - 1) / steps


def _integers(samples: np.ndarray, bits: int) -> np.ndarray:
    """Convert samples to the highest bits of 32.

    libsndfile would multiply by one step less than it divides by when it reads, so that a file that
    is read and written would not stay the same.
    """
    return (rounded(samples, bits) * 2**31).astype(np.int32)


class _Target:
    """A file for libsndfile to write to, which keeps an error until Python can raise it.

    An exception in the midst of C code would be printed and forgotten.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self._error: Optional[BaseException] = None

    def write(self, data: Any) -> int:
        """Write bytes, and return how many were written."""
        if self._error is None:
            try:
                return self._file.write(data)
            except BaseException as error:
                self._error = error
        return 0

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position, and return it."""
        return self._file.seek(offset, whence) if self._error is None else 0

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell() if self._error is None else 0

    def raise_what_went_wrong(self) -> None:
        """Raise the error that was kept, if there is one."""
        if self._error is not None:
            raise self._error


def write_audio(path: Path, audio: Tensor, sample_rate: int) -> None:
    """Write a mono file (N,) in 24 bits.

    Samples that exceed full scale are scaled down together, and a line on stdout says so.

    Raises:
        DrumblenderError: if a sample is NaN or infinite, or if the disk refuses the file.
    """
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
