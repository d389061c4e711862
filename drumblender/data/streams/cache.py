"""A cache of bounded size on the local disk, for sounds that were read over the network.

What is in it stays. An epoch uses every sound once and in random order, so that throwing out one
sound for another gains nothing: a cache that keeps what came first answers as large a share of all
reads as it holds of all sounds, and one that keeps what came last answers fewer [1]. Only packs of
other datasets are removed, when a training begins that has no room beside them.

Processes that train at the same time share the cache, and none relies on what is in it: what has
gone is read over the network again. For each pack there are two files. One holds sounds one after
the other in the order in which they came, the other one says where each of them is.

[1] J. Mohan, A. Phanishayee, A. Raniwala and V. Chidambaram, "Analyzing and Mitigating Data Stalls
    in DNN Training", PVLDB 14(5), 2021.
"""

import contextlib
import errno
import os
import shutil
import struct
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any, Collection, Dict, Iterator, Optional, Tuple

import numpy as np

from drumblender.errors import DrumblenderError
from drumblender.files import atomic

_ENTRY = struct.Struct("<qqq")  # position in the file of items plus 1, begin and end in the pack
_ITEMS, _WHERE, _INDEX = ".items", ".where", ".index"
_USED = "used"  # bytes of all items
_STEP = 32 << 20  # bytes that a process gets of the limit at a time
_SPARE_DISK = 1 << 30  # bytes of the disk that are left to others


