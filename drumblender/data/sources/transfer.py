"""Downloads that are tried again, go on where they stopped, and are checked.

The bytes that have arrived are in ``.NAME.part`` beside the file's place, with a note of their
version. If a connection breaks, stalls or is refused for the moment, the download is tried again
from there. So does the next run after a stop. If the file has another version by then, the download
starts anew. Only a file whose size and checksum are right gets its name.
"""

import abc
import contextlib
import json
import os
import shutil
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, ContextManager, Mapping, Optional, Protocol, Tuple

from tqdm import tqdm

from drumblender.data.sources.checksums import check_form, digests
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files import atomic
from drumblender.files.progress import BYTES
from drumblender.files.progress import progress as progress_bar

TIMEOUT = "DRUMBLENDER_NETWORK_TIMEOUT"
ATTEMPTS = 5  # in a row, during which not a byte comes

CONNECT_TIMEOUT_S = 10

_PAUSE_S = 0.5
_BLOCK = 1 << 18


class Fault(Exception):
    """An error that may go away by itself. The message says what is wrong."""


class Busy(Fault):
    """The fault of a server that gets more requests than it wants, and asks for fewer."""


@dataclass(frozen=True)
class Facts:
    """The facts that a server tells of a file.

    Attributes:
        size: size in bytes. None if the server does not say it.
        tag: mark of this version of the file. It is empty if a download cannot go on by it.
        checksums: hexadecimal digits by the name of the algorithm (sha256, sha1, md5, crc32).
    """

    size: Optional[int]
    tag: str = ""
    checksums: Mapping[str, str] = field(default_factory=dict)


class Stream(Protocol):
    """The bytes of a file as they arrive."""

    def read(self, count: int, /) -> bytes:
        """Return the next bytes, at most ``count``, and none at the end."""

    def close(self) -> None:
        """Let go of the connection."""


class RemoteFile(abc.ABC):
    """A file on the network.

    Attributes:
        name: name of the file in messages. It holds nothing that is secret.
    """

    name: str

    @abc.abstractmethod
    def open(self, offset: int, tag: str) -> Tuple[Facts, int, Stream]:
        """Open a stream of the file's bytes.

        Args:
            offset: position to begin at, if the version is still that of ``tag``. Otherwise the
                stream begins at 0.
            tag: tag of the version of which a part has arrived.

        Returns:
            The facts, the position at which the stream begins, and the stream.

        Raises:
            Fault: if it may work later.
            DrumblenderError: if it will not.
        """

    @abc.abstractmethod
    def faults(self) -> ContextManager[None]:
        """Return a context that turns errors of the network into `Fault` or `DrumblenderError`."""


def network_timeout() -> float:
    """Return the seconds without a byte after which a connection counts as broken.

    Raises:
        UsageError: if ``DRUMBLENDER_NETWORK_TIMEOUT`` is no such number.
    """
    text = os.environ.get(TIMEOUT, "60")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise UsageError(f"{TIMEOUT} is {text!r}; set it to a number of seconds, such as 60.")
    return seconds


