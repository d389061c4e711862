"""Chooses which tracks become modes.

A synthesizer has room for fewer modes than a drum has tracks. The loudest are mostly neighbors of
each other at low frequencies, where one mode could stand for several: an envelope on the frame grid
covers a band about as wide as the frame rate. Chosen for coverage, modes explain far more of the
sound.
"""

import numpy as np

from drumblender.analysis.peaks import Peaks
from drumblender.analysis.tracking import Tracks

# Weight of a peak: a small power of amplitude, so that what is quiet but long or wide counts, too.
POWER = 0.5
# A chosen mode takes weight off tracks that are nearer than this many frame rates.
SPACING = 1.6


def choose_modes(
    peaks: Peaks, tracks: Tracks, times: np.ndarray, frame_times: np.ndarray, count: int
) -> np.ndarray:
    """Frequencies of the chosen modes in Hz.

    Tracks are chosen one after the other by weight; a chosen track takes weight off its neighbors.
    When tracks run out, bands of one frame rate that hold peaks but no mode get one of constant
    frequency. Before its first peak and after its last a mode holds its frequency.

    Args:
        peaks: all peaks.
        tracks: runs of them.
        times: of the frames of the peaks, in seconds.
        frame_times: of the frames of the result, in seconds.
        count: modes at most.

    Shape:
        - Output: (K, len(frame_times)), K <= count
    """
    weight = peaks.amplitude**POWER
    rate = 1 / (frame_times[1] - frame_times[0]) if len(frame_times) > 1 else 0.0
    mass = tracks.total(weight)
    center = tracks.total(weight * peaks.frequency) / np.maximum(mass, 1e-30)
    left = mass.copy()
    rows = []
    while len(rows) < count and left.any():
        best = int(np.argmax(left))
        members = tracks[best]
        rows.append(np.interp(frame_times, times[peaks.frame[members]], peaks.frequency[members]))
        left *= np.clip(np.abs(center - center[best]) / (SPACING * rate), 0, 1) ** 2
        left[best] = 0
    if len(rows) < count and rate:
        cell = np.rint(peaks.frequency / rate).astype(int)
        mass = np.bincount(cell, weight)
        middle = np.bincount(cell, weight * peaks.frequency) / np.maximum(mass, 1e-30)
        for row in rows:
            mass[np.unique(np.rint(np.median(row) / rate).astype(int)).clip(0, len(mass) - 1)] = 0
        fill = np.argsort(-mass, kind="stable")[: count - len(rows)]
        rows += [np.full(len(frame_times), middle[c]) for c in fill if mass[c] > 0]
    return np.array(rows).reshape(-1, len(frame_times))