class ItemCache:
    """Sounds of packs in a folder that several processes may share.

    It can be pickled.

    Args:
        folder: the folder.
        limit: number of bytes that all sounds in it may have together.
    """

    def __init__(self, folder: Path, limit: int):
        self.folder = folder
        self.limit = limit
        self._lock = threading.Lock()
        self._full = False
        self._granted = 0  # bytes that this process may write, of those that count as used

    def get(self, pack: str, row: int, span: Tuple[int, int]) -> Optional[np.ndarray]:
        """Return bytes of a pack, or None if they are not there.

        Args:
            pack: name of the pack.
            row: number of the sound in it.
            span: begin and end of the bytes in the pack.
        """
        try:
            entry = _read(self._path(pack, _WHERE), _ENTRY.size, row * _ENTRY.size)
            if entry is None:
                return None
            position, begin, end = _ENTRY.unpack(entry.tobytes())
            if not position or begin > span[0] or end < span[1]:
                return None
            place = position - 1 + span[0] - begin
            return _read(self._path(pack, _ITEMS), span[1] - span[0], place)
        except OSError:  # another process has removed the pack, or the disk is broken
            return None

    def put(self, pack: str, row: int, span: Tuple[int, int], data: bytes) -> None:
        """Keep bytes of a pack, if there is room."""
        if self._full:
            return
        try:
            if not self._may_grow(len(data)):
                self._full = True
                return
            position = _append(self._path(pack, _ITEMS), data)
            _write(self._path(pack, _WHERE), _ENTRY.pack(position + 1, *span), row * _ENTRY.size)
        except (OSError, NotImplementedError) as error:
            # Training goes on without.
            self._full = True
            reason = getattr(error, "strerror", None) or "the file system knows no locks"
            warnings.warn(f"{self.folder} keeps no more sounds ({reason}).", stacklevel=2)

    def index(self, pack: str) -> Optional[bytes]:
        """Return what was kept as the index of a pack, or None."""
        try:
            data = self._path(pack, _INDEX).read_bytes()
        except OSError:
            return None
        is_whole = zlib.crc32(data[:-4]).to_bytes(4, "little") == data[-4:]
        return data[:-4] if is_whole else None

    def put_index(self, pack: str, data: bytes) -> None:
        """Keep the index of a pack, which does not count against the limit."""
        with contextlib.suppress(OSError, DrumblenderError):
            crc = zlib.crc32(data).to_bytes(4, "little")
            atomic.write(self._path(pack, _INDEX), data + crc)

    def make_room(self, packs: Collection[str], size: int) -> None:
        """Remove packs of other datasets, the oldest first, until there is room for a dataset.

        Args:
            packs: names of the packs of the dataset.
            size: bytes of the dataset.
        """
        own = {_file_name(pack) for pack in packs}
        with self._locked(timeout=60) as locked:
            if not locked:
                return
            used: Dict[str, int] = {}
            age: Dict[str, float] = {}
            for path in (self.folder / "packs").glob("*/*"):
                with contextlib.suppress(OSError):
                    status = path.stat()
                    used.setdefault(path.stem, 0)
                    used[path.stem] += status.st_size if path.suffix == _ITEMS else 0
                    age[path.stem] = max(age.get(path.stem, 0), status.st_mtime)
            others = sorted(used.keys() - own, key=age.__getitem__)
            wanted = min(self.limit, size)
            here = sum(used[name] for name in used.keys() & own)
            elsewhere = sum(used[name] for name in others)
            for name in others:
                if max(wanted, here) + elsewhere <= self.limit:
                    break
                for suffix in (_WHERE, _INDEX, _ITEMS):
                    with contextlib.suppress(OSError):
                        self._path(name, suffix).unlink()
                elsewhere -= used[name]
            (self.folder / _USED).write_text(str(here + elsewhere))

    def _may_grow(self, count: int) -> bool:
        """Take bytes from what this process may still write, and get more of the limit for it."""
        with self._lock:
            if self._granted < count:
                with self._locked() as locked:
                    self._granted += self._grant(count) if locked else 0
            if self._granted < count:
                return False
            self._granted -= count
            return True

    def _grant(self, count: int) -> int:
        """Return how many more bytes this process may write, and note them as used."""
        file = self.folder / _USED
        try:
            used = int(file.read_text())
        except (OSError, ValueError):
            used = 0
        free = shutil.disk_usage(self.folder).free - _SPARE_DISK
        granted = min(max(_STEP, count), self.limit - used, free)
        if granted < count:
            return 0
        file.write_text(str(used + granted))
        return granted

    @contextlib.contextmanager
    def _locked(self, timeout: float = 5) -> Iterator[bool]:
        """Hold the lock of the folder, and tell whether it could be had in time."""
        from filelock import FileLock, Timeout

        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / "lock").acquire(timeout, poll_interval=0.01):
                yield True
        except Timeout:
            yield False

    def _path(self, pack: str, suffix: str) -> Path:
        """Return a file of a pack."""
        name = _file_name(pack)
        return self.folder / "packs" / name[:2] / f"{name}{suffix}"

    def __getstate__(self) -> Dict[str, object]:
        return {"folder": self.folder, "limit": self.limit, "_full": False, "_granted": 0}

    def __setstate__(self, state: Dict[str, object]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()


def _file_name(pack: str) -> str:
    """Return the name of a pack in the cache, without what is no name of a file."""
    return Path(pack).stem


def _read(path: Path, count: int, start: int) -> Optional[np.ndarray]:
    """Read bytes of a file from a position on, or None if it ends before."""
    buffer = np.empty(count, np.uint8)
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        view: Any = buffer.data
        while len(view):
            got = file.readinto(view)
            if not got:
                return None
            view = view[got:]
    return buffer


def _append(path: Path, data: bytes) -> int:
    """Write bytes to the end of a file, which others may do at the same time; return where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    file = os.open(path, flags, 0o666)
    try:
        written = os.write(file, data)
        if written != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.lseek(file, 0, os.SEEK_CUR) - written
    finally:
        os.close(file)


def _write(path: Path, data: bytes, start: int) -> None:
    """Write bytes to a position of a file, which is made if it is not there."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    with os.fdopen(file, "r+b", buffering=0) as opened:
        opened.seek(start)
        view = memoryview(data)
        while len(view):
            view = view[opened.write(view) :]
