"""Getting datasets over the network and in and out of archives.

A download or an unpacked archive is made under a temporary name beside its place and moved there
in one step, so that whatever stands under the real name is whole. Credentials come from the
environment or a ``.env`` file, and appear in no message.
"""

import contextlib
import gzip
import os
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Callable, Iterator, Sequence
from urllib.parse import urlsplit

from drumblender.data.atomic import in_one_step
from drumblender.data.progress import progress
from drumblender.errors import DrumblenderError, UsageError

ACCESS_KEY = "CLOUDFLARE_ACCESS_KEY_ID"
SECRET_KEY = "CLOUDFLARE_ACCESS_SECRET_KEY"

_CONNECT_TIMEOUT_S = 10
_READ_TIMEOUT_S = 60
_BLOCK = 1 << 20
_BYTES = {"unit": "B", "unit_scale": True, "unit_divisor": 1024}  # of a progress bar


def object_store(url: str, attempts: int = 5):
    """The client of an S3-compatible object store; every access goes through one made here.

    Args:
        url: the endpoint.
        attempts: at one request, before it counts as failed.
    """
    import boto3
    from botocore.config import Config

    access, secret = (_credential(name) for name in (ACCESS_KEY, SECRET_KEY))
    return boto3.session.Session().client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        region_name="auto",
        config=Config(
            signature_version="s3v4",
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=_READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": attempts},
            # R2 and older S3 servers reject the checksums that boto3 adds by itself.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def download(url: str, bucket: str, key: str, destination: Path, attempts: int = 5) -> Path:
    """Download one object.

    Args:
        url: the endpoint.
        bucket: that holds it.
        key: of the object.
        destination: file to write.
        attempts: at each request.

    Raises:
        UsageError: when the credentials are not set.
        DrumblenderError: when the store does not give the whole object.
    """
    client = object_store(url, attempts)
    with _store_errors(url, bucket, key):
        size = client.head_object(Bucket=bucket, Key=key)["ContentLength"]
        with (
            in_one_step(destination) as temporary,
            progress(f"Download {key}", size, **_BYTES) as bar,
        ):
            client.download_file(bucket, key, str(temporary), Callback=bar.update)
            _check_size(temporary, size, f"{bucket}/{key}")
    return destination


def download_public(url: str, destination: Path) -> Path:
    """Download a file that anyone may read over HTTPS."""
    import requests

    try:
        with requests.get(
            url, stream=True, timeout=(_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S)
        ) as response:
            response.raise_for_status()
            size = int(response.headers["Content-Length"])
            with in_one_step(destination) as temporary:
                with (
                    temporary.open("wb") as file,
                    progress(f"Download {destination.name}", size, **_BYTES) as bar,
                ):
                    for block in response.iter_content(_BLOCK):
                        file.write(block)
                        bar.update(len(block))
                _check_size(temporary, size, url)
    except (requests.RequestException, KeyError) as error:
        response = getattr(error, "response", None)
        reason = type(error).__name__ if response is None else f"status {response.status_code}"
        raise DrumblenderError(
            f"{url} cannot be downloaded ({reason}); check archive_url in the configuration and "
            "the network, and run the command again."
        ) from error
    return destination


def upload(url: str, bucket: str, path: Path, force: bool = False) -> str:
    """Upload a file under its own name and give that name.

    Args:
        url: the endpoint.
        bucket: to put it in.
        path: the file.
        force: replace an object of that name.
    """
    from botocore.exceptions import ClientError

    if not path.is_file():
        raise UsageError(f"{path} is not there to upload; write it first with --archive {path}.")
    client = object_store(url)
    key, size = path.name, path.stat().st_size
    with _store_errors(url, bucket, key):
        try:
            client.head_object(Bucket=bucket, Key=key)
            exists = True
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            exists = False
        if exists and not force:
            raise UsageError(
                f"{bucket} already has {key}; give the archive another name, "
                "or replace the object with --force."
            )
        with progress(f"Upload {key}", size, **_BYTES) as bar:
            client.upload_file(str(path), bucket, key, Callback=bar.update)
        stored = client.head_object(Bucket=bucket, Key=key)["ContentLength"]
    if stored != size:
        raise DrumblenderError(
            f"{bucket}/{key} has {stored} bytes after the upload instead of {size}; "
            "upload it again with --force."
        )
    return key


def create_archive(folder: Path, destination: Path, top: str, leave_out: Sequence[str] = ()) -> int:
    """Write a folder to a ``.tar.gz`` whose bytes depend on nothing but the files' contents.

    Args:
        folder: to archive.
        destination: the archive.
        top: the one folder in the archive that holds everything.
        leave_out: file names at the top of ``folder`` to leave out.

    Returns:
        How many files it holds.
    """
    if not destination.name.endswith((".tar.gz", ".tgz")):
        raise UsageError(f"--archive {destination} has to end in .tar.gz.")
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and str(path.relative_to(folder)) not in leave_out
    )
    with (
        in_one_step(destination) as temporary,
        temporary.open("wb") as raw,
        # gzip would write the time and the file's name into the header.
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
        progress(f"Archive {destination.name}", len(paths), " files") as bar,
    ):
        for path in paths:
            member = tarfile.TarInfo(str(PurePosixPath(top, *path.relative_to(folder).parts)))
            member.size = path.stat().st_size
            member.mode = 0o644
            with path.open("rb") as file:
                archive.addfile(member, file)
            bar.update()
    return len(paths)


