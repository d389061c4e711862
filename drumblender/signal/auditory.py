"""Levels of noise in bands on an auditory scale, and noise that has given levels.

Bands are equally wide on the scale of equivalent rectangular bandwidths [1]. Levels are measured in
short spectra whose lengths are the same in seconds at any sample rate.

[1] Glasberg and Moore, "Derivation of auditory filter shapes from notched-noise data", Hearing
    Research 47, 1990.
"""

import math
from functools import lru_cache
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.signal.spectra import filter_spectra, hann_window, short_spectra

# Number of bands in which noise is described.
NUM_BANDS = 32
# Distance of the spectra in seconds, rounded to a power of two of samples; each is four times as
# long.
_DISTANCE = 0.00533


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # What validation asks for first, training uses, too.
def band_shares(bins: int, sample_rate: int, count: int) -> Tensor:
    """Return the part of each bin of a spectrum that belongs to each band, (count, bins).

    The parts of a bin add up to 1.

    Bands are equally wide on the scale of equivalent rectangular bandwidths from 20 Hz to Nyquist.

    >>> band_shares(129, 48000, 24).sum(0).unique().tolist()
    [1.0]
    """
    hz = torch.linspace(0, sample_rate / 2, bins, dtype=torch.float64)
    place = _place(hz, sample_rate, count).clamp(0, count - 1)
    index = torch.arange(count)[:, None]
    shares = (1 - (place - index).abs()).clamp(min=0)
    return (shares / shares.sum(0)).float()


