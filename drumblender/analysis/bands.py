"""Splits the spectra of signals into frequency bands at a low rate, in which modes are fitted.

Modes more than a few hundred Hz apart do not see each other, so that one small problem per band
takes the place of a large one, and a band needs few complex samples where the signal has many.
Bands are flat over 4/3 of their distance and keep twice their distance in all, so that a mode near
the edge of its band and its neighbors beyond are seen whole. The bands above band 0 are analytic.
Band 0 stays real, because a low tone that starts at once has no analytic envelope.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def cut(spectrum: Tensor, number: Tensor, half: int) -> Tensor:
    """Cut bands out of half spectra.

    Band b is centered on bin ``b * half``. Above band 0 negative frequencies are left out and
    positive ones doubled.

    Args:
        spectrum: bins of real signals from 0 to Nyquist.
        number: numbers of the bands that are wanted, in order.
        half: distance of the bands, in bins.

    Shape:
        - spectrum: (B, bins), complex
        - number: (bands,)
        - Output: (B, bands, 2 * half), from ``half`` bins below the center on

    >>> cut(torch.arange(7.0)[None] + 0j, torch.arange(3), 2).real[0].tolist()
    [[2.0, 1.0, 0.0, 1.0], [0.0, 2.0, 4.0, 6.0], [4.0, 6.0, 8.0, 10.0]]
    """
    bins = max(spectrum.shape[-1], half + 1)
    spectrum = F.pad(spectrum, (0, half * (-(-bins // half) + 1) - spectrum.shape[-1]))
    mirrored = torch.cat([spectrum[:, 1 : half + 1].flip(-1).conj(), spectrum], -1)
    return mirrored.unfold(-1, 2 * half, half)[:, number] * (1 + (number > 0))[:, None]


def taper(half: int, last: int, until: float, device: torch.device) -> Tensor:
    """Make weights of the bins of a band, which are flat and fall to 0 like a raised cosine.

    Args:
        half: distance of the bands, in bins.
        last: number of bins to either side that a band keeps.
        until: where they are 0, in thirds of ``last``; one third before that they begin to fall.
        device: where to put them.
    """
    k = torch.arange(-half, half, dtype=torch.float64, device=device)
    fall = (until - 3 * k.abs() / last).clamp(0, 1)
    return (0.5 - 0.5 * torch.cos(math.pi * fall)).float()


def samples_of(slices: Tensor, weights: Tensor) -> Tensor:
    """Turn slices from :func:`cut` into the samples of bands, after weighting their bins.

    Shape:
        - slices: (B, bands, 2 * half)
        - weights: (2 * half,)
        - Output: (B, bands, 2 * half), complex
    """
    half = slices.shape[-1] // 2
    ordered = torch.empty_like(slices)
    torch.mul(slices[..., half:], weights[half:], out=ordered[..., :half])
    torch.mul(slices[..., :half], weights[:half], out=ordered[..., half:])
    return torch.fft.ifft(ordered)
