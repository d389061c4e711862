"""The tags that music programs put in front of a sound or behind it."""

import struct
from typing import BinaryIO

from drumblender.files.streams import read_at


def behind_tags(file: BinaryIO, size: int) -> int:
    """Return the position behind ID3v2 and APE tags, which may stand in front of any format."""
    start = 0
    while True:
        header = read_at(file, start, 32)
        if header[:3] == b"ID3" and len(header) >= 10 and max(header[6:10]) < 0x80:
            length = 0
            for byte in header[6:10]:
                length = length << 7 | byte
            length += 20 if header[5] & 0x10 else 10
        elif header[:8] == b"APETAGEX" and len(header) == 32:
            length = 32 + struct.unpack_from("<I", header, 12)[0]
        else:
            break
        if start + length >= size:
            return start
        start += length
    if start:  # some tags end in zeros that they do not count
        while True:
            block = read_at(file, start, 1 << 16)
            start += len(block) - len(block.lstrip(b"\0"))
            if not block or block.lstrip(b"\0"):
                break
    return start


def before_tags(file: BinaryIO, start: int, end: int) -> int:
    """Return the position before the ID3v1, APE, Lyrics3 and ID3v2 tags at the end of a file."""
    while True:
        last = read_at(file, max(start, end - 128), min(128, end - start))
        length = 0
        if len(last) == 128 and last[:3] == b"TAG":
            length = 128
        elif last[-32:-24] == b"APETAGEX":
            length, _, flags = struct.unpack("<III", last[-20:-8])
            length += 32 if flags & 0x80000000 else 0
        elif last[-9:] == b"LYRICS200" and last[-15:-9].isdigit():
            length = 15 + int(last[-15:-9])
        elif last[-10:-7] == b"3DI" and max(last[-4:]) < 0x80:
            for byte in last[-4:]:
                length = length << 7 | byte
            length += 20
        if not 0 < length < end - start:
            return end
        end -= length
