"""Checksums of files, as servers tell them and as they are."""

import base64
import hashlib
import re
import zlib
from pathlib import Path
from typing import Dict, Optional, Sequence

from drumblender.errors import DrumblenderError, UsageError

_BLOCK = 1 << 18
_MD5 = re.compile(r"[0-9a-f]{32}")


def digests(path: Path, algorithms: Sequence[str]) -> Dict[str, str]:
    """Compute checksums of a file, in hexadecimal digits."""
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


def check_sha256(path: Path, sha256: Optional[str]) -> None:
    """Refuse a file whose checksum is not the one that the configuration says, if it says one."""
    check_form(sha256)
    if sha256 is not None and digests(path, ["sha256"])["sha256"] != sha256.lower():
        raise DrumblenderError(
            f"{path} has not the sha256 that the configuration says; remove it to download the "
            "right one, or correct sha256."
        )


def check_form(sha256: Optional[str]) -> None:
    """Refuse what cannot be a checksum."""
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UsageError(
            f"sha256 {sha256!r} is none; set it to the 64 digits that the command sha256sum gives."
        )


def known_checksums(checksums: Dict[str, str], etag: str) -> Dict[str, str]:
    """Return the checksums that are not empty, with that which an entity tag may be."""
    if _MD5.fullmatch(etag):
        checksums["md5"] = etag
    return {name: value for name, value in checksums.items() if value}


def from_base64(text: Optional[str]) -> str:
    """Convert a checksum as HTTP writes it to hexadecimal digits, which are none if it is none.

    >>> from_base64("AAD/")
    '0000ff'
    """
    try:
        return base64.b64decode(text or "", validate=True).hex()
    except ValueError:
        return ""
