"""Joins peaks of neighboring frames into tracks.

Partial tracking after McAulay and Quatieri [1], with a rule that needs no state: two peaks of
neighboring frames belong together when each is the other's nearest and they are near enough. A
drum's spectrum is crowded at the attack and thins out as its modes die, so tracks are told from the
end: each is followed back from the frame in which it dies, and long-lived modes come first.

[1] McAulay and Quatieri, "Speech analysis/synthesis based on a sinusoidal representation",
    IEEE TASSP 34(4), 1986.
"""

from dataclasses import dataclass

import numpy as np

from drumblender.analysis.peaks import Peaks


@dataclass(frozen=True)
class Tracks:
    """Tracks, each of which is a run of peaks in consecutive frames.

    Track i consists of the peaks ``peaks[start[i] : start[i] + length[i]]``, in order of time.
    The track that dies last comes first.
    """

    peaks: np.ndarray
    start: np.ndarray
    length: np.ndarray

    def __getitem__(self, index: int) -> np.ndarray:
        """Return the indices of the peaks of one track."""
        return self.peaks[self.start[index] : self.start[index] + self.length[index]]

    def total(self, values: np.ndarray) -> np.ndarray:
        """Return, for each track, the sum of a value that each peak has."""
        running = np.concatenate([[0.0], np.cumsum(values[self.peaks])])
        return running[self.start + self.length] - running[self.start]


def track_peaks(peaks: Peaks, tolerance: float, min_length: int) -> Tracks:
    """Join peaks into tracks.

    No peak belongs to two tracks, so tracks that begin or end in the same frame stay apart; a frame
    without peaks ends all tracks and shifts nothing.

    Args:
        peaks: ordered by frame and, within a frame, by frequency.
        tolerance: largest difference between frequencies of neighboring frames, in octaves.
        min_length: number of frames; shorter tracks are dropped.

    >>> frame = np.array([0, 0, 1, 1, 2])
    >>> hz = np.array([100.0, 800.0, 101.0, 400.0, 102.0])
    >>> tracks = track_peaks(Peaks(frame, hz, hz, hz), tolerance=0.1, min_length=2)
    >>> len(tracks.start), hz[tracks[0]].tolist()
    (1, [100.0, 101.0, 102.0])
    """
    if not len(peaks.frame):
        return Tracks(*np.zeros((3, 0), int))
    pitch = np.log2(peaks.frequency)
    after = _nearest(pitch, peaks.frame, 1)
    before = _nearest(pitch, peaks.frame, -1)
    index = np.arange(len(pitch))
    mutual = (after >= 0) & (before[after] == index) & (np.abs(pitch - pitch[after]) <= tolerance)
    # The first peak of each peak's track: every round doubles the distance looked back.
    origin = index.copy()
    origin[after[mutual]] = index[mutual]
    while True:
        further = origin[origin]
        if np.array_equal(further, origin):
            break
        origin = further
    grouped = np.argsort(origin, kind="stable")
    start = np.flatnonzero(np.diff(origin[grouped], prepend=-1))
    length = np.diff(start, append=len(grouped))
    start, length = start[length >= min_length], length[length >= min_length]
    order = np.argsort(-(peaks.frame[grouped[start]] + length), kind="stable")
    return Tracks(grouped, start[order], length[order])


def _nearest(pitch: np.ndarray, frame: np.ndarray, step: int) -> np.ndarray:
    """Return, for each peak, the peak nearest in pitch among those of the frame ``step`` later.

    The index is -1 where that frame has no peak.
    """
    # One sorted list of all peaks: frames are further apart in it than pitches ever are.
    apart = 4 * (np.abs(pitch).max() + 1)
    place = frame * apart + pitch
    wanted = place + step * apart
    right = np.searchsorted(place, wanted).clip(0, len(place) - 1)
    left = np.maximum(right - 1, 0)
    nearest = np.where(wanted - place[left] <= place[right] - wanted, left, right)
    other = np.where(nearest == left, right, left)
    nearest = np.where(frame[nearest] == frame + step, nearest, other)
    return np.where(frame[nearest] == frame + step, nearest, -1)
