"""The number of bytes in a file that are samples, whatever its header says.

A program that streams cannot know sizes, and writes others. A file that lost its end holds less
than its header says, too, and has to be told apart from one that was streamed.
"""

from drumblender.files.streams import Damaged

# Programs that do not know a size write 0, or -1 in 31, 32, 63 or 64 bits, less a header or rounded
# down. Others write a round number or one far beyond the file, of at least _LEAST_INVENTED bytes.
_UNKNOWN = ((0x7FFF0000, 0x80000000), (0xFFFF0000, 0xFFFFFFFF), (1 << 62, 1 << 64))
_LEAST_INVENTED = 1 << 27


def extent(
    declared: int, start: int, end: int, size: int, unit: int = 1, rest_is_whole: bool = False
) -> int:
    """Compute the number of bytes that are samples.

    Args:
        declared: number that the header states; 0 if the program did not know it.
        start: position of the samples.
        end: position behind what may be samples, if no header says how many there are.
        size: size of the file.
        unit: number of bytes of one sample of all channels.
        rest_is_whole: whether another size in the header agrees with that of the file.

    Raises:
        Damaged: if there are fewer bytes than declared, and nothing suggests a program that
            streams.
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
    """Return whether a size was made up by a program that could not know it.

    Args:
        declared: the size in the header.
        there: number of bytes that follow.
    """
    is_round = any(
        (declared + header) % unit == 0 for header in (0, 36, 44) for unit in (1_000_000, 1 << 20)
    )
    is_far_off = there < declared // 64
    return any(low <= declared <= high for low, high in _UNKNOWN) or (
        declared >= _LEAST_INVENTED and (is_round or is_far_off)
    )


def agrees(stated: int, start: int, size: int) -> bool:
    """Return whether the size that a header states for the whole file is that of the file."""
    return abs(start + 8 + stated - size) <= 1
