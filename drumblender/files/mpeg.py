"""MP3 files and their relatives, read frame by frame.

libmpg123 knows how long a file is from a frame that its encoder may have put in front (Xing, Info).
Without that frame it guesses from the size of the first one, and libsndfile then reads no further,
or reports a length that is wrong. It stops in front of a second file that was appended. So the
frames are counted here. A header of four bytes says how long a frame is (ISO/IEC 11172-3 and
13818-3).
"""

from dataclasses import dataclass
from typing import BinaryIO, List, Optional, Tuple

from drumblender.files.streams import Damaged, Stream, read_at

# Bit rates in kbit/s by index, of MPEG 1 layers I to III and of MPEG 2 layers I and II or III.
_RATES_1 = (
    (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
_RATES_2 = (
    (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_SAMPLE_RATES = (44100, 48000, 32000)
# How far to look for the next frame behind what is none.
_FARTHEST = 1 << 20


@dataclass(frozen=True)
class _Frame:
    """What the header of a frame says.

    Attributes:
        length: number of bytes of the frame.
        samples: number of samples of each channel.
        kind: version, layer and sample rate, which do not change within a file.
        info: position in the frame where an encoder's remarks would stand.
    """

    length: int
    samples: int
    kind: Tuple[int, int, int]
    info: int


def is_mpeg(magic: bytes) -> bool:
    """Return whether a file that begins like this is made of MPEG frames."""
    return _frame(magic[:4]) is not None


def find_mpeg_streams(file: BinaryIO, start: int, end: int) -> List[Stream]:
    """Find the streams of frames in a part of a file.

    A new stream starts where another file was appended, or where something interrupts the frames.

    Args:
        file: the file.
        start: position where frames may begin.
        end: position behind the last byte that may belong to a frame.

    Raises:
        Damaged: if frames are missing.
    """
    streams: List[Stream] = []
    position: Optional[int] = start
    while position is not None:
        stream, behind = _stream(file, position, end)
        if stream is not None:
            streams.append(stream)
        position = behind if behind != position else position + 1
        position = _next_frame(file, position, end)
    return streams or [Stream(start, end, is_mpeg=True)]


def _stream(file: BinaryIO, start: int, end: int) -> Tuple[Optional[Stream], int]:
    """Find the stream of frames that starts at a position, and where it ends."""
    first = _frame(read_at(file, start, 4))
    assert first is not None
    remarks = _remarks(read_at(file, start, first.length), first)
    stated = _stated_frames(remarks)
    count, longest = 0, first.length
    audio = position = start + (first.length if remarks else 0)
    while position < end:
        frame = _frame(read_at(file, position, 4))
        if frame is None or frame.kind != first.kind:
            break
        if position > start and _remarks(read_at(file, position, frame.info + 4), frame):
            break
        if position + frame.length > end:
            raise Damaged(f"is truncated (its last frame of {frame.length} bytes is cut off)")
        count, longest = count + 1, max(longest, frame.length)
        position += frame.length
    if stated is not None and count + 1 < stated:  # some count the frame that says so
        raise Damaged(f"is truncated ({count} of {stated} frames)")
    if not count:
        return None, position
    if stated == count and remarks[:4] != b"VBRI":
        # As it should be; there may be remarks on the silence at the ends, too.
        return Stream(start, position, is_mpeg=True), position
    # Zeros that are never read let libmpg123's guess be more than there is, and never less.
    tail = max(0, count * longest - (position - audio)) + 16 * longest
    return Stream(audio, position, frames=count * first.samples, tail=tail, is_mpeg=True), position


def _next_frame(file: BinaryIO, start: int, end: int) -> Optional[int]:
    """Find where two frames follow each other. The answer is None if there are no more."""
    block = read_at(file, start, min(_FARTHEST, max(0, end - start)))
    position = block.find(b"\xff")
    while position >= 0:
        frame = _frame(block[position : position + 4])
        if frame is not None:
            after = start + position + frame.length
            second = _frame(read_at(file, after, 4))
            if second is not None and second.kind == frame.kind and after < end:
                return start + position
        position = block.find(b"\xff", position + 1)
    return None


def _frame(header: bytes) -> Optional[_Frame]:
    """Read the header of a frame. The answer is None if these bytes are no header."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)  # 3 is MPEG 1, 0 MPEG 2.5
    rate_index, frequency_index = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer == 4 or rate_index in (0, 15) or frequency_index == 3:
        return None
    rate = 1000 * (_RATES_1 if version == 3 else _RATES_2)[layer - 1][rate_index]
    frequency = _SAMPLE_RATES[frequency_index] >> {3: 0, 2: 1, 0: 2}[version]
    padding = header[2] >> 1 & 1
    if layer == 1:
        length = (12 * rate // frequency + padding) * 4
    else:
        factor = 72 if layer == 3 and version != 3 else 144
        length = factor * rate // frequency + padding
    mono = header[3] >> 6 == 3
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    samples = 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152
    return _Frame(length, samples, (version, layer, frequency), 4 + side)


def _remarks(data: bytes, frame: _Frame) -> bytes:
    """Return what an encoder says about a file in its first frame, or nothing if that is sound."""
    if frame.kind[1] != 3:
        return b""
    if data[frame.info : frame.info + 4] in (b"Xing", b"Info"):
        return data[frame.info :]
    return data[36:] if data[36:40] == b"VBRI" else b""


def _stated_frames(remarks: bytes) -> Optional[int]:
    """Return the number of frames that an encoder's remarks state, if they state one."""
    if remarks[:4] == b"VBRI":
        return int.from_bytes(remarks[14:18], "big")
    if len(remarks) >= 12 and remarks[7] & 1:
        return int.from_bytes(remarks[8:12], "big")
    return None
