"""The noise floor of a recording: how loud noise is at each time and frequency.

What is tonal stands above the floor around it. The floor is the median power of neighboring bins of
a short-time spectrum, which a few sinusoids among them do not move [1]. Divided by its root, a
signal has noise that is white and of variance 1 wherever it is, so that a test for sinusoids has
the same rate of false alarms everywhere.

[1] Rohling, "Radar CFAR thresholding in clutter and multiple target situations", IEEE Trans. AES
    19(4), 1983.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# Length of the spectra in seconds, rounded to a power of two of samples; four in each length.
SECONDS = 0.0213
# Bins that are neighbors.
GROUP = 16
# Pairs that sort eight values, which are half a group (Batcher's network).
_SORTING = (
    *((0, 1), (2, 3), (4, 5), (6, 7), (0, 2), (1, 3), (4, 6), (5, 7), (1, 2), (5, 6)),
    *((0, 4), (1, 5), (2, 6), (3, 7), (2, 4), (3, 5), (1, 2), (3, 4), (5, 6)),
)
# Variance per sample that no floor is below: the rounding of 16 bits.
LOWEST = 2e-9


class Floor(NamedTuple):
    """The noise of a batch of sounds.

    Attributes:
        level: logarithm of the variance per sample of noise that is as loud at all frequencies,
            (B, groups, frames).
        white: signal divided by the root of the floor, (B, N).
        hop: distance between frames, in samples.
    """

    level: Tensor
    white: Tensor
    hop: int

    def along(self, sound: Tensor, low: Tensor, high: Tensor, place: Tensor) -> Tensor:
        """Compute the mean floor between two frequencies over time.

        Args:
            sound: which of the batch (G,).
            low, high: frequencies relative to Nyquist (G,).
            place: times in samples (n,).

        Shape:
            - Output: (G, n)
        """
        groups, frames = self.level.shape[1:]
        index = torch.arange(groups, device=low.device)
        share = torch.minimum(index + 1, high[:, None] * groups) - torch.maximum(
            index, low[:, None] * groups
        )
        share = share.clamp(min=0)
        share = (share / share.sum(1, keepdim=True)).to(self.level.dtype)
        level = torch.einsum("gk,gkf->gf", share, self.level[sound])
        at = (place / self.hop).clamp(max=frames - 1.001)
        before = at.long()
        left, right = level[:, before], level[:, before + 1]
        return torch.lerp(left, right, (at - before).to(level.dtype)).exp()


def noise_floor(x: Tensor, sample_rate: int) -> Floor:
    """Measure the noise floor.

    Shape:
        - x: (B, N)

    >>> noise = torch.randn(1, 48000, generator=torch.Generator().manual_seed(0))
    >>> floor = noise_floor(0.1 * noise, 48000)
    >>> round(floor.level.exp().mean().item(), 2), round(floor.white.std().item(), 1)
    (0.01, 1.0)
    """
    size = 2 ** max(7, round(math.log2(SECONDS * sample_rate)))
    hop = size // 2
    window = torch.hann_window(size, dtype=x.dtype, device=x.device)
    spectrum = torch.stft(x, size, hop, window=window, pad_mode="constant", return_complex=True).mT
    power = (spectrum.real.square() + spectrum.imag.square()) / window.square().sum()
    batch, frames, bins = power.shape
    # The power of noise is distributed exponentially: its median is its mean times log 2.
    median = _median(power[..., :-1].unflatten(2, (-1, GROUP))).mT / math.log(2)
    median = F.avg_pool1d(F.pad(median, (1, 1), mode="replicate"), 3, 1).clamp(min=LOWEST)
    # Between groups the power is linear, not its logarithm. At the edge of a band, noise would
    # stand above a floor that the empty group beside it pulls down.
    level = F.interpolate(median.mT.flatten(0, 1)[:, None], size=bins - 1, mode="linear")
    level = level.view(batch, frames, -1)
    root = torch.cat([level, level[..., -1:]], -1).rsqrt()
    white = _overlapped(torch.fft.irfft(spectrum * root, size), window)[:, : x.shape[-1]]
    return Floor(median.log(), white, hop)


def _median(x: Tensor) -> Tensor:
    """Compute medians over the last dimension, of GROUP values.

    Sorting so many short rows takes five times as long as a network that sorts all of them at once.
    """
    rows = list(x.unflatten(-1, (2, GROUP // 2)).movedim(-1, 0).contiguous())
    for low, high in _SORTING:
        smaller = torch.minimum(rows[low], rows[high])
        rows[high] = torch.maximum(rows[low], rows[high])
        rows[low] = smaller
    ordered = torch.stack(rows)
    one, other = ordered[..., 0], ordered[..., 1].flip(0)
    return 0.5 * (torch.minimum(one, other).amax(0) + torch.maximum(one, other).amin(0))


def _overlapped(frames: Tensor, window: Tensor) -> Tensor:
    """Add up frames (B, F, size) that overlap by half, from the center of the first one on.

    This is the inverse of a short-time Fourier transform, whose analysis has the same window.
    """
    halves = (frames * window).unflatten(2, (2, -1))
    weight = window.square().view(2, -1)
    total, weights = halves[:, :, 1].clone(), weight[1].repeat(frames.shape[1], 1)
    total[:, :-1] += halves[:, 1:, 0]
    weights[:-1] += weight[0]
    return (total / weights).flatten(1)
