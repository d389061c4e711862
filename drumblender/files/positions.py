"""Reads at positions of an open file, which threads and other processes may read as well."""

import os
import threading

_ONE_AT_A_TIME = threading.Lock()


def read_at(file: int, count: int, start: int) -> bytes:
    """Read bytes of a file from a position on. Where the file ends there are fewer."""
    if hasattr(os, "pread"):
        return os.pread(file, count, start)
    # Windows, where processes share no open files.
    with _ONE_AT_A_TIME:
        os.lseek(file, start, os.SEEK_SET)
        return os.read(file, count)


def read_into(file: int, view: memoryview, start: int) -> int:
    """Read bytes of a file from a position on into memory, and return their number."""
    if hasattr(os, "preadv"):
        return os.preadv(file, [view], start)
    data = read_at(file, len(view), start)
    view[: len(data)] = data
    return len(data)
