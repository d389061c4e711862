"""Where credentials come from, and that they are in no message."""

import logging
import os

import pytest

from drumblender.data.sources import transfer
from drumblender.data.sources.credentials import ACCESS_KEY, SECRET_KEY
from drumblender.data.sources.store import Store
from drumblender.errors import DrumblenderError, UsageError

CONTENT = os.urandom(3 << 20)


@pytest.fixture
def stored(client, store):
    """An object in the bucket."""
    client.put_object(Bucket=store.bucket, Key="a.tar.gz", Body=CONTENT)


def test_without_credentials_a_bucket_for_everyone_can_be_read(
    proxy, client, tmp_path, monkeypatch
):
    client.put_object(Bucket="drums", Key="a.tar.gz", Body=CONTENT, ACL="public-read")
    monkeypatch.delenv(ACCESS_KEY)
    monkeypatch.delenv(SECRET_KEY)

    assert proxy.store.download("a.tar.gz", tmp_path / "b").read_bytes() == CONTENT
    assert not any("Authorization" in headers for _, _, headers in proxy.requests)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_without_credentials_another_bucket_says_which_to_set_and_where_to_get_them(
    proxy, stored, tmp_path, monkeypatch, status
):
    monkeypatch.delenv(ACCESS_KEY)
    monkeypatch.delenv(SECRET_KEY)
    proxy.fail(status=status, method="HEAD")

    with pytest.raises(UsageError, match=f"set {ACCESS_KEY} and {SECRET_KEY} .* dashboard"):
        proxy.store.download("a.tar.gz", tmp_path / "b")


def test_half_of_the_credentials_is_an_error(store, monkeypatch):
    monkeypatch.delenv(ACCESS_KEY)

    with pytest.raises(UsageError, match=f"{ACCESS_KEY} is not set"):
        store.client()


def test_credentials_come_from_a_dotenv_file(store, tmp_path, monkeypatch):
    monkeypatch.delenv(ACCESS_KEY)
    monkeypatch.delenv(SECRET_KEY)
    (tmp_path / ".env").write_text(f"{ACCESS_KEY}=from-file\n{SECRET_KEY}=s\n")

    assert store.client()._request_signer._credentials.access_key == "from-file"


def test_a_dotenv_file_that_is_no_text_is_named(store, tmp_path, monkeypatch):
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe\n")

    with pytest.raises(UsageError, match=r"\.env cannot be read as text in UTF-8; correct"):
        store.client()


def test_a_key_that_cannot_stand_in_a_header_is_an_error_that_does_not_show_it(store, monkeypatch):
    monkeypatch.setenv(SECRET_KEY, "line one\nline two")

    with pytest.raises(UsageError) as caught:
        store.client()
    assert "line" not in str(caught.value)


def test_no_credentials_appear_in_errors_and_logs(store, tmp_path, caplog, capsys, monkeypatch):
    monkeypatch.setattr(transfer, "_PAUSE_S", 0.0)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(DrumblenderError) as caught:
        Store("http://127.0.0.1:9", "drums").download("a", tmp_path / "b")

    assert "127.0.0.1:9/drums/a cannot be had: there is no connection" in str(caught.value)
    assert caught.value.__suppress_context__
    output = capsys.readouterr()
    for secret in ("an-access-key", "a-secret-key"):
        assert secret not in f"{caught.value} {output.out} {output.err} {caplog.text}"
