"""Objects of an S3-compatible store.

Credentials appear in no message: errors of the network libraries are turned into sentences (see
:mod:`.faults`), and nothing of them is passed on.
"""

import json
import logging
import re
import threading
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, ContextManager, Dict, List, Optional, Tuple
from urllib.parse import urlsplit

from drumblender.data.library.folder import UNFINISHED, is_there
from drumblender.data.sources.checksums import digests, from_base64, known_checksums
from drumblender.data.sources.credentials import credentials
from drumblender.data.sources.faults import status_of, store_errors
from drumblender.data.sources.transfer import (
    CONNECT_TIMEOUT_S,
    Facts,
    Fault,
    RemoteFile,
    Stream,
    download,
    fetch,
    network_timeout,
    patiently,
)
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files import atomic
from drumblender.files.paths import leads_outside
from drumblender.files.progress import BYTES, progress
from drumblender.files.threads import in_threads

_AT_ONCE = 16


@dataclass(frozen=True)
class Store:
    """A bucket of an S3-compatible object store.

    Attributes:
        url: the endpoint. None stands for that of Amazon, or the one that ``AWS_ENDPOINT_URL``
            names.
        bucket: name of the bucket.
        region: the region that the store is in; R2 needs none.
    """

    url: Optional[str]
    bucket: str
    region: Optional[str] = None

    def download(self, key: str, destination: Path, sha256: Optional[str] = None) -> Path:
        """Download one object.

        Args:
            key: key of the object.
            destination: file to write.
            sha256: checksum that the object has to have. None stands for those that the store
                tells.

        Raises:
            DrumblenderError: if the store does not give the whole object.
        """
        return download(_Object(self, self.client(), key), destination, sha256)

    def download_folder(self, prefix: str, folder: Path) -> int:
        """Download all objects below a prefix, except those that have come before.

        The folder is marked as unfinished until the last one has come. A folder that holds files
        and is not marked stays as it is.

        Args:
            prefix: beginning of the keys. What follows it becomes the path in ``folder``.
            folder: the folder for the files.

        Returns:
            The number of objects, or 0 when the folder was whole.
        """
        with atomic.exclusive(folder):
            if is_there(folder):
                return 0  # by the process that this one waited for
            client = self.client()
            prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
            objects = self._list(client, prefix)
            files = [
                (_Object(self, client, key, facts), facts, folder / _relative(self, key, prefix))
                for key, facts in objects
            ]
            text = {"url": self.url, "bucket": self.bucket, "prefix": prefix}
            atomic.write(folder / UNFINISHED, json.dumps(text).encode())
            total = sum(facts.size or 0 for _, facts, _ in files)
            with progress(f"Download {self.bucket}/{prefix}", total, **BYTES) as bar:

                def get(item: Tuple[_Object, Facts, Path], stop: threading.Event) -> None:
                    """Download one object."""
                    source, facts, path = item
                    if _is_whole(path, facts):
                        bar.update(facts.size)
                    else:
                        fetch(source, path, bar, stop=stop)

                in_threads(get, files, _AT_ONCE)
            (folder / UNFINISHED).unlink()
        return len(files)

    def name(self, key: str) -> str:
        """Return what to call an object in messages."""
        host = urlsplit(self.url).netloc or self.url if self.url else "s3:/"
        return f"{host}/{self.bucket}/{key}"

    def client(self, attempts: int = 1, own_chain: bool = False) -> Any:
        """Make a client of the store; there is no other place where one is made.

        Without credentials requests are not signed, which will do for buckets that anyone may read.

        Args:
            attempts: number of attempts at a request. Downloads try again by themselves.
            own_chain: whether credentials that boto3 finds by itself (its variables and files, the
                role of a machine) will do where the variables of this package are not set.
        """
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config

        if self.url and not urlsplit(self.url).scheme.startswith("http"):
            raise UsageError(f"url {self.url} is no address; set it to https://... .")
        # At their most talkative these write signatures and access keys.
        for library in ("boto3", "botocore", "s3transfer"):
            logger = logging.getLogger(library)
            logger.setLevel(max(logger.level, logging.INFO))
        access, secret = credentials()
        session = boto3.session.Session()
        is_signed = access or (own_chain and session.get_credentials())
        return session.client(
            "s3",
            endpoint_url=self.url or None,
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            region_name=self.region or ("auto" if self.url else None),
            config=Config(
                signature_version="s3v4" if is_signed else UNSIGNED,
                connect_timeout=min(CONNECT_TIMEOUT_S, network_timeout()),
                read_timeout=network_timeout(),
                retries={"mode": "standard", "total_max_attempts": attempts},
                max_pool_connections=_AT_ONCE,
                # A bucket's own host name exists in few stores other than Amazon's.
                s3={"addressing_style": "path"},
                # R2 and older S3 servers reject the checksums that boto3 adds by itself.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def _list(self, client: Any, prefix: str) -> List[Tuple[str, Facts]]:
        """List the keys below a prefix, with what the store says about the objects."""
        pages = client.get_paginator("list_objects_v2")

        def read() -> List[Tuple[str, Facts]]:
            """Read all pages of the listing."""
            with store_errors(self.name(prefix), client):
                return [
                    (item["Key"], Facts(item["Size"], item["ETag"]))
                    for page in pages.paginate(Bucket=self.bucket, Prefix=prefix)
                    for item in page.get("Contents", ())
                    if not item["Key"].endswith("/")  # what other programs take for a folder
                ]

        objects = patiently(self.name(prefix), read)
        if not objects:
            raise DrumblenderError(
                f"{self.name(prefix)} holds no objects; check bucket and prefix in the "
                "configuration."
            )
        return objects

    def head(self, client: Any, key: str) -> Optional[Dict[str, Any]]:
        """Ask the store about an object; None when there is none."""
        from botocore.exceptions import ClientError

        def ask() -> Optional[Dict[str, Any]]:
            """Ask once."""
            with store_errors(self.name(key), client):
                try:
                    return client.head_object(Bucket=self.bucket, Key=key)
                except ClientError as error:
                    if status_of(error) == 404:
                        return None
                    raise

        return patiently(self.name(key), ask)


class _Object(RemoteFile):
    """An object of a store.

    Args:
        store: the bucket.
        client: the client that asks the store.
        key: key of the object.
        facts: what a listing says about it.
    """

    def __init__(self, store: Store, client: Any, key: str, facts: Optional[Facts] = None):
        self.name = store.name(key)
        self.facts = facts
        self._store, self._client, self._key = store, client, key

    def open(self, offset: int, tag: str) -> Tuple[Facts, int, Stream]:
        """Open a stream of the object's bytes, as :class:`~.transfer.RemoteFile` says."""
        from botocore.exceptions import ClientError

        name = {"Bucket": self._store.bucket, "Key": self._key}
        if self.facts is None:
            answer = self._client.head_object(**name, ChecksumMode="ENABLED")
            self.facts = Facts(answer["ContentLength"], answer["ETag"], _checksums(answer))
        part = {"Range": f"bytes={offset}-", "IfMatch": tag} if offset else {}
        try:
            answer = self._client.get_object(**name, **part)
        except ClientError as error:
            if not offset or status_of(error) not in (412, 416):
                raise
            self.facts = None  # there is another version by now
            return self.open(0, "")
        if answer["ETag"] != self.facts.tag:
            self.facts = None
            raise Fault("another version took its place")
        checksums = {**_checksums(answer), **self.facts.checksums}
        begin = re.match(r"bytes (\d+)-", answer.get("ContentRange", ""))
        start = int(begin[1]) if begin else 0
        return replace(self.facts, checksums=checksums), start, answer["Body"]

    def faults(self) -> ContextManager[None]:
        """Turn errors of the network into faults that may go away, or into sentences."""
        return store_errors(self.name, self._client)


def _checksums(answer: Dict[str, Any]) -> Dict[str, str]:
    """Return the checksums that a store tells of an object."""
    checksums = {"sha256": answer.get("Metadata", {}).get("sha256", "").lower()}
    for name in ("sha256", "sha1", "crc32"):
        # Those of parts are of the parts' checksums, and followed by -N.
        checksums[name] = checksums.get(name) or from_base64(answer.get(f"Checksum{name.upper()}"))
    return known_checksums(checksums, etag_of(answer))


def etag_of(answer: Dict[str, Any]) -> str:
    """Return the entity tag of an object if it consists of MD5 sums, and an empty text if not."""
    encrypted = answer.get("ServerSideEncryption") not in (None, "AES256")
    return "" if encrypted or "SSECustomerAlgorithm" in answer else answer["ETag"].strip('"')


def _is_whole(path: Path, facts: Facts) -> bool:
    """Return whether a file is the object of a listing, as far as the listing tells."""
    if not path.is_file() or path.stat().st_size != facts.size:
        return False
    tag = facts.tag.strip('"')
    return not known_checksums({}, tag) or digests(path, ["md5"])["md5"] == tag


def _relative(store: Store, key: str, prefix: str) -> Path:
    """Return the place of an object in the raw folder, or refuse one outside of it."""
    name = key[len(prefix) :]
    if leads_outside(name) or "\\" in name or "\0" in name or not PurePosixPath(name).parts:
        raise DrumblenderError(
            f"{store.name(key)} would be written outside the raw folder; do not use this bucket, "
            "or have the object renamed."
        )
    return Path(name)
