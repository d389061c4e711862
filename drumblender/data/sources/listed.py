"""Recordings that a list names, each with the checksum that it has to have.

A list fixes a dataset for good: whoever makes it of the same list has the same sounds.
"""

from pathlib import Path, PurePosixPath
from typing import Any, Dict, Iterator, Mapping

from drumblender.data.library.raw_metadata import folders_of, read_raw_metadata
from drumblender.data.sources.base import Recordings, raw_dir_of
from drumblender.data.sources.checksums import digests
from drumblender.data.target import Target
from drumblender.errors import DrumblenderError
from drumblender.files import atomic


class ListedRecordings(Recordings):
    """Recordings in several folders, of which a list names those that belong to the dataset.

    The list is raw metadata (see :mod:`drumblender.data.library.raw_metadata`) whose every path
    names one file and comes with its ``sha256``. The first part of a path, such as ``kits`` in
    ``kits/snare/1.wav``, stands for one of the folders.

    Args:
        listing: the list, a JSON file.
        folders: maps the first part of paths to the folder that they lie in.
        advice: what to do if recordings are missing, as "install the package drums".
    """

    def __init__(self, listing: str, folders: Dict[str, str], advice: str = ""):
        self.listing = Path(listing)
        self.folders = {name: Path(folder) for name, folder in folders.items()}
        self.advice = advice or "correct folders in the configuration"

    def __str__(self) -> str:
        return str(self.listing)

    def raw_folder(self, target: Target) -> Path:
        """Return the raw folder with all recordings of the list."""
        raw_dir = raw_dir_of(target)
        with atomic.exclusive(raw_dir):
            self.fetch(raw_dir)
        return raw_dir

    def fetch(self, folder: Path) -> None:
        """Put the recordings into a folder, as links if the file system has some.

        Raises:
            DrumblenderError: if a recording is missing or is another one than the list says.
        """
        for entry in self._entries():
            source, sha256 = self._file(entry["path"]), entry.get("sha256")
            if not source.is_file():
                raise DrumblenderError(
                    f"{source}, which {self.listing} names, does not exist; {self.advice}."
                )
            if digests(source, ["sha256"])["sha256"] != sha256:
                raise DrumblenderError(
                    f"{source} has not the sha256 that {self.listing} says, so it is another "
                    f"recording; {self.advice}."
                )
            atomic.link(source, folder / entry["path"])

    def _entries(self) -> Iterator[Mapping[str, Any]]:
        """Yield what the list says about each recording."""
        for pack, content in read_raw_metadata(self.listing).items():
            yield from folders_of(pack, content, self.listing)

    def _file(self, path: str) -> Path:
        """Return the file that a path of the list stands for."""
        first, *rest = PurePosixPath(path).parts
        if first not in self.folders or not rest or ".." in rest:
            raise DrumblenderError(
                f"{self.listing} names {path!r}, whose first part is none of the folders "
                f"{', '.join(sorted(self.folders))}; correct it, or add the folder to the "
                "configuration."
            )
        return self.folders[first].joinpath(*rest)
