"""Files of sounds that are taken apart, ``.drum``: how their bytes are written and checked.

Such a file is one of safetensors [1], which holds tensors and text and can run no code. The text
under ``drum`` in its metadata is JSON, the description of the sound. What its entries and tensors
mean is said in :mod:`drumblender.sound.storing` and, for those who write a reader, in the page
``docs/libraries/drum-files.md``.

A file may come from anywhere. Nothing that it says of sizes is believed before it was compared with
what is there, so that a small file never takes much memory.

[1] https://huggingface.co/docs/safetensors
"""

import contextlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from drumblender.errors import FileError, UsageError
from drumblender.files import atomic
from drumblender.files.paths import DRUM, is_drum

PathLike = Union[str, Path]
KEY = "drum"  # of the file's metadata
FORMAT = 1
# Limits of what a file may say: samples, and sample rates in Hz.
LONGEST, RATES = 2**31 - 1, (1_000, 1_000_000)
# Bytes of a file, and of its header.
_LARGEST, _LARGEST_HEADER = 2**32, 2**24
# Numbers that playing a sound may take. More of them need a file that holds a part of them.
_FREE, _MOST, _PER_NUMBER = 2**24, 2**28, 64
LONGEST_TEXT = 1000


class Damaged(FileError):
    """The error of a file that does not hold what it has to."""

    remedy = "save it again"


def check_drum_name(path: PathLike) -> None:
    """Check that a name is one of a sound that is taken apart.

    Raises:
        UsageError: if it does not end in ``.drum``.
    """
    if not is_drum(path):
        raise UsageError(f"{path}: the name must end in {DRUM}.")


@dataclass(frozen=True)
class Entries:
    """Entries of a description, each of which is checked when it is taken.

    Attributes:
        path: the file.
        content: the entries by name.
        where: names of the entries that these are in, for an error.
    """

    path: Path
    content: Mapping[str, Any]
    where: str = ""

    def number(self, key: str, lowest: float = -math.inf, highest: float = math.inf) -> float:
        """Return a finite number within limits."""
        value: Any = self.content.get(key)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (is_number and abs(value) < 1e300 and lowest <= value <= highest):
            raise self._unfit(key)
        number: float = value
        return number

    def integer(self, key: str, lowest: int, highest: int) -> int:
        """Return a whole number within limits."""
        if not isinstance(self.content.get(key), int):
            raise self._unfit(key)
        return int(self.number(key, lowest, highest))

    def text(self, key: str) -> str:
        """Return a text that is not too long to be shown."""
        value = self.content.get(key)
        if not isinstance(value, str) or len(value) > LONGEST_TEXT:
            raise self._unfit(key)
        return value

    def inside(self, key: str) -> "Entries":
        """Return the entries of an entry."""
        value = self.content.get(key)
        if not isinstance(value, dict):
            raise self._unfit(key)
        return Entries(self.path, value, f"{self.where}{key}.")

    def listed(self, key: str, most: int) -> Sequence[Any]:
        """Return a list that is not too long."""
        value = self.content.get(key)
        if not isinstance(value, list) or len(value) > most:
            raise self._unfit(key)
        return value

    def _unfit(self, key: str) -> Damaged:
        """Make the error of an entry."""
        what = "has an impossible" if key in self.content else "has no"
        return Damaged(self.path, f"{what} {self.where}{key} in its description")


@dataclass(frozen=True)
class Content:
    """What a file holds.

    Attributes:
        path: the file.
        facts: description of the sound.
        tensors: arrays by name.
    """

    path: Path
    facts: Entries
    tensors: Mapping[str, np.ndarray]

    def tensor(
        self, name: str, shape: Sequence[Optional[int]], dtype: Any = np.float32
    ) -> np.ndarray:
        """Return a tensor, which holds finite numbers.

        Args:
            name: name of the tensor.
            shape: length of each axis. None stands for any.
            dtype: type of its numbers.
        """
        found = self.tensors.get(name)
        if found is None:
            raise Damaged(self.path, f"lacks the tensor {name}")
        fits = found.ndim == len(shape) and all(b in (None, a) for a, b in zip(found.shape, shape))
        if not fits:
            wanted = ", ".join("any" if x is None else str(x) for x in shape)
            shown = ", ".join(map(str, found.shape))
            raise Damaged(self.path, f"holds {name} in the shape ({shown}) and not ({wanted})")
        if found.dtype != dtype:
            raise Damaged(self.path, f"holds {name} as {found.dtype} and not {np.dtype(dtype)}")
        if not np.isfinite(found).all():
            raise Damaged(self.path, f"holds values of {name} that are not numbers")
        return found

    def check_room(self, numbers: float) -> None:
        """Refuse a sound that takes more memory than its file can justify.

        Args:
            numbers: how many numbers playing the sound takes.
        """
        stored = sum(x.size for x in self.tensors.values())
        if numbers > min(_MOST, max(_FREE, _PER_NUMBER * stored)):
            raise Damaged(
                self.path, "describes a sound that is too long to be played", "cut the sound"
            )


