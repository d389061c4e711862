"""Open a port, serve the page on it, and show it in a browser."""

import contextlib
import ipaddress
import os
import socket
import sys
import threading
import webbrowser
from typing import Optional

import uvicorn
from starlette.types import ASGIApp

from drumblender.app.guard import LOOPBACK, Guard
from drumblender.errors import DrumblenderError, UsageError

_PATIENCE_S = 3  # for answers that are under way when the program is stopped


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a host.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "studio")]
    [True, True, True, False, False]
    """
    try:
        return host in LOOPBACK or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_password(host: str, password: Optional[str]) -> None:
    """Check that a server that others reach has a password.

    Raises:
        UsageError: if it has none, or an empty one.
    """
    if password == "":
        raise UsageError("--password is empty; give one, or leave the option out.")
    if password is None and not is_loopback(host):
        raise UsageError(
            f"--host {host} lets other machines reach this page; give a password with "
            "DRUMBLENDER_PASSWORD in the environment, or with --password."
        )


def listen(host: str, port: int) -> socket.socket:
    """Open a port.

    Args:
        host: name or address to listen at.
        port: number of the port. 0 stands for any that is free.

    Raises:
        DrumblenderError: if the port is in use, or the host is not this machine.
    """
    option = "--port" if port else "--host"
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        opened = socket.socket(family, kind)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(128)
        return opened
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DrumblenderError(
            f"{option}: {host}:{port} cannot be opened ({reason.lower()}); give another one."
        ) from error


def address_of(opened: socket.socket, host: str) -> str:
    """Return the address at which a browser on this machine finds the page."""
    port = opened.getsockname()[1]
    name = "127.0.0.1" if host in ("0.0.0.0", "") else "[::1]" if host == "::" else host
    name = f"[{name}]" if ":" in name and not name.startswith("[") else name
    return f"http://{name}:{port}/"


def server_of(app: ASGIApp, host: str, password: Optional[str]) -> uvicorn.Server:
    """Make the server of a page, behind its guard.

    Args:
        app: application of the page.
        host: host that it is served at.
        password: password that requests have to bring. None if there is none.
    """
    hosts = frozenset({*LOOPBACK, host.lower()}) if is_loopback(host) else None
    guarded = Guard(app, hosts, password)
    return uvicorn.Server(
        uvicorn.Config(
            guarded,
            log_level="critical",  # what goes wrong is told by the page, and by --debug
            access_log=False,
            server_header=False,
            ws="none",
            lifespan="on",
            timeout_graceful_shutdown=_PATIENCE_S,
        )
    )


def serve(
    app: ASGIApp, opened: socket.socket, host: str, password: Optional[str], show: bool
) -> None:
    """Serve the page until the program is stopped, as by Ctrl-C.

    Args:
        app: application of the page.
        opened: port from :func:`listen`.
        host: host that was listened at.
        password: password that requests have to bring. None if there is none.
        show: whether to open the page in a browser.
    """
    address = address_of(opened, host)
    print(f"Drumblender is at {address} (stop it with Ctrl-C).", flush=True)
    if show and has_screen():
        # Connections wait in the port until the server has begun.
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    # The usual end of it, and no error.
    with contextlib.suppress(KeyboardInterrupt):
        server_of(app, host, password).run(sockets=[opened])


def has_screen() -> bool:
    """Return whether a browser would have a window. In a terminal, it would get in the way."""
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
