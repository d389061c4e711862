import functools
import http.server
import io
import os
import tarfile
import threading

import pytest

from drumblender.data import storage
from drumblender.errors import DrumblenderError, UsageError

BUCKET = "drums"


def test_what_was_uploaded_can_be_downloaded(store, tmp_path):
    content = os.urandom(20 << 20)  # more than one part
    (tmp_path / "a.tar.gz").write_bytes(content)

    key = storage.upload(store, BUCKET, tmp_path / "a.tar.gz")
    path = storage.download(store, BUCKET, key, tmp_path / "new" / "b.tar.gz")

    assert key == "a.tar.gz"
    assert path.read_bytes() == content
    assert [item.name for item in path.parent.iterdir()] == ["b.tar.gz"]


def test_an_object_is_replaced_only_with_force(store, tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(b"old")
    storage.upload(store, BUCKET, path)
    path.write_bytes(b"newer")

    with pytest.raises(UsageError, match=r"drums already has a\.tar\.gz; .*--force"):
        storage.upload(store, BUCKET, path)
    storage.upload(store, BUCKET, path, force=True)

    assert storage.download(store, BUCKET, "a.tar.gz", tmp_path / "b").read_bytes() == b"newer"


@pytest.mark.parametrize(("bucket", "key"), [(BUCKET, "nothing.tar.gz"), ("no-such", "a.tar.gz")])
def test_a_wrong_bucket_or_key_names_the_options(store, tmp_path, bucket, key):
    with pytest.raises(DrumblenderError, match=rf"404 for {bucket}/{key}; check bucket"):
        storage.download(store, bucket, key, tmp_path / "b")

    assert not list(tmp_path.iterdir())


def test_without_credentials_the_two_variables_are_named(store, tmp_path, monkeypatch):
    monkeypatch.delenv(storage.ACCESS_KEY)

    with pytest.raises(UsageError, match=f"set {storage.ACCESS_KEY} and {storage.SECRET_KEY}"):
        storage.download(store, BUCKET, "a", tmp_path / "b")


def test_credentials_come_from_a_dotenv_file(store, tmp_path, monkeypatch):
    monkeypatch.delenv(storage.ACCESS_KEY)
    monkeypatch.delenv(storage.SECRET_KEY)
    (tmp_path / ".env").write_text(f"{storage.ACCESS_KEY}=from-file\n{storage.SECRET_KEY}=s\n")

    client = storage.object_store(store)

    assert client._request_signer._credentials.access_key == "from-file"


def test_no_credentials_appear_in_an_error(store, tmp_path):
    with pytest.raises(DrumblenderError) as caught:
        storage.download("http://127.0.0.1:9", BUCKET, "a", tmp_path / "b", attempts=1)

    text = f"{caught.value} {caught.value.__cause__}"
    assert "127.0.0.1:9 failed for drums/a (EndpointConnectionError)" in text
    assert "an-access-key" not in text
    assert "a-secret-key" not in text


class Web(http.server.BaseHTTPRequestHandler):
    """``/whole`` gives all it promises, ``/short`` less, anything else 404."""

    content = os.urandom(3 << 20)

    def do_GET(self):
        self.send_response(200 if self.path in ("/whole", "/short") else 404)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content[: -1000 if self.path == "/short" else None])

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def web():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def test_a_public_archive_needs_no_credentials(web, tmp_path):
    assert storage.download_public(f"{web}/whole", tmp_path / "a").read_bytes() == Web.content


@pytest.mark.parametrize(
    ("path", "message"),
    [("/short", "cannot be downloaded|broke off"), ("/gone", r"status 404.*archive_url")],
)
def test_a_download_that_fails_leaves_nothing(web, tmp_path, path, message):
    with pytest.raises(DrumblenderError, match=message):
        storage.download_public(web + path, tmp_path / "a")

    assert not list(tmp_path.iterdir())


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "dataset"
    (folder / "audio").mkdir(parents=True)
    (folder / "meta.json").write_text("{}")
    (folder / "audio" / "a.wav").write_bytes(os.urandom(1000))
    (folder / "journal").write_text("of this machine")
    return folder


def accept(folder):
    assert (folder / "meta.json").exists()


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_an_archive_is_the_same_bytes_for_the_same_files(folder, tmp_path):
    storage.create_archive(folder, tmp_path / "a.tar.gz", "top", ["journal"])
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o755)
    (folder / "journal").write_text("of another machine")
    storage.create_archive(folder, tmp_path / "b.tar.gz", "top", ["journal"])

    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()


def test_an_archive_unpacks_to_what_was_packed(folder, tmp_path):
    assert storage.create_archive(folder, tmp_path / "a.tar.gz", "top") == 3

    storage.unpack(tmp_path / "a.tar.gz", tmp_path / "new", "meta.json", accept)

    assert contents(tmp_path / "new") == contents(folder)


