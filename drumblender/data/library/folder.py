"""A raw folder as a whole, which may hold recordings and may be downloaded in part."""

from pathlib import Path

UNFINISHED = ".drumblender-download.json"  # in a raw folder while it is downloaded


def is_unfinished(folder: Path) -> bool:
    """Return whether the download of a raw folder was begun and not finished."""
    return (folder / UNFINISHED).exists()


def is_there(folder: Path) -> bool:
    """Return whether a raw folder holds files, and all of them if it was downloaded."""
    visible = folder.is_dir() and any(path.name[0] != "." for path in folder.iterdir())
    return visible and not is_unfinished(folder)
