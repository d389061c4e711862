"""Decays of levels that frames describe, and decays between them."""

import math
from typing import Optional, Tuple

import torch
from torch import Tensor

# What silence counts as, where amplitudes move on a scale of dB.
FLOOR = 1e-6
# By which factor energy may rise again in a mode that decays.
_RISE = 4.0
# Part of the energy of the loudest frame that is left at the mean time of a mode that decays, at
# most.
_STEADY = 0.75
# Energy that silence counts as between others, relative to the highest one.
_FAINT = 1e-6
# What lies between others is made louder by this factor at most.
_RAISED = 4.0
# Number of dB that a mix may be softer than what lies between its sounds. The drum of middle
# parameters is softer, too, where partials have other levels.
ALLOWED = 1.5
# Ratio of two decay times, or of two glide times, at most.
_MOST = 16.0


def mean_time(times: Tensor, weights: Tensor) -> Tuple[Tensor, Tensor]:
    """Compute the mean of times on a logarithmic scale, and how much longer each one becomes.

    An infinite time does not count, and becomes neither longer nor shorter. Of two times whose
    ratio is above 16, either moves toward the other one as if it were 16.

    Args:
        times: times in any unit.
        weights: their weights. A weight of 0 is that of a sound that has no such time.

    Returns:
        The mean times (M,), and the factors by which the times become longer, (n, M).

    Shape:
        - times, weights: (n, M)

    >>> mean_time(torch.tensor([[1.0], [4.0], [torch.inf]]), torch.ones(3, 1))
    (tensor([2.]), tensor([[2.0000],
            [0.5000],
            [1.0000]]))
    """
    counts = times.isfinite() & (weights > 0)
    weights = weights * counts
    total = weights.sum(0)
    weights = weights / torch.where(total > 0, total, 1)
    logarithm = torch.where(counts, times, 1).log()
    way = (logarithm - logarithm[:, None]).clamp(-math.log(_MOST), math.log(_MOST))
    longer = torch.where(counts, (weights * way).sum(1).exp(), 1)
    return torch.where(total > 0, (weights * logarithm).sum(0).exp(), math.inf), longer


def missing_gain(energies: Tensor, made: Tensor, weights: Tensor, allowed: float = 0.0) -> Tensor:
    """Compute the gain, 1 at least, that makes the energy of a mix what lies between others in dB.

    Levels that lie between those of sounds of other bands or partials have less, because they are
    high in one of them only.

    Args:
        energies: energy of each sound.
        made: energy of the mix.
        weights: weight of each sound. Their sum is 1.
        allowed: number of dB that the mix may be softer.

    Shape:
        - energies: (n, ...)
        - made: (...)
        - weights: (n,)
        - Output: (...)

    >>> energies = torch.tensor([1.0, 0.01])
    >>> missing_gain(energies, torch.tensor(0.025), torch.tensor([0.5, 0.5]))
    tensor(2.)
    """
    loudest = energies.amax(0).clamp(min=FLOOR**2)
    energies = torch.maximum(energies, _FAINT * loudest)
    shape = (-1, *[1] * made.ndim)
    mean = (energies.log() * weights.to(energies).view(shape)).sum(0).exp()
    wanted = mean * 10 ** (-allowed / 10)
    return (wanted / made.clamp(min=FLOOR**2)).sqrt().clamp(1, _RAISED)


def ring_out(level: Tensor, end: Optional[int], share: Tensor) -> Tensor:
    """Let levels (M, F) fall to the floor from frame ``end`` on, along a straight line.

    The fall takes the ``share`` (M,) of the time that the recording lasts. Nothing falls where it
    is 0.

    Args:
        level: natural logarithms of amplitudes, none of which is below the floor.
        end: number of frames that the recording lasts. None stands for all of them.
        share: part of this time that the fall takes.
    """
    if end is None or not 0 < end < level.shape[-1]:
        return level
    lasting = torch.where(share > 0, end * share, math.inf)[:, None]
    fall = torch.arange(1, level.shape[-1] - end + 1) / lasting
    fall = fall.clamp(max=1).to(level.dtype)
    last = level[..., end - 1 : end]
    return torch.cat([level[..., :end], last + fall * (math.log(FLOOR) - last)], dim=-1)


def decay_time(amplitude: Tensor, onset: float) -> Tensor:
    """Return the mean time of the energy of modes (M, F) after the onset, in frames (M,).

    It is infinite where a mode is silent, rises again or does not fall.
    """
    frames = torch.arange(amplitude.shape[-1], dtype=torch.float64)
    energy = amplitude.double().square() * (frames >= onset)
    mean = (energy * (frames - onset)).sum(-1) / energy.sum(-1).clamp(min=1e-30)
    peak = energy.amax(-1, keepdim=True)
    before = frames < energy.argmax(-1, keepdim=True)
    lowest = torch.where(before, peak, energy).cummin(-1).values
    to_come = energy.flip(-1).cummax(-1).values.flip(-1)
    rises = ((to_come > _RISE * lowest) & (to_come > FLOOR**2)).any(-1)
    middle = energy.gather(-1, (onset + mean).long()[:, None].clamp(0, len(frames) - 1))
    steady = (middle > _STEADY * peak)[:, 0]
    return torch.where(rises | steady | (mean <= 0), math.inf, mean)


def stretched(x: Tensor, onset: float, factor: Tensor) -> Tensor:
    """Let what follows the onset last longer, each row (M, F) by its factor (M,)."""
    changed = factor != 1
    if not changed.any():
        return x
    if not changed.all():
        made = x.clone()
        made[changed] = stretched(x[changed], onset, factor[changed])
        return made
    frames = torch.arange(x.shape[-1], dtype=torch.float64)
    source = torch.where(frames > onset, onset + (frames - onset) / factor[:, None], frames).clamp(
        0, x.shape[-1] - 1
    )
    below = source.long().clamp(max=max(0, x.shape[-1] - 2))
    above = (below + 1).clamp(max=x.shape[-1] - 1)
    share = (source - below).to(x.dtype)
    return torch.lerp(x.gather(-1, below), x.gather(-1, above), share)
