"""The files in a folder, whatever links, pipes and loops there are."""

import os
import re
import stat
from collections import deque
from pathlib import Path
from typing import Deque, Dict, Iterator, Optional, Tuple

ABOVE = "is a link to a folder above it"

_JUNK = re.compile(r"\..*|__MACOSX|Thumbs\.db|desktop\.ini|Icon\r?", re.IGNORECASE | re.DOTALL)


def is_junk(name: str) -> bool:
    """Return whether an operating system left a file or folder behind, or hides it.

    >>> [is_junk(name) for name in (".DS_Store", "kick.wav")]
    [True, False]
    """
    return bool(_JUNK.fullmatch(name))


def files_below(top: Path, folder: str = ".") -> Iterator[Tuple[str, str]]:
    """Yield the files of a folder, each once, whatever links lead to it.

    Args:
        top: folder that names are relative to.
        folder: a folder in it, or one file.

    Yields:
        The name of a file, and why it cannot be read, or an empty text. A folder is named only if
            it cannot be read.
    """
    start = top / folder
    if not os.path.isdir(start):
        if os.path.lexists(start):
            yield folder, _problem(start)
        return
    visited: Dict[Tuple[int, int], str] = {}
    above = {_identity(parent) for parent in Path(os.path.realpath(start)).parents}
    # Links to folders come last, so that a file is called by its own name and not by a link's.
    folders: Deque[str] = deque([folder])
    links: Deque[str] = deque()
    while folders or links:
        is_link = not folders
        here = links.popleft() if is_link else folders.pop()
        try:
            identity = _identity(top / here)
            known = visited.get(identity)
            if is_link and (identity in above or known in (".", folder) or _is_in(here, known)):
                yield here, ABOVE
                continue
            if known is not None:
                yield here, f"is a link to {known}, which is read there"
                continue
            visited[identity] = here
            with os.scandir(top / here) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            yield here, f"cannot be read ({error.strerror})"
            continue
        for entry in entries:
            if is_junk(entry.name):
                continue
            inside = entry.name if here == "." else f"{here}/{entry.name}"
            if entry.is_file(follow_symlinks=False):  # which costs no call to the system
                yield inside, ""
            elif not os.path.isdir(entry.path):
                yield inside, _problem(Path(entry.path))
            elif entry.is_symlink():
                links.append(inside)
            else:
                folders.append(inside)


def _is_in(name: str, folder: Optional[str]) -> bool:
    """Return whether a name lies in a folder."""
    return folder is not None and name.startswith(f"{folder}/")


def _identity(folder: Path) -> Tuple[int, int]:
    """Return what tells a folder apart from all others, whatever it is called."""
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _problem(path: Path) -> str:
    """Return why a file cannot be read, as far as that shows without opening it."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "is no regular file"
    except FileNotFoundError:
        return "is a link to a file that is not there" if path.is_symlink() else "is not there"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return ""
