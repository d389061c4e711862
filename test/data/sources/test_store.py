"""Downloads, from a real server and a proxy that goes wrong as it is told."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from drumblender.data.library.folder import is_unfinished
from drumblender.data.sources import transfer
from drumblender.data.sources.credentials import ACCESS_KEY
from drumblender.data.sources.store import Store
from drumblender.errors import DrumblenderError

CONTENT = os.urandom(3 << 20)
HALF = len(CONTENT) // 2


@pytest.fixture
def stored(client, store):
    """An object in the bucket."""
    client.put_object(Bucket=store.bucket, Key="a.tar.gz", Body=CONTENT)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


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
        Store(store.url, bucket).download(key, tmp_path / "b")

    assert not list(tmp_path.iterdir())


def test_a_refusal_is_final_and_names_the_credentials(proxy, stored, tmp_path):
    proxy.fail(status=403, method="HEAD", times=None)

    with pytest.raises(DrumblenderError, match=rf"403 for .*; check {ACCESS_KEY} and"):
        proxy.store.download("a.tar.gz", tmp_path / "b")
    assert len(proxy.requests) == 1


def test_a_full_disk_is_noticed_before_and_in_between(store, stored, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    with monkeypatch.context() as patch:
        patch.setattr(transfer.shutil, "disk_usage", lambda path: usage)
        with pytest.raises(DrumblenderError, match=r"only 0.0 GB are free; make room"):
            store.download("a.tar.gz", tmp_path / "b")
    assert store.download("a.tar.gz", tmp_path / "b").read_bytes() == CONTENT


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
    assert is_unfinished(folder)
    proxy.rules.clear()
    there = contents(folder)
    (folder / "pack 0" / "sound_0.wav").write_bytes(b"!")  # of the right size, but another
    proxy.requests.clear()
    proxy.fail(status=503, path="sound_50", times=3)
    proxy.fail(after=1, path="sound_100", times=3)

    assert proxy.store.download_folder("raw/", folder) == 1003

    assert contents(folder) == recordings
    assert not is_unfinished(folder)
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
