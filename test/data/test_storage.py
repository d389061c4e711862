"""Downloads and uploads, against a real server and a proxy that goes wrong as it is told."""

import contextlib
import functools
import hashlib
import http.server
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from drumblender.data import storage, transfer
from drumblender.errors import DrumblenderError, UsageError

CONTENT = os.urandom(3 << 20)
HALF = len(CONTENT) // 2


@pytest.fixture
def stored(client, store):
    """An object in the bucket."""
    client.put_object(Bucket=store.bucket, Key="a.tar.gz", Body=CONTENT)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# --- Up and down ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [5, 20 << 20], ids=["small", "in parts"])
def test_what_was_uploaded_can_be_downloaded(store, client, tmp_path, size):
    content = os.urandom(size)
    (tmp_path / "a.tar.gz").write_bytes(content)

    key = store.upload(tmp_path / "a.tar.gz")
    path = store.download(key, tmp_path / "new" / "b.tar.gz")

    assert path.read_bytes() == content
    assert names(path.parent) == ["b.tar.gz"]
    head = client.head_object(Bucket=store.bucket, Key="a.tar.gz")
    assert head["Metadata"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert head["ETag"].strip('"').endswith("-2") == (size > 5)


def test_an_object_is_replaced_only_with_force(store, tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(b"old")
    store.upload(path)
    path.write_bytes(b"newer")

    with pytest.raises(UsageError, match=r"drums already has a\.tar\.gz; .*--force"):
        store.upload(path)
    store.upload(path, force=True)

    assert store.download("a.tar.gz", tmp_path / "b").read_bytes() == b"newer"


def test_an_upload_goes_on_when_the_server_fails_for_a_moment(proxy, client, tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(CONTENT)
    proxy.fail(status=503, method="HEAD")
    proxy.fail(status=500, method="PUT")

    proxy.store.upload(path)

    body = client.get_object(Bucket="drums", Key="a.tar.gz")["Body"]
    assert body.read() == CONTENT


def test_an_upload_that_arrives_otherwise_is_an_error(store, client, tmp_path, monkeypatch):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(b"content")
    ask = storage.Store._head

    def head_after_another_wrote(self, s3, key):
        client.put_object(Bucket="drums", Key=key, Body=b"CONTENT")
        return ask(self, s3, key)

    monkeypatch.setattr(storage.Store, "_head", head_after_another_wrote)
    with pytest.raises(DrumblenderError, match=r"not the same as .*--force"):
        store.upload(path, force=True)


@pytest.mark.parametrize(
    ("size", "request_before", "ignored"),
    [
        (5, ("PUT", "a.tar.gz"), False),
        (20 << 20, ("POST", "uploadId"), False),
        # Where the store ignores conditions, the last look is before the object is made.
        (20 << 20, ("PUT", "partNumber=2"), True),
    ],
)
def test_an_upload_replaces_none_that_comes_between(
    proxy, client, tmp_path, size, request_before, ignored
):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(bytes(size))
    proxy.ignores_conditions = ignored
    another = functools.partial(client.put_object, Bucket="drums", Key=path.name, Body=b"another")
    proxy.meanwhile = (*request_before, another)

    with pytest.raises(UsageError, match=r"already has a\.tar\.gz, from another upload.*--force"):
        proxy.store.upload(path)

    assert client.get_object(Bucket="drums", Key=path.name)["Body"].read() == b"another"
    assert "Uploads" not in client.list_multipart_uploads(Bucket="drums")
    proxy.store.upload(path, force=True)
    assert client.get_object(Bucket="drums", Key=path.name)["Body"].read() == bytes(size)


def test_of_uploads_at_once_one_arrives(store, client, tmp_path):
    def upload(index):
        path = tmp_path / str(index) / "a.tar.gz"
        path.parent.mkdir()
        path.write_bytes(bytes([index]) * 1000)
        with contextlib.suppress(UsageError):
            store.upload(path)
            return path.read_bytes()

    with ThreadPoolExecutor(4) as pool:
        arrived = [content for content in pool.map(upload, range(4)) if content]

    assert arrived == [client.get_object(Bucket="drums", Key="a.tar.gz")["Body"].read()]


@pytest.mark.parametrize("status", [400, 501])
@pytest.mark.parametrize("size", [5, 20 << 20], ids=["small", "in parts"])
def test_a_store_that_knows_no_conditions_is_asked_without(proxy, client, tmp_path, status, size):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(bytes(size))
    for method in ("PUT", "POST"):
        proxy.fail(status=status, method=method, header="If-None-Match", times=None)

    proxy.store.upload(path)

    assert client.get_object(Bucket="drums", Key=path.name)["Body"].read() == bytes(size)
    parts = [path for method, path, _ in proxy.requests if "partNumber" in path]
    assert len(parts) == (2 if size > 5 else 0)  # each once
    with pytest.raises(UsageError, match=r"drums already has a\.tar\.gz; "):
        proxy.store.upload(path)


def test_an_upload_whose_answer_was_lost_is_no_other_upload(proxy, client, tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(CONTENT)
    proxy.fail(method="PUT", after=0)  # arrives, but the connection ends before the answer

    proxy.store.upload(path)

    assert client.get_object(Bucket="drums", Key=path.name)["Body"].read() == CONTENT


def test_what_a_store_refuses_is_not_tried_again(proxy, tmp_path, capsys):
    (tmp_path / "a.tar.gz").write_bytes(CONTENT)
    proxy.fail(status=403, method="PUT", times=None)

    with pytest.raises(DrumblenderError, match=r"answered 403 .*may use this bucket"):
        proxy.store.upload(tmp_path / "a.tar.gz")
    assert "trying again" not in capsys.readouterr().err


# --- What goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_fault_that_goes_away_is_waited_for(proxy, stored, tmp_path, capsys, status):
    proxy.fail(status=status, method="HEAD", times=2)
    proxy.fail(status=status, method="GET", times=2)

    assert proxy.store.download("a.tar.gz", tmp_path / "b").read_bytes() == CONTENT
    assert f"the object store answered {status}; trying again" in capsys.readouterr().err


@pytest.mark.parametrize("status", [500, 503])
def test_a_fault_that_stays_is_an_error_and_later_it_works(proxy, stored, tmp_path, status):
    proxy.fail(status=status, times=None)

    with pytest.raises(DrumblenderError, match=rf"cannot be had: .*{status} \(5 attempts\)"):
        proxy.store.download("a.tar.gz", tmp_path / "b")

    assert not (tmp_path / "b").exists()
    proxy.rules.clear()
    assert proxy.store.download("a.tar.gz", tmp_path / "b").read_bytes() == CONTENT


def test_a_connection_that_is_cut_again_and_again_goes_on_where_it_was(proxy, stored, tmp_path):
    # More often than there are attempts: each brings something.
    proxy.fail(after=len(CONTENT) // 10, times=8)

    assert proxy.store.download("a.tar.gz", tmp_path / "b").read_bytes() == CONTENT
    ranges = proxy.ranges()
    assert len(ranges) == 9
    assert ranges[0] is None
    assert ranges[-1] == f"bytes={8 * (len(CONTENT) // 10)}-"
    assert names(tmp_path) == ["b"]


def test_a_server_that_stalls_is_given_up_and_asked_again(proxy, stored, tmp_path, monkeypatch):
    monkeypatch.setenv(transfer.TIMEOUT, "1")
    proxy.fail(after=HALF, how="stall")

    assert proxy.store.download("a.tar.gz", tmp_path / "b").read_bytes() == CONTENT
    assert proxy.ranges()[:2] == [None, f"bytes={HALF}-"]


def test_a_stopped_download_goes_on_in_the_next_run(proxy, stored, tmp_path):
    proxy.fail(after=HALF)
    proxy.fail(status=503, times=None)
    with pytest.raises(DrumblenderError, match="goes on where it stopped"):
        proxy.store.download("a.tar.gz", tmp_path / "b")
    assert names(tmp_path) == [".b.part", ".b.part.json"]
    proxy.rules.clear()
    proxy.requests.clear()

    assert proxy.store.download("a.tar.gz", tmp_path / "b").read_bytes() == CONTENT
    assert proxy.ranges() == [f"bytes={HALF}-"]
    assert names(tmp_path) == ["b"]


def test_another_version_by_then_is_downloaded_from_the_start(proxy, stored, client, tmp_path):
    proxy.fail(after=HALF)
    proxy.fail(status=503, times=None)
    with pytest.raises(DrumblenderError):
        proxy.store.download("a.tar.gz", tmp_path / "b")
    proxy.rules.clear()
    client.put_object(Bucket="drums", Key="a.tar.gz", Body=CONTENT[::-1])

    assert proxy.store.download("a.tar.gz", tmp_path / "b").read_bytes() == CONTENT[::-1]


def test_all_but_the_name_was_there_when_it_was_stopped(proxy, stored, tmp_path):
    proxy.fail(after=HALF)
    proxy.fail(status=503, times=None)
    with pytest.raises(DrumblenderError):
        proxy.store.download("a.tar.gz", tmp_path / "b")
    proxy.rules.clear()
    (tmp_path / ".b.part").write_bytes(CONTENT)

    assert proxy.store.download("a.tar.gz", tmp_path / "b").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "note",
    [
        b"", b"\xff\xfe", bytes(30), b"[]", b"5", b"[" * 100_000, b'{"source": 5}',
        b'{"source": "SOURCE", "tag": [1], "size": 5}',
        b'{"source": "SOURCE", "tag": "a\\nb", "size": 5}',
        b'{"source": "SOURCE", "tag": "\xc3\xa9", "size": 5}',
        b'{"source": "SOURCE", "tag": "x", "size": "y"}',
        b'{"source": "SOURCE", "tag": "x", "size": -5}',
        b'{"source": "SOURCE", "tag": "x", "size": 1e999}',
    ],
)  # fmt: skip
def test_a_damaged_note_of_a_download_begins_it_anew(proxy, stored, tmp_path, note):
    source = proxy.store.name("a.tar.gz").encode()
    (tmp_path / ".b.part").write_bytes(CONTENT[:HALF])
    (tmp_path / ".b.part.json").write_bytes(note.replace(b"SOURCE", source))

    assert proxy.store.download("a.tar.gz", tmp_path / "b").read_bytes() == CONTENT
    assert names(tmp_path) == ["b"]


def test_an_answer_that_ends_early_is_not_taken_for_the_whole(proxy, stored, tmp_path):
    proxy.fail(after=HALF, how="end")

    assert proxy.store.download("a.tar.gz", tmp_path / "b").read_bytes() == CONTENT
    assert proxy.ranges() == [None, f"bytes={HALF}-"]


def test_content_that_changed_on_the_way_is_noticed(proxy, stored, tmp_path):
    proxy.fail(after=HALF)
    proxy.fail(status=503, times=None)
    with pytest.raises(DrumblenderError):
        proxy.store.download("a.tar.gz", tmp_path / "b")
    proxy.rules.clear()
    part = tmp_path / ".b.part"
    part.write_bytes(bytes([part.read_bytes()[0] ^ 1]) + part.read_bytes()[1:])

    with pytest.raises(DrumblenderError, match=r"came with the (crc32|md5) \w+ instead of \w+"):
        proxy.store.download("a.tar.gz", tmp_path / "b")
    assert names(tmp_path) == []
    assert proxy.store.download("a.tar.gz", tmp_path / "b").read_bytes() == CONTENT


@pytest.mark.parametrize("where", ["in the configuration", "of the store", "with the object"])
def test_a_wrong_sha256_is_noticed_wherever_it_comes_from(store, client, tmp_path, where):
    wrong = hashlib.sha256(b"other").hexdigest()
    options = {"Metadata": {"sha256": wrong}} if where == "with the object" else {}
    client.put_object(Bucket="drums", Key="a", Body=CONTENT, **options)
    sha256 = wrong if where == "in the configuration" else None
    if where == "of the store":
        right = hashlib.sha256(CONTENT).hexdigest()
        assert store.download("a", tmp_path / "b", right).read_bytes() == CONTENT
        return

    with pytest.raises(DrumblenderError, match=f"came with the sha256 .* instead of {wrong}"):
        store.download("a", tmp_path / "b", sha256)


@pytest.mark.parametrize(("bucket", "key"), [("drums", "nothing.tar.gz"), ("no-such", "a.tar.gz")])
def test_a_wrong_bucket_or_key_names_the_options(store, tmp_path, bucket, key):
    with pytest.raises(DrumblenderError, match=rf"404 for .*/{bucket}/{key}; check bucket"):
        storage.Store(store.url, bucket).download(key, tmp_path / "b")

    assert not list(tmp_path.iterdir())


def test_a_refusal_is_final_and_names_the_credentials(proxy, stored, tmp_path):
    proxy.fail(status=403, method="HEAD", times=None)

    with pytest.raises(DrumblenderError, match=rf"403 for .*; check {storage.ACCESS_KEY} and"):
        proxy.store.download("a.tar.gz", tmp_path / "b")
    assert len(proxy.requests) == 1


def test_a_full_disk_is_noticed_before_and_in_between(store, stored, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    with monkeypatch.context() as patch:
        patch.setattr(transfer.shutil, "disk_usage", lambda path: usage)
        with pytest.raises(DrumblenderError, match=r"only 0.0 GB are free; make room"):
            store.download("a.tar.gz", tmp_path / "b")
    assert store.download("a.tar.gz", tmp_path / "b").read_bytes() == CONTENT


# --- Credentials ---------------------------------------------------------------------------------


def test_without_credentials_a_bucket_for_everyone_can_be_read(
    proxy, client, tmp_path, monkeypatch
):
    client.put_object(Bucket="drums", Key="a.tar.gz", Body=CONTENT, ACL="public-read")
    monkeypatch.delenv(storage.ACCESS_KEY)
    monkeypatch.delenv(storage.SECRET_KEY)

    assert proxy.store.download("a.tar.gz", tmp_path / "b").read_bytes() == CONTENT
    assert not any("Authorization" in headers for _, _, headers in proxy.requests)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_without_credentials_another_bucket_says_which_to_set_and_where_to_get_them(
    proxy, stored, tmp_path, monkeypatch, status
):
    monkeypatch.delenv(storage.ACCESS_KEY)
    monkeypatch.delenv(storage.SECRET_KEY)
    proxy.fail(status=status, method="HEAD")

    with pytest.raises(
        UsageError, match=f"set {storage.ACCESS_KEY} and {storage.SECRET_KEY} .* dashboard"
    ):
        proxy.store.download("a.tar.gz", tmp_path / "b")


def test_half_of_the_credentials_is_an_error(store, monkeypatch):
    monkeypatch.delenv(storage.ACCESS_KEY)

    with pytest.raises(UsageError, match=f"{storage.ACCESS_KEY} is not set"):
        store.client()


def test_credentials_come_from_a_dotenv_file(store, tmp_path, monkeypatch):
    monkeypatch.delenv(storage.ACCESS_KEY)
    monkeypatch.delenv(storage.SECRET_KEY)
    (tmp_path / ".env").write_text(f"{storage.ACCESS_KEY}=from-file\n{storage.SECRET_KEY}=s\n")

    assert store.client()._request_signer._credentials.access_key == "from-file"


def test_a_dotenv_file_that_is_no_text_is_named(store, tmp_path, monkeypatch):
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe\n")

    with pytest.raises(UsageError, match=r"\.env cannot be read as text in UTF-8; correct"):
        store.client()


def test_a_key_that_cannot_stand_in_a_header_is_an_error_that_does_not_show_it(store, monkeypatch):
    monkeypatch.setenv(storage.SECRET_KEY, "line one\nline two")

    with pytest.raises(UsageError) as caught:
        store.client()
    assert "line" not in str(caught.value)


def test_no_credentials_appear_in_errors_and_logs(store, tmp_path, caplog, capsys, monkeypatch):
    monkeypatch.setattr(transfer, "_PAUSE_S", 0.0)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(DrumblenderError) as caught:
        storage.Store("http://127.0.0.1:9", "drums").download("a", tmp_path / "b")

    assert "127.0.0.1:9/drums/a cannot be had: there is no connection" in str(caught.value)
    assert caught.value.__suppress_context__
    output = capsys.readouterr()
    for secret in ("an-access-key", "a-secret-key"):
        assert secret not in f"{caught.value} {output.out} {output.err} {caplog.text}"


# --- Raw folders ---------------------------------------------------------------------------------


@pytest.fixture
def recordings(client, store):
    """More objects than one listing holds, below a prefix; name -> content."""
    files = {f"pack {i % 3}/sound_{i}.wav": b"%d" % i * (i % 7 + 1) for i in range(1003)}

    def put(item):
        client.put_object(Bucket=store.bucket, Key=f"raw/{item[0]}", Body=item[1])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, files.items()))
    client.put_object(Bucket=store.bucket, Key="raw/pack 0/", Body=b"")
    client.put_object(Bucket=store.bucket, Key="rawer/other.wav", Body=b"no")
    return files


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.slow
def test_a_raw_folder_of_many_objects_goes_on_and_skips_what_is_whole(
    proxy, client, recordings, tmp_path
):
    folder = tmp_path / "raw"
    proxy.fail(status=403, path="sound_500.wav", times=None)
    with pytest.raises(DrumblenderError, match="403"):
        proxy.store.download_folder("raw", folder)
    assert storage.is_unfinished(folder)
    proxy.rules.clear()
    there = contents(folder)
    (folder / "pack 0" / "sound_0.wav").write_bytes(b"!")  # of the right size, but another
    proxy.requests.clear()
    proxy.fail(status=503, path="sound_50", times=3)
    proxy.fail(after=1, path="sound_100", times=3)

    assert proxy.store.download_folder("raw/", folder) == 1003

    assert contents(folder) == recordings
    assert not storage.is_unfinished(folder)
    assert proxy.store.download_folder("raw", folder) == 0  # as for one that waited
    asked = {path.rpartition("/")[2] for _, path, _ in proxy.requests}
    whole = {name.rpartition("/")[2] for name in there} - {"sound_0.wav"}
    assert "sound_0.wav" in asked
    assert not asked & whole


@pytest.mark.parametrize("key", ["raw/../../escaped", "raw//etc/escaped", "raw/a\\..\\b"])
def test_a_key_that_leaves_the_folder_is_refused(store, client, tmp_path, key):
    client.put_object(Bucket=store.bucket, Key=key, Body=b"x")

    with pytest.raises(DrumblenderError, match="outside the raw folder"):
        store.download_folder("raw", tmp_path / "in" / "raw")
    assert [path.name for path in tmp_path.rglob("*")] == ["in"]


def test_a_prefix_without_objects_names_the_options(store, tmp_path):
    with pytest.raises(DrumblenderError, match="drums/nothing/ holds no objects; check bucket"):
        store.download_folder("nothing", tmp_path / "raw")


# --- Public files --------------------------------------------------------------------------------


class Web(http.server.BaseHTTPRequestHandler):
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

    def log_message(self, *args):
        pass


@pytest.fixture
def web(monkeypatch):
    monkeypatch.setattr(transfer, "_PAUSE_S", 0.0)
    Web.seen = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", ["whole", "again", "half", "half-range", "chunked"])
def test_a_public_file_needs_no_credentials(web, tmp_path, path):
    assert storage.download_public(f"{web}/{path}", tmp_path / "a").read_bytes() == CONTENT
    assert names(tmp_path) == ["a"]
    # Where the server does not know ranges it sends all again.
    asked = [wanted for _, wanted in Web.seen]
    assert asked == {"again": [None, None]}.get(
        path, [None, f"bytes={HALF}-"] if "half" in path else [None]
    )


def test_a_sha256_holds_for_public_files_too(web, tmp_path):
    right = hashlib.sha256(CONTENT).hexdigest()
    storage.download_public(f"{web}/whole", tmp_path / "a", right.upper())

    with pytest.raises(DrumblenderError, match="came with the sha256"):
        storage.download_public(f"{web}/whole", tmp_path / "b", right[::-1])
    with pytest.raises(UsageError, match="sha256 'abc' is none"):
        storage.download_public(f"{web}/whole", tmp_path / "b", "abc")


@pytest.mark.parametrize(
    ("path", "message"), [("gone", r"status 404.*archive_url"), ("endless", "without a length")]
)
def test_a_public_download_that_fails_leaves_nothing(web, tmp_path, path, message):
    with pytest.raises(DrumblenderError, match=message):
        storage.download_public(f"{web}/{path}", tmp_path / "a")

    assert not list(tmp_path.iterdir())


def test_what_is_secret_in_an_address_appears_nowhere(web, tmp_path, capsys):
    address = web.replace("://", "://me:password@") + "/{}?X-Amz-Signature=secret"
    for path in ("gone", "again"):
        with contextlib.suppress(DrumblenderError):
            storage.download_public(address.format(path), tmp_path / "a")
    with pytest.raises(DrumblenderError) as caught:
        storage.download_public(address.format("gone"), tmp_path / "b")

    text = str(caught.value) + capsys.readouterr().err
    assert web + "/gone" in text
    assert "password" not in text
    assert "secret" not in text
