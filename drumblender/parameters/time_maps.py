"""Maps of time, and interpolation between frames."""

from typing import Callable

import torch
from torch import Tensor

# From samples of the new sound to those of the old one.
TimeMap = Callable[[Tensor], Tensor]


def unchanged(time: Tensor) -> Tensor:
    """Leave time as it is."""
    return time


def stretch_after(time: float, factor: float) -> TimeMap:
    """Return a map of time that stretches everything after a moment by a factor.

    The map takes samples of the new sound to samples of the old one. An envelope that falls by
    60 dB in T seconds after the moment then falls by 60 dB in ``factor`` T, whatever its shape.

    Args:
        time: the moment, in samples.
        factor: 2 makes everything after it twice as long.

    >>> stretch_after(100.0, 2.0)(torch.tensor([50.0, 100.0, 300.0])).tolist()
    [50.0, 100.0, 200.0]
    """
    return lambda t: torch.where(t <= time, t, time + (t - time) / factor)


def interpolate(x: Tensor, position: Tensor) -> Tensor:
    """Interpolate linearly at fractional positions of the last axis. The ends hold beyond them.

    Shape:
        - x: (..., F)
        - position: (P,), in frames
        - Output: (..., P)

    >>> interpolate(torch.tensor([0.0, 1.0, 4.0]), torch.tensor([-1.0, 0.5, 1.5])).tolist()
    [0.0, 0.5, 2.5]
    """
    position = position.clamp(0, x.shape[-1] - 1)
    below = position.long().clamp(max=max(0, x.shape[-1] - 2))
    above = (below + 1).clamp(max=x.shape[-1] - 1)
    fraction = (position - below).to(x.dtype)
    return x[..., below] * (1 - fraction) + x[..., above] * fraction
