"""What a browser sends: names, files and JSON, none of them larger than it may be."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request

from drumblender.errors import DrumblenderError, UsageError

NAME = "X-Drumblender-Name"  # the header with the name of a file
# Of a file that is dropped on the page, and of what else it sends, in bytes.
LARGEST_RECORDING, LARGEST_REQUEST = 100 * 2**20, 2**20
_LONGEST_NAME = 100
_MOST_BRACKETS = 500


class TooLarge(DrumblenderError):
    """The error of a file that is larger than the page takes."""


def name_of(request: Request) -> str:
    """Return the name of the file that a request brings, short and without folders."""
    return shorten(unquote(request.headers.get(NAME, "")))


def shorten(text: str) -> str:
    """Return the name in a path, without what cannot be read and not too long.

    >>> shorten("../kits/snare.wav"), shorten("")
    ('snare.wav', 'recording')
    """
    name = text.replace("\\", "/").rpartition("/")[2].strip()
    name = "".join(letter for letter in name if letter.isprintable())
    if len(name) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME - 10]}...{name[-7:]}"
    return name or "recording"


def renamed(error: DrumblenderError, path: Path, name: str) -> DrumblenderError:
    """Let an error speak of the name that a person knows, and not of a temporary file."""
    return DrumblenderError(str(error).replace(str(path), name))


async def save(request: Request, path: Path, name: str) -> None:
    """Write what a request brings to a file.

    Args:
        request: the request.
        path: file to write.
        name: name by which an error calls what is brought.

    Raises:
        TooLarge: if it is larger than ``LARGEST_RECORDING``.
    """
    size = 0
    with path.open("wb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            # Read to its end all the same: a browser takes no answer before.
            if size <= LARGEST_RECORDING:
                file.write(chunk)
    if size > LARGEST_RECORDING:
        raise TooLarge(f"{name} is larger than {LARGEST_RECORDING >> 20} MB; cut or convert it.")


async def read(request: Request, most: int) -> bytes:
    """Return what a request brings.

    Raises:
        TooLarge: if it is larger than ``most`` bytes.
    """
    data = bytearray()
    async for chunk in request.stream():
        data += chunk[: most + 1 - len(data)]
    if len(data) > most:
        raise TooLarge(f"This is larger than {most >> 20} MB, too large for what it has to be.")
    return bytes(data)


async def read_json(request: Request) -> Any:
    """Return the JSON that a request brings.

    Raises:
        TooLarge: if it is larger than ``LARGEST_REQUEST``.
        UsageError: if it is no JSON, or nested deeper than anything that the page sends.
    """
    data = await read(request, LARGEST_REQUEST)
    try:
        # More than anything here is nested, and less than Python's reader bears.
        if data.count(b"[") + data.count(b"{") > _MOST_BRACKETS:
            raise ValueError("too many brackets")
        return json.loads(data or b"null")
    except ValueError as error:
        raise UsageError("The request is no JSON for this page; reload it.") from error
