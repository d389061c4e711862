"""A dataset in one file, which is read ten times faster than two files per sound.

Most of the time that a published dataset takes to load goes into opening files, parsing headers and
unpacking the archives of ``torch.save``; on a network disk it is all of it. In a pack, a sound is
one position in one file, where its tensors lie beside each other as they are in memory.

The pack is a file in the format of safetensors [1]. Its tensors are

    data    float32 (total,)               all sounds, one after the other, field after field
    begin   int64 (sounds, fields)         position in ``data`` where a field of a sound begins
    shape   int64 (sounds, fields, 3)      its shape, behind a -1 for each dimension that it lacks
    stamp   int64 (sounds, fields, 2)      size and time (ns) of the file that it was made of
    crc     int64 (sounds, fields)         CRC-32 of its bytes
    names   uint8                          JSON: key and file names of each sound

It lies beside the files, is made of them, and holds the values that reading them gives. If one of
them has changed since, the pack is not used. Positions of the file are read into fresh tensors. A
memory map would save a twentieth of a millisecond, but it kills the process when the file is cut or
the network disk fails, and it shows every in-place change of an item in the next epoch.

[1] https://huggingface.co/docs/safetensors
"""

import os
import weakref
import zlib
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np
import torch
from torch import Tensor

from drumblender.data.pack_index import Unfit, read_index
from drumblender.data.pack_writer import PackWriter
from drumblender.errors import DrumblenderError
from drumblender.files import atomic
from drumblender.files.positions import read_into
from drumblender.files.progress import progress

PACKED_FILE = "packed.safetensors"
_REMEDY = "pack the dataset again with drumblender-dataset CONFIG --pack, or remove that file"


class PackedSounds:
    """A reader of the sounds of a pack.

    It can be pickled, and used by processes that are forked or spawned.

    Args:
        path: the pack.
        dataset: dataset whose sounds are read, by their index in it.

    Raises:
        Unfit: if the pack does not hold that dataset as it is now.
    """

    def __init__(self, path: Path, dataset: Any):
        self.path = path
        self._open()
        self._identity = self._status()
        self._read_index(dataset)

    def _read_index(self, dataset: Any) -> None:
        """Find where the sounds of a dataset lie, and check that they are those of the dataset."""
        fields = list(dataset.file_fields())
        form = (fields, dataset.sample_rate, dataset.num_samples)
        size = self._identity[0]
        self._index = read_index(self._bytes, size, dataset.keys, dataset.metadata, *form)
        changed = _changed(dataset, fields, self._index.stamp)
        if changed is not None:
            raise Unfit(f"{changed} has changed since")

    def read(self, index: int, field: str) -> Tensor:
        """Read one field of a sound, by its index in the dataset.

        Raises:
            DrumblenderError: if the file cannot be read, or was replaced while in use.
        """
        start, shape = self._index.tensor(index, field)
        tensor = torch.empty(shape)
        self._read_into(tensor.numpy().reshape(-1).view(np.uint8), start)
        return tensor

    def damaged(self) -> List[int]:
        """List the indices of the sounds whose bytes are not those that were written."""
        return [
            index
            for index in range(len(self._index.begin))
            if any(
                zlib.crc32(self.read(index, field).numpy().data) != self._index.crc[index, column]
                for field, column in self._index.column.items()
            )
        ]

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "_file": None}

    def _open(self) -> None:
        """Open the file. It is closed with this object."""
        try:
            self._file = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise Unfit(f"it cannot be read ({error.strerror})") from error
        closing: Any = weakref.finalize(self, os.close, self._file)
        closing.atexit = False  # which mypy for Python 3.9 takes for impossible

    def _status(self) -> List[int]:
        """Return what tells this file apart from one that has replaced it."""
        return _stamp(os.fstat(self._file))

    def _bytes(self, count: int, start: int) -> bytes:
        """Read bytes from a position on."""
        buffer = np.empty(min(count, max(0, self._identity[0] - start)), np.uint8)
        self._read_into(buffer, start)
        return buffer.tobytes()

    def _read_into(self, buffer: np.ndarray, start: int) -> None:
        """Fill a buffer from a position on, wherever this object has come to."""
        if self._file is None:  # in another process
            try:
                self._open()
            except Unfit as error:
                raise DrumblenderError(f"{self.path} is gone: {error}; {_REMEDY}.") from error
            if self._status() != self._identity:
                raise DrumblenderError(f"{self.path} was replaced while in use; start again.")
        view, file = buffer.data, self._file
        while len(view):
            try:
                # A position of its own for each read: forked processes share the file's.
                count = read_into(file, view, start)
            except OSError as error:
                raise DrumblenderError(
                    f"{self.path} cannot be read ({error.strerror}); {_REMEDY}."
                ) from error
            if not count:
                raise DrumblenderError(f"{self.path} was cut while in use; {_REMEDY}.")
            view, start = view[count:], start + count


