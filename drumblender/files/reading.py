"""Reading of audio files: one policy for every command, whatever program wrote them.

libsndfile decodes. What it does not do stands here: it reads files with a tag in front short, takes
the lengths in headers at their word, and waits for ever for a pipe. The content of a file decides
about its format, not its name.

- Where a program that streams wrote no length, or a placeholder, all that is there is read.
- A file of which a part is missing is refused, because half a drum is worse than none.
- Samples that cannot have been meant (NaN, infinity, far beyond full scale) are refused.
"""

import contextlib
import io
import os
import re
import stat
import struct
from pathlib import Path
from typing import IO, Iterator, List, Optional, Tuple, Union

import numpy as np
import soundfile

from drumblender.errors import DrumblenderError

PathLike = Union[str, Path]
Patch = Tuple[int, bytes]  # position in a file, and what to see there

# Rates beyond these are broken headers.
_SAMPLE_RATES = (1_000, 1_000_000)
# Floats may exceed full scale, but nobody means 24 dB; what does is integers stored as floats.
_HIGHEST_PEAK = 16.0
_BLOCK = 1 << 16
_REMEDY = "give a file such as WAV, FLAC or OGG"
_EXPORT = "export it again"

_CONTAINERS = (b"RIFF", b"RIFX", b"RF64", b"FORM", b"fLaC", b"OggS", b".snd", b"caff", b"riff")
# Lengths that a program writes which does not know the length: the largest number or close to it.
_PLACEHOLDER = 0x7FFF0000
# Other programs write a round number, of at least this many bytes.
_LEAST_ROUND = 1 << 27
_MOST_CHUNKS = 10_000
# What libsndfile notes where the length in a header is more than there is.
_CUT = re.compile(
    r"^\s*(?:data|SSND|BODY|Data Size|Riff size|riff)\s*:\s*(\d+) \(should be (\d+)\)", re.M
)
_UNKNOWN_FRAMES = 1 << 62
_AT_THE_END = 39  # libsndfile's error for a seek to the end of a file whose length it does not know


class Unreadable(DrumblenderError):
    """A file that is no recording, or not all of one.

    Args:
        path: of the file.
        reason: what is wrong, to go behind the file's name.
        remedy: what to do.
    """

    def __init__(self, path: PathLike, reason: str, remedy: str = _REMEDY):
        super().__init__(f"{path} {reason}; {remedy}.")
        self.reason = reason


class AudioFile:
    """An audio file that is being read, from :func:`open_recording`.

    Attributes:
        path: of the file.
        sample_rate: in Hz.
        channels: how many.
        frames: samples of each channel; None where only reading to the end tells.
    """

    def __init__(self, path: Path, sound: soundfile.SoundFile):
        self.path = path
        self.sample_rate: int = sound.samplerate
        self.channels: int = sound.channels
        self.frames: Optional[int] = sound.frames if sound.frames < _UNKNOWN_FRAMES else None
        self._sound = sound

    def blocks(self, size: int = _BLOCK, frames: Optional[int] = None) -> Iterator[np.ndarray]:
        """Read on, block by block.

        Args:
            size: of a block, in samples.
            frames: how much to read at most; to the end when None.

        Shape:
            - Output: (n, channels), float32; n is ``size`` for all but the last block.

        Raises:
            Unreadable: when less is there than the header says, or the samples are not numbers or
                far beyond full scale.
        """
        wanted = self.frames if frames is None or self.frames is None else min(frames, self.frames)
        limit = frames if wanted is None else wanted
        done = 0
        while limit is None or done < limit:
            block = self._read(size if limit is None else min(size, limit - done))
            if not len(block):
                break
            self._check(block)
            done += len(block)
            yield block
        if wanted is not None and done < wanted:
            raise self._cut(f"{done} of {self.frames} samples")

    def _read(self, count: int) -> np.ndarray:
        if self.frames is not None:
            return self._sound.read(count, dtype="float32", always_2d=True)
        # Behind the last sample libsndfile fails instead of giving fewer; NaN marks what it left.
        block = np.full((count, self.channels), np.nan, np.float32)
        try:
            return self._sound.read(out=block)
        except soundfile.LibsndfileError as error:
            if error.code != _AT_THE_END:
                raise
        return block[: np.count_nonzero(~np.isnan(block[:, 0]))]

    def _check(self, block: np.ndarray) -> None:
        # One number that no finite sample exceeds and that NaN makes NaN.
        peak = float(np.abs(block).max())
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

    def _cut(self, how_much: str) -> Unreadable:
        return Unreadable(self.path, f"is truncated ({how_much})", "copy or export it again")


