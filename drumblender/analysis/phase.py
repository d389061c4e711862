"""Phases of modes at the centers of frames, as the modal synthesizer sums them."""

from typing import Optional, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_FOLDING_STEPS = 6

Array = TypeVar("Array", Tensor, np.ndarray)


def integral(omega: Array, frame: float) -> Array:
    """Integrate a frequency that is linear between frames, from half a frame before the first one.

    Args:
        omega: frequency in rad/sample at the centers of frames.
        frame: length of a frame, in samples.

    Shape:
        - omega: (..., F)
        - Output: (..., F), in radians
    """
    steps = 0.5 * frame * omega
    steps[..., 1:] = 0.5 * frame * (omega[..., 1:] + omega[..., :-1])
    return steps.cumsum(-1)


def running(omega: Tensor, frame: float) -> Tensor:
    """Compute the phase at the centers of frames, where frequency is linear between them.

    The phase is the running sum of the frequency. The sum of the synthesizer includes the sample
    itself, which is half a step more than the integral up to it. Arguments and shapes are those of
    :func:`integral`.

    >>> running(torch.full((3,), 0.1), 10.0)
    tensor([0.5500, 1.5500, 2.5500])
    """
    return integral(omega, frame) + 0.5 * omega


def folded(angle: Tensor, frame: float, sounding: Optional[Tensor] = None) -> Tensor:
    """Compute changes of frequency whose phase follows an angle, but for a constant.

    One central difference would smooth the phase by cos^2. It is repeated on the rest, which
    restores all but the fastest turns. These are left out, because noise would make them explode.

    Args:
        angle: in radians; whole turns do not count.
        frame: length of a frame, in samples.
        sounding: the frames that count, without gaps; all of them, if it is None.

    Shape:
        - angle: (..., F)
        - sounding: bool, (..., F), broadcast
        - Output: (..., F), in rad/sample; 0 where nothing sounds

    >>> folded(torch.tensor([0.0, 1.0, 2.0, 3.0]), 10.0)
    tensor([0.1000, 0.1000, 0.1000, 0.1000])
    """
    if sounding is None:
        sounding = torch.ones_like(angle[..., :1], dtype=torch.bool).expand_as(angle)
    between = (sounding[..., 1:] & sounding[..., :-1]).to(angle.dtype)
    # At the first and the last frame, the difference is one-sided.
    neighbors = F.pad(between, (1, 0)) + F.pad(between, (0, 1))
    share = 1 / (frame * neighbors.clamp(min=1))
    left = angle.diff(dim=-1)
    left = (left - 2 * torch.pi * (left / (2 * torch.pi)).round()) * between
    # What the running phase rises by, of the frequencies at the beginning and the end of a step.
    early, late = 0.5 * (frame - 1) * between, 0.5 * (frame + 1) * between
    change = torch.zeros_like(angle)
    for _ in range(_FOLDING_STEPS):
        step = (F.pad(left, (1, 0)) + F.pad(left, (0, 1))) * share
        change += step
        left = left - (early * step[..., :-1] + late * step[..., 1:])
    return change
