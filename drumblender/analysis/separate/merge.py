"""Makes one mode of several that cannot be told apart.

A tone that decays otherwise than exponentially, or glides otherwise, such as that of many a kick
drum, is fitted by several modes of nearly one frequency that add up to it. As they are, these would
beat against each other as soon as their decay is changed, and a blend would move some of them.
While two modes sound together, their phases drift apart. Where that is by less than half a turn or
so, they are one mode whose amplitude and frequency change with time. Where it is by up to a turn or
two, they are one if they do not beat, as partials of a drum would. What then still beats only when
it decays more slowly is merged, too, if it beats less as one mode.

The arrays are small, and most of the time would go into calls of PyTorch. With NumPy it is half.
"""

import itertools
import math
from typing import Iterator, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from drumblender.analysis.phase import integral
from drumblender.analysis.separate.beating import LITTLE, rise, rise_after

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
_ERROR = 0.005
# How often the frequency is corrected to make the difference smaller.
_STEPS = 4
# The factor of a decay that shall not make modes beat. Where level then rises by so many dB more
# than without it, two modes are merged for which it rises by so many dB less.
_FACTOR, _MORE, _LESS = 3.0, 2.0, 1.0
# Of these, the number of modes that are looked at, the standard deviation of the difference of
# their phases in radians, and the ratio of their frequencies, all at most.
_LOUDEST, _FAR, _WIDE = 8, 15.0, 1.6


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
    order = amplitude.square().sum(1).argsort(descending=True, stable=True)
    heard = order[amplitude[order].any(1)]
    if omega.shape[1] < 2 or not len(heard):
        return made
    modes = made[:, heard].cpu().numpy()
    for row in range(modes.shape[1]):
        while _absorb(modes, row, frame, sample_rate):
            pass
    made[:, heard] = torch.from_numpy(_calm(modes, frame, sample_rate)).to(made)
    return made


def _absorb(modes: np.ndarray, row: int, frame: float, sample_rate: int) -> bool:
    """Merge one of the modes (3, M, F) with weaker ones that are one with it, if there are any."""
    omega, amplitude, phase = modes[0], modes[1], modes[2, :, :1]
    energy = amplitude**2
    total = energy.sum(1)
    mean = (omega * energy).sum(1) / total.clip(min=1e-30)
    near = np.abs(mean - mean[row]) < _NEAR / sample_rate + _NEAR_PART * mean[row]
    near &= (total > 0) & (total <= total[row])
    near[row] = False
    others = near.nonzero()[0]
    if not len(others):
        return False
    turns, weight = _turns(modes, others, row, frame)
    middle = (weight * turns).sum(1, keepdims=True)
    apart = np.sqrt((weight * (turns - middle) ** 2).sum(1))
    ratio = np.abs((weight * np.log(omega[others] / omega[row])).sum(1))
    one_tone = (apart < _APART) | ((apart < _WANDERING) & (ratio < math.log(_RATIO)))
    one_tone &= weight.sum(1) > 0.5
    order = np.where(one_tone, apart, math.inf).argsort(kind="stable")
    # Where their sum passes zero, its phase turns back and it is no mode. Fewer may be one.
    for count in range(int(one_tone.sum()), 0, -1):
        chosen = order[:count]
        waves = (amplitude[others[chosen]] * np.exp(1j * turns[chosen])).sum(0) + amplitude[row]
        one = _one(omega[row], phase[row], waves, frame)
        if one is None:
            continue
        beats = rise(one[1] ** 2, _FAINT) >= rise(energy[row], _FAINT) + _BEATS
        if apart[chosen[-1]] < _APART or not beats:
            modes[:, row] = one
            modes[1, others[chosen]] = 0
            return True
    return False


def _calm(modes: np.ndarray, frame: float, sample_rate: int) -> np.ndarray:
    """Merge pairs of modes (3, M, F) that would beat if they decayed more slowly."""
    now = rise_after(modes, frame, sample_rate, 1)
    later = rise_after(modes, frame, sample_rate, _FACTOR)
    while later >= now + _MORE:
        merged = _calmer(modes, now, later, frame, sample_rate)
        if merged is None:
            break
        modes = merged
        later = rise_after(modes, frame, sample_rate, _FACTOR)
    return modes


