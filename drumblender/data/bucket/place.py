"""A place: a prefix of a bucket, or a folder, that objects are read and written in.

A place holds no credentials, so that it can be pickled and sent anywhere. Each process finds its
own in its environment.
"""

import abc
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional, Tuple, Union

from drumblender.errors import DrumblenderError


class Changed(DrumblenderError):
    """The error of an object that is not the one that was listed."""


@dataclass(frozen=True)
class Item:
    """One object of a place.

    Attributes:
        name: its name in the place, with ``/``.
        size: size in bytes.
        tag: what tells this version of the object apart from others.
        modified: when it was written, as the place says it.
    """

    name: str
    size: int
    tag: str
    modified: str


class Place(abc.ABC):
    """A prefix of a bucket, or a folder.

    Attributes:
        address: its address, without a slash at the end.
    """

    address: str

    def __str__(self) -> str:
        return self.address

    def title(self, name: str = "") -> str:
        """Return what to call an object in messages."""
        return f"{self.address}/{name}"

    @property
    def last_name(self) -> str:
        """The last part of the address."""
        return self.address.rstrip("/").rpartition("/")[2]

    @abc.abstractmethod
    def read(self, name: str, start: int = 0, end: Optional[int] = None) -> Optional[bytes]:
        """Return an object, or its bytes from ``start`` to ``end``; None if there is none."""

    @abc.abstractmethod
    def fetch(self, item: Item, path: Path) -> None:
        """Write an object to a file.

        Raises:
            Changed: if it is not the one that was listed.
        """

    @abc.abstractmethod
    def write(self, name: str, data: Union[bytes, Path]) -> None:
        """Write an object, from memory or from a file. It is whole or not there."""

    @abc.abstractmethod
    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""

    @abc.abstractmethod
    def items(self, prefix: str = "") -> Iterator[Item]:
        """Yield the objects whose names begin with a prefix, which ends in ``/`` or is empty."""

    @abc.abstractmethod
    def top(self) -> Tuple[List[Item], List[str]]:
        """Return the objects that lie in no folder, and the names of the folders, sorted."""

    def read_whole(self, name: str) -> bytes:
        """Return an object that has to be there.

        Raises:
            DrumblenderError: if it is not there.
        """
        data = self.read(name)
        if data is None:
            raise DrumblenderError(
                f"{self.title(name)} is missing; run drumblender-dataset CONFIG --preprocess again."
            )
        return data


def check_size(title: str, item: Item, path: Path) -> None:
    """Check that a file has the size of a listed object.

    Raises:
        Changed: if it has another one.
    """
    if path.stat().st_size != item.size:
        raise changed(title)


def changed(title: str) -> Changed:
    """Return the error of an object that has changed."""
    return Changed(
        f"{title} has changed since it was listed; run the same command again, which lists anew "
        "and keeps what is made of other recordings."
    )