def unpack(archive: Path, data_dir: Path, meta_file: str, check: Callable[[Path], None]) -> None:
    """Unpack the archive of a dataset into ``data_dir``, which must not hold anything yet.

    Whether the archive has a top folder or not, ``meta_file`` ends up in ``data_dir`` itself.

    Args:
        archive: ``.tar.gz`` (or any other compression that tarfile reads).
        data_dir: where the dataset shall be.
        meta_file: file that marks the folder of the dataset inside the archive.
        check: called with the unpacked folder; raises when that is not a whole dataset.
    """
    if data_dir.exists() and any(data_dir.iterdir()):
        raise UsageError(
            f"{data_dir} holds files but no {meta_file}; correct meta_file, set another data_dir, "
            "or remove that folder."
        )
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    temporary = data_dir.with_name(data_dir.name + ".unpack")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        _extract(archive, temporary)
        found = sorted(temporary.rglob(meta_file), key=lambda path: len(path.parts))
        if not found:
            raise DrumblenderError(
                f"{archive} holds no {meta_file}, so it is not the archive of this dataset; "
                "correct archive or meta_file in the configuration."
            )
        root = found[0]
        for _ in PurePosixPath(meta_file).parts:
            root = root.parent
        check(root)
        root.rename(data_dir)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _extract(archive: Path, folder: Path) -> None:
    """Extract regular files only, each checked; nothing relies on tarfile's own filters."""
    free = shutil.disk_usage(folder).free
    total = 0
    try:
        with (
            archive.open("rb") as raw,
            progress(f"Unpack {archive.name}", archive.stat().st_size, **_BYTES) as bar,
            tarfile.open(fileobj=raw, mode="r:*") as tar,
        ):
            for member in tar:
                if member.isdir():
                    continue
                if not member.isreg():
                    raise _unsafe(archive, member, "is a link or a device")
                target = _target(archive, member, folder)
                total += member.size
                if total > free:
                    raise DrumblenderError(
                        f"{archive} unpacks to more than the {free / 1e9:.1f} GB that are free at "
                        f"{folder.parent}; make room or set another data_dir."
                    )
                target.parent.mkdir(parents=True, exist_ok=True)
                source = tar.extractfile(member)
                with target.open("xb") as file:
                    shutil.copyfileobj(source, file, _BLOCK)
                bar.update(raw.tell() - bar.n)
            # The checksum of the compressed stream stands at its end, behind the last member.
            while tar.fileobj.read(_BLOCK):
                pass
    except FileExistsError as error:
        raise DrumblenderError(
            f"{archive} holds {Path(error.filename).name} twice; get it again from its source."
        ) from error
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DrumblenderError(
            f"{archive} is damaged or no tar archive ({error}); "
            "remove it and run the command again."
        ) from error
    except OSError as error:
        raise DrumblenderError(
            f"{archive} cannot be unpacked to {folder.parent} ({error.strerror}); make room or "
            "check the folder's permissions, and run the command again."
        ) from error


def _target(archive: Path, member: tarfile.TarInfo, folder: Path) -> Path:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or "\\" in member.name or "\0" in member.name:
        raise _unsafe(archive, member, "points outside the archive")
    if member.size < 0:
        raise _unsafe(archive, member, "has an impossible size")
    return folder / name


def _unsafe(archive: Path, member: tarfile.TarInfo, why: str) -> DrumblenderError:
    return DrumblenderError(
        f"{archive} is unsafe, {member.name!r} in it {why}; do not use it, "
        "and get it again from a source that you trust."
    )


def _check_size(path: Path, size: int, source: str) -> None:
    found = path.stat().st_size
    if found != size:
        raise DrumblenderError(
            f"{source} broke off after {found} of {size} bytes; run the command again."
        )


def _credential(name: str) -> str:
    from dotenv import dotenv_values, find_dotenv

    value = os.environ.get(name) or dotenv_values(find_dotenv(usecwd=True)).get(name)
    if not value:
        raise UsageError(
            f"The object store needs credentials: set {ACCESS_KEY} and {SECRET_KEY} in the "
            "environment or in a .env file (Cloudflare dashboard, R2, Manage API tokens)."
        )
    return value


@contextlib.contextmanager
def _store_errors(url: str, bucket: str, key: str) -> Iterator[None]:
    """Turn what the object store answers into sentences."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    host = urlsplit(url).netloc or url
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        remedy = {
            401: f"check {ACCESS_KEY} and {SECRET_KEY}",
            403: f"check {ACCESS_KEY} and {SECRET_KEY}, and that they may use this bucket",
            404: "check bucket and archive in the configuration",
        }.get(status, "run the command again later")
        raise DrumblenderError(
            f"The object store {host} answered {status} for {bucket}/{key}; {remedy}."
        ) from error
    except (BotoCoreError, Boto3Error) as error:
        raise DrumblenderError(
            f"The object store {host} failed for {bucket}/{key} ({type(error).__name__}); "
            "check url in the configuration and the network, and run the command again."
        ) from error
