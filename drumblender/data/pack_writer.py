"""Writing packs: files that hold many sounds, in the form that :mod:`.packed` describes.

The bytes depend on nothing but what is added, so that equal packs have equal checksums.
"""

import json
import zlib
from typing import Any, BinaryIO, Dict, List, Sequence

import numpy as np
from torch import Tensor

from drumblender.data.pack_index import DATA_START, FORMAT


class PackWriter:
    """A pack that is being written, sound after sound.

    Args:
        file: the file, which is empty.
        fields: metadata fields that name what a sound consists of.
        sample_rate: in Hz.
    """

    def __init__(self, file: BinaryIO, fields: Sequence[str], sample_rate: int):
        self._file = file
        self._fields = list(fields)
        self._sample_rate = sample_rate
        self._names: List[List[str]] = []
        self._rows: Dict[str, List[Any]] = {"begin": [], "shape": [], "stamp": [], "crc": []}
        self._total = 0
        file.write(bytes(DATA_START))

    def add(
        self,
        key: str,
        names: Sequence[str],
        tensors: Sequence[Tensor],
        stamps: Sequence[Sequence[int]],
    ) -> None:
        """Write a sound.

        Args:
            key: its key.
            names: file name of each field.
            tensors: values of each field, of three dimensions at most.
            stamps: size and time (ns) of the file of each field.
        """
        row: Dict[str, List[Any]] = {name: [] for name in self._rows}
        for tensor, stamp in zip(tensors, stamps):
            data = tensor.contiguous().numpy().astype("<f4", copy=False)
            row["shape"].append((-1,) * (3 - data.ndim) + data.shape)
            row["begin"].append(self._total)
            row["crc"].append(zlib.crc32(data.data))
            row["stamp"].append(list(stamp))
            self._file.write(data.data)
            self._total += data.size
        self._names.append([key, *names])
        for name, values in row.items():
            self._rows[name].append(values)

    def finish(self) -> None:
        """Write the tensors that say where things are, and the header."""
        header: Dict[str, Any] = {
            "__metadata__": {
                "format": FORMAT,
                "fields": json.dumps(self._fields),
                "sample_rate": str(self._sample_rate),
            }
        }
        end = 4 * self._total
        header["data"] = {"dtype": "F32", "shape": [self._total], "data_offsets": [0, end]}
        arrays = {name: np.array(rows, "<i8") for name, rows in self._rows.items()}
        arrays["names"] = np.frombuffer(json.dumps(self._names).encode(), np.uint8)
        for name, array in arrays.items():
            header[name] = {
                "dtype": "U8" if name == "names" else "I64",
                "shape": list(array.shape),
                "data_offsets": [end, end + array.nbytes],
            }
            self._file.write(array.tobytes())
            end += array.nbytes
        text = json.dumps(header).encode().ljust(DATA_START - 8)
        self._file.seek(0)
        self._file.write(np.array(len(text), "<u8").tobytes() + text)
        self._file.flush()
