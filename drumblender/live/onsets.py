"""A detector of strokes on a pad or before a microphone, which hears nothing of what comes.

A stroke is where the level of high frequencies rises fast above what it was before, as in the
energy detectors that Bello et al. compare ("A tutorial on onset detection in music signals", IEEE
Trans. Speech and Audio Processing 13(5), 2005). Its velocity follows from the highest level of the
next few milliseconds, so that a stroke is reported that much later.
"""

import math
from dataclasses import dataclass
from typing import List, NamedTuple, Tuple

import numpy as np

# Levels are measured every so many seconds.
_HOP_S = 0.0007
# The level of what was before falls and rises by half of the distance within these seconds.
_FALL_S, _RISE_S = 0.06, 0.012
# By how many dB a stroke has to rise above what was before.
_RISE_DB = 7.0
# How long the highest level of a stroke is waited for, in seconds.
_PEAK_S = 0.004
# Levels of the softest and of the loudest velocity, in dB.
_LOUDEST_DB = -3.0
_SILENT_DB = -120.0


class Onset(NamedTuple):
    """A stroke.

    Attributes:
        found: number of samples after which it was found.
        velocity: velocity, from 1 to 127.
    """

    found: int
    velocity: int


@dataclass(frozen=True)
class Listening:
    """How strokes are found.

    Attributes:
        threshold: level below which nothing is a stroke, in dB relative to full scale.
        refractory: seconds after a stroke in which no other one is found.
    """

    threshold: float = -40.0
    refractory: float = 0.05


class Detector:
    """A detector of strokes in a signal that comes block by block.

    Args:
        sample_rate: in Hz.
        listening: how strokes are found.

    >>> click = np.zeros(4800)
    >>> click[2000:2100] = 0.5 * (-1.0) ** np.arange(100)
    >>> [onset.velocity > 100 for onset in Detector(48_000).hear(click)]
    [True]
    """

    def __init__(self, sample_rate: int, listening: Listening = Listening()):
        self.listening = listening
        self.hop = max(1, round(_HOP_S * sample_rate))
        self.latency = round(_PEAK_S * sample_rate) + self.hop
        hop_s = self.hop / sample_rate
        self._fall, self._rise = (1 - 0.5 ** (hop_s / s) for s in (_FALL_S, _RISE_S))
        self._waits = max(1, round(_PEAK_S / hop_s))
        self._refractory = max(self._waits, round(listening.refractory / hop_s))
        self._rest = np.zeros(0)
        self._last = 0.0
        self._before = _SILENT_DB
        self._since = 10**9
        self._peak = 0.0
        self._position = 0

    def hear(self, samples: np.ndarray) -> List[Onset]:
        """Listen to the next samples (N,), and return the strokes that were found in them."""
        line = np.concatenate([self._rest, np.asarray(samples, dtype=float)])
        count = len(line) // self.hop
        frames, self._rest = line[: count * self.hop].reshape(count, -1), line[count * self.hop :]
        if not count:
            return []
        # Differences are high frequencies, in which a stroke stands out and a hum does not.
        flat = frames.ravel()
        steps = np.diff(flat, prepend=self._last).reshape(frames.shape)
        self._last = flat[-1]
        peaks, edges = np.abs(frames).max(1), 2 * np.abs(steps).max(1)
        found = []
        for peak, edge in zip(peaks.tolist(), edges.tolist()):
            self._position += self.hop
            if self._step(max(edge, 0.1 * peak), peak):
                found.append(Onset(self._position, self._velocity()))
        return found

    def _step(self, edge: float, peak: float) -> bool:
        """Take the level of one moment, and return whether a stroke is complete."""
        level = 20 * math.log10(max(edge, 1e-6))
        self._since += 1
        loud = 20 * math.log10(max(peak, 1e-6)) > self.listening.threshold
        if loud and self._since >= self._refractory and level > self._before + _RISE_DB:
            self._since, self._peak = 0, 0.0
        rate = self._rise if level > self._before else self._fall
        self._before += rate * (level - self._before)
        if self._since < self._waits:
            self._peak = max(self._peak, peak)
        return self._since == self._waits - 1

    def _velocity(self) -> int:
        """Return the velocity of a stroke."""
        level = 20 * math.log10(max(self._peak, 1e-6))
        share = (level - self.listening.threshold) / (_LOUDEST_DB - self.listening.threshold)
        return min(127, max(1, round(1 + 126 * share)))


def strokes(
    samples: np.ndarray, sample_rate: int, listening: Listening, block: int = 128
) -> Tuple[List[Onset], int]:
    """Find the strokes of a whole recording (N,) in blocks, and the latency in samples."""
    detector = Detector(sample_rate, listening)
    found: List[Onset] = []
    for begin in range(0, len(samples), block):
        found += detector.hear(samples[begin : begin + block])
    return found, detector.latency
