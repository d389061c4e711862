"""Files that anyone may read, from a small server."""

import contextlib
import hashlib
import os

import pytest
from serving import QuietHandler, serving

from drumblender.data.sources import transfer
from drumblender.data.sources.web import download_public
from drumblender.errors import DrumblenderError, UsageError

CONTENT = os.urandom(3 << 20)
HALF = len(CONTENT) // 2


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class Web(QuietHandler):
    """What the address says: ``/whole``, ``/gone``, ``/again`` (503 first), ``/half`` (cut first).

    With ``range`` in the address it knows ranges, with ``chunked`` it says no length.
    """

    protocol_version = "HTTP/1.1"
    seen: list = []  # noqa: RUF012

    def do_GET(self):
        first = self.path not in [path for path, _ in self.seen]
        self.seen.append((self.path, self.headers.get("Range")))
        if "gone" in self.path or ("again" in self.path and first):
            self.send_response(404 if "gone" in self.path else 503)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        start = 0
        if "range" in self.path and self.headers.get("If-Range") == '"v1"':
            start = int(self.headers["Range"][6:-1])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("ETag", '"v1"')
        content = CONTENT[start:]
        if "chunked" in self.path:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            return self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content))
        if "endless" not in self.path:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        cut = "half" in self.path and first
        with contextlib.suppress(ConnectionError):  # it may not want all of it
            self.wfile.write(content[:HALF] if cut else content)
        self.close_connection = cut or "endless" in self.path
        return None


@pytest.fixture
def web(monkeypatch):
    monkeypatch.setattr(transfer, "_PAUSE_S", 0.0)
    Web.seen = []
    with serving(Web) as address:
        yield address


@pytest.mark.parametrize("path", ["whole", "again", "half", "half-range", "chunked"])
def test_a_public_file_needs_no_credentials(web, tmp_path, path):
    assert download_public(f"{web}/{path}", tmp_path / "a").read_bytes() == CONTENT
    assert names(tmp_path) == ["a"]
    # Where the server does not know ranges it sends all again.
    asked = [wanted for _, wanted in Web.seen]
    assert asked == {"again": [None, None]}.get(
        path, [None, f"bytes={HALF}-"] if "half" in path else [None]
    )


def test_a_sha256_holds_for_public_files_too(web, tmp_path):
    right = hashlib.sha256(CONTENT).hexdigest()
    download_public(f"{web}/whole", tmp_path / "a", right.upper())

    with pytest.raises(DrumblenderError, match="came with the sha256"):
        download_public(f"{web}/whole", tmp_path / "b", right[::-1])
    with pytest.raises(UsageError, match="sha256 'abc' is none"):
        download_public(f"{web}/whole", tmp_path / "b", "abc")


@pytest.mark.parametrize(
    ("path", "message"), [("gone", r"status 404.*archive_url"), ("endless", "without a length")]
)
def test_a_public_download_that_fails_leaves_nothing(web, tmp_path, path, message):
    with pytest.raises(DrumblenderError, match=message):
        download_public(f"{web}/{path}", tmp_path / "a")

    assert not list(tmp_path.iterdir())


def test_what_is_secret_in_an_address_appears_nowhere(web, tmp_path, capsys):
    address = web.replace("://", "://me:password@") + "/{}?X-Amz-Signature=secret"
    for path in ("gone", "again"):
        with contextlib.suppress(DrumblenderError):
            download_public(address.format(path), tmp_path / "a")
    with pytest.raises(DrumblenderError) as caught:
        download_public(address.format("gone"), tmp_path / "b")

    text = str(caught.value) + capsys.readouterr().err
    assert web + "/gone" in text
    assert "password" not in text
    assert "secret" not in text
