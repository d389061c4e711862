"""Files and folders that are whole or missing, made by one process at a time."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, Iterator

from drumblender.errors import DrumblenderError
from drumblender.files.locks import locked

_LONGEST_NAME = 255  # in bytes
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def in_one_step(path: Path) -> Iterator[Path]:
    """Give a temporary path that becomes ``path`` when the block ends without an exception.

    Raises:
        DrumblenderError: if the disk refuses the file.
    """
    temporary = _beside(path, ending=".tmp")
    try:
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into a sentence about ``path``.

    Raises:
        DrumblenderError: in place of an error of the disk. It says what to do.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:  # of a network library, not of the disk
            raise
        advice = "check the folder's permissions and run the same command again"
        if error.errno in FULL:
            advice = "make room and run the same command again"
        elif error.errno == errno.ENAMETOOLONG:
            advice = "give it a shorter name"
        raise DrumblenderError(
            f"{path} cannot be written ({error.strerror or error}); {advice}."
        ) from error


def write(path: Path, data: bytes) -> None:
    """Write a file in one step."""
    with in_one_step(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file in one step."""
    write(path, (json.dumps(content, indent=1) + "\n").encode())


def link(source: Path, destination: Path) -> None:
    """Put the same file in another place, without a copy if the file system can do that."""
    with in_one_step(destination) as temporary:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        try:
            os.link(source, temporary)
        except OSError:  # another file system, or one without links
            shutil.copyfile(source, temporary)


def put_in_place(folder: Path, destination: Path) -> None:
    """Give a finished folder its name, and remove what had that name before.

    Call it inside :func:`exclusive`, which repairs what a stop between the two steps leaves behind.
    """
    old = _old(destination)
    if destination.exists():
        destination.rename(old)
    folder.rename(destination)
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Let one process at a time make a folder or a file. Other processes wait, and say so.

    Raises:
        DrumblenderError: if the file system has no locks.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    waiting = f"Waiting for another process that prepares {folder} ..."
    with locked(_beside(folder, ".", ".lock"), waiting):
        old = _old(folder)
        if old.exists() and folder.exists():
            shutil.rmtree(old)
        elif old.exists():
            old.rename(folder)
        yield


def _old(folder: Path) -> Path:
    """Return where a folder waits until the one that takes its place is there."""
    return _beside(folder, ending=".old")


def _beside(path: Path, beginning: str = "", ending: str = "") -> Path:
    """Make a name of another name, or of its checksum if that would be too long for a name."""
    name = f"{beginning}{path.name}{ending}"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
        name = f"{beginning}{digest}{ending}"
    return path.with_name(name)
