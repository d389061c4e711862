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
# Variance per sample that no floor is below: the rounding of 16 bits.
LOWEST = 2e-9


class Floor(NamedTuple):
    """The noise of a batch of sounds.

    Attributes:
        power: variance per sample of noise that is as loud at all frequencies, (B, groups, frames).
        white: signal divided by the root of the floor, (B, N).
        hop: distance between frames, in samples.
    """

    power: Tensor
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
        groups, frames = self.power.shape[1:]
        index = torch.arange(groups, device=low.device)
        share = torch.minimum(index + 1, high[:, None] * groups) - torch.maximum(
            index, low[:, None] * groups
        )
        share = share.clamp(min=0)
        share = (share / share.sum(1, keepdim=True)).to(self.power.dtype)
        level = torch.einsum("gk,gkf->gf", share, self.power[sound].log())
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
    >>> round(floor.power.mean().item(), 2), round(floor.white.std().item(), 1)
    (0.01, 1.0)
    """
    size = 2 ** max(7, round(math.log2(SECONDS * sample_rate)))
    hop = size // 2
    window = torch.hann_window(size, dtype=x.dtype, device=x.device)
    spectrum = torch.stft(x, size, hop, window=window, pad_mode="constant", return_complex=True)
    power = (spectrum.real.square() + spectrum.imag.square()) / window.square().sum()
    batch, bins, frames = power.shape
    groups = power[:, :-1].reshape(batch, -1, GROUP, frames).transpose(2, 3)
    # The power of noise is distributed exponentially: its median is its mean times log 2.
    median = groups.sort(-1).values[..., GROUP // 2 - 1 : GROUP // 2 + 1].mean(-1) / math.log(2)
    median = F.avg_pool1d(F.pad(median, (1, 1), mode="replicate"), 3, 1).clamp(min=LOWEST)
    # Between groups the power is linear, not its logarithm. At the edge of a band, noise would
    # stand above a floor that the empty group beside it pulls down.
    level = median.transpose(1, 2).reshape(batch * frames, 1, -1)
    level = F.interpolate(level, size=bins - 1, mode="linear").view(batch, frames, -1)
    root = torch.cat([level, level[..., -1:]], -1).transpose(1, 2).rsqrt()
    white = torch.istft(spectrum * root, size, hop, window=window, length=x.shape[-1])
    return Floor(median, white, hop)
