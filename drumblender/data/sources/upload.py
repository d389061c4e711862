"""Uploads to an object store, which replace nothing unless they are told to."""

import hashlib
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from drumblender.data.sources.faults import status_of, store_errors
from drumblender.data.sources.store import Store, etag_of
from drumblender.data.sources.transfer import patiently
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.progress import BYTES, progress

_ATTEMPTS = 5  # at one request
# A multipart upload has at most 10 000 parts.
_PART, _MOST_PARTS = 16 << 20, 10_000
_NO_CONDITIONS = (400, 405, 501)  # what stores answer that do not know them


def refuse_existing(store: Store, key: str) -> None:
    """Refuse a name if there is an object of that name.

    Raises:
        UsageError: if there is one.
    """
    if store.head(store.client(_ATTEMPTS), key) is not None:
        raise _already(store, key)


def upload(store: Store, path: Path, force: bool = False) -> str:
    """Upload a file under its own name, and check what arrived.

    Its SHA-256 is stored with it, and downloads are checked by it. If two uploads of one name
    happen at once, the store refuses one of them if it supports conditions. Otherwise the check
    notices it.

    Args:
        store: the bucket.
        path: the file.
        force: whether to replace an object of that name.

    Returns:
        The name of the object.

    Raises:
        UsageError: if there is no such file, or if there is such an object.
        DrumblenderError: if the store refuses it, or holds other bytes afterwards.
    """
    from boto3.exceptions import S3UploadFailedError
    from boto3.s3.transfer import TransferConfig
    from botocore.exceptions import ClientError

    if not path.is_file():
        raise UsageError(f"{path} is not there to upload; write it first with --archive {path}.")
    client = store.client(_ATTEMPTS)
    key, size = path.name, path.stat().st_size
    if not force:
        if store.head(client, key) is not None:
            raise _already(store, key)
        _write_only_new(client, lambda: store.head(client, key) is not None)
    part = max(_PART, -(-size // _MOST_PARTS))
    sha256, etag = _sha256_and_etag(path, part)
    refused = False
    config = TransferConfig(part, multipart_chunksize=part, max_concurrency=4)

    def send() -> None:
        """Send the file once."""
        nonlocal refused
        with (
            store_errors(store.name(key), client),
            progress(f"Upload {key}", size, **BYTES) as bar,
        ):
            extra = {"Metadata": {"sha256": sha256}}
            try:
                client.upload_file(str(path), store.bucket, key, extra, bar.update, config)
            except _Exists:
                refused = True
            except S3UploadFailedError as error:
                cause = error.__context__
                if not isinstance(cause, ClientError):
                    raise
                refused = status_of(cause) == 412
                if not refused:
                    raise cause from None

    patiently(store.name(key), send)
    stored = store.head(client, key)
    if stored is None or stored["ContentLength"] != size or _differ(etag_of(stored), etag):
        if refused:  # and not because an attempt came through whose answer was lost
            raise _already(store, key, ", from another upload by now")
        raise DrumblenderError(
            f"{store.bucket}/{key} is not the same as {path} after the upload; "
            "upload it again with --force."
        )
    return key


def _already(store: Store, key: str, whence: str = "") -> UsageError:
    """Make the error that refuses to replace an object."""
    return UsageError(
        f"{store.bucket} already has {key}{whence}; give the archive another name, "
        "or replace the object with --force."
    )


class _Exists(Exception):
    """The error of an upload when somebody else has put an object of that name into the store."""


def _write_only_new(client: Any, exists: Callable[[], bool]) -> None:
    """Let a client create objects, but not replace any.

    boto3's transfers cannot say so, so headers are added here. A store that does not support
    conditions gets the same request again without one. Others ignore them in silence, so the last
    moment before an object is made is also the last look at whether it exists.

    Args:
        client: client of the store.
        exists: function that tells whether the object exists.
    """
    header = "If-None-Match"

    def ask(params: Dict[str, Any], **_: Any) -> None:
        """Add the condition to a request."""
        if exists():
            raise _Exists
        params["headers"][header] = "*"

    def answered(response: Any, request_dict: Dict[str, Any], **_: Any) -> Optional[float]:
        """Leave the condition out if the store does not support it."""
        status = response[0].status_code if response else None
        if status in _NO_CONDITIONS and request_dict["headers"].pop(header, None):
            return 0.0  # seconds until the next attempt
        return None

    for operation in ("PutObject", "CompleteMultipartUpload"):
        client.meta.events.register(f"before-call.s3.{operation}", ask)
        client.meta.events.register_first(f"needs-retry.s3.{operation}", answered)


def _differ(etag: str, other: str) -> bool:
    """Return whether two entity tags that are both made of MD5 sums differ."""
    return bool(re.fullmatch(r"[0-9a-f]{32}(-\d+)?", etag)) and etag != other


def _sha256_and_etag(path: Path, part: int) -> Tuple[str, str]:
    """Compute the checksum of a file, and the entity tag of a store that gets it in parts."""
    whole = hashlib.sha256()
    parts: List[bytes] = []
    with path.open("rb") as file, progress("Checksum", path.stat().st_size, **BYTES) as bar:
        while True:
            md5 = hashlib.new("md5", usedforsecurity=False)
            left = part
            while left:
                block = file.read(min(left, 1 << 20))
                if not block:
                    break
                whole.update(block)
                md5.update(block)
                left -= len(block)
                bar.update(len(block))
            if left < part or not parts:
                parts.append(md5.digest())
            if left:
                break
    if path.stat().st_size < part:
        return whole.hexdigest(), parts[0].hex()
    md5 = hashlib.new("md5", b"".join(parts), usedforsecurity=False)
    return whole.hexdigest(), f"{md5.hexdigest()}-{len(parts)}"
