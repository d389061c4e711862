"""Folders as places, on this machine or on a disk that machines share."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional, Tuple, Union

from drumblender.data.bucket.place import Item, Place, changed
from drumblender.files import atomic


@dataclass(frozen=True)
class FolderPlace(Place):
    """A folder, on this machine or on a disk that machines share.

    Attributes:
        address: its path.
    """

    address: str

    def _path(self, name: str) -> Path:
        """Return the file of an object."""
        return Path(self.address, name)

    def read(self, name: str, start: int = 0, end: Optional[int] = None) -> Optional[bytes]:
        """Return a file or a part of one, as :class:`Place` says."""
        try:
            with self._path(name).open("rb") as file:
                file.seek(start)
                return file.read() if end is None else file.read(end - start)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def fetch(self, item: Item, path: Path) -> None:
        """Put a link to a file, or a copy of it."""
        source = self._path(item.name)
        if not source.is_file() or _item(item.name, source.stat()) != item:
            raise changed(self.title(item.name))
        atomic.link(source, path)

    def write(self, name: str, data: Union[bytes, Path]) -> None:
        """Write a file in one step."""
        if isinstance(data, bytes):
            atomic.write(self._path(name), data)
        else:
            atomic.link(data, self._path(name))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        self._path(name).unlink(missing_ok=True)

    def items(self, prefix: str = "") -> Iterator[Item]:
        """Yield the files below a prefix, in the order of a bucket's listing."""
        yield from _walk(Path(self.address), prefix)

    def top(self) -> Tuple[List[Item], List[str]]:
        """List what lies at the top."""
        return _top(Path(self.address))


def _walk(top: Path, prefix: str) -> Iterator[Item]:
    """Yield the files below a prefix of a folder."""
    try:
        with os.scandir(top / prefix) as found:
            entries = [(entry.name, entry.is_dir(), entry.is_file()) for entry in found]
    except (FileNotFoundError, NotADirectoryError):
        return
    entries.sort(key=lambda entry: os.fsencode(entry[0]) + b"/" * entry[1])
    for name, is_folder, is_file in entries:
        if is_folder:
            yield from _walk(top, f"{prefix}{name}/")
        elif is_file:
            yield _item(prefix + name, (top / prefix / name).stat())


def _top(top: Path) -> Tuple[List[Item], List[str]]:
    """List what lies at the top of a folder."""
    if not top.is_dir():
        return [], []
    with os.scandir(top) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    files = [_item(entry.name, entry.stat()) for entry in entries if entry.is_file()]
    return files, [entry.name for entry in entries if entry.is_dir()]


def _item(name: str, status: os.stat_result) -> Item:
    """Return what is known of a file."""
    time = str(status.st_mtime_ns)
    return Item(name, status.st_size, f"{status.st_size}-{time}", time)
