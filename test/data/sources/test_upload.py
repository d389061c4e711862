"""Uploads, to a real server and a proxy that goes wrong as it is told."""

import contextlib
import functools
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from drumblender.data.sources.store import Store
from drumblender.data.sources.upload import upload
from drumblender.errors import DrumblenderError, UsageError

CONTENT = os.urandom(3 << 20)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("size", [5, 20 << 20], ids=["small", "in parts"])
def test_what_was_uploaded_can_be_downloaded(store, client, tmp_path, size):
    content = os.urandom(size)
    (tmp_path / "a.tar.gz").write_bytes(content)

    key = upload(store, tmp_path / "a.tar.gz")
    path = store.download(key, tmp_path / "new" / "b.tar.gz")

    assert path.read_bytes() == content
    assert names(path.parent) == ["b.tar.gz"]
    head = client.head_object(Bucket=store.bucket, Key="a.tar.gz")
    assert head["Metadata"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert head["ETag"].strip('"').endswith("-2") == (size > 5)


def test_an_object_is_replaced_only_with_force(store, tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(b"old")
    upload(store, path)
    path.write_bytes(b"newer")

    with pytest.raises(UsageError, match=r"drums already has a\.tar\.gz; .*--force"):
        upload(store, path)
    upload(store, path, force=True)

    assert store.download("a.tar.gz", tmp_path / "b").read_bytes() == b"newer"


def test_an_upload_goes_on_when_the_server_fails_for_a_moment(proxy, client, tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(CONTENT)
    proxy.fail(status=503, method="HEAD")
    proxy.fail(status=500, method="PUT")

    upload(proxy.store, path)

    body = client.get_object(Bucket="drums", Key="a.tar.gz")["Body"]
    assert body.read() == CONTENT


def test_an_upload_that_arrives_otherwise_is_an_error(store, client, tmp_path, monkeypatch):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(b"content")
    ask = Store.head

    def head_after_another_wrote(self, s3, key):
        client.put_object(Bucket="drums", Key=key, Body=b"CONTENT")
        return ask(self, s3, key)

    monkeypatch.setattr(Store, "head", head_after_another_wrote)
    with pytest.raises(DrumblenderError, match=r"not the same as .*--force"):
        upload(store, path, force=True)


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
        upload(proxy.store, path)

    assert client.get_object(Bucket="drums", Key=path.name)["Body"].read() == b"another"
    assert "Uploads" not in client.list_multipart_uploads(Bucket="drums")
    upload(proxy.store, path, force=True)
    assert client.get_object(Bucket="drums", Key=path.name)["Body"].read() == bytes(size)


def test_of_uploads_at_once_one_arrives(store, client, tmp_path):
    def upload_one(index):
        path = tmp_path / str(index) / "a.tar.gz"
        path.parent.mkdir()
        path.write_bytes(bytes([index]) * 1000)
        with contextlib.suppress(UsageError):
            upload(store, path)
            return path.read_bytes()

    with ThreadPoolExecutor(4) as pool:
        arrived = [content for content in pool.map(upload_one, range(4)) if content]

    assert arrived == [client.get_object(Bucket="drums", Key="a.tar.gz")["Body"].read()]


@pytest.mark.parametrize("status", [400, 501])
@pytest.mark.parametrize("size", [5, 20 << 20], ids=["small", "in parts"])
def test_a_store_that_knows_no_conditions_is_asked_without(proxy, client, tmp_path, status, size):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(bytes(size))
    for method in ("PUT", "POST"):
        proxy.fail(status=status, method=method, header="If-None-Match", times=None)

    upload(proxy.store, path)

    assert client.get_object(Bucket="drums", Key=path.name)["Body"].read() == bytes(size)
    parts = [path for method, path, _ in proxy.requests if "partNumber" in path]
    assert len(parts) == (2 if size > 5 else 0)  # each once
    with pytest.raises(UsageError, match=r"drums already has a\.tar\.gz; "):
        upload(proxy.store, path)


def test_an_upload_whose_answer_was_lost_is_no_other_upload(proxy, client, tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(CONTENT)
    proxy.fail(method="PUT", after=0)  # arrives, but the connection ends before the answer

    upload(proxy.store, path)

    assert client.get_object(Bucket="drums", Key=path.name)["Body"].read() == CONTENT


def test_what_a_store_refuses_is_not_tried_again(proxy, tmp_path, capsys):
    (tmp_path / "a.tar.gz").write_bytes(CONTENT)
    proxy.fail(status=403, method="PUT", times=None)

    with pytest.raises(DrumblenderError, match=r"answered 403 .*may use this bucket"):
        upload(proxy.store, tmp_path / "a.tar.gz")
    assert "trying again" not in capsys.readouterr().err
