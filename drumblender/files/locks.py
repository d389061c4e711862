"""Locks between processes. A process that ends, however it ends, holds none any more.

The library `filelock` knows how systems lock files. It is imported where it is used, because many
commands lock nothing.
"""

import contextlib
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Iterator

from drumblender.errors import DrumblenderError

_LOCK = "lock"  # in a scratch folder


@contextlib.contextmanager
def locked(path: Path, waiting: str) -> Iterator[None]:
    """Hold a lock in a file, which exists only as long as somebody holds the lock.

    Args:
        path: the file.
        waiting: sentence for stderr if another process holds the lock.

    Raises:
        DrumblenderError: if the file system has no locks.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        while not lock.is_locked:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                print(waiting, file=sys.stderr)
                lock.acquire()
            # Whoever held it before may have removed the very file that is locked now. New versions
            # of filelock notice that by themselves; the last one for Python 3.9 does not.
            if not path.exists():
                lock.release()
    except NotImplementedError as error:
        raise DrumblenderError(
            f"{path.parent} is on a file system without locks; choose a folder on another one."
        ) from error
    try:
        yield
    finally:
        # While it is held: whoever waits for this very file then sees that it is gone. Windows lets
        # nobody remove a file that is open, and filelock removes it behind itself there.
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()


@contextlib.contextmanager
def scratch_folder(folder: Path, prefix: str) -> Iterator[Path]:
    """Make a folder in a folder, and remove it in the end, as well as those of killed programs.

    Args:
        folder: folder to make it in.
        prefix: beginning of the names of all such folders.
    """
    from filelock import FileLock

    _remove_abandoned(folder, prefix)
    while True:
        scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
        lock = FileLock(scratch / _LOCK)
        # A file system may know no locks; then folders of killed programs stay.
        with contextlib.suppress(OSError, NotImplementedError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            lock.acquire()
        if scratch.exists():
            break
        lock.release()  # another program took it for abandoned before it was locked
    try:
        yield scratch
    finally:
        lock.release()
        shutil.rmtree(scratch, ignore_errors=True)


def _remove_abandoned(folder: Path, prefix: str) -> None:
    """Remove the scratch folders whose lock no program holds."""
    from filelock import FileLock, Timeout

    for scratch in folder.glob(f"{prefix}*"):
        if not (scratch / _LOCK).exists():
            continue  # it has just been made
        with contextlib.suppress(OSError, NotImplementedError, Timeout):
            with FileLock(scratch / _LOCK).acquire(timeout=0):
                shutil.rmtree(scratch, ignore_errors=True)
            if os.name == "nt":  # where nobody removes what is locked
                shutil.rmtree(scratch, ignore_errors=True)