def fetch(
    source: RemoteFile,
    destination: Path,
    bar: tqdm,
    sha256: Optional[str] = None,
    stop: Optional[threading.Event] = None,
) -> Path:
    """Download a file, and go on with what a stopped run left.

    Args:
        source: the remote file.
        destination: file to write.
        bar: progress bar that counts the bytes.
        sha256: checksum that the file has to have. None stands for those that the server tells.
        stop: event that makes the download give up once it is set.

    Raises:
        DrumblenderError: if the network, the disk or the content is at fault.
    """
    part = destination.with_name(f".{destination.name}.part")
    note = part.with_name(part.name + ".json")
    counted = 0

    def count(position: int) -> None:
        """Show how far the download is."""
        nonlocal counted
        bar.update(position - counted)
        counted = position

    def receive() -> Facts:
        """Receive bytes until the file is complete or the connection breaks."""
        offset, tag = _begun(part, note, source.name)
        with source.faults():
            facts, start, stream = source.open(offset, tag)
        with contextlib.closing(stream):
            _check_room(destination, facts.size, start)
            if bar.total is None:
                bar.total = facts.size
                bar.refresh()
            with part.open("r+b" if start else "wb") as file:
                file.seek(start)
                file.truncate()
                text = {"source": source.name, "tag": facts.tag, "size": facts.size}
                note.write_text(json.dumps(text))
                count(start)
                while True:
                    if stop is not None and stop.is_set():
                        raise DrumblenderError(f"The download of {source.name} was stopped.")
                    with source.faults():
                        block = stream.read(_BLOCK)
                    if not block:
                        break
                    file.write(block)
                    count(file.tell())
        if facts.size is not None and counted < facts.size:
            raise Fault(f"it broke off after {counted} of {facts.size} bytes")
        return facts

    with atomic.disk_errors(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
        facts = patiently(source.name, receive, lambda: counted)
        wrong = _differences(part, facts, sha256)
        if wrong:
            part.unlink()
            note.unlink()
            raise DrumblenderError(
                f"{source.name} came with {wrong}; run the command again, and if it happens again "
                "ask whoever put it there."
            )
        os.replace(part, destination)
        note.unlink()
    return destination


def download(source: RemoteFile, destination: Path, sha256: Optional[str] = None) -> Path:
    """Download a file, or wait for another process that does so at the same time.

    Args:
        source: the remote file.
        destination: file to write.
        sha256: checksum that the file has to have. None stands for those that the server tells.

    Raises:
        DrumblenderError: if the network, the disk or the content is at fault.
    """
    check_form(sha256)
    with atomic.exclusive(destination):
        if not destination.exists():
            with progress_bar(f"Download {destination.name}", None, **BYTES) as bar:
                fetch(source, destination, bar, sha256)
    return destination


def patiently(name: str, action: Callable[[], Any], progress: Callable[[], int] = lambda: 0) -> Any:
    """Do something again while faults may go away, with longer and longer pauses.

    Args:
        name: name of its object in messages.
        action: function to call. It raises `Fault`.
        progress: function that tells how far the action came. Attempts are counted anew when that
            has grown.

    Raises:
        DrumblenderError: after too many faults in a row.
    """
    failures, before = 0, progress()
    while True:
        try:
            return action()
        except Fault as fault:
            failures = 1 if progress() > before else failures + 1
            before = progress()
            if failures == ATTEMPTS:
                raise DrumblenderError(
                    f"{name} cannot be had: {fault} ({ATTEMPTS} attempts); check the "
                    "configuration and the network, and run the same command again, which goes on "
                    "where it stopped."
                ) from None
            pause = min(_PAUSE_S * 2**failures, network_timeout() / 10)
            tqdm.write(f"{name}: {fault}; trying again in {pause:.1f} s.", file=sys.stderr)
            time.sleep(pause)


def _begun(part: Path, note: Path, name: str) -> Tuple[int, str]:
    """Return how many bytes of a download are there, and the tag of their version."""
    try:
        begun = json.loads(note.read_text())
        size, tag, whole = part.stat().st_size, begun["tag"], begun["size"]
        # The tag goes into a header.
        if begun["source"] == name and tag and str.isprintable(tag) and tag.isascii():
            # Of a whole file, ask for the last byte again: there is no answer to none.
            return (max(0, min(size, int(whole) - 1)) if whole else 0), tag
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        pass
    return 0, ""


def _differences(path: Path, facts: Facts, sha256: Optional[str]) -> str:
    """Say how a downloaded file differs from what it should be, or nothing if it does not."""
    size = path.stat().st_size
    if facts.size is not None and size != facts.size:
        return f"{size} bytes instead of {facts.size}"
    wanted = {"sha256": sha256.lower()} if sha256 else facts.checksums
    found = digests(path, sorted(wanted))
    wrong = [name for name in sorted(wanted) if found[name] != wanted[name]]
    return f"the {wrong[0]} {found[wrong[0]]} instead of {wanted[wrong[0]]}" if wrong else ""


def _check_room(destination: Path, size: Optional[int], start: int) -> None:
    """Refuse a download if the disk has no room for the rest of it."""
    free = shutil.disk_usage(destination.parent).free
    if size is not None and size - start > free:
        raise DrumblenderError(
            f"{destination} takes {size / 1e9:.1f} GB but only {free / 1e9:.1f} GB are free; make "
            "room and run the same command again."
        )
