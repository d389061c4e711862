"""Audio files that are read, with one policy for every command and whatever program wrote them.

libsndfile decodes a file by its content and not its name, in blocks, so that neither a long
recording nor a wrong header takes more memory than a block. :mod:`drumblender.files.containers`
decides which bytes it gets to see.

- Where a program that streams wrote no length, or a placeholder, all that there is is read.
- A file that lacks a part is refused, because half a drum is worse than none.
- Samples that cannot have been meant (NaN, infinity, far beyond full scale) are refused.
"""

import contextlib
import os
import re
import stat
from pathlib import Path
from typing import BinaryIO, Iterator, Optional, Tuple, Union

import numpy as np
import soundfile

from drumblender.errors import DrumblenderError, FileError
from drumblender.files.containers import find_streams
from drumblender.files.streams import Damaged, Stream, View, without_stderr

PathLike = Union[str, Path]

# Beyond these are broken headers.
_SAMPLE_RATES = (1_000, 1_000_000)
_MOST_CHANNELS = 256
# Floats may exceed full scale, but nobody means 24 dB; what does is integers stored as floats.
_HIGHEST_PEAK = 16.0
# Numbers of all channels together that are decoded at once, and read into memory as a whole.
_BLOCK, _MOST_NUMBERS = 1 << 16, 1 << 28
# No format packs more frames than this into a byte; a header that says so is wrong.
_FRAMES_PER_BYTE = 1 << 13
_EXPORT = "export it again"
# What libsndfile notes about a file of a rare format that is not whole.
_NOTED_FRAMES = re.compile(r"\b(?:Frames|Cols)\s*:\s*(\d+)")
_NOTED_LENGTH = re.compile(r"^Data length (\d+) should be (\d+)|(truncated)", re.M)
_FORMATS_WITH_NOTES = ("AVR", "MAT4", "MAT5", "MPC2K", "VOC", "WVE")


class Unreadable(FileError):
    """The error of a file that is no recording, or not all of one."""

    remedy = "give a file such as WAV, FLAC or OGG"


class _Sound(soundfile.SoundFile):
    """A sound that is read from its start to its end.

    soundfile would seek after each block, and would trust the number of frames in the header.
    """

    def seekable(self) -> bool:
        """Say that the file cannot seek."""
        return False


