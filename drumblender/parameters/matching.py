"""Matching of the modes of two drums, and the modes of a drum that lies between them.

Matching aligns two sequences, which are the modes of two drums in the order of their frequencies
[1]. Its cost is a distance in octaves and dB.

[1] Needleman and Wunsch, "A general method applicable to the search for similarities in the amino
    acid sequence of two proteins", Journal of Molecular Biology 48, 1970.
"""

import math
from typing import List, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.parameters.modes import hold_frequencies

# Modes further apart than this are not one and the same, but fade.
FARTHEST_OCTAVES = 2.0
# A difference in level that weighs as much as an octave.
DECIBELS_PER_OCTAVE = 30.0
# What silence counts as, where amplitudes move on a scale of dB.
FLOOR = 1e-6
# By which factor energy may rise again in a mode that decays.
_RISE = 4.0
# Part of the energy of the loudest frame that is left at the mean time of a mode that decays, at
# most.
_STEADY = 0.75
# Way of a glide at least, in octaves.
_GLIDE = 1 / 48
# Ratio of two decay times, or of two glide times, at most.
_MOST = 16.0


def match_modes(a: Tensor, b: Tensor) -> List[Tuple[int, int]]:
    """Find the modes of two sounds that belong together.

    The order of frequencies is kept: of two modes of one drum, the higher one never goes to a lower
    one of the other drum, so that no partials cross. Among such pairs, those are taken that have
    the least sum of distances in octaves, weighted by loudness. A difference in level adds to the
    distance: the fundamental of one drum shall be matched with the fundamental of the other, not
    with a faint mode that happens to lie nearer. The modes of a pair are at most two octaves apart.
    A mode that has no partner costs as much as one that is two octaves away.

    Args:
        a: modal parameters of one sound.
        b: modal parameters of the other sound.

    Returns:
        For each pair, from low to high frequencies, the row of the mode in ``a`` and the row of
        the mode in ``b``.

    Shape:
        - a: (3, M, F)
        - b: (3, L, G)

    >>> a = torch.ones(3, 2, 5) * torch.tensor([0.1, 0.2])[:, None]
    >>> match_modes(a, a.flip(1))
    [(0, 1), (1, 0)]
    """
    rows_a, log_a, level_a = _summarize(a)
    rows_b, log_b, level_b = _summarize(b)
    octaves = (log_a[:, None] - log_b).abs()
    decibels = (level_a[:, None] - level_b).abs()
    # What is heard counts more: the faint modes are many.
    weight_a, weight_b = (10 ** (level / 40) for level in (level_a, level_b))
    cost = octaves + decibels / DECIBELS_PER_OCTAVE
    cost = cost * torch.maximum(weight_a[:, None], weight_b)
    cost[octaves > FARTHEST_OCTAVES] = math.inf
    alone_a, alone_b = (FARTHEST_OCTAVES * weight for weight in (weight_a, weight_b))
    return [(int(rows_a[i]), int(rows_b[j])) for i, j in _in_order(cost, alone_a, alone_b)]


def _in_order(cost: Tensor, alone_a: Tensor, alone_b: Tensor) -> List[Tuple[int, int]]:
    """Find the pairs of two sequences that cost the least and do not cross.

    Args:
        cost: cost of each pair.
        alone_a, alone_b: cost of what has no partner.

    Shape:
        - cost: (M, L)
        - alone_a: (M,)
        - alone_b: (L,)
    """
    # What the first i and the first j cost, less all of the first j alone, so that leaving more of
    # them alone is a running minimum.
    left = F.pad(alone_b.cumsum(0), (1, 0))
    least = [torch.zeros_like(left)]
    for row, alone in zip(cost, alone_a):
        paired = F.pad(least[-1][:-1] + row - alone_b, (1, 0), value=math.inf)
        least.append(torch.minimum(paired, least[-1] + alone).cummin(0).values)
    pairs, i, j = [], len(alone_a), len(alone_b)
    while i and j:
        if least[i][j] == least[i][j - 1]:
            j -= 1
        elif least[i][j] == least[i - 1][j] + alone_a[i - 1]:
            i -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs[::-1]


def blend_modes(
    a: Tensor,
    b: Tensor,
    amount: float,
    ends: Tuple[Optional[int], Optional[int]] = (None, None),
    onset: float = 0.0,
) -> Tensor:
    """Compute the modes of a sound that lies between two others.

    Matched modes move: their frequency on a logarithmic scale, their amplitude in dB, and their
    phase, at whatever moment it is given, the shorter way around. Where both decay or glide, the
    times in which they do move on a logarithmic scale, too. Modes of ``a`` that have no match fade
    out with a growing amount, and those of ``b`` fade in.

    A recording may stop while its modes still sound. Its matched modes then ring out, because the
    blend would otherwise stop there, too. They ring the shorter, the nearer the blend is to that
    sound.

    Args:
        a: modal parameters of the sound at amount 0.
        b: modal parameters of the sound at amount 1, with as many frames.
        amount: from 0 to 1.
        ends: number of frames that the recordings of ``a`` and of ``b`` last. None stands for all
            frames.
        onset: frame from which decay times count, perhaps between two.

    Shape:
        - a: (3, M, F)
        - b: (3, L, F)
        - Output: (3, at most M + L, F)
    """
    a, b = _canonical(a), _canonical(b)
    pairs = match_modes(a, b)
    matched_a, matched_b = {i for i, _ in pairs}, {j for _, j in pairs}
    left_a = [i for i in range(a.shape[1]) if i not in matched_a and a[1, i].any()]
    left_b = [j for j in range(b.shape[1]) if j not in matched_b and b[1, j].any()]
    one, other = a[:, [i for i, _ in pairs]], b[:, [j for _, j in pairs]]
    slower = _ratio(_glide_time(one, onset), _glide_time(other, onset))
    frequency = _stretched(one[0], onset, slower**amount) ** (1 - amount)
    frequency = frequency * _stretched(other[0], onset, slower ** (amount - 1)) ** amount
    longer = _ratio(_decay_time(one[1], onset), _decay_time(other[1], onset))
    mine, its = longer**amount, longer ** (amount - 1)
    heard = (_stretched(one[1], onset, mine) > 0) | (_stretched(other[1], onset, its) > 0)
    fading = _stretched(ring_out(one[1], ends[0], amount), onset, mine)
    rising = _stretched(ring_out(other[1], ends[1], 1 - amount), onset, its)
    amplitude = fading ** (1 - amount) * rising**amount
    turn = torch.remainder(other[2] - one[2] + math.pi, 2 * math.pi) - math.pi
    moving = torch.stack([frequency, amplitude * heard, one[2] + amount * turn])
    fade = torch.tensor([1.0, 1 - amount, 1.0])[:, None, None]
    rise = torch.tensor([1.0, amount, 1.0])[:, None, None]
    return torch.cat([moving, a[:, left_a] * fade, b[:, left_b] * rise], dim=1)


