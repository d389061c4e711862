"""Addresses of places.

``s3://`` goes by boto3, with the endpoint and the credentials of :mod:`~drumblender.data.sources`.
``file://`` and plain paths are folders. Every other address goes by fsspec, which needs the package
of that store (gcsfs for ``gs://``, adlfs for ``az://``).
"""

import os
import re
from typing import Optional

from drumblender.data.bucket.folders import FolderPlace
from drumblender.data.bucket.others import FsspecPlace
from drumblender.data.bucket.place import Place
from drumblender.data.bucket.s3 import S3Place
from drumblender.data.sources.store import Store
from drumblender.errors import UsageError

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://")


def is_address(text: Optional[str]) -> bool:
    """Return whether a text is the address of a place, and no path.

    >>> is_address("s3://drums/raw"), is_address("/data/raw")
    (True, False)
    """
    return bool(text and _SCHEME.match(text))


def place_of(address: str, url: Optional[str] = None, region: Optional[str] = None) -> Place:
    """Return the place of an address.

    Args:
        address: ``s3://bucket/prefix``, another address of fsspec, or a path.
        url: endpoint of the store, for ``s3://``.
        region: region of the store, for ``s3://``.

    Raises:
        UsageError: if the address is none, or if its store needs a package that is not there.
    """
    address = address.rstrip("/") or "/"
    match = _SCHEME.match(address)
    if not match or match[1] == "file":
        return FolderPlace(os.path.abspath(address[len("file://") :] if match else address))
    if match[1] in ("s3", "r2"):
        bucket, _, prefix = address[match.end() :].partition("/")
        if not bucket:
            raise UsageError(f"{address} names no bucket; write s3://bucket/prefix.")
        return S3Place(address, Store(url, bucket, region), prefix.strip("/"))
    return FsspecPlace(address)
