"""A part of a file as a file of its own, which libsndfile can decode."""

import contextlib
import os
from dataclasses import dataclass
from typing import Any, BinaryIO, Iterator, Optional

_FARTHEST = 1 << 62  # more does not fit into the numbers of libsndfile


class Damaged(Exception):
    """The error of a file that is not whole. Its message says what is missing."""


@dataclass(frozen=True)
class Stream:
    """A part of a file that libsndfile can decode.

    Attributes:
        start: position of the first byte.
        end: position behind the last byte.
        head: bytes that libsndfile sees in front of the part.
        frames: number of samples of each channel, if libsndfile does not know it.
        tail: number of zeros that libsndfile sees behind the part.
        is_mpeg: whether the decoder is libmpg123.
    """

    start: int
    end: int
    head: bytes = b""
    frames: Optional[int] = None
    tail: int = 0
    is_mpeg: bool = False


class View:
    """The bytes of a stream, as a file. It never raises, because libsndfile calls it.

    Attributes:
        error: the error that the disk gave, if it refused.
    """

    def __init__(self, file: BinaryIO, stream: Stream):
        self._file = file
        self._stream = stream
        self._end = len(stream.head) + stream.end - stream.start
        self._size = self._end + stream.tail
        self._position = 0
        self.error: Optional[OSError] = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position, and return it."""
        base = {os.SEEK_CUR: self._position, os.SEEK_END: self._size}.get(whence, 0)
        self._position = min(max(0, base + offset), _FARTHEST)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read bytes into a buffer, and return their number."""
        head, stream = self._stream.head, self._stream
        count = max(0, min(len(buffer), self._size - self._position))
        data = head[self._position : self._position + count]
        behind = self._position + len(data) - len(head)
        left = min(count - len(data), stream.end - stream.start - behind)
        if left > 0:
            try:
                data += read_at(self._file, stream.start + behind, left)
            except OSError as error:
                self.error = error
        if self._position + len(data) >= self._end:
            data = data.ljust(count, b"\0")
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def read_at(file: BinaryIO, offset: int, count: int) -> bytes:
    """Read bytes of a file at a position. Where the file ends there are fewer."""
    if offset > os.fstat(file.fileno()).st_size:  # perhaps further than systems can seek
        return b""
    file.seek(offset)
    return file.read(count)


@contextlib.contextmanager
def without_stderr() -> Iterator[None]:
    """Let libraries write to nowhere, if they only complain to the terminal."""
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
