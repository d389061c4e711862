"""Raw folders of recordings, which a person has or which are downloaded from an object store."""

from pathlib import Path

from drumblender.data.library.folder import is_there
from drumblender.data.sources.base import Recordings, raw_dir_of
from drumblender.data.sources.places import Places
from drumblender.data.target import Target


class RawFolder(Recordings):
    """The raw folder as it is."""

    def applies(self, target: Target) -> bool:
        """Return whether the raw folder holds recordings."""
        return target.raw_dir is not None and is_there(target.raw_dir)

    def remedy(self, target: Target) -> str:
        """Name the raw folder, into which recordings can be put."""
        return "" if target.raw_dir is None else f"recordings in {target.raw_dir}"

    def fetch(self, folder: Path) -> None:
        """Leave the folder as it is."""

    def raw_folder(self, target: Target) -> Path:
        """Return the raw folder.

        Raises:
            UsageError: if the configuration names none.
        """
        return raw_dir_of(target)


class StoredRecordings(Recordings):
    """Recordings in an object store, which are downloaded to the raw folder.

    Args:
        places: the object store, and the prefix of the recordings in it.
    """

    def __init__(self, places: Places):
        self.places = places

    def applies(self, target: Target) -> bool:
        """Return whether the configuration names a raw folder and an object store."""
        return target.raw_dir is not None and self.places.is_store()

    def fetch(self, folder: Path) -> None:
        """Download the recordings.

        Raises:
            DrumblenderError: if the object store does not give them.
        """
        self.places.store().download_folder(str(self.places.prefix), folder)

    def raw_folder(self, target: Target) -> Path:
        """Download the recordings, unless they are all there, and return the raw folder."""
        raw_dir = raw_dir_of(target)
        if not is_there(raw_dir):
            self.fetch(raw_dir)
        return raw_dir
