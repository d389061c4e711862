"""Audio files made of chunks: WAV and its relatives, AIFF and its relatives."""

import struct
from typing import BinaryIO, Dict, Iterator, Optional, Tuple

from drumblender.files.extent import agrees, extent
from drumblender.files.streams import Stream, read_at

MOST_CHUNKS = 10_000
LARGEST_CHUNK = 1 << 24  # of those that describe the samples


def _chunks(file: BinaryIO, start: int, order: str) -> Iterator[Tuple[bytes, int, int]]:
    """Go through the chunks of an IFF-like file.

    Yields:
        The name, the position of the content, and the size of the content as the header says it.
    """
    for _ in range(MOST_CHUNKS):
        header = read_at(file, start, 8)
        if len(header) < 8:
            return
        name, length = header[:4], struct.unpack(order + "I", header[4:])[0]
        yield name, start + 8, length
        start += 8 + length
        # Some programs forget that a chunk of an odd length is padded.
        if length % 2 and (_is_name(file, start + 1) or not _is_name(file, start)):
            start += 1


def _is_name(file: BinaryIO, start: int) -> bool:
    """Return whether four bytes can be the name of a chunk."""
    name = read_at(file, start, 4)
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def _is_chain(file: BinaryIO, start: int, size: int, order: str) -> bool:
    """Return whether a file consists of whole chunks from a position on."""
    end = start
    for _, content, length in _chunks(file, start, order):
        if not _is_name(file, content - 8):
            return False
        end = content + length
    return end <= size < end + 8


def wave(file: BinaryIO, start: int, end: int, size: int) -> Optional[Stream]:
    """Find the samples of a WAV, RF64 or BW64 file.

    Args:
        file: the file.
        start: position behind the tags in front of the sound.
        end: position in front of the tags behind the sound.
        size: size of the file, in bytes.

    Raises:
        Damaged: if there are fewer samples than the header says.
    """
    magic, stated = read_at(file, start, 4), read_at(file, start + 4, 4)
    order = ">" if magic == b"RIFX" else "<"
    whole, large, form = struct.unpack(order + "I", stated)[0], None, b""
    for name, content, length in _chunks(file, start + 12, order):
        if name == b"ds64" and length >= 24:
            whole, large = struct.unpack("<QQ", read_at(file, content, 16))
        elif name == b"fmt " and 14 <= length < LARGEST_CHUNK:
            form = read_at(file, content, length)
        elif name == b"data":
            if large is not None and length == 0xFFFFFFFF:
                length = large
            if not length and _is_chain(file, content, size, order):
                end = content
            return _as_wave(form, content, length, end, size, order, agrees(whole, start, size))
    return None


def wave64(file: BinaryIO, start: int, end: int, size: int) -> Optional[Stream]:
    """Find the samples of a Wave64 file. Arguments are those of :func:`wave`."""
    whole, form = struct.unpack("<Q", read_at(file, start + 16, 8))[0], b""
    position = start + 40
    for _ in range(MOST_CHUNKS):
        header = read_at(file, position, 24)
        if len(header) < 24:
            break
        length = struct.unpack("<Q", header[16:])[0]
        content = position + 24
        if header[:4] == b"data":
            declared = length if length >= 1 << 62 else max(0, length - 24)
            return _as_wave(form, content, declared, end, size, "<", agrees(whole - 8, start, size))
        if header[:4] == b"fmt " and 38 <= length < LARGEST_CHUNK:
            form = read_at(file, content, length - 24)
        position += max(24, length + -length % 8)
    return None


def _as_wave(
    form: bytes, start: int, declared: int, end: int, size: int, order: str, rest_is_whole: bool
) -> Optional[Stream]:
    """Describe samples by the header of a WAV file.

    Args:
        form: the chunk that describes the samples.
        start: position of the samples.
        declared: number of bytes that the header states; 0 if the program did not know it.
        end: position in front of the tags behind the samples.
        size: size of the file, in bytes.
        order: byte order, as :mod:`struct` writes it.
        rest_is_whole: whether another size in the header agrees with that of the file.
    """
    if len(form) < 14:
        return None
    unit = struct.unpack_from(order + "H", form, 12)[0] or 1
    length = extent(declared, start, end, size, unit, rest_is_whole)
    form += b"\0" * (len(form) % 2)
    chunks = b"WAVEfmt " + struct.pack(order + "I", len(form)) + form
    magic = b"RIFF" if order == "<" else b"RIFX"
    # Where 32 bits do not suffice, libsndfile takes all that follows.
    sizes = (
        struct.pack(order + "I", min(n, 0xFFFFFFFF)) for n in (len(chunks) + 8 + length, length)
    )
    head = magic + next(sizes) + chunks + b"data" + next(sizes)
    return Stream(start, start + length, head)


# Of each form, the chunk that describes the samples and the one that holds them.
IFF_CHUNKS = {
    b"AIFF": (b"COMM", b"SSND"),
    b"AIFC": (b"COMM", b"SSND"),
    b"8SVX": (b"VHDR", b"BODY"),
    b"16SV": (b"VHDR", b"BODY"),
}


def iff(file: BinaryIO, start: int, end: int, size: int) -> Optional[Stream]:
    """Find the samples of an AIFF, AIFC, 8SVX or 16SV file. Arguments are those of :func:`wave`."""
    stated, form = struct.unpack(">I4s", read_at(file, start + 4, 8))
    description, samples = IFF_CHUNKS[form]
    found: Dict[bytes, Tuple[int, int]] = {}
    for name, content, length in _chunks(file, start + 12, ">"):
        found.setdefault(name, (content, length))
        if description in found and samples in found:
            break
    else:
        return None
    content, length = found[description]
    if length >= LARGEST_CHUNK:
        return None
    chunk = read_at(file, content, length)
    head = description + struct.pack(">I", length) + chunk + b"\0" * (length % 2)
    content, length = found[samples]
    unit, lead = 1, b""
    if samples == b"SSND":
        offset = struct.unpack(">I", read_at(file, content, 4).ljust(4, b"\0"))[0]
        channels, _, bits = struct.unpack(">HIH", chunk[:8].ljust(8, b"\0"))
        unit = max(1, channels * ((bits + 7) // 8)) if form == b"AIFF" else 1
        lead = bytes(8)
        content, length = content + 8 + offset, max(0, length - 8 - offset)
    if not length and _is_chain(file, content, size, ">"):
        end = content
    length = extent(length, content, end, size, unit, agrees(stated, start, size))
    head += samples + struct.pack(">I", min(len(lead) + length, 0xFFFFFFFF)) + lead
    whole = struct.pack(">I", min(4 + len(head) + length, 0xFFFFFFFF))
    return Stream(content, content + length, b"FORM" + whole + form + head)
