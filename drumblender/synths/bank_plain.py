"""The bank of :mod:`drumblender.synths.bank` by operations that every runtime has.

It evaluates the same blocks. Unlike the operation, it leaves out no mode that is silent, and does
not ask whether any mode may reach Nyquist, because a program does the same for all sounds.
"""

import math
from typing import Optional

import torch
from torch import Tensor

from drumblender.synths.bank import BLOCK, Grid, angles_of, envelopes_of


def plain_bank(freqs: Tensor, amps: Tensor, phase: Optional[Tensor], num_samples: int) -> Tensor:
    """Play a bank of sinusoids as :func:`drumblender.synths.bank.bank` does.

    Shape:
        - freqs, amps: (B, M, F)
        - phase: (B, M, 1)
        - Output: (B, N)

    >>> plain_bank(torch.full((2, 8, 10), 0.1), torch.ones(2, 8, 10), None, 2560).shape
    torch.Size([2, 2560])
    """
    grid = _grid(num_samples, freqs.shape[-1])
    angles, envelopes = angles_of(freqs, phase, grid, amps.dtype), envelopes_of(amps, grid)
    steps = grid.steps.to(amps.dtype)
    ones = torch.ones_like(steps)
    waves = torch.sin(angles @ torch.stack([ones, steps, steps.square()]))
    # In the order of the other forms, so that modes fall silent at the same sample.
    frequency = angles[..., 1:2] + 2 * angles[..., 2:] * (steps - 0.5)
    waves = torch.where(frequency.abs() < math.pi, waves, 0.0)
    a0, a1 = (envelopes @ waves).unbind(3)
    return (a0 + a1 * steps).flatten(1)[:, grid.index]


def _grid(num_samples: int, num_frames: int) -> Grid:
    """Make the grid of N samples and F frames, for numbers that are not known yet.

    All blocks have ``BLOCK`` samples.
    """
    segment = torch.arange(num_frames + 1)
    starts = ((2 * segment[1:] - 1) * num_samples + num_frames - 1) // (2 * num_frames)
    ends = torch.cat([starts, torch.ones_like(segment[:1]) * num_samples])
    starts = torch.cat([torch.zeros_like(segment[:1]), starts])
    blocks = (num_samples - 1) // (BLOCK * num_frames) + 1
    one = torch.ones(1, dtype=torch.float64)
    slope = (one * num_frames) / (one * num_samples)
    sample = torch.arange(num_samples)
    which = ((2 * sample + 1) * num_frames + num_samples) // (2 * num_samples)
    half = 0.5 * (BLOCK - 1)
    return Grid(
        slope=slope,
        count=(ends - starts)[:, None].double(),
        offset=((starts.double() + 0.5) * slope + 0.5 - segment)[:, None],
        middle=(torch.arange(blocks, dtype=torch.float64) * BLOCK + half)[:, None],
        steps=torch.arange(BLOCK, dtype=torch.float64) - half,
        index=which * (blocks * BLOCK) + sample - starts[which],
    )