def _calmer(
    modes: np.ndarray, now: float, later: float, frame: float, sample_rate: int
) -> Optional[np.ndarray]:
    """Merge the pair of modes (3, M, F) whose merging makes a longer decay beat least.

    Args:
        modes: the modes.
        now: rise of their level as they are, in dB.
        later: rise of their level in the longer decay.
        frame: distance of frames in samples.
        sample_rate: in Hz.
    """
    tried = []
    for row, other, waves in _pairs(modes, frame):
        envelope = modes[:, row].copy()
        envelope[1] = np.abs(waves)
        merged = _replaced(modes, row, envelope, other)
        tried.append((rise_after(merged, frame, sample_rate, _FACTOR), row, other, waves))
    for found, row, other, waves in sorted(tried, key=lambda one: one[0]):
        if found >= later - _LESS:
            break
        one = _one(modes[0, row], modes[2, row, :1], waves, frame)
        if one is None:
            continue
        merged = _replaced(modes, row, one, other)
        is_calm = rise_after(merged, frame, sample_rate, _FACTOR) < later - _LESS
        if is_calm and rise_after(merged, frame, sample_rate, 1) < now + _BEATS:
            return merged
    return None


def _pairs(modes: np.ndarray, frame: float) -> Iterator[Tuple[int, int, np.ndarray]]:
    """Give pairs of loud modes (3, M, F) that may be one, the louder first, and their sums."""
    omega, amplitude = modes[:2]
    total = (amplitude**2).sum(1)
    loud = (-total).argsort(kind="stable")[:_LOUDEST]
    loud = loud[total[loud] > LITTLE * total.max()]
    for row, other in itertools.combinations(loud.tolist(), 2):
        turns, weight = (x[0] for x in _turns(modes, [other], row, frame))
        ratio = float((weight * np.log(omega[other] / omega[row])).sum())
        apart = float((weight * (turns - (weight * turns).sum()) ** 2).sum())
        if weight.any() and abs(ratio) < math.log(_WIDE) and apart < _FAR**2:
            yield row, other, amplitude[other] * np.exp(1j * turns) + amplitude[row]


def _turns(
    modes: np.ndarray, others: Sequence[int], row: int, frame: float
) -> Tuple[np.ndarray, np.ndarray]:
    """Return phases of other modes relative to one, and how much each frame counts, (M, F) each."""
    omega, amplitude, phase = modes[0], modes[1], modes[2, :, :1]
    turns = integral(omega[others] - omega[row], frame) + phase[others] - phase[row]
    weight = amplitude[others] * amplitude[row]
    return turns, weight / weight.sum(1, keepdims=True).clip(min=1e-30)


def _replaced(modes: np.ndarray, row: int, one: np.ndarray, other: int) -> np.ndarray:
    """Put one mode (3, F) into a row of modes (3, M, F), and silence another one."""
    merged = modes.copy()
    merged[:, row] = one
    merged[1, other] = 0
    return merged


def _one(
    omega: np.ndarray, phase: np.ndarray, waves: np.ndarray, frame: float
) -> Optional[np.ndarray]:
    """Return the mode (3, F) that is another one times a complex envelope, or None for none."""
    size, angle = np.abs(waves), np.angle(waves)
    energy = size**2
    # Where nothing is heard, there is no phase.
    known = (size > 1e-6 * size.max()).nonzero()[0]
    first, last = known[0], known[-1]
    drift, left = np.zeros_like(omega), angle
    best, least = None, _ERROR * energy.sum()
    for _ in range(_STEPS):
        # A difference to both sides smoothes, so that it is taken again of what is left.
        turn = np.remainder(np.diff(left[first : last + 1]) + math.pi, 2 * math.pi) - math.pi
        if len(turn):
            between = np.concatenate([turn[:1], turn, turn[-1:]]) / frame
            more = 0.5 * (between[1:] + between[:-1])
            drift[first : last + 1] += more
            drift[last + 1 :] += more[-1]
        # A mode does not turn back. Where the sum does, it is faint or no mode.
        drift = np.maximum(drift, -0.5 * omega)
        left = angle - integral(drift, frame)
        # The phase is right where the mode is loud.
        start = np.angle((energy * np.exp(1j * left)).sum())
        left = left - start
        error = 4 * (energy * np.sin(0.5 * left) ** 2).sum()
        if error < least:
            best = np.stack([omega + drift, size, np.broadcast_to(phase + start, size.shape)])
            least = error
    return best