def ring_out(amplitude: Tensor, end: Optional[int], share: float) -> Tensor:
    """Let amplitudes fall to the floor from frame ``end`` on, along a straight line in dB.

    The fall takes ``share`` of the time that the recording lasts. No amplitude is below the floor.
    """
    amplitude = amplitude.clamp(min=FLOOR)
    if end is None or not 0 < end < amplitude.shape[-1]:
        return amplitude
    passed = torch.arange(1, amplitude.shape[-1] - end + 1) / (end * share)
    fall = passed.clamp(max=1).to(amplitude.dtype)
    last = amplitude[..., end - 1 : end]
    return torch.cat([amplitude[..., :end], last ** (1 - fall) * FLOOR**fall], dim=-1)


def _ratio(time_a: Tensor, time_b: Tensor) -> Tensor:
    """Return how much longer the second of two times is, which is 1 where one of them is infinite.

    Shape:
        - time_a, time_b: (M,), in frames
        - Output: (M,)
    """
    ratio = (time_b / time_a).clamp(1 / _MOST, _MOST)
    return torch.where(time_a.isfinite() & time_b.isfinite(), ratio, 1)


def _glide_time(modes: Tensor, onset: float) -> Tensor:
    """Return how long modes (3, M, F) glide after the onset, in frames (M,).

    This is the mean time of what is left of the way, in octaves. It is infinite where a mode glides
    by less than a quarter of a semitone.
    """
    octaves, amplitude = modes[0].double().log2(), modes[1]
    frames = torch.arange(amplitude.shape[-1], dtype=torch.float64)
    count = amplitude.shape[-1]
    first = min(count - 1, max(0, math.ceil(onset)))
    last = torch.where(amplitude > 0, frames, 0).amax(-1, keepdim=True).long()
    left = octaves - octaves.gather(-1, last)
    way = left[:, first : first + 1]
    left = (left * way.sign()).clamp(min=0) * (frames >= first) * (frames <= last)
    mean = (left * (frames - onset)).sum(-1) / left.sum(-1).clamp(min=1e-30)
    glides = (way.abs() > _GLIDE)[:, 0] & (mean > 0)
    return torch.where(glides, mean, math.inf)


def _decay_time(amplitude: Tensor, onset: float) -> Tensor:
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


def _stretched(amplitude: Tensor, onset: float, factor: Tensor) -> Tensor:
    """Let what follows the onset last longer, each mode (M, F) by its factor (M,)."""
    frames = torch.arange(amplitude.shape[-1], dtype=torch.float64)
    source = torch.where(frames > onset, onset + (frames - onset) / factor[:, None], frames).clamp(
        0, amplitude.shape[-1] - 1
    )
    below = source.long().clamp(max=max(0, amplitude.shape[-1] - 2))
    above = (below + 1).clamp(max=amplitude.shape[-1] - 1)
    share = (source - below).to(amplitude.dtype)
    return amplitude.gather(-1, below) * (1 - share) + amplitude.gather(-1, above) * share


def _summarize(modal: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    """Return rows, log2 of the mean frequency and level in dB of the modes that sound.

    Modes come in the order of their frequencies. Levels are relative to the loudest mode.
    """
    frequency, amplitude, _ = modal.double()
    energy = amplitude.square().sum(-1)
    mean = (frequency * amplitude.square()).sum(-1) / energy.clamp(min=1e-30)
    rows = torch.nonzero((energy > 0) & (mean > 0))[:, 0]
    rows = rows[mean[rows].argsort()]
    level = 10 * energy[rows].log10()
    return rows, mean[rows].log2(), level - (level.max() if len(rows) else 0)


def _canonical(modal: Tensor) -> Tensor:
    """Bring modes into a form that can be interpolated.

    Amplitudes become positive, because a learned gain may be negative, which is a phase of pi.
    Every frame gets a frequency, and every mode one phase.
    """
    frequency, amplitude, phase = hold_frequencies(modal)
    negative = (amplitude.sum(-1, keepdim=True) < 0).to(phase.dtype)
    phase = (phase[:, :1] + math.pi * negative).expand_as(amplitude)
    mean = (frequency.sum(-1) / (frequency > 0).sum(-1).clamp(min=1))[:, None]
    frequency = torch.where(frequency > 0, frequency, mean.clamp(min=1e-6))
    return torch.stack([frequency, amplitude.abs(), phase])
