"""The bytes of an audio file that are its sound.

libsndfile decodes well, but what surrounds the samples misleads it: tags in front of other formats
than MP3, sizes that a program which streams could not know, chunks behind the samples, or several
streams one after the other. So this module reads the containers that state a size. libsndfile gets
a header that says no more than there is, and the samples. A file that holds less than it says is
told apart from one that was streamed.
"""

import contextlib
import os
import struct
from typing import BinaryIO, List, Optional

from drumblender.files.chunks import (
    IFF_CHUNKS,
    LARGEST_CHUNK,
    MOST_CHUNKS,
    iff,
    wave,
    wave64,
)
from drumblender.files.extent import extent
from drumblender.files.mpeg import find_mpeg_streams, is_mpeg
from drumblender.files.streams import Damaged, Stream, read_at
from drumblender.files.tags import before_tags, behind_tags


def find_streams(file: BinaryIO) -> List[Stream]:
    """Find the streams of samples in a file. Mostly there is one.

    Raises:
        Damaged: if the file holds less than it says.
    """
    size = file.seek(0, os.SEEK_END)
    start = behind_tags(file, size)
    end = before_tags(file, start, size)
    magic = read_at(file, start, 12)
    if magic[:4] == b"OggS":
        return _ogg(file, start, end)
    if is_mpeg(magic):
        return find_mpeg_streams(file, start, end)
    # A header that ends too early is for libsndfile to judge.
    with contextlib.suppress(struct.error):
        stream = _contained(file, start, end, size, magic)
        if stream is not None:
            return [stream]
    return [Stream(start, size, is_mpeg=magic[:1] == b"\xff")]


def _contained(file: BinaryIO, start: int, end: int, size: int, magic: bytes) -> Optional[Stream]:
    """Find the samples of a container that states their size; None where libsndfile does better."""
    kind, form = magic[:4], magic[8:12]
    if kind in (b"RIFF", b"RIFX", b"RF64", b"BW64") and form == b"WAVE":
        return wave(file, start, end, size)
    if kind == b"riff" and read_at(file, start + 24, 4) == b"wave":
        return wave64(file, start, end, size)
    if kind == b"FORM" and form in IFF_CHUNKS:
        return iff(file, start, end, size)
    if kind in (b".snd", b"dns."):
        return _au(file, start, end, size)
    if kind == b"caff":
        return _caf(file, start, end, size)
    if kind == b"fLaC":
        return _flac(file, start, end)
    if magic[:7] == b"NIST_1A":
        _check_nist(file, start, size)
    elif magic[:2] == b"\xf0\x7e" and magic[3:4] == b"\x01":
        _check_sds(file, start, size)
    return None


def _au(file: BinaryIO, start: int, end: int, size: int) -> Optional[Stream]:
    """Return the samples of an AU file."""
    header = read_at(file, start, 24)
    if len(header) < 24:
        return None
    order = ">" if header[:4] == b".snd" else "<"
    offset, declared = struct.unpack_from(order + "II", header, 4)
    content = start + offset
    if offset < 24 or content > size:
        return None
    length = extent(declared, content, end, size)
    stated = struct.pack(order + "II", 24, min(length, 0xFFFFFFFF))
    return Stream(content, content + length, header[:4] + stated + header[12:])


def _caf(file: BinaryIO, start: int, end: int, size: int) -> Optional[Stream]:
    """Return the samples of a CAF file."""
    head, position = read_at(file, start, 8), start + 8
    samples, edits = None, b""
    for _ in range(MOST_CHUNKS):
        header = read_at(file, position, 12)
        if len(header) < 12:
            break
        name, length = header[:4], struct.unpack(">Q", header[4:])[0]
        position += 12
        if name == b"data" and samples is None:
            edits = read_at(file, position, 4)
            declared = length if length >= 1 << 62 else max(0, length - 4)
            samples = position + 4, extent(declared, position + 4, end, size)
        elif name in (b"desc", b"kuki", b"pakt", b"chan") and length < LARGEST_CHUNK:
            head += header + read_at(file, position, length)
        position += length
    if samples is None:
        return None
    content, length = samples
    head += b"data" + struct.pack(">Q", 4 + length) + edits
    return Stream(content, content + length, head)


def _flac(file: BinaryIO, start: int, end: int) -> Optional[Stream]:
    """Return the samples of a FLAC file."""
    head = bytearray(read_at(file, start, 42))
    if len(head) < 42 or head[4] & 0x7F:
        return None
    frames = (head[21] & 0x0F) << 32 | int.from_bytes(head[22:26], "big")
    # libsndfile reads no further than the header says; without a length it reads what is there.
    head[21] &= 0xF0
    head[22:26] = bytes(4)
    return Stream(start + 42, end, bytes(head), frames or None)


def _ogg(file: BinaryIO, start: int, end: int) -> List[Stream]:
    """Find the streams of an Ogg file, which may follow each other."""
    streams, first, position, beginning, last = [], start, start, True, False
    while position < end:
        header = read_at(file, position, 27)
        if header[:4] != b"OggS" or len(header) < 27:
            break
        table = read_at(file, position + 27, header[26])
        after = position + 27 + len(table) + sum(table)
        if after > end or len(table) < header[26]:
            last = False
            break
        if header[5] & 2 and not beginning:
            streams.append(Stream(first, position))
            first = position
        beginning, last = bool(header[5] & 2), bool(header[5] & 4)
        position = after
    if not last:
        raise Damaged("is truncated (its last page is missing)")
    return [*streams, Stream(first, position)]


def _check_nist(file: BinaryIO, start: int, size: int) -> None:
    """Raise if a NIST file, whose header is text, holds fewer samples than it says."""
    fields = {}
    for line in read_at(file, start, 1024).decode("latin-1").split("\n"):
        words = line.split()
        if len(words) == 3 and words[2].isdigit():
            fields[words[0]] = int(words[2])
    unit = fields.get("channel_count", 1) * fields.get("sample_n_bytes", 1)
    extent(fields.get("sample_count", 0) * unit, start + 1024, size, size)


def _check_sds(file: BinaryIO, start: int, size: int) -> None:
    """Raise if a MIDI sample dump is not whole, because libsndfile would write to the terminal."""
    header = read_at(file, start, 21).ljust(21, b"\0")
    bits, length = header[6], header[10] | header[11] << 7 | header[12] << 14
    blocks = -(-length // (60 if bits < 15 else 40 if bits < 22 else 30))
    extent(127 * blocks, start + 21, size, size, 127)
    for block in range(blocks):
        if read_at(file, start + 21 + 127 * block, 2) != b"\xf0\x7e":
            raise Damaged(f"is broken (packet {block} is none)")
