"""Downloads that nothing is lost of: retried, resumed, checked, and in place in one step.

What has arrived stands in ``.NAME.part`` beside its place, with a note of which version it is of.
A connection that breaks, stalls or is refused for the moment is tried again from there, and so does
the next run after a stop; if there is another version by then, it starts anew. Only a file whose
size and checksum are right gets its name.
"""

import abc
import base64
import contextlib
import hashlib
import json
import os
import queue
import shutil
import sys
import threading
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Callable, ContextManager, Dict, Mapping, Optional, Sequence, Tuple

from tqdm import tqdm

from drumblender.errors import DrumblenderError, UsageError
from drumblender.files import atomic

TIMEOUT = "DRUMBLENDER_NETWORK_TIMEOUT"
ATTEMPTS = 5  # without a byte in between

_PAUSE_S = 0.5
_BLOCK = 1 << 18


class Fault(Exception):
    """Something that may go away by itself; the message is what."""


@dataclass(frozen=True)
class Facts:
    """What a server says about a file.

    Attributes:
        size: in bytes; None when it does not say.
        tag: of this version; empty when there is none to resume by.
        checksums: name of the algorithm (sha256, sha1, md5, crc32) -> hexadecimal digits.
    """

    size: Optional[int]
    tag: str = ""
    checksums: Mapping[str, str] = field(default_factory=dict)


class Source(abc.ABC):
    """A file on the network.

    Attributes:
        name: that may be shown and stored.
    """

    name: str

    @abc.abstractmethod
    def open(self, offset: int, tag: str) -> Tuple[Facts, int, IO[bytes]]:
        """Facts, where the stream begins, and the stream.

        Args:
            offset: to begin at, if the version is still the one of ``tag``; else at 0.
            tag: of the version that is there in part.
        """

    @abc.abstractmethod
    def faults(self) -> ContextManager[None]:
        """Turns errors of the network into `Fault` or `DrumblenderError`."""


def network_timeout() -> float:
    """Seconds without a byte after which a connection counts as broken."""
    text = os.environ.get(TIMEOUT, "60")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise UsageError(f"{TIMEOUT} is {text!r}; set it to a number of seconds, such as 60.")
    return seconds


def fetch(
    source: Source,
    destination: Path,
    bar: tqdm,
    sha256: Optional[str] = None,
    stop: Optional[threading.Event] = None,
) -> Path:
    """Download a file, going on with what a stopped run left.

    Args:
        source: of it.
        destination: file to write.
        bar: to count its bytes.
        sha256: that it has to have; what the server says when None.
        stop: gives up when it is set.

    Raises:
        DrumblenderError: when the network, the disk or the content is at fault.
    """
    part = destination.with_name(f".{destination.name}.part")
    note = part.with_name(part.name + ".json")
    counted = 0

    def count(position: int) -> None:
        nonlocal counted
        bar.update(position - counted)
        counted = position

    def receive() -> Facts:
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


def patiently(name: str, action: Callable[[], Any], progress: Callable[[], int] = lambda: 0) -> Any:
    """Do something again while faults may go away, with longer and longer pauses.

    Args:
        name: what it is done with.
        action: raises `Fault`.
        progress: how far it came; while that grows, it counts as going well.
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


def in_threads(
    function: Callable[[Any, threading.Event], None], items: Sequence[Any], count: int
) -> None:
    """Call a function on many things at once, and stop at the first error or Ctrl-C.

    Args:
        function: of an item and of an event that says to stop.
        items: to call it on.
        count: how many at once.
    """
    tasks: queue.SimpleQueue = queue.SimpleQueue()
    outcomes: queue.SimpleQueue = queue.SimpleQueue()
    stop = threading.Event()
    for item in items:
        tasks.put(item)

    def work() -> None:
        while not stop.is_set():
            try:
                item = tasks.get_nowait()
            except queue.Empty:
                return
            try:
                function(item, stop)
                outcomes.put(None)
            except BaseException as error:
                outcomes.put(error)

    # Daemons: a read that hangs shall not hold up Ctrl-C.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(count, len(items)))]
    for thread in threads:
        thread.start()
    try:
        for _ in items:
            error = outcomes.get()
            if error is not None:
                stop.set()
                for thread in threads:
                    thread.join()
                raise error
    finally:
        stop.set()


def digests(path: Path, algorithms: Sequence[str]) -> Dict[str, str]:
    """Checksums of a file, in hexadecimal digits."""
    hashes = {
        name: hashlib.new(name, usedforsecurity=False) for name in algorithms if name != "crc32"
    }
    crc = 0
    with path.open("rb") as file:
        while True:
            block = file.read(_BLOCK)
            if not block:
                break
            for value in hashes.values():
                value.update(block)
            if "crc32" in algorithms:
                crc = zlib.crc32(block, crc)
    found = {name: value.hexdigest() for name, value in hashes.items()}
    return {**found, "crc32": f"{crc:08x}"} if "crc32" in algorithms else found


def from_base64(text: Optional[str]) -> str:
    """Hexadecimal digits of a checksum as HTTP writes it; empty when it is none.

    >>> from_base64("AAD/")
    '0000ff'
    """
    try:
        return base64.b64decode(text or "", validate=True).hex()
    except ValueError:
        return ""


def _begun(part: Path, note: Path, name: str) -> Tuple[int, str]:
    """How much is there of which version."""
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
    size = path.stat().st_size
    if facts.size is not None and size != facts.size:
        return f"{size} bytes instead of {facts.size}"
    wanted = {"sha256": sha256.lower()} if sha256 else facts.checksums
    found = digests(path, sorted(wanted))
    wrong = [name for name in sorted(wanted) if found[name] != wanted[name]]
    return f"the {wrong[0]} {found[wrong[0]]} instead of {wanted[wrong[0]]}" if wrong else ""


def _check_room(destination: Path, size: Optional[int], start: int) -> None:
    free = shutil.disk_usage(destination.parent).free
    if size is not None and size - start > free:
        raise DrumblenderError(
            f"{destination} takes {size / 1e9:.1f} GB but only {free / 1e9:.1f} GB are free; make "
            "room and run the same command again."
        )
