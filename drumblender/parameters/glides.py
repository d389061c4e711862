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
# What no time comes near to at first is no glide.
_LEFT_AT_FIRST = 0.2


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
    rows = (spread > _WAY[0] / 8 * base).nonzero()[:, 0]
    end, way, lasting = _fit(frequency[rows], weight[rows], since, shortest)
    octaves = (1 + way / end.clamp(min=1e-30)).clamp(min=1e-9).log2().abs()
    glides = (end > 0) & (way > -end) & (_WAY[0] < octaves) & (octaves < _WAY[1])
    rows, end, way, lasting = rows[glides], end[glides], way[glides], lasting[glides]
    base[rows], size[rows], time[rows] = end, way / end, lasting
    return Glides(base, size, time)


def _fit(
    frequency: Tensor, weight: Tensor, since: Tensor, shortest: float
) -> Tuple[Tensor, Tensor, Tensor]:
    """Fit end + way exp(-since / time) to frequencies (M, F), and return end, way and time, (M,).

    The way is 0 where that leaves too much. The sum of the weights of a frequency is 1.
    """
    mean = (weight * frequency).sum(-1, keepdim=True)
    x, since = frequency - mean, since.clamp(min=0)
    variance = (weight * x.square()).sum(-1)
    low, high = math.log(shortest), math.log(max(2 * shortest, len(since)))
    times = torch.linspace(low, high, _TRIED[0], dtype=torch.float64).exp()
    step = (high - low) / (_TRIED[0] - 1)
    time, way, middle, left = _best(times, x, weight, since)
    way = torch.where(left > _LEFT_AT_FIRST * variance, 0, way)
    rows = way.nonzero()[:, 0]
    for count in _TRIED[1:]:
        around = torch.linspace(-step, step, count, dtype=torch.float64).exp()
        times = time[rows, None] * around
        found = _best(times, x[rows], weight[rows], since)
        time[rows], way[rows], middle[rows], left[rows] = found
        step *= 2 / (count - 1)
    way = torch.where(left > _LEFT * variance, 0, way)
    return mean[:, 0] - way * middle, way, time


def _best(
    times: Tensor, x: Tensor, weight: Tensor, since: Tensor
) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    """Choose among times the one that leaves the least of frequencies (M, F) less their means.

    Args:
        times: the same for all frequencies, or some for each one.
        x: frequencies less their means.
        weight: weights of the frames.
        since: frames since the onset.

    Returns:
        The time, the way, the weighted mean of exp(-since / time), and the variance that is left,
        (M,) each.

    Shape:
        - times: (count,) or (M, count)
        - x, weight: (M, F)
    """
    shapes = (-since / times[..., None]).exp()
    product = "cf,mf->mc" if times.ndim == 1 else "mcf,mf->mc"
    middle = torch.einsum(product, shapes, weight)
    square = torch.einsum(product, shapes.square(), weight) - middle.square()
    ways = torch.einsum(product, shapes, weight * x) / square.clamp(min=1e-30)
    variance = (weight * x.square()).sum(-1, keepdim=True)
    left, best = (variance - ways.square() * square).min(-1, keepdim=True)
    found = (y.expand_as(ways).gather(-1, best)[:, 0] for y in (times, ways, middle))
    time, way, mean = found
    return time, way, mean, left[:, 0]
