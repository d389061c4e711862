"""Which bytes of an audio file are its sound.

libsndfile decodes well, but what surrounds the samples misleads it: tags in front of other formats
than MP3, sizes that a program which streams could not know, chunks behind the samples, several
streams one after the other. So the containers that state a size are read here; libsndfile gets a
header of our own that says no more than is there, and the samples. A file that holds less than it
says is told apart from one that was streamed.
"""

import contextlib
import os
import struct
from typing import BinaryIO, Dict, Iterator, List, Optional, Tuple

from drumblender.files.mpeg import find_mpeg_streams, is_mpeg
from drumblender.files.streams import Damaged, Stream, read_at

# What programs write that do not know a size: 0, or -1 as 31, 32, 63 or 64 bits, less a header or
# rounded down. Others write a round number, or one far beyond the file, of at least so many bytes.
_UNKNOWN = ((0x7FFF0000, 0x80000000), (0xFFFF0000, 0xFFFFFFFF), (1 << 62, 1 << 64))
_LEAST_INVENTED = 1 << 27
_MOST_CHUNKS = 10_000
_LARGEST_CHUNK = 1 << 24  # of those that describe the samples


def find_streams(file: BinaryIO) -> List[Stream]:
    """The streams of samples in a file, mostly one.

    Raises:
        Damaged: when it holds less than it says.
    """
    size = file.seek(0, os.SEEK_END)
    start = _behind_tags(file, size)
    end = _before_tags(file, start, size)
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
    """The samples of a container that states their size; None where libsndfile knows better."""
    kind, form = magic[:4], magic[8:12]
    if kind in (b"RIFF", b"RIFX", b"RF64", b"BW64") and form == b"WAVE":
        return _wave(file, start, end, size)
    if kind == b"riff" and read_at(file, start + 24, 4) == b"wave":
        return _wave64(file, start, end, size)
    if kind == b"FORM" and form in _IFF_CHUNKS:
        return _iff(file, start, end, size)
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


def _behind_tags(file: BinaryIO, size: int) -> int:
    """Where the sound starts: behind ID3v2 and APE tags, which may stand in front of anything."""
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


def _before_tags(file: BinaryIO, start: int, end: int) -> int:
    """Where the sound ends, if nothing says so: before ID3v1, APE, Lyrics3 and ID3v2 tags."""
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


def _extent(
    declared: int, start: int, end: int, size: int, unit: int = 1, rest_is_whole: bool = False
) -> int:
    """Number of bytes of samples.

    Args:
        declared: by the header; 0 is for one that does not know.
        start: of the samples.
        end: of what may be samples, where nothing says how many.
        size: of the file.
        unit: bytes that are of no use alone.
        rest_is_whole: whether another size in the header agrees with the file.

    Raises:
        Damaged: when there are fewer than declared, and nothing speaks for a program that streams.
    """
    if declared and start + declared <= size:
        return declared
    there = max(0, end - start)
    if not declared or rest_is_whole or _is_invented(declared, there):
        return there
    there = max(0, size - start)
    if there // unit < declared // unit:
        raise Damaged(f"is truncated ({there} of {declared} bytes)")
    return there


def _is_invented(declared: int, there: int) -> bool:
    """Whether a size is none that a program counted."""
    is_round = any(
        (declared + header) % unit == 0 for header in (0, 36, 44) for unit in (1_000_000, 1 << 20)
    )
    is_far_off = there < declared // 64
    return any(low <= declared <= high for low, high in _UNKNOWN) or (
        declared >= _LEAST_INVENTED and (is_round or is_far_off)
    )


def _agrees(stated: int, start: int, size: int) -> bool:
    """Whether the size of a whole file, as its header states it, is that of the file."""
    return abs(start + 8 + stated - size) <= 1


def _chunks(file: BinaryIO, start: int, order: str) -> Iterator[Tuple[bytes, int, int]]:
    """Chunks of an IFF-like file: name, start of the content, its size as the header says."""
    for _ in range(_MOST_CHUNKS):
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
    name = read_at(file, start, 4)
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def _is_chain(file: BinaryIO, start: int, size: int, order: str) -> bool:
    """Whether nothing but whole chunks follows."""
    end = start
    for _, content, length in _chunks(file, start, order):
        if not _is_name(file, content - 8):
            return False
        end = content + length
    return end <= size < end + 8


def _wave(file: BinaryIO, start: int, end: int, size: int) -> Optional[Stream]:
    magic, stated = read_at(file, start, 4), read_at(file, start + 4, 4)
    order = ">" if magic == b"RIFX" else "<"
    whole, large, form = struct.unpack(order + "I", stated)[0], None, b""
    for name, content, length in _chunks(file, start + 12, order):
        if name == b"ds64" and length >= 24:
            whole, large = struct.unpack("<QQ", read_at(file, content, 16))
        elif name == b"fmt " and 14 <= length < _LARGEST_CHUNK:
            form = read_at(file, content, length)
        elif name == b"data":
            if large is not None and length == 0xFFFFFFFF:
                length = large
            if not length and _is_chain(file, content, size, order):
                end = content
            return _as_wave(form, content, length, end, size, order, _agrees(whole, start, size))
    return None


