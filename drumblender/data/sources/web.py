"""Files that anyone may read over HTTPS."""

import contextlib
import re
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple
from urllib.parse import urlsplit

from drumblender.data.sources.checksums import from_base64, known_checksums
from drumblender.data.sources.faults import MAY_GO_AWAY, in_words
from drumblender.data.sources.transfer import (
    CONNECT_TIMEOUT_S,
    Facts,
    Fault,
    RemoteFile,
    Stream,
    download,
    network_timeout,
)
from drumblender.errors import DrumblenderError, UsageError


def download_public(url: str, destination: Path, sha256: Optional[str] = None) -> Path:
    """Download a file that anyone may read over HTTPS.

    Args:
        url: its address.
        destination: the file to write.
        sha256: checksum that it has to have, in place of those that the server tells.
    """
    return download(WebFile(url), destination, sha256)


class WebFile(RemoteFile):
    """A file at an address.

    Args:
        url: the address.
    """

    def __init__(self, url: str):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                "archive_url in the configuration is no address; set it to https://..."
            )
        # What may be secret in an address is shown and stored nowhere.
        self.name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        self._url = url

    def open(self, offset: int, tag: str) -> Tuple[Facts, int, Stream]:
        """Open a stream of the file's bytes, as :class:`~.transfer.RemoteFile` says."""
        import requests

        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers.update({"Range": f"bytes={offset}-", "If-Range": tag})
        timeout = (min(CONNECT_TIMEOUT_S, network_timeout()), network_timeout())
        response = requests.get(self._url, headers=headers, stream=True, timeout=timeout)
        if response.status_code == 416 and offset:
            response.close()
            return self.open(0, "")
        if response.status_code in MAY_GO_AWAY:
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
        """Turn errors of the network into faults that may go away, or into sentences."""
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
            raise Fault(in_words(error)) from None


def _web_facts(headers: Any) -> Tuple[str, Dict[str, str]]:
    """Read the tag of the version and the checksums from headers."""
    tag = headers.get("ETag", "")
    checksums = {"sha256": headers.get("x-amz-meta-sha256", "").lower()}
    for name in ("sha256", "sha1", "crc32"):
        checksums[name] = checksums.get(name) or from_base64(headers.get(f"x-amz-checksum-{name}"))
    encryption = headers.get("x-amz-server-side-encryption", "AES256")
    plain = encryption == "AES256" and not tag.startswith("W/")
    # A weak tag may stand for bytes that differ, so that nobody can resume by it; a date will do.
    tag_to_resume = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
    return tag_to_resume, known_checksums(checksums, tag.strip('"') if plain else "")
