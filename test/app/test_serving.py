import socket

import pytest

from drumblender.app.serving import address_of, check_password, has_screen, is_loopback, listen
from drumblender.errors import DrumblenderError, UsageError


def test_a_port_is_free_and_answers_on_loopback_only():
    with listen("127.0.0.1", 0) as one, listen("127.0.0.1", 0) as other:
        ports = {opened.getsockname()[1] for opened in (one, other)}
        assert len(ports) == 2
        assert one.getsockname()[0] == "127.0.0.1"
        with socket.create_connection(one.getsockname(), 5):
            pass
        assert address_of(one, "127.0.0.1") == f"http://127.0.0.1:{one.getsockname()[1]}/"
        assert address_of(one, "0.0.0.0").startswith("http://127.0.0.1:")
        assert address_of(one, "::1").startswith("http://[::1]:")


def test_a_port_in_use_and_a_host_that_is_elsewhere_are_refused_in_a_sentence():
    with listen("127.0.0.1", 0) as opened:
        port = opened.getsockname()[1]
        with pytest.raises(DrumblenderError, match=f"--port: 127.0.0.1:{port} .*give another"):
            listen("127.0.0.1", port)
    with pytest.raises(DrumblenderError, match=r"--host: 192\.0\.2\.1:0 .*give another"):
        listen("192.0.2.1", 0)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "studio.example", ""])
def test_a_host_that_others_reach_needs_a_password(host):
    assert not is_loopback(host)
    with pytest.raises(UsageError, match="DRUMBLENDER_PASSWORD"):
        check_password(host, None)
    with pytest.raises(UsageError, match="empty"):
        check_password(host, "")
    check_password(host, "sesame")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.9.10"])
def test_loopback_needs_none(host):
    check_password(host, None)


def test_no_browser_is_opened_in_a_terminal(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not has_screen()
    monkeypatch.setenv("DISPLAY", ":0")
    assert has_screen()
