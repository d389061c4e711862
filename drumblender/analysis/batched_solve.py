"""Solves many small problems of least squares at once, as :mod:`.least_squares` does one.

A problem is the envelopes of the modes of one band of one sound; see :mod:`.batched_fit`.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from drumblender.analysis.least_squares import ITERATIONS, LOUDER
from drumblender.analysis.subbands import RATE


class Problem(NamedTuple):
    """A problem of least squares: P bands with M modes each, on F' frames or F' + 1 segments.

    Attributes:
        basis: cosines, then sines, of each segment (P, F' + 1, M, 2 * RATE).
        ends: how the envelope points at a segment's two ends weigh in it (F' + 1, 2, 1, 2 * RATE).
        is_complex: whether the band has an imaginary part (P, 1, 1, 1).
        exists: which modes there are (P, 1, 1, M).
        sounding: which frames have envelope points (P, F', 1, 1).
    """

    basis: Tensor
    ends: Tensor
    is_complex: Tensor
    exists: Tensor
    sounding: Tensor

    def played(self, envelopes: Tensor) -> Tensor:
        """Make the bands (P, F' + 1, 2, RATE) that envelopes (P, F', parts, M) play."""
        padded = torch.nn.functional.pad(envelopes, (0, 0, 0, 0, 1, 1))
        columns = torch.cat([padded[:, :-1], padded[:, 1:]], -2)
        values = torch.matmul(columns, self.basis).unflatten(-2, (2, -1)) * self.ends
        cos, sin = (values[:, :, 0] + values[:, :, 1]).split(RATE, -1)  # (P, F' + 1, parts, RATE)
        real, imaginary = cos[:, :, 0], sin[:, :, 0]
        if envelopes.shape[-2] == 2:
            real, imaginary = real - sin[:, :, 1], imaginary + cos[:, :, 1]
        return torch.stack([real, imaginary * self.is_complex[..., 0]], -2)

    def gather(self, bands: Tensor, parts: int) -> Tensor:
        """Apply the transposed matrix of :meth:`played`, from bands to envelopes."""
        rows = bands.flatten(-2)[:, :, None]
        if parts == 2:
            turned = torch.cat([bands[..., 1, :], -bands[..., 0, :]], -1)
            rows = torch.cat([rows, turned[:, :, None]], -2)
        rows = (rows[:, :, None] * self.ends).flatten(-3, -2)
        points = torch.matmul(rows, self.basis.transpose(-1, -2))
        points = points[:, :-1, parts:] + points[:, 1:, :parts]
        return points * self.exists * self.sounding


def segment_places(device: torch.device) -> Tensor:
    """Return the places of a segment's samples between its two frames, from 0 to 1."""
    return (torch.arange(RATE, device=device) + 0.5) / RATE


def end_weights(num_frames: int, of_all: int, device: torch.device) -> Tensor:
    """Return how the envelope points at both ends of a segment weigh in its samples."""
    tau = segment_places(device)
    rise = tau.repeat(num_frames + 1, 1)
    fall = 1 - rise
    # The synthesizer holds the first and the last frame to the ends of the signal.
    rise[0], fall[0] = (tau > 0.5).float(), 0
    if num_frames == of_all:
        rise[-1], fall[-1] = 0, (tau < 0.5).float()
    return torch.stack([fall, rise], 1).repeat(1, 1, 2)[:, :, None]


def conjugate_gradients(problem: Problem, target: Tensor, penalties: Tensor, parts: int) -> Tensor:
    """Find the envelope points (P, F', parts, M), as in :mod:`.least_squares`."""
    scale = torch.where(problem.is_complex, 2, 1) * (RATE * (2 / 3) * 0.5)
    ridge, bend = (scale[..., None] * penalties[:, None, None]).float().unbind(-1)
    # Of second differences, those within what sounds.
    s = problem.sounding
    inner = s[:, 2:] & s[:, :-2] if s.shape[1] > 2 else s[:, :0]

    def normal(c: Tensor) -> Tensor:
        """Apply the matrix of the normal equations."""
        out = problem.gather(problem.played(c), parts) + ridge * c
        if c.shape[1] > 2:
            bends = bend * inner * torch.diff(c, n=2, dim=1)
            out[:, 2:] += bends
            out[:, 1:-1] -= 2 * bends
            out[:, :-2] += bends
        return out

    def dot(a: Tensor, b: Tensor) -> Tensor:
        """Multiply the envelope points of each band."""
        return (a * b).sum((1, 2, 3), keepdim=True)

    residual = problem.gather(target, parts)
    solution = torch.zeros_like(residual)
    inverse = 1 / (scale + ridge + 6 * bend)
    search = inverse * residual
    energy = first = dot(residual, search)
    for _ in range(ITERATIONS):
        # Who is done goes on with steps of zero.
        going = energy > 1e-7 * first
        image = normal(search)
        step = torch.where(going, energy / dot(search, image), 0)
        solution = solution + step * search
        residual = residual - step * image
        update = inverse * residual
        energy, before = dot(residual, update), energy
        search = update + torch.where(going, energy / before, 0) * search
    return solution


def level_gain(problem: Problem, wanted: Tensor, envelopes: Tensor) -> Tensor:
    """Return the gain for each frame of :func:`~drumblender.analysis.least_squares.level_gain`."""
    fitted = problem.played(envelopes).square().sum((-1, -2)) / RATE
    ratio = wanted / (0.5 * (fitted[:, 1:] + fitted[:, :-1]) + 1e-20)
    return ratio.clamp(1, LOUDER**2).sqrt()
