"""Cuts long recordings into segments, which bounds the memory that a recording takes.

Segments overlap, and what is made of them is faded into each other.
"""

from pathlib import Path
from typing import Iterator, Tuple

import numpy as np

from drumblender.analysis import AnalysisSettings
from drumblender.files.reading import Unreadable, open_recording
from drumblender.sound.recording import Recording, prepare

# Longer recordings are cut into segments of this length, which overlap by the other one.
SEGMENT_S = 20.0
OVERLAP_S = 0.1


def segments(path: Path, settings: AnalysisSettings, stereo: bool) -> Iterator[Recording]:
    """A recording, read and analyzed in pieces that overlap; mostly there is one."""
    for samples, rate in cut(path):
        yield prepare(samples, settings, rate, stereo, path.name)


def segment_lengths(rate: int) -> Tuple[int, int]:
    """Samples of a segment, and from the beginning of one to that of the next."""
    return round(SEGMENT_S * rate), round((SEGMENT_S - OVERLAP_S) * rate)


def cut(path: Path) -> Iterator[Tuple[np.ndarray, int]]:
    """(samples (n, channels), sample rate) of segments, never more than two of them in memory."""
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