def _wave64(file: BinaryIO, start: int, end: int, size: int) -> Optional[Stream]:
    whole, form = struct.unpack("<Q", read_at(file, start + 16, 8))[0], b""
    position = start + 40
    for _ in range(_MOST_CHUNKS):
        header = read_at(file, position, 24)
        if len(header) < 24:
            break
        length = struct.unpack("<Q", header[16:])[0]
        content = position + 24
        if header[:4] == b"data":
            declared = length if length >= 1 << 62 else max(0, length - 24)
            return _as_wave(
                form, content, declared, end, size, "<", _agrees(whole - 8, start, size)
            )
        if header[:4] == b"fmt " and 38 <= length < _LARGEST_CHUNK:
            form = read_at(file, content, length - 24)
        position += max(24, length + -length % 8)
    return None


def _as_wave(
    form: bytes, start: int, declared: int, end: int, size: int, order: str, rest_is_whole: bool
) -> Optional[Stream]:
    """Samples with the header of a WAV file; ``form`` is the chunk that describes them."""
    if len(form) < 14:
        return None
    unit = struct.unpack_from(order + "H", form, 12)[0] or 1
    length = _extent(declared, start, end, size, unit, rest_is_whole)
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
_IFF_CHUNKS = {
    b"AIFF": (b"COMM", b"SSND"),
    b"AIFC": (b"COMM", b"SSND"),
    b"8SVX": (b"VHDR", b"BODY"),
    b"16SV": (b"VHDR", b"BODY"),
}


def _iff(file: BinaryIO, start: int, end: int, size: int) -> Optional[Stream]:
    stated, form = struct.unpack(">I4s", read_at(file, start + 4, 8))
    description, samples = _IFF_CHUNKS[form]
    found: Dict[bytes, Tuple[int, int]] = {}
    for name, content, length in _chunks(file, start + 12, ">"):
        found.setdefault(name, (content, length))
        if description in found and samples in found:
            break
    else:
        return None
    content, length = found[description]
    if length >= _LARGEST_CHUNK:
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
    length = _extent(length, content, end, size, unit, _agrees(stated, start, size))
    head += samples + struct.pack(">I", min(len(lead) + length, 0xFFFFFFFF)) + lead
    whole = struct.pack(">I", min(4 + len(head) + length, 0xFFFFFFFF))
    return Stream(content, content + length, b"FORM" + whole + form + head)


def _au(file: BinaryIO, start: int, end: int, size: int) -> Optional[Stream]:
    header = read_at(file, start, 24)
    if len(header) < 24:
        return None
    order = ">" if header[:4] == b".snd" else "<"
    offset, declared = struct.unpack_from(order + "II", header, 4)
    content = start + offset
    if offset < 24 or content > size:
        return None
    length = _extent(declared, content, end, size)
    stated = struct.pack(order + "II", 24, min(length, 0xFFFFFFFF))
    return Stream(content, content + length, header[:4] + stated + header[12:])


def _caf(file: BinaryIO, start: int, end: int, size: int) -> Optional[Stream]:
    head, position = read_at(file, start, 8), start + 8
    samples, edits = None, b""
    for _ in range(_MOST_CHUNKS):
        header = read_at(file, position, 12)
        if len(header) < 12:
            break
        name, length = header[:4], struct.unpack(">Q", header[4:])[0]
        position += 12
        if name == b"data" and samples is None:
            edits = read_at(file, position, 4)
            declared = length if length >= 1 << 62 else max(0, length - 4)
            samples = position + 4, _extent(declared, position + 4, end, size)
        elif name in (b"desc", b"kuki", b"pakt", b"chan") and length < _LARGEST_CHUNK:
            head += header + read_at(file, position, length)
        position += length
    if samples is None:
        return None
    content, length = samples
    head += b"data" + struct.pack(">Q", 4 + length) + edits
    return Stream(content, content + length, head)


def _flac(file: BinaryIO, start: int, end: int) -> Optional[Stream]:
    head = bytearray(read_at(file, start, 42))
    if len(head) < 42 or head[4] & 0x7F:
        return None
    frames = (head[21] & 0x0F) << 32 | int.from_bytes(head[22:26], "big")
    # libsndfile reads no further than the header says; without a length it reads what is there.
    head[21] &= 0xF0
    head[22:26] = bytes(4)
    return Stream(start + 42, end, bytes(head), frames or None)


def _ogg(file: BinaryIO, start: int, end: int) -> List[Stream]:
    """Streams one after the other, which is legal; pages say where they begin and end."""
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
    """Raise where a NIST file, whose header is text, holds fewer samples than it says."""
    fields = {}
    for line in read_at(file, start, 1024).decode("latin-1").split("\n"):
        words = line.split()
        if len(words) == 3 and words[2].isdigit():
            fields[words[0]] = int(words[2])
    unit = fields.get("channel_count", 1) * fields.get("sample_n_bytes", 1)
    _extent(fields.get("sample_count", 0) * unit, start + 1024, size, size)


def _check_sds(file: BinaryIO, start: int, size: int) -> None:
    """Raise where a MIDI sample dump is not whole; libsndfile would write to the terminal."""
    header = read_at(file, start, 21).ljust(21, b"\0")
    bits, length = header[6], header[10] | header[11] << 7 | header[12] << 14
    blocks = -(-length // (60 if bits < 15 else 40 if bits < 22 else 30))
    _extent(127 * blocks, start + 21, size, size, 127)
    for block in range(blocks):
        if read_at(file, start + 21 + 127 * block, 2) != b"\xf0\x7e":
            raise Damaged(f"is broken (packet {block} is none)")
