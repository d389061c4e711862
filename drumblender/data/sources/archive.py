"""Archives of datasets in the working directory, on the web, or in an object store."""

from pathlib import Path
from typing import Optional

from drumblender.data.build.journal import JOURNAL_FILE
from drumblender.data.packed import PACKED_FILE
from drumblender.data.sources.base import Source
from drumblender.data.sources.checksums import check_sha256
from drumblender.data.sources.places import Places
from drumblender.data.sources.web import download_public
from drumblender.data.target import Target
from drumblender.files.archives import DamagedArchive, create_archive, extract


class LocalArchive(Source):
    """An archive in the working directory.

    Args:
        path: the archive.
        sha256: checksum that it has to have, if the configuration says one.
    """

    kind = "archive"

    def __init__(self, path: Path, sha256: Optional[str] = None):
        self.path = path
        self.sha256 = sha256

    def __str__(self) -> str:
        return str(self.path)

    def applies(self, target: Target) -> bool:
        """Return whether the archive exists."""
        return self.path.is_file()

    def remedy(self, target: Target) -> str:
        """Name the archive, which can be put into the working directory."""
        return f"the archive {self.path} in the working directory"

    def fetch(self, folder: Path) -> None:
        """Check the archive and extract it.

        Raises:
            DrumblenderError: if it is damaged or unsafe, or if the disk is full.
        """
        check_sha256(self.path, self.sha256)
        extract(self.path, folder)


class RemoteArchive(LocalArchive):
    """An archive that is downloaded to the working directory, unless it is there already.

    Args:
        path: file that it is downloaded to.
        places: where it comes from.
    """

    def __init__(self, path: Path, places: Places):
        super().__init__(path, places.sha256)
        self.places = places

    def applies(self, target: Target) -> bool:
        """Return whether the configuration names an address or an object store."""
        return bool(self.places.archive_url) or self.places.is_store()

    def fetch(self, folder: Path) -> None:
        """Download the archive and extract it.

        Raises:
            DrumblenderError: if it cannot be had, is damaged or unsafe, or if the disk is full.
        """
        if self.path.is_file():  # downloaded by the process that this one waited for
            return super().fetch(folder)
        if self.places.archive_url:
            download_public(self.places.archive_url, self.path, self.sha256)
        else:
            self.places.store().download(str(self.places.archive), self.path, self.sha256)
        try:
            extract(self.path, folder)
        except DamagedArchive:
            self.path.unlink()  # so that the next run gets what is there by then
            raise


def write_archive(target: Target, path: Path) -> int:
    """Write a dataset to an archive.

    The bytes depend neither on the name of the folder nor on this machine's raw files. The packed
    file is left out, because it holds everything again.

    Returns:
        The number of files in the archive.

    Raises:
        DrumblenderError: if the disk refuses it.
    """
    top = Path(target.meta_file).stem
    leave_out = (JOURNAL_FILE, PACKED_FILE, f"{PACKED_FILE}.tmp")
    return create_archive(target.data_dir, path, top, leave_out)
