"""Recordings of any length, read in segments so that memory is bounded."""

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

    Yields:
        Samples (n, channels) of each segment, and the sample rate in Hz.

    Raises:
        Unreadable: if the recording is missing, broken or empty.
    """
    with open_recording(path) as file:
        rate = file.sample_rate
        length, hop = segment_lengths(rate)
        held: np.ndarray = np.empty((0, file.channels), np.float32)
        for block in file.blocks(hop):
            held = np.concatenate([held, block])
            while len(held) > length:
                yield held[:length], rate
                held = held[hop:]
        if not len(held):
            raise Unreadable(path, "holds no samples", "give a recording")
        yield held, rate


def segment_lengths(rate: int) -> Tuple[int, int]:
    """Return how many samples a segment has, and how many lie between the beginnings of two."""
    return round(SEGMENT_S * rate), round((SEGMENT_S - OVERLAP_S) * rate)
