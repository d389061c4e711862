"""Datasets on the network: objects of an S3-compatible store, and files that anyone may read.

Credentials come from the environment or a ``.env`` file and appear in no message: errors of the
network libraries are turned into sentences here, and nothing of them is passed on.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any, Callable, Dict, Iterator, List, Optional, Tuple
from urllib.parse import urlsplit

from drumblender.data.transfer import (
    Facts,
    Fault,
    Source,
    digests,
    fetch,
    from_base64,
    in_threads,
    network_timeout,
    patiently,
)
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files import atomic
from drumblender.files.paths import leads_outside
from drumblender.files.progress import BYTES, progress

ACCESS_KEY = "CLOUDFLARE_ACCESS_KEY_ID"
SECRET_KEY = "CLOUDFLARE_ACCESS_SECRET_KEY"
UNFINISHED = ".drumblender-download.json"  # in a raw folder while it is downloaded

_AT_ONCE = 16
_CONNECT_TIMEOUT_S = 10
_UPLOAD_ATTEMPTS = 5
_MD5 = re.compile(r"[0-9a-f]{32}")
# A multipart upload has at most 10 000 parts.
_PART, _MOST_PARTS = 16 << 20, 10_000
# 409 is what a store says while others change the same object.
_MAY_GO_AWAY = (408, 409, 429, 500, 502, 503, 504)
_NO_CONDITIONS = (400, 405, 501)


@dataclass(frozen=True)
class Store:
    """A bucket of an S3-compatible object store.

    Attributes:
        url: the endpoint.
        bucket: in it.
        region: that the store calls its own; R2 needs none.
    """

    url: str
    bucket: str
    region: Optional[str] = None

    def download(self, key: str, destination: Path, sha256: Optional[str] = None) -> Path:
        """Download one object.

        Args:
            key: of the object.
            destination: file to write.
            sha256: that it has to have, instead of what the store says.

        Raises:
            DrumblenderError: when the store does not give the whole object.
        """
        return _fetch_alone(_Object(self, self.client(), key), destination, sha256)

    def download_folder(self, prefix: str, folder: Path) -> int:
        """Download all objects below a prefix, but for those that are there already and whole.

        Until the last has come the folder is marked as unfinished; one that holds files and is not
        marked stays as it is.

        Args:
            prefix: of the keys; what follows becomes the path in ``folder``.
            folder: for the files.

        Returns:
            How many objects there are; 0 when the folder is whole.
        """
        with atomic.exclusive(folder):
            if is_there(folder):
                return 0  # by the process that this one waited for
            client = self.client()
            prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
            objects = self._list(client, prefix)
            files = [
                (_Object(self, client, key, facts), folder / _relative(self, key, prefix))
                for key, facts in objects
            ]
            text = {"url": self.url, "bucket": self.bucket, "prefix": prefix}
            atomic.write(folder / UNFINISHED, json.dumps(text).encode())
            total = sum(source.facts.size for source, _ in files)
            with progress(f"Download {self.bucket}/{prefix}", total, **BYTES) as bar:

                def get(item: Tuple[_Object, Path], stop: Any) -> None:
                    source, path = item
                    if _is_whole(path, source.facts):
                        bar.update(source.facts.size)
                    else:
                        fetch(source, path, bar, stop=stop)

                in_threads(get, files, _AT_ONCE)
            (folder / UNFINISHED).unlink()
        return len(files)

    def refuse_existing(self, key: str) -> None:
        """Raise if there is an object of that name."""
        if self._head(self.client(_UPLOAD_ATTEMPTS), key) is not None:
            raise self._exists(key)

    def upload(self, path: Path, force: bool = False) -> str:
        """Upload a file under its own name, in parts, check what arrived, and give the name.

        Its SHA-256 goes with it, by which downloads are checked. Of two uploads of one name at once
        the store refuses one, if it knows conditions; else the check of what arrived finds it.

        Args:
            path: the file.
            force: replace an object of that name.
        """
        from boto3.exceptions import S3UploadFailedError
        from boto3.s3.transfer import TransferConfig
        from botocore.exceptions import ClientError

        if not path.is_file():
            raise UsageError(
                f"{path} is not there to upload; write it first with --archive {path}."
            )
        client = self.client(_UPLOAD_ATTEMPTS)
        key, size = path.name, path.stat().st_size
        if not force:
            if self._head(client, key) is not None:
                raise self._exists(key)
            _write_only_new(client, lambda: self._head(client, key) is not None)
        part = max(_PART, -(-size // _MOST_PARTS))
        sha256, etag = _sha256_and_etag(path, part)
        refused = False
        config = TransferConfig(part, multipart_chunksize=part, max_concurrency=4)

        def send() -> None:
            nonlocal refused
            with (
                _store_errors(self, client, key),
                progress(f"Upload {key}", size, **BYTES) as bar,
            ):
                extra = {"Metadata": {"sha256": sha256}}
                try:
                    client.upload_file(str(path), self.bucket, key, extra, bar.update, config)
                except _Exists:
                    refused = True
                except S3UploadFailedError as error:
                    cause = error.__context__
                    if not isinstance(cause, ClientError):
                        raise
                    refused = _status(cause) == 412
                    if not refused:
                        raise cause from None

        patiently(self.name(key), send)
        stored = self._head(client, key)
        if stored is None or stored["ContentLength"] != size or _differ(_etag_of(stored), etag):
            if refused:  # and not because an attempt came through whose answer was lost
                raise self._exists(key, ", from another upload by now")
            raise DrumblenderError(
                f"{self.bucket}/{key} is not the same as {path} after the upload; "
                "upload it again with --force."
            )
        return key

    def _exists(self, key: str, whence: str = "") -> UsageError:
        return UsageError(
            f"{self.bucket} already has {key}{whence}; give the archive another name, "
            "or replace the object with --force."
        )

    def name(self, key: str) -> str:
        """What to call an object in messages."""
        return f"{urlsplit(self.url).netloc or self.url}/{self.bucket}/{key}"

    def client(self, attempts: int = 1):
        """The client of the store; every access goes through one made here.

        Without credentials requests are not signed, which does for buckets that anyone may read.

        Args:
            attempts: at one request; downloads try again by themselves.
        """
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config

        if not urlsplit(self.url).scheme.startswith("http"):
            raise UsageError(f"url {self.url} is no address; set it to https://... .")
        # At their most talkative these write signatures and access keys.
        for library in ("boto3", "botocore", "s3transfer"):
            logger = logging.getLogger(library)
            logger.setLevel(max(logger.level, logging.INFO))
        access, secret = _credentials()
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            region_name=self.region or "auto",
            config=Config(
                signature_version="s3v4" if access else UNSIGNED,
                connect_timeout=min(_CONNECT_TIMEOUT_S, network_timeout()),
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
        """The keys below a prefix, with what a listing says about them."""
        pages = client.get_paginator("list_objects_v2")

        def read() -> List[Tuple[str, Facts]]:
            with _store_errors(self, client, prefix):
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

    def _head(self, client: Any, key: str) -> Optional[Dict[str, Any]]:
        """What the store says about an object; None when there is none."""
        from botocore.exceptions import ClientError

        def ask() -> Optional[Dict[str, Any]]:
            with _store_errors(self, client, key):
                try:
                    return client.head_object(Bucket=self.bucket, Key=key)
                except ClientError as error:
                    if _status(error) == 404:
                        return None
                    raise

        return patiently(self.name(key), ask)


def download_public(url: str, destination: Path, sha256: Optional[str] = None) -> Path:
    """Download a file that anyone may read over HTTPS.

    Args:
        url: its address.
        destination: file to write.
        sha256: that it has to have, instead of what the server says.
    """
    return _fetch_alone(_WebFile(url), destination, sha256)


def is_unfinished(folder: Path) -> bool:
    """Whether a raw folder is one whose download was not finished."""
    return (folder / UNFINISHED).exists()


def is_there(folder: Path) -> bool:
    """Whether a raw folder holds files, all of them if they were downloaded."""
    visible = folder.is_dir() and any(path.name[0] != "." for path in folder.iterdir())
    return visible and not is_unfinished(folder)


def _fetch_alone(source: Source, destination: Path, sha256: Optional[str]) -> Path:
    """Download, unless a process that had to be waited for has done so."""
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UsageError(
            f"sha256 {sha256!r} is none; set it to the 64 digits that sha256sum gives."
        )
    with atomic.exclusive(destination):
        if not destination.exists():
            with progress(f"Download {destination.name}", None, **BYTES) as bar:
                fetch(source, destination, bar, sha256)
    return destination


def check_sha256(path: Path, sha256: Optional[str]) -> None:
    """Refuse a file that is not the one that the configuration means, if it says so."""
    _check_form(sha256)
    if sha256 is not None and digests(path, ["sha256"])["sha256"] != sha256.lower():
        raise DrumblenderError(
            f"{path} has not the sha256 that the configuration says; remove it to download the "
            "right one, or correct sha256."
        )


def _check_form(sha256: Optional[str]) -> None:
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UsageError(
            f"sha256 {sha256!r} is none; set it to the 64 digits that the command sha256sum gives."
        )


class _Exists(Exception):
    """An object of the name is there by now."""


def _write_only_new(client: Any, exists: Callable[[], bool]) -> None:
    """Let a client create objects and replace none.

    boto3's transfers cannot say so, hence headers here. Stores that do not know conditions get the
    same request again without one. Others ignore them in silence, so the last moment before an
    object is made is also the last look at what is there.

    Args:
        client: of the store.
        exists: whether the object is there.
    """
    header = "If-None-Match"

    def ask(params: Dict[str, Any], **_: Any) -> None:
        if exists():
            raise _Exists
        params["headers"][header] = "*"

    def answered(response: Any, request_dict: Dict[str, Any], **_: Any) -> Optional[float]:
        status = response[0].status_code if response else None
        if status in _NO_CONDITIONS and request_dict["headers"].pop(header, None):
            return 0.0  # seconds until the next attempt
        return None

    for operation in ("PutObject", "CompleteMultipartUpload"):
        client.meta.events.register(f"before-call.s3.{operation}", ask)
        client.meta.events.register_first(f"needs-retry.s3.{operation}", answered)


# --- Objects of a store --------------------------------------------------------------------------


class _Object(Source):
    def __init__(self, store: Store, client: Any, key: str, facts: Optional[Facts] = None):
        self.name = store.name(key)
        self.facts = facts
        self._store, self._client, self._key = store, client, key

    def open(self, offset: int, tag: str) -> Tuple[Facts, int, IO[bytes]]:
        from botocore.exceptions import ClientError

        name = {"Bucket": self._store.bucket, "Key": self._key}
        if self.facts is None:
            answer = self._client.head_object(**name, ChecksumMode="ENABLED")
            self.facts = Facts(answer["ContentLength"], answer["ETag"], _checksums(answer))
        part = {"Range": f"bytes={offset}-", "IfMatch": tag} if offset else {}
        try:
            answer = self._client.get_object(**name, **part)
        except ClientError as error:
            if not offset or _status(error) not in (412, 416):
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

    def faults(self):
        return _store_errors(self._store, self._client, self._key)


def _checksums(answer: Dict[str, Any]) -> Dict[str, str]:
    checksums = {"sha256": answer.get("Metadata", {}).get("sha256", "").lower()}
    for name in ("sha256", "sha1", "crc32"):
        # Those of parts are of the parts' checksums, and followed by -N.
        checksums[name] = checksums.get(name) or from_base64(answer.get(f"Checksum{name.upper()}"))
    return _known(checksums, _etag_of(answer))


def _etag_of(answer: Dict[str, Any]) -> str:
    """The entity tag where it is made of MD5 sums; empty where it is not."""
    encrypted = answer.get("ServerSideEncryption") not in (None, "AES256")
    return "" if encrypted or "SSECustomerAlgorithm" in answer else answer["ETag"].strip('"')


def _known(checksums: Dict[str, str], etag: str) -> Dict[str, str]:
    if _MD5.fullmatch(etag):
        checksums["md5"] = etag
    return {name: value for name, value in checksums.items() if value}


def _differ(etag: str, other: str) -> bool:
    """Whether two entity tags that are both made of MD5 sums differ."""
    return bool(re.fullmatch(r"[0-9a-f]{32}(-\d+)?", etag)) and etag != other


def _is_whole(path: Path, facts: Facts) -> bool:
    """Whether a file that is there is the object of a listing, as far as that tells."""
    if not path.is_file() or path.stat().st_size != facts.size:
        return False
    tag = facts.tag.strip('"')
    return not _MD5.fullmatch(tag) or digests(path, ["md5"])["md5"] == tag


def _relative(store: Store, key: str, prefix: str) -> Path:
    name = key[len(prefix) :]
    if leads_outside(name) or "\\" in name or "\0" in name or not PurePosixPath(name).parts:
        raise DrumblenderError(
            f"{store.name(key)} would be written outside the raw folder; do not use this bucket, "
            "or have the object renamed."
        )
    return Path(name)


def _sha256_and_etag(path: Path, part: int) -> Tuple[str, str]:
    """The checksum of a file, and the entity tag that a store gives it when it comes in parts."""
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


# --- Public files --------------------------------------------------------------------------------


class _WebFile(Source):
    def __init__(self, url: str):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                "archive_url in the configuration is no address; set it to https://..."
            )
        # What may be secret in an address is shown and stored nowhere.
        self.name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        self._url = url

    def open(self, offset: int, tag: str) -> Tuple[Facts, int, IO[bytes]]:
        import requests

        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers.update({"Range": f"bytes={offset}-", "If-Range": tag})
        timeout = (min(_CONNECT_TIMEOUT_S, network_timeout()), network_timeout())
        response = requests.get(self._url, headers=headers, stream=True, timeout=timeout)
        if response.status_code == 416 and offset:
            response.close()
            return self.open(0, "")
        if response.status_code in _MAY_GO_AWAY:
            raise Fault(f"the server answered {response.status_code}")
        if response.status_code not in (200, 206):
            raise DrumblenderError(
                f"{self.name} cannot be downloaded (status {response.status_code}); check "
                "archive_url in the configuration."
            )
        start, size = 0, response.headers.get("Content-Length")
        if response.status_code == 206:
            found = re.fullmatch(
                r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", "")
            )
            if not found or int(found[1]) > offset:
                raise Fault("the server sent another part than it was asked for")
            start, size = int(found[1]), found[2]
        if size is None and response.headers.get("Transfer-Encoding") != "chunked":
            raise DrumblenderError(
                f"{self.name} comes without a length, so that nobody can tell whether all of it "
                "came; download it by hand to the working directory."
            )
        facts = Facts(int(size) if size else None, *_web_facts(response.headers))
        return facts, start, response.raw

    @contextlib.contextmanager
    def faults(self) -> Iterator[None]:
        import requests
        import urllib3

        try:
            yield
        except (requests.exceptions.InvalidURL, requests.exceptions.TooManyRedirects) as error:
            raise DrumblenderError(
                f"{self.name} cannot be downloaded ({type(error).__name__}); check archive_url in "
                "the configuration."
            ) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise Fault(_in_words(error)) from None


def _web_facts(headers: Any) -> Tuple[str, Dict[str, str]]:
    tag = headers.get("ETag", "")
    checksums = {"sha256": headers.get("x-amz-meta-sha256", "").lower()}
    for name in ("sha256", "sha1", "crc32"):
        checksums[name] = checksums.get(name) or from_base64(headers.get(f"x-amz-checksum-{name}"))
    encryption = headers.get("x-amz-server-side-encryption", "AES256")
    plain = encryption == "AES256" and not tag.startswith("W/")
    # A weak tag, of bytes that may differ, is none to resume by; a date will do.
    tag_to_resume = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
    return tag_to_resume, _known(checksums, tag.strip('"') if plain else "")


# --- Errors and credentials ----------------------------------------------------------------------


@contextlib.contextmanager
def _store_errors(store: Store, client: Any, key: str) -> Iterator[None]:
    """Turn what an object store answers into sentences, and into faults that may go away."""
    from boto3.exceptions import Boto3Error
    from botocore import UNSIGNED
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
    from urllib3.exceptions import HTTPError

    name = store.name(key)
    try:
        yield
    except ClientError as error:
        status, code = _status(error), error.response.get("Error", {}).get("Code", "")
        if status in _MAY_GO_AWAY:
            raise Fault(f"the object store answered {status}") from None
        anonymous = client.meta.config.signature_version is UNSIGNED
        if anonymous and status in (400, 401, 403):
            raise UsageError(f"{name} is not for everyone: {_how_to_get_credentials()}") from None
        remedy = {
            301: "check url and region in the configuration",
            400: "check url and region in the configuration",
            401: f"check {ACCESS_KEY} and {SECRET_KEY}",
            403: f"check {ACCESS_KEY} and {SECRET_KEY}, and that they may use this bucket",
            404: "check bucket and archive in the configuration",
        }.get(status, "run the command again later")
        what = f"{status} ({code})" if code and code != str(status) else str(status)
        raise DrumblenderError(f"The object store answered {what} for {name}; {remedy}.") from None
    except ParamValidationError:
        raise UsageError(
            f"{name} names no object; correct bucket and archive in the configuration."
        ) from None
    except (BotoCoreError, Boto3Error, HTTPError, OSError) as error:
        raise Fault(_in_words(error)) from None


def _status(error: Any) -> Optional[int]:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")


def _in_words(error: BaseException) -> str:
    """What went wrong, without the text of a library, which may hold an address or a header."""
    name = type(error).__name__
    if "Timeout" in name:
        return f"nothing came for {network_timeout():g} s"
    if name in ("EndpointConnectionError", "ConnectionError", "ConnectTimeout", "ProxyError"):
        return f"there is no connection ({name})"
    return f"the connection broke ({name})"


def _credentials() -> Tuple[Optional[str], Optional[str]]:
    """Both, or none for a store that wants none."""
    from dotenv import dotenv_values, find_dotenv

    file = find_dotenv(usecwd=True)
    try:
        stored = dotenv_values(file)
    except (UnicodeDecodeError, OSError):
        raise UsageError(f"{file} cannot be read as text in UTF-8; correct or remove it.") from None
    values = {name: os.environ.get(name) or stored.get(name) for name in (ACCESS_KEY, SECRET_KEY)}
    values = {name: (value or "").strip() for name, value in values.items()}
    missing = [name for name, value in values.items() if not value]
    if len(missing) == 1:
        raise UsageError(f"{missing[0]} is not set: {_how_to_get_credentials()}")
    for name, value in values.items():
        # It would go into a header, and from there into an error.
        if not re.fullmatch(r"[\x21-\x7e]*", value):
            raise UsageError(f"{name} holds characters that no key has; copy it again.")
    return (None, None) if missing else (values[ACCESS_KEY], values[SECRET_KEY])


def _how_to_get_credentials() -> str:
    return (
        f"set {ACCESS_KEY} and {SECRET_KEY} in the environment or in a .env file "
        "(Cloudflare dashboard, R2, Manage API tokens; or those of your store)."
    )
