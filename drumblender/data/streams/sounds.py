"""A reader of sounds in packs that lie elsewhere, in place of that of a pack on the disk."""

import contextlib
import contextvars
import json
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Protocol, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from drumblender.data.pack_index import (
    DATA_START,
    PackIndex,
    Unfit,
    read_header,
    read_index,
    tail_start,
)
from drumblender.data.streams.ahead import ReadAhead
from drumblender.data.streams.cache import ItemCache
from drumblender.errors import DrumblenderError

PACKS_FILE = "packs.json"
_AHEAD = 64 << 20  # bytes that may wait to be used
_LOCKS = 64
_ATTEMPTS = 3  # at bytes that come damaged over the network


class Ranges(Protocol):
    """A place whose objects are read in parts. It can be pickled and used by many threads."""

    def read(self, name: str, start: int = 0, end: Optional[int] = None) -> Optional[bytes]:
        """Return the bytes of an object from ``start`` to before ``end``; None without it.

        Raises:
            DrumblenderError: if the place does not give them, after some patience.
        """

    def title(self, name: str) -> str:
        """Return what to call an object in messages."""


@dataclass(frozen=True)
class Stream:
    """What sounds are read from.

    Attributes:
        place: the place of the packs.
        cache: the cache of their sounds on the local disk.
    """

    place: Ranges
    cache: ItemCache


_STREAM: contextvars.ContextVar[Optional[Stream]] = contextvars.ContextVar("stream", default=None)


@contextlib.contextmanager
def reading_from(stream: Optional[Stream]) -> Iterator[None]:
    """Let the datasets that are made in this block read their sounds from a stream, if not None.

    A dataset's class may be anybody's, so that no argument could hand the stream to it.
    """
    token = _STREAM.set(stream)
    try:
        yield
    finally:
        _STREAM.reset(token)


def find(dataset: Any) -> Optional["StreamedSounds"]:
    """Return the reader of a dataset's sounds, or None if they are on the disk.

    Raises:
        DrumblenderError: if the packs do not hold the dataset.
    """
    stream = _STREAM.get()
    return None if stream is None else StreamedSounds(stream, dataset)


