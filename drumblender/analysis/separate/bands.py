"""Frequency bands of a signal at a low rate, in which modes are fitted; see :mod:`..bands`."""

import math
from typing import NamedTuple

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from drumblender.analysis.bands import cut, samples_of, taper

# Distance of bands and rate of their samples, in Hz.
WIDTH = 1500.0
RATE = 2 * WIDTH
# Silence behind a signal, so that circular bands do not meet its beginning, in seconds.
_BEHIND = 0.1


class Bands(NamedTuple):
    """A batch of signals in bands.

    Attributes:
        samples: samples of the bands, complex64 (B, bands, n). Band 0 is real, because a low tone
            that starts at once has no analytic envelope. The others are analytic.
        number: number of each band, in order (bands,).
        centers: centers of all bands in rad/s, float64.
        time: times of the samples in seconds, float64 (n,).
    """

    samples: Tensor
    number: Tensor
    centers: Tensor
    time: Tensor

    def of(self, sound: Tensor, band: Tensor) -> Tensor:
        """Return the samples of some sounds in some bands, by their numbers, (G, n)."""
        return self.samples[sound, torch.searchsorted(self.number, band)]


def count_bands(sample_rate: int) -> int:
    """Count the bands up to Nyquist."""
    return math.ceil(sample_rate / 2 / WIDTH)


def split(x: Tensor, sample_rate: int, number: Tensor) -> Bands:
    """Split signals (B, N) into bands, which are flat over 4/3 of their distance.

    Args:
        x: signals.
        sample_rate: in Hz.
        number: numbers of the bands that are wanted, in order.

    >>> bands = split(torch.ones(1, 48000), 48000, torch.arange(16))
    >>> bands.samples.shape, round(bands.samples[0, 0, 1500].real.item(), 2)
    (torch.Size([1, 16, 3000]), 1.0)
    """
    unit = round(_BEHIND * sample_rate / 2)
    padded = unit * next_fast_len(x.shape[-1] // unit + 2, real=True)
    half = round(WIDTH * padded / sample_rate)
    weights = (2 * half / padded) * taper(half, half, 3, x.device)
    samples = samples_of(cut(torch.fft.rfft(x, padded), number, half), weights)
    time = torch.arange(2 * half, dtype=torch.float64, device=x.device)
    heard = time * padded < x.shape[-1] * 2 * half
    time = time * (padded / (2 * half) / sample_rate)
    every = torch.arange(count_bands(sample_rate), dtype=torch.float64, device=x.device)
    centers = 2 * math.pi * half * every * sample_rate / padded
    return Bands(samples[..., heard], number, centers, time[heard])
