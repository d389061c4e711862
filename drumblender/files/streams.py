"""Part of a file as a file of its own, for libsndfile to decode."""

import os
from dataclasses import dataclass
from typing import Any, BinaryIO, Optional

_FARTHEST = 1 << 62  # more does not fit into the numbers of libsndfile


class Damaged(Exception):
    """A file that is not whole; the message says what is missing, to follow the file's name."""


@dataclass(frozen=True)
class Stream:
    """Part of a file that libsndfile can decode.

    Attributes:
        start: first byte.
        end: byte behind the last one.
        head: bytes that libsndfile sees in front of them.
        frames: samples of each channel, where libsndfile does not know them.
        tail: zeros that libsndfile sees behind them.
        is_mpeg: whether the decoder is libmpg123.
    """

    start: int
    end: int
    head: bytes = b""
    frames: Optional[int] = None
    tail: int = 0
    is_mpeg: bool = False


class View:
    """The bytes of a stream. It never raises, because what calls it is libsndfile.

    Attributes:
        error: what the disk said, when it refused.
    """

    def __init__(self, file: BinaryIO, stream: Stream):
        self._file = file
        self._stream = stream
        self._end = len(stream.head) + stream.end - stream.start
        self._size = self._end + stream.tail
        self._position = 0
        self.error: Optional[OSError] = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_CUR: self._position, os.SEEK_END: self._size}.get(whence, 0)
        self._position = min(max(0, base + offset), _FARTHEST)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
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
    """Bytes of a file; fewer where it ends."""
    if offset > os.fstat(file.fileno()).st_size:  # perhaps further than systems can seek
        return b""
    file.seek(offset)
    return file.read(count)
