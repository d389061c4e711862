"""Makes one mode of several that cannot be told apart.

A tone that decays otherwise than exponentially, or glides otherwise, such as that of many a kick
drum, is fitted by several modes of nearly one frequency that add up to it. As they are, these would
beat against each other as soon as their decay is changed, and a blend would move some of them.
While two modes sound together, their phases drift apart. Where that is by less than half a turn or
so, they are one mode whose amplitude and frequency change with time. Where it is by up to a turn or
two, they are one if they do not beat, as partials of a drum would.
"""

import math
from typing import Optional

import torch
from torch import Tensor

from drumblender.analysis.phase import integral

# Distance of mean frequencies below which two modes are compared: in radians per second, and as a
# part of the frequency.
_NEAR, _NEAR_PART = 2 * math.pi * 60, 0.15
# Standard deviation of the difference of phases, in radians, below which two modes are one, and
# below which they are one if they do not beat.
_APART, _WANDERING = 2.0, 6.0
# Ratio of the frequencies of modes that wander, at most. Partials of a kick may be closer than 1.5.
_RATIO = 1.25
# Where the level of a sum of modes rises by less than that after its peak, they do not beat, in dB.
# What is this much below the peak is not heard.
_BEATS, _FAINT = 3.0, -30.0
# Energy of the difference between one mode and the sum that it stands for, at most.
_ERROR = 0.01
# How often the frequency is corrected to make the difference smaller.
_STEPS = 2


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
    if omega.shape[1] < 2:
        return made
    for row in amplitude.square().sum(1).argsort(descending=True).tolist():
        while _absorb(made, row, frame, sample_rate):
            pass
    return made


def _absorb(made: Tensor, row: int, frame: float, sample_rate: int) -> bool:
    """Merge one of the modes (3, M, F) with weaker ones that are one with it, if there are any."""
    omega, amplitude, phase = made[0], made[1], made[2, :, :1]
    energy = amplitude.square()
    total = energy.sum(1)
    mean = (omega * energy).sum(1) / total.clamp(min=1e-30)
    near = (mean - mean[row]).abs() < _NEAR / sample_rate + _NEAR_PART * mean[row]
    near &= (total > 0) & (total <= total[row])
    near[row] = False
    others = near.nonzero()[:, 0]
    if not total[row] or not len(others):
        return False
    turns = integral(omega[others] - omega[row], frame) + phase[others] - phase[row]
    weight = amplitude[others] * amplitude[row]
    weight = weight / weight.sum(1, keepdim=True).clamp(min=1e-30)
    middle = (weight * turns).sum(1, keepdim=True)
    apart = (weight * (turns - middle).square()).sum(1).sqrt()
    ratio = (weight * (omega[others] / omega[row]).log()).sum(1).abs()
    one_tone = (apart < _APART) | ((apart < _WANDERING) & (ratio < math.log(_RATIO)))
    apart = torch.where(one_tone & (weight.sum(1) > 0.5), apart, math.inf)
    order = apart.argsort()
    # Where their sum passes zero, its phase turns back and it is no mode. Fewer may be one.
    for count in range(int(apart.isfinite().sum()), 0, -1):
        chosen = order[:count]
        waves = torch.polar(amplitude[others[chosen]], turns[chosen]).sum(0) + amplitude[row]
        one = _one(omega[row], phase[row], waves, frame)
        if one is None:
            continue
        if apart[chosen[-1]] < _APART or _rise(one[1]) < _rise(amplitude[row]) + _BEATS:
            made[:, row] = one
            made[1, others[chosen]] = 0
            return True
    return False


def _rise(amplitude: Tensor) -> float:
    """Return by how much the level of a mode rises after its peak, in dB."""
    level = 20 * amplitude.clamp(min=1e-20).log10()
    peak = int(level.argmax())
    level = level[peak:] - level[peak]
    heard = level[: int((level > _FAINT).sum())]
    return float((heard - heard.cummin(0).values).max())


def _one(omega: Tensor, phase: Tensor, waves: Tensor, frame: float) -> Optional[Tensor]:
    """Return the mode (3, F) that is another one times a complex envelope, or None for none."""
    size, angle = waves.abs(), waves.angle()
    loudest = int(size.argmax())
    # Where nothing is heard, there is no phase.
    known = (size > 1e-6 * size[loudest]).nonzero()[:, 0]
    first, last = int(known[0]), int(known[-1])
    drift, left = torch.zeros_like(omega), angle
    best, least = None, _ERROR * float(size.square().sum())
    for _ in range(_STEPS):
        # A difference to both sides smoothes, so that it is taken again of what is left.
        turn = torch.remainder(left[first : last + 1].diff() + math.pi, 2 * math.pi) - math.pi
        if len(turn):
            between = torch.cat([turn[:1], turn, turn[-1:]]) / frame
            more = 0.5 * (between[1:] + between[:-1])
            drift[first : last + 1] += more
            drift[last + 1 :] += more[-1]
        # A mode does not turn back. Where the sum does, it is faint or no mode.
        drift = torch.maximum(drift, -0.5 * omega)
        turned = integral(drift, frame)
        # The phase is right where the mode is loudest.
        start = angle[loudest] - turned[loudest]
        left = angle - turned - start
        error = float((torch.polar(size, turned + start) - waves).abs().square().sum())
        if error < least:
            best = torch.stack([omega + drift, size, (phase + start).expand_as(omega)])
            least = error
    return best
