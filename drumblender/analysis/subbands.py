"""Splits sounds into frequency bands at a low rate, on a grid that fits the frames of modes.

A band of 1.5 kHz needs only one complex sample where the signal has sixteen. The bands themselves
are those of :mod:`.bands`.
"""

import math
from functools import lru_cache
from typing import NamedTuple, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.analysis.bands import cut, samples_of, taper

# Samples of a band per frame of modes.
RATE = 16
# Lengths of signals whose weights are kept.
_CACHED = 4


class Subbands(NamedTuple):
    """Sounds split into bands, each in segments between the centers of frames.

    Attributes:
        samples: samples of the bands, complex64 (B, bands, F + 1, RATE). Segment s lies between the
            centers of frames s - 1 and s. Band 0 is real.
        power: power of each band around the center of each frame, float32 (B, bands, F). Here bands
            do not overlap: each has only its own share of the signal.
        number: number of each band, in order (bands,).
        width: distance between the centers of bands, in rad/sample.
        frame: distance between the centers of frames, in samples (N / F, in general no integer).
    """

    samples: Tensor
    power: Tensor
    number: Tensor
    width: float
    frame: float

    def places(self, band: Tensor) -> Tensor:
        """Return the places of some bands by their numbers."""
        return torch.searchsorted(self.number, band)


def band_width(num_samples: int, num_frames: int) -> float:
    """Return the distance between the centers of bands, in rad/sample."""
    return num_frames * RATE / num_samples * math.pi


def split(x: Tensor, num_frames: int, number: Tensor) -> Subbands:
    """Split sounds into bands.

    Args:
        x: samples.
        num_frames: number F of frames of modal parameters for the signal.
        number: numbers of the bands that are wanted, in order.

    Shape:
        - x: (B, N), float32
        - number: (bands,)

    >>> split(torch.ones(1, 96000), 376, torch.arange(17)).samples.shape
    torch.Size([1, 17, 377, 16])
    """
    num_samples = x.shape[-1]
    half = num_frames * RATE // 2
    weights, share = _weights(num_samples, half, x.device)
    slices = cut(torch.fft.rfft(x), number, half)
    own = _in_segments(samples_of(slices, share), number)
    power = torch.view_as_real(own).flatten(-2).square().sum(-1).mul_(1 / RATE)
    samples = _in_segments(samples_of(slices, weights), number)
    return Subbands(
        samples=samples,
        power=0.5 * (power[..., 1:] + power[..., :-1]),
        number=number,
        width=band_width(num_samples, num_frames),
        frame=num_samples / num_frames,
    )


def _in_segments(bands: Tensor, number: Tensor) -> Tensor:
    """Leave band 0 without an imaginary part, and put bands into segments between frames."""
    torch.view_as_real(bands)[:, :1, :, 1] *= (number[:1] > 0)[:, None]
    # Segments lie between centers of frames: half a frame of nothing at both ends.
    return F.pad(bands, (RATE // 2, RATE // 2)).unflatten(-1, (-1, RATE))


@lru_cache(maxsize=_CACHED)
def _weights(num_samples: int, half: int, device: torch.device) -> Tuple[Tensor, Tensor]:
    """Make the weights of the bins of bands, and those of only their own shares, complex64."""
    last = min(half, num_samples // 2 + 1)
    # Sample n stands for the time n + 1/2, and so does each sample of a band for the middle of its
    # cell: the grids are offset by half the difference of the cells.
    offset = 0.5 * num_samples / (2 * half) - 0.5
    k = torch.arange(-half, half, dtype=torch.float64, device=device)
    scale = torch.full_like(k, 2 * half / num_samples)
    turned = torch.polar(scale, 2 * math.pi * offset / num_samples * k).to(torch.complex64)
    weights = turned * taper(half, last, 3, device)
    # Neighboring shares add up to one where they cross, at half the distance of the bands.
    return weights, weights * taper(half, last, 2, device)
