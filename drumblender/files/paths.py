"""Names of files as datasets and archives write them: relative, with ``/`` on every system."""

import os
import posixpath
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Union

PathLike = Union[str, Path]


def leads_outside(name: str) -> bool:
    """Whether a relative name leads out of the folder that it is relative to.

    >>> [leads_outside(name) for name in ("a/b.wav", "/etc/passwd", "a/../../b.wav")]
    [False, True, True]
    """
    kinds = (PurePosixPath, PureWindowsPath) if os.name == "nt" else (PurePosixPath,)
    return any(_leads_outside(kind(name)) for kind in kinds)


def _leads_outside(path: PurePath) -> bool:
    """Whether a path of one kind of system does; ``C:x`` is a place of its own on Windows."""
    return path.is_absolute() or bool(path.drive) or ".." in path.parts


def joined(folder: PurePosixPath, name: str) -> str:
    r"""What a name means in a folder, without steps back and forth; ``\`` may stand for ``/``.

    >>> joined(PurePosixPath("kits/a"), "..\\b\\snare.wav")
    'kits/b/snare.wav'
    """
    return posixpath.normpath(str(folder / name.replace("\\", "/")))


def as_seen_from(folder: PathLike, path: PathLike) -> str:
    """A path relative to a folder, with ``/``; as it is where none leads there (another drive)."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return Path(path).as_posix()
