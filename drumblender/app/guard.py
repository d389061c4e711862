"""What stands between the network and the page.

A page on loopback can be reached by every website that is open in the same browser, and by names
that such a website lets point to loopback. So a request has to name the host that the server is,
and must not come from another website. A server that others can reach asks for a password, too.
"""

import asyncio
import base64
import binascii
import hmac
from typing import FrozenSet, Optional
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# Nothing is loaded from elsewhere, sent elsewhere, or shown inside of another page.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_PAUSE_S = 0.5  # after a wrong password


class Guard:
    """A layer around an application that refuses requests which are not of its own page.

    Args:
        app: the application.
        hosts: names of hosts that requests may ask for. None stands for any, which needs a
            password.
        password: password that every request has to bring (HTTP Basic, with any user name). None
            if there is none.
    """

    def __init__(
        self, app: ASGIApp, hosts: Optional[FrozenSet[str]], password: Optional[str] = None
    ):
        self._app = app
        self._hosts = hosts
        self._password = password

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        refusal = await self._refusal(scope)

        async def send_with_headers(message: Message) -> None:
            """Add the headers that every answer has."""
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await (refusal or self._app)(scope, receive, send_with_headers)

    async def _refusal(self, scope: Scope) -> Optional[Response]:
        """Return the answer to a request that is refused, or None."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._hosts is not None and _name_of(host) not in self._hosts:
            text = f"This server is not {host}; open the address that drumblender-app printed."
            return PlainTextResponse(text, 421)
        if _is_of_another_site(headers, host, scope["method"]):
            text = "This request comes from another website; open the page itself."
            return PlainTextResponse(text, 403)
        if self._password is not None and not _brings(headers, self._password):
            if "authorization" in headers:
                await asyncio.sleep(_PAUSE_S)
            challenge = {"WWW-Authenticate": 'Basic realm="Drumblender", charset="UTF-8"'}
            text = "Give the password that drumblender-app was started with; any user name will do."
            return PlainTextResponse(text, 401, challenge)
        return None


def _name_of(host: str) -> Optional[str]:
    """Return the name in a host and port.

    >>> [_name_of(host) for host in ("LOCALHOST:80", "[::1]:80", "127.0.0.1", "[::1", "")]
    ['localhost', '::1', '127.0.0.1', None, None]
    """
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_of_another_site(headers: Headers, host: str, method: str) -> bool:
    """Return whether a request was made by another page than that of this server."""
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != host.lower():
        return True
    # A link on another page may lead here; nothing else may.
    is_link = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
    site = headers.get("sec-fetch-site", "none")
    return site not in ("none", "same-origin") and not is_link


def _brings(headers: Headers, password: str) -> bool:
    """Return whether a request brings the password."""
    kind, _, encoded = headers.get("authorization", "").partition(" ")
    try:
        _, _, given = base64.b64decode(encoded, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return False
    return kind.lower() == "basic" and hmac.compare_digest(given, password.encode())
