"""Names of files as datasets and archives write them: relative, with ``/`` on every system."""

import os
import posixpath
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Union

PathLike = Union[str, Path]
# Endings of recordings, for which folders are searched; a file that is named may have any suffix.
SUFFIXES = tuple(
    ".aif .aifc .aiff .au .caf .flac .mp3 .oga .ogg .opus .rf64 .snd .voc .w64 .wav".split()
)
# Ending of sounds that are taken apart already (drumblender.sound.drum_file).
DRUM = ".drum"


def is_drum(path: PathLike) -> bool:
    """Return whether a name is one of a sound that is taken apart already.

    >>> is_drum("kits/Snare.DRUM"), is_drum("snare.wav")
    (True, False)
    """
    return Path(path).suffix.lower() == DRUM


def leads_outside(name: str) -> bool:
    """Return whether a relative name leads out of the folder that it is relative to.

    >>> [leads_outside(name) for name in ("a/b.wav", "/etc/passwd", "a/../../b.wav")]
    [False, True, True]
    """
    kinds = (PurePosixPath, PureWindowsPath) if os.name == "nt" else (PurePosixPath,)
    return any(_leads_outside(kind(name)) for kind in kinds)


def _leads_outside(path: PurePath) -> bool:
    """Return whether a path leads outside. On Windows, ``C:x`` is a place of its own."""
    return path.is_absolute() or bool(path.drive) or ".." in path.parts


def joined(folder: PurePosixPath, name: str) -> str:
    r"""Return what a name means in a folder, without steps back; ``\`` may stand for ``/``.

    >>> joined(PurePosixPath("kits/a"), "..\\b\\snare.wav")
    'kits/b/snare.wav'
    """
    return posixpath.normpath(str(folder / name.replace("\\", "/")))


def as_seen_from(folder: PathLike, path: PathLike) -> str:
    """Return a path relative to a folder, with ``/``, or as it is if it is on another drive."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return Path(path).as_posix()
