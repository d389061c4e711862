"""Prefixes of buckets in S3-compatible stores, by boto3."""

import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

from drumblender.data.bucket.pace import MOST_REQUESTS, PACE
from drumblender.data.bucket.place import Item, Place, changed, check_size
from drumblender.data.sources.checksums import known_checksums
from drumblender.data.sources.faults import status_of, store_errors
from drumblender.data.sources.store import Store, etag_of
from drumblender.data.sources.transfer import Fault
from drumblender.errors import DrumblenderError
from drumblender.files.threads import in_threads

_PART = 8 << 20  # of a large object that is read, in bytes
_ONE_REQUEST = 256 << 20  # of an object that is written, in bytes


class _Clients:
    """The clients of this process, one for each bucket. Requests are repeated elsewhere."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # making one takes long, and many threads want it at once
        self._clients: Dict[Store, Any] = {}

    def of(self, store: Store) -> Any:
        """Return the client of a bucket."""
        with self._lock:
            if store not in self._clients:
                self._clients[store] = store.client(attempts=1, own_chain=True)
            return self._clients[store]


_CLIENTS = _Clients()
if hasattr(os, "register_at_fork"):  # connections must not be used by two processes
    os.register_at_fork(after_in_child=_CLIENTS.__init__)  # type: ignore[misc]


@dataclass(frozen=True)
class S3Place(Place):
    """A prefix of a bucket of an S3-compatible store.

    Attributes:
        address: its address.
        store: the bucket.
        prefix: the prefix, without slashes around it.
    """

    address: str
    store: Store
    prefix: str

    def _key(self, name: str) -> str:
        """Return the key of an object."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def _ask(self, name: str, request: Any) -> Any:
        """Make a request; None if there is no such object."""
        from botocore.exceptions import ClientError

        client = _CLIENTS.of(self.store)

        def ask() -> Any:
            """Make the request once."""
            with store_errors(self.title(name), client):
                try:
                    return request(client)
                except ClientError as error:
                    # Not of a bucket that is not there.
                    code = error.response.get("Error", {}).get("Code", "")
                    if status_of(error) == 404 and code != "NoSuchBucket":
                        return None
                    if status_of(error) == 412:
                        raise changed(self.title(name)) from None
                    raise

        return PACE.steadily(self.title(name), ask)

    def read(self, name: str, start: int = 0, end: Optional[int] = None) -> Optional[bytes]:
        """Return an object or a part of one, as :class:`Place` says."""
        part = {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        return self._get(name, part if start or end is not None else {})

    def _get(self, name: str, conditions: Any) -> Optional[bytes]:
        """Return the bytes of an object under conditions."""

        def get(client: Any) -> bytes:
            """Read all bytes at once, so that a connection that breaks is noticed here."""
            answer = client.get_object(Bucket=self.store.bucket, Key=self._key(name), **conditions)
            data = answer["Body"].read()
            if len(data) != answer["ContentLength"]:
                raise Fault(f"it broke off after {len(data)} of {answer['ContentLength']} bytes")
            sums = known_checksums({}, etag_of(answer))
            if "Range" not in conditions and sums and _md5(data) != sums["md5"]:
                raise Fault("it came with other bytes than the store has")
            return data

        return self._ask(name, get)

    def fetch(self, item: Item, path: Path) -> None:
        """Write an object to a file, in parts at the same time if it is large."""
        condition = {"IfMatch": item.tag}
        if item.size <= _PART:
            data = self._get(item.name, condition)
            if data is None:
                raise changed(self.title(item.name))
            path.write_bytes(data)
        else:
            with path.open("wb") as file:
                file.truncate(item.size)

            def get(start: int, stop: Any) -> None:
                """Read one part into its place."""
                end = min(start + _PART, item.size)
                part = {"Range": f"bytes={start}-{end - 1}", **condition}
                data = self._get(item.name, part)
                if data is None or len(data) != end - start:
                    raise changed(self.title(item.name))
                with path.open("r+b") as file:
                    file.seek(start)
                    file.write(data)

            in_threads(get, range(0, item.size, _PART), MOST_REQUESTS // 2)
        check_size(self.title(item.name), item, path)

    def write(self, name: str, data: Union[bytes, Path]) -> None:
        """Write an object from memory, or from a file in parts."""
        from boto3.exceptions import S3UploadFailedError

        def put(client: Any) -> bool:
            """Write it once."""
            target = {"Bucket": self.store.bucket, "Key": self._key(name)}
            if isinstance(data, bytes):
                client.put_object(**target, Body=data)
                return True
            if data.stat().st_size <= _ONE_REQUEST:
                # Unlike an upload in parts, it leaves nothing behind that is paid for if this
                # process is killed.
                with data.open("rb") as file:
                    client.put_object(**target, Body=file)
                return True
            try:
                client.upload_file(str(data), *target.values())
            except S3UploadFailedError as error:
                # It hides what the store has said.
                raise error.__context__ or error from None
            return True

        if not self._ask(name, put):
            raise DrumblenderError(f"{self.title(name)} cannot be written; check the bucket.")

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        key = self._key(name)
        self._ask(name, lambda client: client.delete_object(Bucket=self.store.bucket, Key=key))

    def items(self, prefix: str = "") -> Iterator[Item]:
        """Yield the objects below a prefix, page by page."""
        for page in self._pages(prefix, {}):
            yield from self._read(page)

    def top(self) -> Tuple[List[Item], List[str]]:
        """List what lies at the top, by the store's own folders."""
        files: List[Item] = []
        folders: List[str] = []
        start = len(self._key(""))
        for page in self._pages("", {"Delimiter": "/"}):
            files += self._read(page)
            folders += [
                entry["Prefix"][start:].rstrip("/") for entry in page.get("CommonPrefixes", ())
            ]
        return files, sorted(folders)

    def _pages(self, prefix: str, options: Any) -> Iterator[Any]:
        """Yield the pages of a listing. Each is asked for again by itself."""
        token: Any = {}
        while True:

            def ask(client: Any, token: Any = token) -> Any:
                """Ask for one page."""
                return client.list_objects_v2(
                    Bucket=self.store.bucket, Prefix=self._key(prefix), **options, **token
                )

            page = self._ask(prefix, ask)
            if page is None:
                raise DrumblenderError(f"There is no {self.address}; check the address.")
            yield page
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _read(self, page: Any) -> Iterator[Item]:
        """Yield the objects of a page of a listing."""
        start = len(self._key(""))
        for entry in page.get("Contents", ()):
            name = entry["Key"][start:]
            if name and not name.endswith("/"):  # what other programs take for a folder
                yield Item(name, entry["Size"], entry["ETag"], entry["LastModified"].isoformat())


def _md5(data: bytes) -> str:
    """Return the MD5 sum by which a store knows an object."""
    return hashlib.new("md5", data, usedforsecurity=False).hexdigest()