def write_content(content: Content) -> None:
    """Write a file in one step. The same content gives the same bytes.

    Raises:
        UsageError: if its name does not end in ``.drum``.
        DrumblenderError: if the disk refuses it.
    """
    from safetensors.numpy import save

    check_drum_name(content.path)
    text = json.dumps({"format": FORMAT, **content.facts.content}, allow_nan=False)
    arrays = {name: np.ascontiguousarray(array) for name, array in content.tensors.items()}
    # One entry only: safetensors writes several in an order of its own each time.
    atomic.write(content.path, save(arrays, {KEY: text}))


def read_content(path: PathLike) -> Content:
    """Read a file.

    Raises:
        DrumblenderError: if it is missing, is damaged, is another kind of file or has a newer
            format.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    facts, data = _read(Path(path), whole=True)
    try:
        tensors = load(data)
    except (SafetensorError, KeyError, TypeError, ValueError):  # or a type that NumPy lacks
        raise Damaged(path, "is truncated or damaged", "copy it again, or save it again") from None
    return Content(facts.path, facts, tensors)


def read_facts(path: PathLike) -> Entries:
    """Read the description of a sound, without its tensors.

    Raises:
        DrumblenderError: as in :func:`read_content`.
    """
    return _read(Path(path), whole=False)[0]


def _read(path: Path, whole: bool) -> Tuple[Entries, bytes]:
    """Read the description of a file, and either all of its bytes or only those before it ends."""
    with _disk(path):
        if path.is_dir():
            raise Damaged(path, "is a folder", "give a file")
        if path.exists() and not path.is_file():  # to open a pipe would wait for ever
            raise Damaged(path, "is no regular file", "give a file")
        size = path.stat().st_size
        if size > _LARGEST:
            raise Damaged(path, f"is too large ({size >> 20} MB)", "cut the sound")
        with path.open("rb") as file:
            beginning = file.read(8)
            length = int.from_bytes(beginning, "little")
            if len(beginning) < 8 or not 2 <= length <= _LARGEST_HEADER:
                raise _other_kind(path)
            header = file.read(length)
            if header[:1] != b"{":
                raise _other_kind(path)
            if len(header) < length:
                raise Damaged(path, "is truncated", "copy it again, or save it again")
            rest = file.read(size) if whole else b""
    return _described(path, header), beginning + header + rest


def _described(path: Path, header: bytes) -> Entries:
    """Return the description in the header of a file."""
    try:
        text = json.loads(header)["__metadata__"][KEY]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _other_kind(path) from None
    try:
        content = json.loads(text, parse_constant=_refuse)
    except (ValueError, TypeError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise Damaged(path, "has a description that is no JSON")
    facts = Entries(path, content)
    version = facts.integer("format", 1, 2**31)
    if version > FORMAT:
        raise Damaged(
            path, f"was written by a newer Drumblender (format {version})", "update this one"
        )
    return facts


def _refuse(constant: str) -> None:
    """Refuse NaN and infinity, which JSON does not have."""
    raise ValueError(constant)


def _other_kind(path: Path) -> Damaged:
    """Make the error of a file that is something else."""
    return Damaged(path, "holds no sound that is taken apart", f"give a file saved as {DRUM}")


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into a sentence."""
    try:
        yield
    except FileNotFoundError as error:
        raise Damaged(path, "does not exist", "check the path") from error
    except OSError as error:
        reason = f"cannot be read ({error.strerror or error})"
        raise Damaged(path, reason, "check the path and its permissions") from error
