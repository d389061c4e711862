"""The places on the network that a configuration names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from drumblender.data.sources.store import Store
from drumblender.errors import UsageError


@dataclass(frozen=True)
class Places:
    """The places on the network that a configuration names.

    Attributes:
        url: endpoint of an S3-compatible object store.
        bucket: name of the bucket.
        region: region of the store, where it has several.
        prefix: beginning of the keys of recordings in the bucket.
        archive: name of the dataset's archive, in the working directory and in the bucket.
        archive_url: address of the archive that needs no credentials.
        sha256: checksum of the archive.
    """

    url: Optional[str] = None
    bucket: Optional[str] = None
    region: Optional[str] = None
    prefix: Optional[str] = None
    archive: Optional[str] = None
    archive_url: Optional[str] = None
    sha256: Optional[str] = None

    def archive_path(self) -> Optional[Path]:
        """Return where the archive lies in the working directory, or would lie.

        The answer is None if no archive is named.
        """
        name = self.archive or (self.archive_url and Path(self.archive_url).name)
        return Path(name) if name else None

    def is_store(self) -> bool:
        """Return whether an object store is named."""
        return bool(self.url and self.bucket)

    def store(self) -> Store:
        """Return the object store; raises where none is named."""
        if not (self.url and self.bucket):
            raise UsageError("The configuration names no object store; set url and bucket.")
        return Store(self.url, self.bucket, self.region)
