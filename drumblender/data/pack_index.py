"""The index of a pack, which says where in it the tensors of each sound lie.

It is all of a pack but the sounds: the header in front of them and the small tensors behind them.
So it can be read of a pack on the disk (:mod:`.packed`) and of one in a bucket (:mod:`.streams`).
The format is that of :mod:`.packed`.
"""

import functools
import json
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from drumblender.errors import DrumblenderError

FORMAT = "drumblender pack 1"
DATA_START = 4096  # in the file; the header is padded to it
_TYPES = {"F32": np.float32, "I64": np.int64, "U8": np.uint8}

# What making sense of damaged bytes may raise.
DAMAGED = (
    ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, MemoryError,
    RecursionError, DrumblenderError,
)  # fmt: skip

# Reads bytes of a pack: their number, and the position of the first.
ReadAt = Callable[[int, int], bytes]


class Unfit(Exception):
    """The error of a pack that does not hold a dataset as it is now. The message is the reason."""


@dataclass(frozen=True)
class PackIndex:
    """Where the tensors of sounds lie in a pack.

    Attributes:
        column: maps metadata fields that name files to columns of the arrays.
        row: numbers of the sounds in the pack (sounds,).
        begin: positions in the data of the pack, in float32 numbers (sounds, fields).
        shape: shapes, behind a -1 for each dimension that is not there (sounds, fields, 3).
        stamp: size and time (ns) of the file that it was made of (sounds, fields, 2).
        crc: CRC-32 of the bytes (sounds, fields).
    """

    column: Dict[str, int]
    row: np.ndarray
    begin: np.ndarray
    shape: np.ndarray
    stamp: np.ndarray
    crc: np.ndarray

    def tensor(self, sound: int, field: str) -> Tuple[int, List[int]]:
        """Return where a tensor begins in the file, in bytes, and its shape."""
        column = self.column[field]
        start = DATA_START + 4 * int(self.begin[sound, column])
        return start, [n for n in self.shape[sound, column].tolist() if n >= 0]

    def span(self, sound: int) -> Tuple[int, int]:
        """Return where the bytes of a sound begin in the file, and where they end."""
        return self._spans[sound]

    @functools.cached_property
    def _spans(self) -> List[Tuple[int, int]]:
        """Where the bytes of each sound begin and end."""
        lengths = np.where(self.shape < 0, 1, self.shape).prod(-1)
        begins = DATA_START + 4 * self.begin.min(-1)
        ends = DATA_START + 4 * (self.begin + lengths).max(-1)
        return list(zip(begins.tolist(), ends.tolist()))


def read_header(read: ReadAt, size: int) -> Tuple[Dict[str, Any], Dict[str, str]]:
    """Read the header of a pack: an entry for each tensor, and the metadata.

    Args:
        read: function that reads bytes of the pack.
        size: size of the pack in bytes.

    Raises:
        Unfit: if it is no header of a pack of that size.
    """
    try:
        first = read(DATA_START, 0)
        length = int(np.frombuffer(first[:8], "<u8")[0])
        header = json.loads(first[8 : 8 + length])
        metadata = header.pop("__metadata__")
        end = 8 + length + max(entry["data_offsets"][1] for entry in header.values())
    except (OSError, *DAMAGED) as error:
        raise Unfit("it is broken") from error
    if metadata.get("format") != FORMAT:
        raise Unfit(f"it has format {metadata.get('format')!r}, not {FORMAT!r}")
    if end != size:
        raise Unfit("it is cut")
    return header, metadata


def read_index(
    read: ReadAt,
    size: int,
    keys: Sequence[str],
    metadata: Mapping[str, Mapping[str, Any]],
    fields: Sequence[str],
    sample_rate: int,
    num_samples: int,
) -> PackIndex:
    """Read where some sounds lie in a pack, and check that they are those of a dataset.

    Args:
        read: function that reads bytes of the pack.
        size: size of the pack in bytes.
        keys: keys of the sounds, in the order that the arrays shall have.
        metadata: metadata of the dataset.
        fields: metadata fields that name the files to be read.
        sample_rate: sample rate that the sounds have to have, in Hz.
        num_samples: number of samples that they have to have.

    Raises:
        Unfit: if the pack does not hold these sounds.
    """
    header, about = read_header(read, size)
    try:
        return _read_index(read, header, about, keys, metadata, fields, sample_rate, num_samples)
    except DAMAGED as error:
        raise Unfit("it is broken") from error


def _read_index(
    read: ReadAt,
    header: Mapping[str, Any],
    about: Mapping[str, str],
    keys: Sequence[str],
    metadata: Mapping[str, Mapping[str, Any]],
    wanted: Sequence[str],
    sample_rate: int,
    num_samples: int,
) -> PackIndex:
    """Read the index as :func:`read_index` does, with errors of any kind for damaged bytes."""
    fields = json.loads(about["fields"])
    if not set(wanted) <= set(fields):
        raise Unfit(f"it holds {', '.join(fields)} but not {', '.join(wanted)}")
    if about["sample_rate"] != str(sample_rate):
        raise Unfit(f"it has sample_rate {about['sample_rate']}")
    names = json.loads(_array(read, header, "names").tobytes())
    rows = {key: (row, dict(zip(fields, files))) for row, (key, *files) in enumerate(names)}
    chosen = []
    for key in keys:
        row, files = rows.get(key, (-1, {}))
        if row < 0 or any(metadata[key].get(field) != files[field] for field in wanted):
            raise Unfit(f"the metadata of {key} is newer")
        chosen.append(row)
    part = np.ix_(chosen, [fields.index(field) for field in wanted])
    arrays = {name: _array(read, header, name)[part] for name in ("begin", "shape", "stamp", "crc")}
    columns = {field: column for column, field in enumerate(wanted)}
    index = PackIndex(columns, np.array(chosen), **arrays)
    sizes = np.where(index.shape < 0, 1, index.shape).astype(float).prod(-1)
    if (index.begin < 0).any() or (index.begin + sizes > header["data"]["shape"][0]).any():
        raise Unfit("it is broken")
    lengths = index.shape[:, index.column["filename"], -1]
    if (lengths != num_samples).any():
        raise Unfit(f"it has num_samples {lengths[0]}")
    return index


def tail_start(header: Mapping[str, Any]) -> int:
    """Return where the tensors behind the sounds begin in the file, in bytes."""
    return DATA_START + header["data"]["data_offsets"][1]


def _array(read: ReadAt, header: Mapping[str, Any], name: str) -> np.ndarray:
    """Read one of the tensors that lie behind the sounds."""
    entry = header[name]
    begin, end = entry["data_offsets"]
    data = np.frombuffer(read(end - begin, DATA_START + begin), _TYPES[entry["dtype"]])
    array = data.reshape(entry["shape"])
    if list(array.shape) != entry["shape"]:
        raise ValueError(entry["shape"])
    return array