def find(dataset: Any) -> Optional[PackedSounds]:
    """Find the pack of a dataset.

    Returns:
        The pack. It is None if there is none, or if it does not fit, of which a warning tells.
    """
    path = dataset.data_dir / PACKED_FILE
    if not path.exists():
        return None
    try:
        return PackedSounds(path, dataset)
    except Unfit as reason:
        from pytorch_lightning.utilities import rank_zero_warn

        rank_zero_warn(
            f"{path} is not used, because {reason}; {_REMEDY}. Single files load more slowly.",
            stacklevel=4,
        )
        return None


def write(dataset: Any, known: Mapping[str, Sequence[int]]) -> Path:
    """Pack a dataset, and check what was written.

    Args:
        dataset: dataset of all its sounds.
        known: maps file names to the size and the CRC-32 that they have to have, if that is known.

    Raises:
        DrumblenderError: if a file is missing, broken or not what it was, or if the disk is full.
    """
    path = dataset.data_dir / PACKED_FILE
    fields = dataset.file_fields()
    with atomic.in_one_step(path) as temporary:
        with temporary.open("wb") as file, progress("Pack", len(dataset)) as bar:
            pack = PackWriter(file, fields, dataset.sample_rate)
            for row, key in enumerate(dataset.keys):
                names = [dataset.metadata[key][field] for field in fields]
                stamps, tensors = [], []
                for field, name in zip(fields, names):
                    source = dataset.path(row, field)
                    # Before it is read: what changes in between is another file then.
                    stamps.append(_stamp(source.stat()))
                    _check_known(source, known.get(name))
                    tensors.append(dataset.load(row, field))
                pack.add(key, names, tensors, stamps)
                bar.update()
            pack.finish()
            os.fsync(file.fileno())
            if hasattr(os, "posix_fadvise"):  # so that the check reads what the disk has
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        try:
            damaged = PackedSounds(temporary, dataset).damaged()
        except Unfit as reason:
            raise DrumblenderError(
                f"{path} could not be made, because {reason}; run the same command again."
            ) from reason
        if damaged:
            raise DrumblenderError(
                f"{path} was not written as it should be; check the disk and run it again."
            )
    return path


def verify(dataset: Any) -> List[str]:
    """List what is wrong with the pack of a dataset, one sentence each."""
    path = dataset.data_dir / PACKED_FILE
    if not path.exists():
        return []
    try:
        damaged = PackedSounds(path, dataset).damaged()
    except (Unfit, DrumblenderError) as error:
        return [f"{path} is of no use: {error}; {_REMEDY}."]
    return [f"{path} is damaged where {dataset.keys[index]} is; {_REMEDY}." for index in damaged]


def _check_known(path: Path, known: Optional[Sequence[int]]) -> None:
    """Refuse a file that is not what it was when it was made."""
    if known is None:
        return
    data = path.read_bytes()
    if (len(data), zlib.crc32(data)) != tuple(known):
        raise DrumblenderError(
            f"{path} has changed since it was made; see drumblender-dataset CONFIG --verify."
        )


def _changed(dataset: Any, fields: List[str], stamps: np.ndarray) -> Optional[Path]:
    """Find a file that is not what was packed. A file that is gone does not count."""
    # One listing per folder: on a network disk a million calls of stat are slow.
    listings: Dict[str, Dict[str, List[int]]] = {}
    for key, row in zip(dataset.keys, stamps.tolist()):
        for field, stamp in zip(fields, row):
            folder, name = os.path.split(dataset.metadata[key][field])
            if folder not in listings:
                listings[folder] = _list(dataset.data_dir / folder)
            if listings[folder].get(name, stamp) != stamp:
                return dataset.data_dir / folder / name
    return None


def _list(folder: Path) -> Dict[str, List[int]]:
    """List the files of a folder, each with its stamp."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: _stamp(entry.stat()) for entry in entries if entry.is_file()}


def _stamp(status: os.stat_result) -> List[int]:
    """Return the size and the time of a file, by which a change shows."""
    return [status.st_size, status.st_mtime_ns]