class StreamedSounds:
    """A reader of the sounds of packs that lie elsewhere.

    The index of a pack is read when one of its sounds is needed for the first time. Every sound is
    checked by its CRC-32, both when it comes over the network and when it comes from a cache that
    an earlier run has written.

    It can be pickled, and used by processes that are forked or spawned.

    Args:
        stream: what to read from.
        dataset: dataset whose sounds are read, by their index in it. Its folder holds
            ``packs.json``: the names and sizes of the packs, and which one each sound is in.

    Attributes:
        path: what messages call it.
    """

    def __init__(self, stream: Stream, dataset: Any):
        self.path = Path(dataset.data_dir)
        self._stream = stream
        self._keys = dataset.keys
        self._metadata = dataset.metadata
        self._form = (list(dataset.file_fields()), dataset.sample_rate, dataset.num_samples)
        packs = json.loads((self.path / PACKS_FILE).read_text(encoding="utf-8"))
        self._packs: List[Tuple[str, int]] = [tuple(pack) for pack in packs["packs"]]
        of = dict(zip(sorted(dataset.metadata), packs["of"]))
        self._pack_of = np.array([of[key] for key in dataset.keys])
        # The sounds of the dataset by their packs, and the place of each of them among those.
        self._order = np.argsort(self._pack_of, kind="stable")
        self._first = np.searchsorted(self._pack_of[self._order], np.arange(len(self._packs) + 1))
        self._within = np.empty(len(self._order), int)
        self._within[self._order] = (
            np.arange(len(self._order)) - self._first[self._pack_of[self._order]]
        )
        ahead = _AHEAD // (8 * dataset.num_samples)  # features are about as large as the audio
        self._ahead = ReadAhead(self._get, most=min(ahead, 256))
        self._reset()

    def _reset(self) -> None:
        """Forget what belongs to this process."""
        self._indices: Dict[int, PackIndex] = {}
        self._checked = np.zeros(len(self._keys), bool)
        self._locks = [threading.Lock() for _ in range(_LOCKS)]
        self._current: Tuple[int, Optional[np.ndarray]] = (-1, None)

    def read(self, index: int, field: str) -> Tensor:
        """Read one field of a sound, by its index in the dataset.

        Raises:
            DrumblenderError: if it cannot be had, or is not what was written.
        """
        number, data = self._current
        if number != index or data is None:
            data = self._ahead.take(index)
            self._current = index, data
        index_of_pack, sound = self._find(index)
        start, shape = index_of_pack.tensor(sound, field)
        start -= index_of_pack.span(sound)[0]
        tensor = torch.empty(shape)
        flat = tensor.numpy().reshape(-1).view(np.uint8)
        flat[:] = data[start : start + flat.nbytes]
        return tensor

    def expect(self, indices: Sequence[int]) -> None:
        """Begin to read sounds that will be needed, in this order."""
        self._ahead.expect(indices)

    def expect_batch(self, indices: Sequence[int]) -> None:
        """Begin to read the sounds of a batch at once, unless they are expected anyway."""
        if not self._ahead.expects(indices):
            self._ahead.expect(indices)

    def _get(self, index: int) -> np.ndarray:
        """Get the bytes of a sound, from the cache or over the network."""
        pack, _ = self._packs[self._pack_of[index]]
        part, sound = self._find(index)
        row, span = int(part.row[sound]), part.span(sound)
        cache = self._stream.cache
        data = cache.get(pack, row, span)
        if data is not None:
            if self._checked[index] or self._is_whole(part, sound, data):
                self._checked[index] = True
                return data
        for _ in range(_ATTEMPTS):
            came = self._read(pack, *span)
            data = np.frombuffer(came, np.uint8)
            if self._is_whole(part, sound, data):
                cache.put(pack, row, span, came)
                return data
        raise self._error(pack, f"is damaged where {self._keys[index]} is")

    def _read(self, pack: str, start: int, end: int) -> bytes:
        """Read bytes of a pack over the network, as many as it should have."""
        for _ in range(_ATTEMPTS):
            data = self._stream.place.read(pack, start, end)
            if data is None:
                raise self._error(pack, "is gone")
            if len(data) == end - start:
                return data
        raise self._error(pack, "is cut")

    def _is_whole(self, part: PackIndex, sound: int, data: np.ndarray) -> bool:
        """Return whether the bytes of a sound are those that were written."""
        begin = part.span(sound)[0]
        for field, column in part.column.items():
            start, shape = part.tensor(sound, field)
            count = 4 * int(np.prod(shape))
            if zlib.crc32(data[start - begin :][:count].data) != part.crc[sound, column]:
                return False
        return True

    def _find(self, index: int) -> Tuple[PackIndex, int]:
        """Return the index of the pack that a sound is in, and the number of the sound in it."""
        pack = int(self._pack_of[index])
        if pack not in self._indices:
            with self._locks[pack % _LOCKS]:
                if pack not in self._indices:
                    self._indices[pack] = self._read_index(pack)
        return self._indices[pack], int(self._within[index])

    def _read_index(self, pack: int) -> PackIndex:
        """Read where the sounds of the dataset lie in one of the packs."""
        name, size = self._packs[pack]
        keys = [self._keys[i] for i in self._order[self._first[pack] : self._first[pack + 1]]]
        kept = self._stream.cache.index(name)
        if kept is not None:
            with contextlib.suppress(Unfit):  # what is kept may be damaged
                return self._index_in(kept, size, keys)
        try:
            return self._index_in(self._fetch_index(name, size), size, keys)
        except Unfit as reason:
            raise self._error(name, f"is of no use: {reason}") from reason

    def _index_in(self, content: bytes, size: int, keys: Sequence[str]) -> PackIndex:
        """Read where sounds lie in a pack, of all of it but its sounds."""
        left_out = size - len(content)  # bytes behind the header

        def read(count: int, start: int) -> bytes:
            """Read bytes of the pack that are not those of sounds."""
            start -= 0 if start < DATA_START else left_out
            return content[start : start + count]

        return read_index(read, size, keys, self._metadata, *self._form)

    def _fetch_index(self, name: str, size: int) -> bytes:
        """Fetch all of a pack but its sounds, and keep it."""
        try:
            first = self._read(name, 0, DATA_START)
            header, _ = read_header(lambda count, start: first[start : start + count], size)
            begin = tail_start(header)
        except (Unfit, KeyError, TypeError, IndexError) as reason:
            raise self._error(name, f"is of no use: {reason}") from reason
        content = first + self._read(name, begin, size)
        self._stream.cache.put_index(name, content)
        return content

    def _error(self, pack: str, what: str) -> DrumblenderError:
        """Make the error of a pack that does not hold what it should."""
        return DrumblenderError(
            f"{self._stream.place.title(pack)} {what}; write the dataset to the bucket again with "
            "drumblender-dataset, and start again."
        )

    def __getstate__(self) -> Dict[str, Any]:
        own = ("_indices", "_checked", "_locks", "_current")
        return {name: value for name, value in self.__dict__.items() if name not in own}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()
