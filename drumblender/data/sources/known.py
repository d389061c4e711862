"""The sources that come with the package, in the order in which they are tried."""

from typing import List

from drumblender.data.sources.archive import LocalArchive, RemoteArchive
from drumblender.data.sources.base import Source
from drumblender.data.sources.places import Places
from drumblender.data.sources.raw import RawFolder, StoredRecordings


def known_sources(places: Places) -> List[Source]:
    """Return what a dataset may be made of, first on this machine and then on the network.

    Args:
        places: the places that the configuration names.
    """
    path = places.archive_path()
    sources: List[Source] = []
    if path is not None:
        sources.append(LocalArchive(path, places.sha256))
    sources.append(RawFolder())
    if path is not None:
        sources.append(RemoteArchive(path, places))
    if places.prefix:
        sources.append(StoredRecordings(places))
    return sources
