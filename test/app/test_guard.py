"""Requests that are not of the page are refused, whoever makes them."""

import asyncio

import pytest
from starlette.responses import PlainTextResponse

from drumblender.app.guard import LOOPBACK, Guard


def ask(guard, method="GET", **headers):
    """Send a request through a guard; gives status and headers of the answer."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": "/",
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ],
    }
    asyncio.run(guard(scope, receive, send))
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


@pytest.fixture
def guard():
    return Guard(PlainTextResponse("the page"), LOOPBACK)


@pytest.mark.parametrize("host", ["127.0.0.1:80", "localhost:1234", "[::1]:80", "LOCALHOST"])
def test_the_own_hosts_are_answered(guard, host):
    assert ask(guard, host=host)[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "127.0.0.1.evil.example"])
def test_a_name_that_somebody_else_lets_point_here_is_refused(guard, host):
    assert ask(guard, host=host)[0] == 421


def test_a_request_without_any_host_is_refused(guard):
    assert ask(guard)[0] == 421


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1", "x"]
)
def test_a_post_from_another_site_is_refused(guard, origin):
    assert ask(guard, "POST", host="127.0.0.1:80", origin=origin)[0] == 403


def test_the_page_itself_may_post(guard):
    headers = {"origin": "http://127.0.0.1:80", "sec_fetch_site": "same-origin"}
    assert ask(guard, "POST", host="127.0.0.1:80", **headers)[0] == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_may_link_here_but_show_and_send_nothing(guard, site):
    headers = {"host": "localhost", "sec_fetch_site": site}
    assert ask(guard, sec_fetch_mode="navigate", **headers)[0] == 200
    assert ask(guard, sec_fetch_mode="no-cors", **headers)[0] == 403
    assert ask(guard, "POST", sec_fetch_mode="navigate", **headers)[0] == 403


def test_every_answer_forbids_to_load_anything_from_elsewhere(guard):
    for answer in (ask(guard, host="localhost"), ask(guard, host="evil.example")):
        policy = answer[1]["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "http" not in policy
        assert answer[1]["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 401),
        ({"authorization": "Basic YW55Om9wZW4gc2VzYW1l"}, 200),  # any:open sesame
        ({"authorization": "basic OnNlc2FtZQ=="}, 401),  # :sesame
        ({"authorization": "Basic YW55Om9wZW4gc2VzYW1l!"}, 401),
        ({"authorization": "Bearer YW55Om9wZW4gc2VzYW1l"}, 401),
        ({"authorization": "Basic"}, 401),
    ],
)
def test_a_password_is_asked_for(monkeypatch, given, status):
    monkeypatch.setattr("drumblender.app.guard._PAUSE_S", 0)
    guard = Guard(PlainTextResponse("the page"), None, "open sesame")
    answer = ask(guard, host="studio.example", **given)
    assert answer[0] == status
    assert ("www-authenticate" in answer[1]) == (status == 401)


def test_a_password_may_hold_any_letters(monkeypatch):
    monkeypatch.setattr("drumblender.app.guard._PAUSE_S", 0)
    guard = Guard(PlainTextResponse("the page"), None, "trömmel:kit")
    assert ask(guard, authorization="Basic OnRyw7ZtbWVsOmtpdA==")[0] == 200  # :trömmel:kit