def band_positions(
    sample_rate: int, ratio: float, count: int = NUM_BANDS, among: Optional[int] = None
) -> Tensor:
    """Return the positions among the bands of frequencies that a ratio moves to the bands' centers.

    Positions count bands from 0 on and may lie outside of them.

    Args:
        sample_rate: in Hz.
        ratio: factor by which frequencies are multiplied.
        count: number of bands.
        among: sample rate of the bands in which positions are counted, in Hz. By default it is the
            same.

    Shape:
        - Output: (count,)

    >>> band_positions(48000, 1.0, 4).tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    low, high = _ends(sample_rate)
    scale = low + (torch.arange(count, dtype=torch.float64) + 0.5) / count * (high - low)
    hz = (10 ** (scale / 21.4) - 1) / 0.00437 / ratio
    return _place(hz, among or sample_rate, count).round(decimals=9).float()


def band_places(hz: Tensor, sample_rate: int, count: int = NUM_BANDS) -> Tensor:
    """Return the positions of frequencies among the bands.

    The center of the first band has position 0. Positions may lie outside of the bands.

    Args:
        hz: frequencies in Hz.
        sample_rate: in Hz.
        count: number of bands.

    Shape:
        - hz: (...)
        - Output: (...)

    >>> band_places(torch.tensor([20.0, 24000.0]), 48000, 4).round(decimals=3).tolist()
    [-0.5, 3.5]
    """
    return _place(hz, sample_rate, count)


def band_width(sample_rate: int, count: int = NUM_BANDS) -> float:
    """Return the width of a band, in equivalent rectangular bandwidths.

    >>> round(band_width(48000), 2)
    1.33
    """
    low, high = _ends(sample_rate).tolist()
    return float((high - low) / count)


def level_hop(sample_rate: int) -> int:
    """Return the distance of levels in samples. Level f is centered on sample ``f * level_hop``.

    >>> level_hop(48000), level_hop(8000)
    (256, 64)
    """
    return 2 ** max(3, math.ceil(math.log2(_DISTANCE * sample_rate)))


def noise_levels(
    noise: Tensor, sample_rate: int, count: int = NUM_BANDS, smooth: int = 0
) -> Tensor:
    """Measure noise as bands that change with time.

    Args:
        noise: samples.
        sample_rate: in Hz.
        count: number of bands.
        smooth: number of levels on either side over which power is averaged.

    Shape:
        - noise: (B, N)
        - Output: (B, count, N // level_hop + 1), root mean square of each band. The squares of all
          bands add up to the power of the noise around a frame.

    >>> noise_levels(torch.ones(1, 2560), 48000).square().sum(1)[0, 5].round(decimals=3)
    tensor(1.)
    """
    return noise_powers(noise, sample_rate, count, smooth).sqrt()


def noise_powers(
    noise: Tensor, sample_rate: int, count: int = NUM_BANDS, smooth: int = 0
) -> Tensor:
    """Measure the squares of levels as :func:`noise_levels` does, with a gradient at silence."""
    hop = level_hop(sample_rate)
    size = 4 * hop
    real, imaginary = short_spectra(noise, size, hop)
    power = real.square() + imaginary.square()
    power = torch.cat([power[:, :1], 2 * power[:, 1:-1], power[:, -1:]], dim=1)
    power = band_shares(size // 2 + 1, sample_rate, count).to(noise.device) @ power
    power = average_powers(power, smooth)
    return power / (hann_window(size, noise).square().sum() * size)


def average_powers(power: Tensor, smooth: int) -> Tensor:
    """Average squares of levels over some neighbors on either side, with Hann weights.

    Beyond the ends is silence, so that silence in front of a sound changes none of its averages.

    Shape:
        - power: (B, count, frames)
        - Output: the same

    >>> average_powers(torch.tensor([[[0.0, 0.0, 4.0, 0.0, 0.0]]]), 1).tolist()
    [[[0.0, 1.0, 2.0, 1.0, 0.0]]]
    """
    if not smooth:
        return power
    weight = hann_window(2 * smooth + 3, power, periodic=False)[1:-1]
    flat = power.reshape(-1, 1, power.shape[-1])
    weight = weight / weight.sum()
    return F.conv1d(flat, weight[None, None], padding=smooth).view_as(power)


def shape_noise(noise: Tensor, gains: Tensor, sample_rate: int) -> Tensor:
    """Multiply the bands of noise by gains that change with time; gains of 1 change nothing.

    Shape:
        - noise: (B, N)
        - gains: (B, count, N // level_hop + 1), linear
        - Output: (B, N)
    """
    hop = level_hop(sample_rate)
    shares = band_shares(2 * hop + 1, sample_rate, gains.shape[1]).to(noise.device)
    return filter_spectra(noise, shares.T @ gains, 4 * hop, hop)


def noise_of_levels(
    levels: Tensor,
    num_samples: int,
    sample_rate: int,
    generator: Optional[torch.Generator] = None,
    white: Optional[Tensor] = None,
) -> Tensor:
    """Draw noise that has given levels.

    Args:
        levels: levels as :func:`noise_levels` measures them.
        num_samples: length N of the noise.
        sample_rate: in Hz.
        generator: source of the noise. None stands for PyTorch's global one.
        white: normal white noise of variance 1. None if it is to be drawn.

    Shape:
        - levels: (B, count, N // level_hop + 1)
        - white: (B, N)
        - Output: (B, N)
    """
    if white is None:
        device = levels.device if generator is None else generator.device
        white = torch.randn(len(levels), num_samples, generator=generator, device=device)
    hop = level_hop(sample_rate)
    shares = band_shares(2 * hop + 1, sample_rate, levels.shape[1]).to(levels.device)
    # White noise of variance 1 has the power 1 / (2 hop) in each bin.
    density = shares.T @ (levels.square() / shares.sum(1, keepdim=True)) * (2 * hop)
    return filter_spectra(white.to(levels.device), density.sqrt(), 4 * hop, hop)


def _erb(hz: Tensor) -> Tensor:
    """Convert frequencies to numbers of equivalent rectangular bandwidths below them."""
    return 21.4 * torch.log10(1 + 0.00437 * hz)


def _place(hz: Tensor, sample_rate: int, count: int) -> Tensor:
    """Return the positions of frequencies among the bands, counted from the center of the first."""
    low, high = _ends(sample_rate)
    return (_erb(hz) - low) / (high - low) * count - 0.5


def _ends(sample_rate: int) -> Tensor:
    """Return the ends of the scale, which are those of 20 Hz and Nyquist."""
    return _erb(torch.tensor([20.0, sample_rate / 2], dtype=torch.float64))