@pytest.mark.parametrize("top", [".", "one", "one/two"])
@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w"])
def test_with_or_without_top_folders_the_metadata_ends_up_in_place(folder, tmp_path, top, mode):
    with tarfile.open(tmp_path / "a.tar", mode) as archive:
        archive.add(folder, top)

    storage.unpack(tmp_path / "a.tar", tmp_path / "new", "meta.json", accept)

    assert contents(tmp_path / "new") == contents(folder)


def member(name, kind=tarfile.REGTYPE, content=b"{}", link=""):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    return info, io.BytesIO(content)


EVIL = {
    "absolute": member("/tmp/drumblender-escaped"),
    "parent": member("../escaped"),
    "deep parent": member("a/../../escaped"),
    "symlink": member("link", tarfile.SYMTYPE, link="/etc"),
    "inner symlink": member("link", tarfile.SYMTYPE, link="meta.json"),
    "hard link": member("link", tarfile.LNKTYPE, link="meta.json"),
    "device": member("null", tarfile.CHRTYPE),
    "pipe": member("pipe", tarfile.FIFOTYPE),
}


@pytest.mark.parametrize("kind", EVIL)
def test_an_archive_that_reaches_outside_is_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for info, content in (member("meta.json"), EVIL[kind]):
            content.seek(0)
            archive.addfile(info, content)

    with pytest.raises(DrumblenderError, match=r"a\.tar\.gz is unsafe"):
        storage.unpack(tmp_path / "a.tar.gz", tmp_path / "in" / "new", "meta.json", accept)

    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar.gz", "in"]


def test_an_archive_that_writes_through_its_own_link_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.addfile(*member("way", tarfile.SYMTYPE, link=str(tmp_path)))
        archive.addfile(*member("way/escaped"))

    with pytest.raises(DrumblenderError, match="is a link"):
        storage.unpack(tmp_path / "a.tar.gz", tmp_path / "new", "meta.json", accept)

    assert not (tmp_path / "escaped").exists()


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path):
    info = tarfile.TarInfo("meta.json")
    info.size = 1 << 60
    (tmp_path / "a.tar").write_bytes(info.tobuf() + bytes(10240))

    with pytest.raises(DrumblenderError, match=r"unpacks to more than .* free"):
        storage.unpack(tmp_path / "a.tar", tmp_path / "new", "meta.json", accept)

    assert not (tmp_path / "new").exists()


def damaged(content, how):
    return {
        "cut": content[: len(content) // 2],
        "cut at the very end": content[:-4],
        "flipped": content[:-300] + bytes([content[-300] ^ 255]) + content[-299:],
        "empty": b"",
        "text": b"404 not found" * 100,
    }[how]


@pytest.mark.parametrize("how", ["cut", "cut at the very end", "flipped", "empty", "text"])
def test_a_damaged_archive_leaves_no_dataset(folder, tmp_path, how):
    storage.create_archive(folder, tmp_path / "a.tar.gz", "top")
    content = (tmp_path / "a.tar.gz").read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(damaged(content, how))

    with pytest.raises(DrumblenderError, match=r"a\.tar\.gz is damaged"):
        storage.unpack(tmp_path / "a.tar.gz", tmp_path / "new", "meta.json", accept)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz", "dataset"]


def test_a_folder_that_holds_something_else_is_not_replaced(folder, tmp_path):
    storage.create_archive(folder, tmp_path / "a.tar.gz", "top")

    with pytest.raises(UsageError, match=r"dataset holds files but no other\.json"):
        storage.unpack(tmp_path / "a.tar.gz", folder, "other.json", accept)

    assert (folder / "meta.json").exists()


def test_the_archive_of_something_else_is_refused(folder, tmp_path):
    storage.create_archive(folder, tmp_path / "a.tar.gz", "top")

    with pytest.raises(DrumblenderError, match=r"holds no other\.json"):
        storage.unpack(tmp_path / "a.tar.gz", tmp_path / "new", "other.json", accept)


def test_an_archive_that_is_not_whole_is_not_put_in_place(folder, tmp_path):
    storage.create_archive(folder, tmp_path / "a.tar.gz", "top")

    def refuse(folder):
        raise DrumblenderError("half of it is missing")

    unpack = functools.partial(storage.unpack, tmp_path / "a.tar.gz", tmp_path / "new", "meta.json")
    with pytest.raises(DrumblenderError, match="half of it"):
        unpack(refuse)

    assert not (tmp_path / "new").exists()
    unpack(accept)
    assert (tmp_path / "new").exists()