@contextlib.contextmanager
def open_recording(path: PathLike) -> Iterator[AudioFile]:
    """Open an audio file; what is wrong with it while it is read is told in one sentence.

    Args:
        path: of any file; anything but a regular file is refused without opening it.

    Raises:
        Unreadable: when it is missing, broken, empty, truncated or no audio.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise Unreadable(path, "is no regular file", "give an audio file")
        with path.open("rb") as raw, _decoded(path, raw) as sound:
            file = AudioFile(path, sound)
            low, high = _SAMPLE_RATES
            if not low <= file.sample_rate <= high:
                rate = f"has an impossible sample rate ({file.sample_rate} Hz)"
                raise Unreadable(path, rate, _EXPORT)
            if file.frames == 0:
                raise Unreadable(path, "holds no samples", "give a recording")
            yield file
    except soundfile.SoundFileError as error:
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        raise Unreadable(path, f"is broken or no audio ({reason or 'unknown format'})") from error
    except FileNotFoundError as error:
        what = "is a link to a file that is not there" if path.is_symlink() else "does not exist"
        raise Unreadable(path, what, "check the path") from error
    except OSError as error:
        raise Unreadable(
            path,
            f"cannot be read ({error.strerror or error})",
            "check the path and its permissions",
        ) from error
    except ValueError as error:  # a path with a zero byte
        if "\0" not in str(path):
            raise
        raise Unreadable(repr(str(path)), "names no file", "check the path") from error


def read_channels(path: PathLike) -> Tuple[np.ndarray, int]:
    """All samples (N, channels) of an audio file as float32, and its sample rate.

    Raises:
        Unreadable: when it is missing, broken, empty, truncated, no audio or holds no numbers.
    """
    with open_recording(path) as file:
        blocks = list(file.blocks())
        if not blocks:
            raise Unreadable(path, "holds no samples", "give a recording")
        return np.concatenate(blocks), file.sample_rate


def duration(path: PathLike) -> float:
    """How long a recording is, in seconds; 0 where that cannot be known without reading it."""
    with contextlib.suppress(DrumblenderError):
        with open_recording(path) as file:
            return (file.frames or 0) / file.sample_rate
    return 0.0


# --- What libsndfile gets to see -----------------------------------------------------------------


@contextlib.contextmanager
def _decoded(path: Path, raw: IO[bytes]) -> Iterator[soundfile.SoundFile]:
    """The decoder of a file whose header is put right where a program left it unfinished."""
    size = os.fstat(raw.fileno()).st_size
    if not size:
        raise Unreadable(path, "is empty", "give a recording")
    start = _behind_tags(raw, size)
    raw.seek(start)
    head = raw.read(4)
    patches, streamed = [], False
    if head in (b"RIFF", b"RIFX"):
        patches, streamed = _unfinished_riff(raw, start, size)
    # The decoder of MP3 writes to the terminal whatever it finds odd.
    quiet = contextlib.nullcontext() if head in _CONTAINERS else _without_stderr()
    view = _View(raw, start, size, patches)
    with quiet, soundfile.SoundFile(view) as sound:
        cut = _CUT.search(sound.extra_info)
        if cut and not streamed and int(cut[2]) < int(cut[1]) < _PLACEHOLDER:
            reason = f"is truncated ({cut[2]} of {cut[1]} bytes)"
            raise Unreadable(path, reason, "copy or export it again")
        yield sound


class _View:
    """A file from some position on, with other bytes at some places; never fails on a seek.

    Args:
        file: that is seen.
        start: where it begins.
        size: of the file.
        patches: (position in the file, bytes).
    """

    def __init__(self, file: IO[bytes], start: int, size: int, patches: List[Patch]):
        self._file, self._start, self._size, self._patches = file, start, size, patches
        self._position = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}.get(whence, self._size - self._start)
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer) -> int:
        at = self._start + self._position
        self._file.seek(at)
        data = bytearray(self._file.read(len(buffer)))
        for position, patch in self._patches:
            for index, value in enumerate(patch, position - at):
                if 0 <= index < len(data):
                    data[index] = value
        buffer[: len(data)] = bytes(data)
        self._position += len(data)
        return len(data)


def _behind_tags(file: IO[bytes], size: int) -> int:
    """Where the audio begins behind ID3v2 tags; 0 where what follows them is no container.

    The length of a tag is four times seven bits (https://id3.org/id3v2.4.0-structure, 3.1).
    """
    start = 0
    while True:
        file.seek(start)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3" or max(head[6:]) > 127:
            break
        length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        has_footer = head[5] & 0x10
        start += 10 + length + (10 if has_footer else 0)
        if start >= size:
            return 0
    return start if head[:4] in _CONTAINERS else 0


def _unfinished_riff(
    file: IO[bytes], start: int, size: int
) -> Tuple[List[Tuple[int, bytes]], bool]:
    """What to put in place of a length that a program never wrote, and whether there is such a one.

    A copy that broke off has a header whose lengths agree with each other, and less behind it.
    """
    file.seek(start)
    magic, whole = file.read(4), file.read(4)
    number = struct.Struct("<I" if magic == b"RIFF" else ">I")
    whole_size = number.unpack(whole)[0] if len(whole) == 4 else 0
    position = start + 12
    for _ in range(_MOST_CHUNKS):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            break
        claimed = number.unpack(head[4:])[0]
        there = size - position - 8
        if head[:4] == b"data":
            if claimed == 0:
                unfinished = there > 0 and not _chunks_until_end(file, position + 8, size, number)
            else:
                is_whole = abs(start + 8 + whole_size - size) <= 1
                unfinished = claimed > there and (is_whole or _is_placeholder(claimed, there))
            if not unfinished:
                break
            return [(position + 4, number.pack(min(there, 0xFFFFFFFF)))], True
        position += 8 + claimed + (claimed & 1)
    return [], False


def _is_placeholder(claimed: int, there: int) -> bool:
    """Whether a length is none that a program counted."""
    is_round = any(
        (claimed + header) % unit == 0 for header in (0, 36, 44) for unit in (1_000_000, 1 << 20)
    )
    is_far_off = there < claimed // 64
    return claimed >= _PLACEHOLDER or (claimed >= _LEAST_ROUND and (is_round or is_far_off))


def _chunks_until_end(file: IO[bytes], position: int, size: int, number: struct.Struct) -> bool:
    """Whether chunks, and nothing else, fill a file from a position on."""
    for _ in range(_MOST_CHUNKS):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8 or not all(0x20 <= byte < 0x7F for byte in head[:4]):
            return False
        length = number.unpack(head[4:])[0]
        position += 8 + length + (length & 1)
        if position >= size:
            return position - size <= 1
    return False


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Let libraries write to nowhere that know no other way to complain than the terminal."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
