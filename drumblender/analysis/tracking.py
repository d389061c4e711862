"""Joins peaks of successive frames into modes, backwards in time.

A drum's spectrum is crowded at the attack and thins out as its modes die away. Followed from the
end, every track begins with a mode that outlived the others, where its frequency is clear, and keeps
it through the attack; partial tracking otherwise is that of McAulay and Quatieri [1].

[1] McAulay and Quatieri, "Speech analysis/synthesis based on a sinusoidal representation",
    IEEE TASSP 34(4), 1986.
"""

from typing import List, NamedTuple

import numpy as np

from drumblender.analysis.peaks import Peaks


class Track(NamedTuple):
    """One mode: consecutive frames, ascending in time.

    Attributes:
        first_frame: frame of the first entry; entry i belongs to frame first_frame + i.
        peaks: index of each entry's peak, int (L,).
    """

    first_frame: int
    peaks: np.ndarray


def track_peaks(peaks: Peaks, num_frames: int, tolerance: float, min_length: int) -> List[Track]:
    """Join peaks into tracks.

    From the last frame to the first, pairs of an open track and a peak are joined nearest first
    while they differ by at most the tolerance; a track that finds no peak ends, and a peak that
    finds no track begins one. No peak belongs to two tracks. A frame without peaks ends all tracks
    and changes nothing else.

    Args:
        peaks: ordered by frame and frequency.
        num_frames: of the signal.
        tolerance: largest ratio of frequencies of neighboring frames, in octaves.
        min_length: shorter tracks, in frames, are dropped.

    Returns:
        The tracks, in the order in which they begin seen from the end.

    >>> frame = np.array([0, 0, 1, 1, 2])
    >>> hz = np.array([100.0, 800.0, 101.0, 400.0, 102.0])
    >>> tracks = track_peaks(Peaks(frame, hz, hz, hz), 3, tolerance=0.1, min_length=2)
    >>> [(t.first_frame, t.peaks.tolist()) for t in tracks]
    [(0, [0, 2, 4])]
    """
    pitch = np.log2(peaks.frequency)
    bounds = np.searchsorted(peaks.frame, np.arange(num_frames + 1))
    successor = np.full(len(pitch), -1)
    for frame in range(num_frames - 2, -1, -1):
        here, there = bounds[frame], bounds[frame + 1]
        left, right = _nearest_pairs(pitch[here:there], pitch[there : bounds[frame + 2]], tolerance)
        successor[here + left] = there + right
    return _chains(successor, peaks.frame, min_length)


def _nearest_pairs(a: np.ndarray, b: np.ndarray, tolerance: float):
    """Indices of pairs from two ascending lists: nearest first, each entry at most once."""
    if not len(a) or not len(b):
        return np.zeros(0, int), np.zeros(0, int)
    # An entry's mutual nearest neighbor is what nearest-first assignment gives it. The others lost
    # their nearest to a closer one; peaks are a resolution apart, so few are worth a second round.
    at = np.searchsorted(b, a).clip(1, max(1, len(b) - 1)) if len(b) > 1 else np.zeros(len(a), int)
    near = at - (a - b[at - 1] < b[at] - a) if len(b) > 1 else at
    at = np.searchsorted(a, b).clip(1, max(1, len(a) - 1)) if len(a) > 1 else np.zeros(len(b), int)
    back = at - (b - a[at - 1] <= a[at] - b) if len(a) > 1 else at
    index = np.arange(len(a))
    keep = (back[near] == index) & (np.abs(a - b[near]) <= tolerance)
    return index[keep], near[keep]


def _chains(successor: np.ndarray, frame: np.ndarray, min_length: int) -> List[Track]:
    has_predecessor = np.zeros(len(successor), bool)
    has_predecessor[successor[successor >= 0]] = True
    tracks = []
    following = successor.tolist()
    for start in np.flatnonzero(~has_predecessor).tolist():
        chain = [start]
        while following[chain[-1]] >= 0:
            chain.append(following[chain[-1]])
        if len(chain) >= min_length:
            tracks.append(Track(int(frame[start]), np.array(chain)))
    tracks.sort(key=lambda t: (-(t.first_frame + len(t.peaks)), t.peaks[-1]))
    return tracks
