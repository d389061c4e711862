"""Makes one mode of several that cannot be told apart.

A tone that decays otherwise than exponentially, such as that of many a kick drum, is fitted by
several modes of nearly one frequency that add up to it. As they are, these would beat against each
other as soon as their decay is changed, and a blend would move some of them. While two modes sound
together, their phases drift apart. Where that is by less than half a turn or so, they are one mode
whose amplitude and frequency change with time.
"""

import math

import torch
from torch import Tensor

from drumblender.analysis.phase import integral

# Distance of mean frequencies below which two modes are compared: in radians per second, and as a
# part of the frequency.
_NEAR, _NEAR_PART = 2 * math.pi * 60, 0.15
# Standard deviation of the difference of phases, in radians, below which two modes are one.
_APART = 2.0


def merge_modes(
    omega: Tensor, amplitude: Tensor, phase: Tensor, frame: float, sample_rate: int
) -> Tensor:
    """Merge modes that cannot be told apart; those that are merged become silent.

    Args:
        omega: frequency in rad/sample.
        amplitude: linear.
        phase: of each mode half a frame before the center of the first one.
        frame: distance of frames in samples.
        sample_rate: in Hz.

    Shape:
        - omega, amplitude: (M, F), float64
        - phase: (M, 1)
        - Output: (3, M, F), frequency, amplitude and phase
    """
    made = torch.stack([omega, amplitude, phase.expand_as(omega)])
    energy = amplitude.square()
    total = energy.sum(1)
    if omega.shape[1] < 2 or not total.any():
        return made
    mean = (omega * energy).sum(1) / total.clamp(min=1e-30)
    near = (mean[:, None] - mean).abs() < _NEAR / sample_rate + _NEAR_PART * mean
    near.fill_diagonal_(False)
    rest = total.clone()
    for row in total.argsort(descending=True).tolist():
        others = (near[row] & (rest > 0) & (rest <= rest[row])).nonzero()[:, 0]
        if not rest[row] or not len(others):
            continue
        turns = integral(omega[others] - omega[row], frame) + phase[others] - phase[row]
        weight = amplitude[others] * amplitude[row]
        weight = weight / weight.sum(1, keepdim=True).clamp(min=1e-30)
        middle = (weight * turns).sum(1, keepdim=True)
        apart = (weight * (turns - middle).square()).sum(1).sqrt()
        apart = torch.where(weight.sum(1) > 0.5, apart, math.inf)
        # Where their sum passes zero, its phase turns back and it is no mode. Fewer may be one.
        for count in range(int((apart < _APART).sum()), 0, -1):
            chosen = apart.argsort()[:count]
            absorbed = others[chosen]
            waves = torch.polar(amplitude[absorbed], turns[chosen]).sum(0) + amplitude[row]
            one = _one(omega[row], phase[row], waves, frame)
            if one[0].min() > 0:
                made[:, row] = one
                made[1, absorbed] = 0
                rest[absorbed] = 0
                break
    return made


def _one(omega: Tensor, phase: Tensor, waves: Tensor, frame: float) -> Tensor:
    """Return the mode (3, F) that is another one times a complex envelope."""
    size = waves.abs()
    # Where nothing is heard, there is no phase.
    angle = torch.where(size > 1e-6 * size.max(), waves.angle(), math.nan)
    known = angle.isfinite().nonzero()[:, 0]
    first, last = int(known[0]), int(known[-1])
    turn = torch.remainder(angle[first + 1 : last + 1] - angle[first:last] + math.pi, 2 * math.pi)
    turn = torch.nan_to_num(turn - math.pi)
    drift = torch.zeros_like(omega)
    if len(turn):
        between = torch.cat([turn[:1], turn, turn[-1:]]) / frame
        drift[first : last + 1] = 0.5 * (between[1:] + between[:-1])
        drift[last + 1 :] = drift[last]
    # The phase at the first frame that is heard is right, whatever the drift before.
    begun = frame * (0.5 * drift[0] + (0.5 * (drift[1 : first + 1] + drift[:first])).sum())
    start = phase + angle[first] - begun
    return torch.stack([omega + drift, size, start.expand_as(omega)])
