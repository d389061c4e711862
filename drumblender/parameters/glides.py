"""Glides of modes, which are ways of their frequencies that slow down exponentially.

The skin of a drum is stretched by a stroke, and an analog kick drum is swept. The frequency is then
base (1 + size exp(-t / time)), where t counts from the onset.
"""

import math
from typing import NamedTuple, Tuple

import torch
from torch import Tensor

# Shortest time that is tried, in frames.
_SHORTEST = 2.0
# Numbers of times that are tried, first from the shortest to the length of the sound, and then
# around the best of those before.
_TRIED = (48, 9, 9, 9)
# Size of a glide in octaves, at least and at most.
_WAY = (1 / 48, 4.0)
# A glide leaves less than this part of the variance of the frequency.
_LEFT = 0.1


class Glides(NamedTuple):
    """Glides of modes. The size of a mode that does not glide is 0, and its time is infinite.

    Attributes:
        base: frequency in the end, or the mean frequency of a mode that does not glide.
        size: what the frequency is higher at the onset, as a part of the base.
        time: number of frames in which this difference falls to 1 / e.

    Shape:
        - base, size, time: (M,), float64
    """

    base: Tensor
    size: Tensor
    time: Tensor

    def factor(self, since: Tensor) -> Tensor:
        """Compute frequencies as multiples of the base. They do not change before the onset.

        Shape:
            - since: (F,), in frames since the onset
            - Output: (M, F)
        """
        return 1 + self.size[:, None] * (-since.clamp(min=0) / self.time[:, None]).exp()


def fit_glides(frequency: Tensor, amplitude: Tensor, onset: float, settled: float = 0.0) -> Glides:
    """Fit glides to modes by least squares, weighted by amplitude.

    Args:
        frequency: frequencies in any unit.
        amplitude: linear amplitudes.
        onset: frame from which glides count, perhaps between two.
        settled: number of frames after the onset that do not count. In an attack, frequencies say
            little. Glides last twice as long at least, because they are not seen otherwise.

    Shape:
        - frequency, amplitude: (M, F)

    >>> since = torch.arange(200.0) - 10
    >>> swept = 0.05 * (1 + 0.8 * torch.exp(-since.clamp(min=0) / 30))
    >>> [round(x.item(), 3) for x in fit_glides(swept[None], 0.98 ** since[None], 10.0)]
    [0.05, 0.8, 30.007]
    """
    since = torch.arange(frequency.shape[-1], dtype=torch.float64) - onset
    weight = amplitude.double() * (since >= 0)
    late = weight * (since >= settled)
    # What has ended by then has no other frequency than that of its attack.
    weight = torch.where(late.any(-1, keepdim=True), late, weight)
    frequency, energy = frequency.double(), weight.square()
    base = (energy * frequency).sum(-1) / energy.sum(-1).clamp(min=1e-30)
    size, time = torch.zeros_like(base), torch.full_like(base, math.inf)
    weight = weight / weight.sum(-1, keepdim=True).clamp(min=1e-30)
    mean = (weight * frequency).sum(-1, keepdim=True)
    spread = (weight * (frequency - mean).square()).sum(-1).sqrt()
    shortest = max(_SHORTEST, 2 * settled)
    for row in (spread > _WAY[0] / 8 * base).nonzero()[:, 0].tolist():
        end, way, lasting = _fit(frequency[row], weight[row], since, shortest)
        if end > 0 and way > -end and _WAY[0] < abs(math.log2(1 + way / end)) < _WAY[1]:
            base[row], size[row], time[row] = end, way / end, lasting
    return Glides(base, size, time)


def _fit(
    frequency: Tensor, weight: Tensor, since: Tensor, shortest: float
) -> Tuple[float, float, float]:
    """Fit end + way exp(-since / time) to a frequency (F,), and return end, way and time.

    The way is 0 where that leaves too much.
    """
    mean = (weight * frequency).sum()
    x, since = frequency - mean, since.clamp(min=0)
    low, high = math.log(shortest), math.log(max(2 * shortest, len(since)))
    for count in _TRIED:
        times = torch.linspace(low, high, count, dtype=torch.float64).exp()
        shape = (-since / times[:, None]).exp()
        shape = shape - (shape @ weight)[:, None]
        ways = (shape @ (weight * x)) / (shape.square() @ weight).clamp(min=1e-30)
        left = (weight * (x - ways[:, None] * shape).square()).sum(-1)
        best = int(left.argmin())
        time, step = float(times[best]), (high - low) / (count - 1)
        low, high = math.log(time) - step, math.log(time) + step
    way = float(ways[best])
    if left[best] > _LEFT * (weight * x.square()).sum():
        return float(mean), 0.0, math.inf
    return float(mean - way * (weight * (-since / time).exp()).sum()), way, time
