"""The journal of a dataset: how each of its files was made, so that no file is made twice.

A run that was stopped at any moment goes on where it was, because each finished file is entered at
once. An entry tells the content of the file and of what it was made of, by size and checksum.
"""

import contextlib
import functools
import json
import zlib
from pathlib import Path
from typing import Dict, NamedTuple, Optional, Sequence, Tuple

from drumblender.data.settings import CUT, NOT_READABLE, checked_seconds
from drumblender.files import atomic

JOURNAL_FILE = "journal.jsonl"
_LONGEST_LINE = 1 << 16  # of the journal, in bytes

Stamp = Tuple[int, int]  # size and checksum of a file, or size and time of a recording
Journal = Dict[str, "Made"]  # name of a file -> how it was made


class Made(NamedTuple):
    """How a file of a dataset was made.

    Attributes:
        of: stamp of the file that it was made of.
        stamp: stamp of the file itself.
        cut: seconds that the recording goes on for, if it was cut, and 0 if not.
    """

    of: Stamp
    stamp: Stamp
    cut: float = 0.0


def read_journal(folder: Path) -> Journal:
    """Read how every file of a dataset was made; what cannot be read counts as not made."""
    journal: Journal = {}
    with contextlib.suppress(OSError), (folder / JOURNAL_FILE).open("rb") as file:
        # Of whatever got into the file, no more than a line is read at once.
        for line in iter(functools.partial(file.readline, _LONGEST_LINE), b""):
            # The last line of a process that was killed may be cut.
            with contextlib.suppress(*NOT_READABLE):
                entry = json.loads(line)
                made = Made(
                    _stamp(entry["of"]), _stamp(entry["is"]), checked_seconds(entry.get(CUT, 0.0))
                )
                journal[str(entry["file"])] = made
    return journal


def journal_line(name: str, made: Made) -> str:
    """Return the entry of one file."""
    cut = {CUT: made.cut} if made.cut else {}
    return json.dumps({"file": name, "of": made.of, "is": made.stamp, **cut}) + "\n"


def _stamp(numbers: Sequence[int]) -> Stamp:
    """Return a stamp as it stands in the journal."""
    first, second = numbers
    return int(first), int(second)


class Appended:
    """A text file that grows. What is written to it is in the file at once."""

    def __init__(self, path: Path):
        self._path = path

    def __enter__(self) -> "Appended":
        with atomic.disk_errors(self._path):
            self._file = self._path.open("a", encoding="utf-8")
        return self

    def write(self, text: str) -> None:
        """Append text.

        Raises:
            DrumblenderError: if the disk refuses it.
        """
        with atomic.disk_errors(self._path):
            self._file.write(text)
            self._file.flush()

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # of what write has told
            self._file.close()


def file_stamp(path: Path) -> Optional[Stamp]:
    """Return the size and the checksum of a file, or None if it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return len(data), zlib.crc32(data)


def joint_stamp(first: Stamp, second: Stamp) -> Stamp:
    """Return the stamp of two files that a third one is made of.

    >>> joint_stamp((1, 2), (3, 4)) == joint_stamp((3, 4), (1, 2))
    False
    """
    return first[0] + second[0], zlib.crc32(json.dumps([first, second]).encode())


def state_of(path: Path) -> Stamp:
    """Return the size and the time of a file, by which a change shows without reading it."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns
