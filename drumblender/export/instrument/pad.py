"""Triggers: what tells an instrument to play, in operations that TorchScript compiles."""

import math
from typing import Final, List, Tuple

import torch
from torch import Tensor, nn


class Edges(nn.Module):
    """Triggers at which a signal rises above zero, with its value there as the level."""

    last: Tensor

    # What is not above this value counts as zero.
    ZERO: Final[float] = 0.001

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("last", torch.zeros(0, 0), persistent=False)

    def reset(self) -> None:
        """Forget what was before."""
        self.last = torch.zeros_like(self.last[:0])

    def forward(self, x: Tensor) -> List[List[Tuple[int, int, float]]]:
        """Find triggers in a block (B, D, n).

        Returns:
            For each of D signals, the row, the sample and the level of each trigger.
        """
        if self.last.shape != x.shape[:2]:
            self.last = torch.zeros_like(x[:, :, 0])
        before = torch.cat([self.last[:, :, None], x[:, :, :-1]], dim=2)
        self.last = x[:, :, -1].clone()
        rises = (x > self.ZERO) & (before <= self.ZERO)
        found: List[List[Tuple[int, int, float]]] = []
        for _ in range(x.shape[1]):
            empty: List[Tuple[int, int, float]] = []
            found.append(empty)
        if bool(rises.any()):
            places: List[List[int]] = rises.nonzero().tolist()
            for place in places:
                level = float(x[place[0], place[1], place[2]])
                found[place[1]].append((place[0], place[2], level))
        return found


class Pad(nn.Module):
    """Strokes in the sound of a pad, a microphone or a track, as triggers.

    It is the detector of :mod:`drumblender.live.onsets`. Strokes are as loud as their highest level
    within the first 4 ms is, and a level of -3 dB counts as 1.

    Args:
        sample_rate: in Hz.

    Attributes:
        latency: number of samples after the first one of a stroke at which its hit begins, on
            average. It varies by up to ``hop / 2``.
    """

    rest: Tensor
    last: Tensor
    lines: int
    before: List[float]
    since: List[int]
    peak: List[float]

    REFRACTORY: Final[float] = 0.05
    RISE_DB: Final[float] = 7.0
    LOUDEST_DB: Final[float] = -3.0

    def __init__(self, sample_rate: int):
        super().__init__()
        self.hop = max(1, round(0.0007 * sample_rate))
        hop_s = self.hop / sample_rate
        self.fall, self.rise = (1 - 0.5 ** (hop_s / s) for s in (0.06, 0.012))
        self.waits = max(1, round(0.004 / hop_s))
        self.refractory = max(self.waits, round(self.REFRACTORY / hop_s))
        self.latency = self.waits * self.hop - 1 - self.hop // 2
        self.register_buffer("rest", torch.zeros(0, 0), persistent=False)
        self.register_buffer("last", torch.zeros(0, 1), persistent=False)
        self.lines = 0
        self.before, self.since, self.peak = [], [], []

    def reset(self) -> None:
        """Forget what was before."""
        self.lines = 0

    def forward(self, x: Tensor, threshold: float) -> List[List[Tuple[int, int, float]]]:
        """Find strokes in a block (B, D, n).

        Args:
            x: the block.
            threshold: level below which nothing is a stroke, in dB relative to full scale.

        Returns:
            For each of D signals, the row, the sample and the level of each stroke.
        """
        rows, count = x.shape[0] * x.shape[1], x.shape[2]
        flat = x.reshape(rows, count)
        if self.lines != rows:
            self.lines = rows
            self.rest = torch.zeros_like(flat[:, :0])
            self.last = torch.zeros_like(flat[:, :1])
            self.before = [-120.0 for _ in range(rows)]
            self.since = [1000000000 for _ in range(rows)]
            self.peak = [0.0 for _ in range(rows)]
        found: List[List[Tuple[int, int, float]]] = []
        for _ in range(x.shape[1]):
            empty: List[Tuple[int, int, float]] = []
            found.append(empty)
        waiting = self.rest.shape[1]
        line = torch.cat([self.rest, flat], dim=1)
        frames = line.shape[1] // self.hop
        self.rest = line[:, frames * self.hop :].clone()
        if frames == 0:
            return found
        line = line[:, : frames * self.hop]
        steps = line - torch.cat([self.last, line[:, :-1]], dim=1)
        self.last = line[:, -1:].clone()
        shape = [rows, frames, self.hop]
        peaks: List[List[float]] = line.abs().view(shape).amax(2).tolist()
        edges: List[List[float]] = (2 * steps.abs()).view(shape).amax(2).tolist()
        for row in range(rows):
            for frame in range(frames):
                peak = peaks[row][frame]
                if self._step(row, max(edges[row][frame], 0.1 * peak), peak, threshold):
                    level = self.peak[row] * 10.0 ** (-self.LOUDEST_DB / 20.0)
                    place = (frame + 1) * self.hop - waiting - 1
                    found[row % x.shape[1]].append((row // x.shape[1], place, min(1.0, level)))
        return found

    def _step(self, row: int, edge: float, peak: float, threshold: float) -> bool:
        """Take the level of one moment, and return whether a stroke is complete."""
        level = 20.0 * math.log10(max(edge, 1e-6))
        self.since[row] += 1
        loud = 20.0 * math.log10(max(peak, 1e-6)) > threshold
        if loud and self.since[row] >= self.refractory and level > self.before[row] + self.RISE_DB:
            self.since[row] = 0
            self.peak[row] = 0.0
        rate = self.rise if level > self.before[row] else self.fall
        self.before[row] += rate * (level - self.before[row])
        if self.since[row] < self.waits:
            self.peak[row] = max(self.peak[row], peak)
        return self.since[row] == self.waits - 1