class AudioFile:
    """An audio file that is being read, from :func:`open_recording`.

    Attributes:
        path: the file.
        sample_rate: in Hz.
        channels: number of channels.
        frames: number of samples of each channel. None if only reading to the end would tell.
    """

    def __init__(self, path: Path, file: BinaryIO):
        self.path = path
        self._file = file
        self._done = 0  # of all streams, and of the one that is open
        self._done_here = 0
        self._sound: Optional[_Sound] = None
        with _disk(path):
            self._size = os.fstat(file.fileno()).st_size
            if not file.read(1):
                raise Unreadable(path, "is empty", "give a recording")
            try:
                stream, *self._more = find_streams(file)
            except Damaged as error:
                raise self._cut(str(error)) from None
        self._open(stream)
        with contextlib.ExitStack() as stack:
            stack.callback(self.close)
            self._check_header()
            stack.pop_all()
        self.sample_rate: int = self._decoder.samplerate
        self.channels: int = self._decoder.channels
        promises = [self._promised, *(other.frames for other in self._more)]
        known = [frames for frames in promises if frames is not None]
        self.frames: Optional[int] = sum(known) if len(known) == len(promises) else None

    def blocks(self, size: int = _BLOCK, frames: Optional[int] = None) -> Iterator[np.ndarray]:
        """Read on, block by block.

        Args:
            size: number of samples in a block.
            frames: number of samples to read at most. None stands for all.

        Shape:
            - Output: (n, channels), float32; n is ``size`` for all blocks but the last

        Raises:
            Unreadable: if there are fewer samples than the header says, or none, or if they are not
                numbers, or far beyond full scale.
        """
        while frames is None or frames > 0:
            wanted = size if frames is None else min(size, frames)
            block = self._read(wanted)
            if len(block):
                yield block
            if len(block) < wanted:
                return
            frames = None if frames is None else frames - wanted

    def close(self) -> None:
        """Close the decoder. The file itself stays open."""
        if self._sound is not None:
            with self._quiet():
                self._sound.close()
            self._sound = None

    @property
    def _decoder(self) -> _Sound:
        """The open decoder."""
        assert self._sound is not None, "closed"
        return self._sound

    def _read(self, count: int) -> np.ndarray:
        """Return the next samples. There are fewer than asked for only where the recording ends."""
        pieces, left = [], count
        while left > 0:
            piece = self._read_some(left)
            if not len(piece):
                break
            pieces.append(piece)
            left -= len(piece)
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate(pieces) if pieces else np.empty((0, self.channels), np.float32)

    def _read_some(self, count: int) -> np.ndarray:
        """Return some of the next samples, or none at the end."""
        count = min(count, max(1, _BLOCK // self.channels))
        # What is promised is read without what may follow, which may be no sound.
        left = 0 if self._promised is None else self._promised - self._done_here
        if left > 0:
            count = min(count, left)
        try:
            with self._quiet():
                piece = self._decoder.read(count, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            self._check_disk()
            if self._promised is None or left > 0:
                how_far = f"is broken or truncated after {self._done} samples ({_words(error)})"
                raise self._cut(how_far) from error
            piece = np.empty((0, self.channels), np.float32)
        self._check_disk()
        if len(piece):
            self._check(piece)
            self._done += len(piece)
            self._done_here += len(piece)
            return piece
        if left > 0:
            there = self._done_here
            raise self._cut(f"is truncated ({there} of {self._promised} samples)")
        if self._more:
            self._open_next()
            return self._read_some(count)
        if not self._done:
            raise self._empty()
        return piece

    def _open(self, stream: Stream) -> None:
        """Start to decode a stream."""
        # libmpg123 writes to the terminal whatever it finds odd.
        self._quiet = without_stderr if stream.is_mpeg else contextlib.nullcontext
        self._view = View(self._file, stream)
        try:
            with self._quiet():
                self._sound = _Sound(self._view)
        except soundfile.SoundFileError as error:
            self._check_disk()
            raise Unreadable(self.path, f"is broken or no audio ({_words(error)})") from error
        claimed = stream.frames or self._decoder.frames
        is_plausible = claimed <= _FRAMES_PER_BYTE * self._size
        self._promised: Optional[int] = claimed if is_plausible else None
        self._done_here = 0

    def _open_next(self) -> None:
        """Go on with the next stream of a file that has several."""
        self.close()
        stream, *self._more = self._more
        self._open(stream)
        if (self._decoder.samplerate, self._decoder.channels) != (self.sample_rate, self.channels):
            what = "changes its sample rate or number of channels in the middle"
            raise Unreadable(self.path, what, "split it")

    def _check(self, piece: np.ndarray) -> None:
        """Refuse samples that are not numbers, or that are far beyond full scale."""
        # One number that no finite sample exceeds and that NaN makes NaN.
        peak = max(float(piece.max()), -float(piece.min()))
        if peak <= _HIGHEST_PEAK:
            return
        if not np.isfinite(peak):
            raise Unreadable(
                self.path, "holds samples that are not numbers (NaN or infinity)", _EXPORT
            )
        raise Unreadable(
            self.path,
            f"holds samples up to {peak:.4g} where full scale is 1, probably integers stored as "
            "floats",
            f"{_EXPORT}, as integers or as floats from -1 to 1",
        )

    def _check_header(self) -> None:
        """Refuse a header that cannot be right."""
        rate, channels = self._decoder.samplerate, self._decoder.channels
        if not _SAMPLE_RATES[0] <= rate <= _SAMPLE_RATES[1]:
            what = f"has an impossible sample rate ({rate} Hz)"
            raise Unreadable(self.path, what, _EXPORT)
        if channels > _MOST_CHANNELS:
            what = f"has an impossible number of channels ({channels})"
            raise Unreadable(self.path, what, _EXPORT)
        if self._decoder.format in _FORMATS_WITH_NOTES:
            self._check_notes()
        if not self._decoder.frames:
            raise self._empty()

    def _check_notes(self) -> None:
        """Refuse a file in which libsndfile has noticed that samples are missing."""
        notes = self._decoder.extra_info
        length = _NOTED_LENGTH.search(notes)
        if length and (length[3] or int(length[1]) > int(length[2])):
            raise self._cut("is truncated")
        frames = _NOTED_FRAMES.findall(notes)
        if frames:
            there, whole = self._decoder.frames, int(frames[-1])
            if there < whole:
                raise self._cut(f"is truncated ({there} of {whole} samples)")

    def _check_disk(self) -> None:
        """Raise the error that the disk gave while libsndfile was reading."""
        with _disk(self.path):
            if self._view.error is not None:
                raise self._view.error

    def _cut(self, reason: str) -> Unreadable:
        """Make the error of a file that lacks a part."""
        return Unreadable(self.path, reason, "copy or export it again")

    def _empty(self) -> Unreadable:
        """Make the error of a file without samples."""
        return Unreadable(self.path, "holds no samples", "give a recording")


@contextlib.contextmanager
def open_recording(path: PathLike) -> Iterator[AudioFile]:
    """Open an audio file. One sentence tells what is wrong with it while it is read.

    Args:
        path: any file. Anything but a regular file is refused without opening it.

    Raises:
        Unreadable: if the file is missing, broken, empty, truncated or no audio.
    """
    path = Path(path)
    with _opened(path) as raw, contextlib.closing(AudioFile(path, raw)) as file:
        yield file


def read_channels(path: PathLike) -> Tuple[np.ndarray, int]:
    """Read all samples (N, channels) of an audio file as float32, and its sample rate in Hz.

    Raises:
        Unreadable: if the file is missing, broken, empty, truncated or no audio, if its samples are
            not numbers, or if it is too long for memory.
    """
    with open_recording(path) as file:
        blocks, most = [], _MOST_NUMBERS // file.channels
        for block in file.blocks():
            blocks.append(block)
            most -= len(block)
            if most < 0:
                minutes = _MOST_NUMBERS / file.channels / file.sample_rate / 60
                long = f"is too long to be read at once (over {minutes:.0f} minutes)"
                raise Unreadable(path, long, "cut it")
        return np.concatenate(blocks), file.sample_rate


def duration(path: PathLike) -> float:
    """Return how long a recording is, in seconds; 0 if only reading it would tell."""
    with contextlib.suppress(DrumblenderError):
        with open_recording(path) as file:
            return (file.frames or 0) / file.sample_rate
    return 0.0


def _opened(path: Path) -> BinaryIO:
    """Open a regular file."""
    with _disk(path):
        try:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                raise Unreadable(path, "is a folder", "give an audio file")
            if not stat.S_ISREG(mode):  # to open a pipe would wait for ever
                raise Unreadable(path, "is no regular file", "give an audio file")
            return path.open("rb")
        except FileNotFoundError as error:
            is_link = path.is_symlink()
            what = "is a link to a file that is not there" if is_link else "does not exist"
            raise Unreadable(path, what, "check the path") from error
        except ValueError as error:  # a zero byte, or half a character
            raise Unreadable(repr(str(path)), "names no file", "check the path") from error


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into a sentence."""
    try:
        yield
    except OSError as error:
        what = f"cannot be read ({error.strerror or error})"
        raise Unreadable(path, what, "check the path and its permissions") from error


def _words(error: Exception) -> str:
    """Quote libsndfile, for a sentence that has its words in brackets."""
    return str(getattr(error, "error_string", error)).strip().rstrip(".") or "unknown format"
