"""Frequency bands of a signal at a low rate, in which modes are fitted."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

# Distance of bands and rate of their samples, in Hz.
WIDTH = 1500.0
RATE = 2 * WIDTH
# Silence behind a signal, so that circular bands do not meet its beginning, in seconds.
_BEHIND = 0.1


class Bands(NamedTuple):
    """A batch of signals in bands.

    Attributes:
        samples: complex64 (B, bands, n); band 0 is real, because a low tone that starts at once has
            no analytic envelope; the others are analytic.
        centers: in rad/s (bands,), float64.
        time: of the samples in seconds (n,), float64.
    """

    samples: Tensor
    centers: Tensor
    time: Tensor


def split(x: Tensor, sample_rate: int) -> Bands:
    """Split signals (B, N) into bands, flat over 4/3 of their distance.

    >>> bands = split(torch.ones(1, 48000), 48000)
    >>> bands.samples.shape, round(bands.samples[0, 0, 1500].real.item(), 2)
    (torch.Size([1, 16, 3000]), 1.0)
    """
    unit = round(_BEHIND * sample_rate / 2)  # makes lengths that are quick to transform
    padded = unit * (x.shape[-1] // unit + 2)
    spectrum = torch.fft.rfft(x, padded)
    half = round(WIDTH * padded / sample_rate)
    k = torch.arange(-half, half, device=x.device)
    taper = 0.5 - 0.5 * torch.cos(math.pi * (3 - 3 * k.abs() / half).clamp(0, 1))
    shifts = torch.arange(math.ceil(sample_rate / 2 / WIDTH), device=x.device) * half
    index = shifts[:, None] + k
    inside = (index >= 0) & (index < spectrum.shape[-1])
    slices = 2 * inside * spectrum[:, index.clamp(0, spectrum.shape[-1] - 1)]
    slices[:, 0] = torch.cat([spectrum[:, 1 : half + 1].flip(-1).conj(), spectrum[:, :half]], -1)
    samples = torch.fft.ifft(torch.fft.ifftshift(slices * taper, dim=-1)) * (2 * half / padded)
    time = torch.arange(2 * half, dtype=torch.float64, device=x.device)
    heard = time * padded < x.shape[-1] * 2 * half
    time = time * (padded / (2 * half) / sample_rate)
    centers = 2 * math.pi * shifts.double() * sample_rate / padded
    return Bands(samples[..., heard], centers, time[heard])
