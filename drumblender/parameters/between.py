"""The modes of a drum that lies between others."""

import math
from dataclasses import replace
from typing import Optional, Sequence, Tuple

import torch
from torch import Tensor

from drumblender.parameters.glides import Glides, fit_glides
from drumblender.parameters.groups import group_modes
from drumblender.parameters.modes import Modes, hold_frequencies

# What silence counts as, where amplitudes move on a scale of dB.
FLOOR = 1e-6
# By which factor energy may rise again in a mode that decays.
_RISE = 4.0
# Part of the energy of the loudest frame that is left at the mean time of a mode that decays, at
# most.
_STEADY = 0.75
# Seconds after an onset in which measured frequencies stray.
_ATTACK = 0.006
# Ratio of two decay times, or of two glide times, at most.
_MOST = 16.0
# Phases that cancel each other are made louder by this factor at most.
_CANCELED = 2.0


def mix_modes(
    modes: Sequence[Modes],
    weights: Sequence[float],
    ends: Optional[Sequence[int]] = None,
    moment: float = 0.0,
) -> Modes:
    """Compute the modes of a sound that lies between others.

    Modes that belong together (:func:`~drumblender.parameters.groups.group_modes`) become one: its
    frequency is the mean of theirs on a logarithmic scale, its amplitude is that in dB, and its
    phase at the onset lies between theirs, the shorter way around. Where they decay or glide, the
    times in which they do have their mean on a logarithmic scale, too. A mode that has no partner
    in any other sound is the softer, the less its sound weighs. So is a group that not all sounds
    are in.

    A recording may stop while its modes still sound. Those that have partners then ring out,
    because the mix would otherwise stop there, too. They ring the shorter, the more that sound
    weighs.

    Args:
        modes: modes of each sound, of as many samples and frames.
        weights: weight of each sound. They are above 0, and their sum is 1.
        ends: number of samples that the recording of each sound lasts. None stands for all of them.
        moment: sample of the onset.

    Shape:
        - values of each of modes: (3, M, F), of any number M
        - values of the output: (3, at most all M, F)
    """
    first = modes[0]
    frame = first.num_samples / first.num_frames
    onset = (moment + 0.5) / frame - 0.5
    since = torch.arange(first.num_frames, dtype=torch.float64) - onset
    settled = _ATTACK * first.sample_rate / frame
    values = [_canonical(x.turned(moment).values) for x in modes]
    groups = group_modes(values, weights)
    powers = power_shares(weights)
    # What fades in and out has nothing in common, so powers add up.
    faded = [x[:, left] for x, left in zip(values, groups.alone)]
    for x, power in zip(faded, powers):
        x[1] *= power.sqrt()
    is_there = groups.rows >= 0
    weight = torch.tensor(weights, dtype=torch.float64)[:, None] * is_there
    weight = weight / weight.sum(0)
    rows = groups.rows.clamp(min=0)
    members = [
        x[:, row] if x.shape[1] else x.new_ones(3, len(row), x.shape[2])
        for x, row in zip(values, rows)
    ]
    glides = [fit_glides(x[0], x[1], onset, settled) for x in members]
    frequency = _frequency_between([x[0] for x in members], weight, glides, onset)
    times = torch.stack([decay_time(x[1], onset) for x in members])
    _, longer = mean_time(times, weight)
    amplitude, heard = torch.ones_like(frequency), torch.zeros_like(frequency, dtype=torch.bool)
    for index, x in enumerate(members):
        end = None if ends is None else int(ends[index] // frame)
        own = stretched(ring_out(x[1], end, 1 - weight[index]), onset, longer[index])
        amplitude *= own ** weight[index][:, None]
        heard |= (stretched(x[1], onset, longer[index]) > 0) & is_there[index][:, None]
    # In an attack, frequencies stray, and phases with them. Which way around is shorter is decided
    # by the phases that modes would have begun with to sound as they do after it.
    strays = [frame * _stray(x[0], glide, since, settled) for x, glide in zip(members, glides)]
    begun = torch.stack([x[2, :, 0].double() for x in members])
    gain, phase = _phase_between(begun, torch.stack(strays), weight)
    gain = gain * groups.shares * (is_there * powers[:, None]).sum(0).sqrt()
    amplitude = amplitude * heard * gain[:, None]
    moving = torch.stack([frequency, amplitude, phase[:, None].expand_as(amplitude)])
    mixed = torch.cat([moving.to(values[0]), *faded], dim=1)
    return replace(first, values=mixed).turned(moment, back=True)


def power_shares(weights: Sequence[float]) -> Tensor:
    """Compute the shares (n,) in the power that sounds of these weights have in a mix.

    >>> power_shares([0.5, 0.25, 0.25]).tolist()
    [0.6306..., 0.1846..., 0.1846...]
    """
    power = (torch.tensor(weights, dtype=torch.float64) * math.pi / 2).sin().square()
    return power / power.sum()


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


def _frequency_between(
    frequencies: Sequence[Tensor], weights: Tensor, glides: Sequence[Glides], onset: float
) -> Tensor:
    """Compute the frequencies (M, F) between those of the modes of each group, (M, F) each.

    Glides become glides: their way moves in octaves, and their time on a logarithmic scale. What
    frequencies are beside their glides moves on a logarithmic scale, in the time of the glide.
    """
    since = torch.arange(frequencies[0].shape[-1], dtype=torch.float64) - onset
    time, slower = mean_time(torch.stack([x.time for x in glides]), weights)
    size = torch.stack([1 + x.size for x in glides]).pow(weights).prod(0) - 1
    made = Glides(torch.ones_like(size), size, time).factor(since)
    for x, glide, weight, factor in zip(frequencies, glides, weights, slower):
        made = made * stretched(x / glide.factor(since), onset, factor) ** weight[:, None]
    return made


def _phase_between(phases: Tensor, strays: Tensor, weights: Tensor) -> Tuple[Tensor, Tensor]:
    """Compute the phases between those of the modes of each group, and a gain for each group.

    Seen from one mode, the others turn toward it the shorter way around. Three phases or more may
    lie all around the circle. What is seen from each of them then differs and cancels in part. The
    gain falls to 0 only where nearly all of it cancels.

    Args:
        phases: phases at the onset.
        strays: what the phases turn more in the attack than after it.
        weights: weights in each group.

    Returns:
        The gain and the phase of each group, (M,).

    Shape:
        - phases, strays, weights: (n, M)
    """
    later = phases + strays
    way = torch.remainder(later - later[:, None] + math.pi, 2 * math.pi) - math.pi
    # Of two opposite phases, both see the same way.
    before = torch.ones(len(phases), len(phases)).triu()[..., None]
    way = way * before - (way * before).transpose(0, 1)
    seen = phases + (weights * (way - (strays - strays[:, None]))).sum(1)
    total = torch.polar(weights, seen).sum(0)
    return (_CANCELED * total.abs()).clamp(max=1), total.angle()


def _stray(frequency: Tensor, glides: Glides, since: Tensor, settled: float) -> Tensor:
    """Sum up what frequencies (M, F) are beside their glides in the attack, (M,), in frames."""
    inside = (since + 0.5).clamp(0, settled) - (since - 0.5).clamp(0, settled)
    return ((frequency - glides.base[:, None] * glides.factor(since)) * inside).sum(-1)


def ring_out(amplitude: Tensor, end: Optional[int], share: Tensor) -> Tensor:
    """Let amplitudes (M, F) fall to the floor from frame ``end`` on, along a straight line in dB.

    The fall takes the ``share`` (M,) of the time that the recording lasts. Nothing falls where it
    is 0. No amplitude is below the floor.
    """
    amplitude = amplitude.clamp(min=FLOOR)
    if end is None or not 0 < end < amplitude.shape[-1]:
        return amplitude
    lasting = torch.where(share > 0, end * share, math.inf)[:, None]
    fall = torch.arange(1, amplitude.shape[-1] - end + 1) / lasting
    fall = fall.clamp(max=1).to(amplitude.dtype)
    last = amplitude[..., end - 1 : end]
    return torch.cat([amplitude[..., :end], last ** (1 - fall) * FLOOR**fall], dim=-1)


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


def stretched(amplitude: Tensor, onset: float, factor: Tensor) -> Tensor:
    """Let what follows the onset last longer, each mode (M, F) by its factor (M,)."""
    frames = torch.arange(amplitude.shape[-1], dtype=torch.float64)
    source = torch.where(frames > onset, onset + (frames - onset) / factor[:, None], frames).clamp(
        0, amplitude.shape[-1] - 1
    )
    below = source.long().clamp(max=max(0, amplitude.shape[-1] - 2))
    above = (below + 1).clamp(max=amplitude.shape[-1] - 1)
    share = (source - below).to(amplitude.dtype)
    return amplitude.gather(-1, below) * (1 - share) + amplitude.gather(-1, above) * share


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
