"""Reads recordings of any length in segments, which bounds the memory that they take."""

from pathlib import Path
from typing import Iterator, Tuple

import numpy as np

from drumblender.files.reading import Unreadable, open_recording

# Longer recordings are cut into segments of this length, which overlap by the other one.
SEGMENT_S = 20.0
OVERLAP_S = 0.1


def segments(path: Path) -> Iterator[Tuple[np.ndarray, int]]:
    """Read a recording in segments that overlap. Mostly there is one.

    No more than two segments are in memory. What is made of segments is to be faded into each
    other.

    Returns:
        Samples (n, channels) of each segment, and the sample rate.

    Raises:
        Unreadable: when the recording is missing, broken or empty.
    """
    with open_recording(path) as file:
        rate = file.sample_rate
        length, hop = segment_lengths(rate)
        held = np.empty((0, file.channels), np.float32)
        for block in file.blocks(hop):
            held = np.concatenate([held, block])
            while len(held) > length:
                yield held[:length], rate
                held = held[hop:]
        if not len(held):
            raise Unreadable(path, "holds no samples", "give a recording")
        yield held, rate


def segment_lengths(rate: int) -> Tuple[int, int]:
    """Samples of a segment, and from the beginning of one to that of the next."""
    return round(SEGMENT_S * rate), round((SEGMENT_S - OVERLAP_S) * rate)
