"""Datasets that are read from where they lie in a bucket, as if they were on the disk.

The sounds of such a dataset lie in packs (:mod:`drumblender.data.packed`), of which each item reads
its own bytes. What comes next in an epoch is known, so threads read it ahead (:mod:`.ahead`). What
has been read is kept on the local disk as far as there is room (:mod:`.cache`).
"""

from drumblender.data.streams.cache import ItemCache
from drumblender.data.streams.sounds import (
    PACKS_FILE,
    Ranges,
    Stream,
    StreamedSounds,
    find,
    reading_from,
)

__all__ = [
    "PACKS_FILE", "ItemCache", "Ranges", "Stream", "StreamedSounds", "find", "reading_from",
]  # fmt: skip
