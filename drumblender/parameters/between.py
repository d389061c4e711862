"""The modes of a drum that lies between others."""

import math
from dataclasses import replace
from typing import NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor

from drumblender.parameters.carriers import Carriers, fit_carriers, phase_beside
from drumblender.parameters.decays import (
    ALLOWED,
    FLOOR,
    decay_time,
    mean_time,
    missing_gain,
    ring_out,
    stretched,
)
from drumblender.parameters.glides import Glides
from drumblender.parameters.groups import group_profiles
from drumblender.parameters.matching import Profile, profile_of
from drumblender.parameters.memo import remember
from drumblender.parameters.modes import Modes, hold_frequencies

# Seconds after an onset in which measured frequencies stray.
_ATTACK = 0.006
# Phases that cancel each other are made louder by this factor at most.
_CANCELED = 2.0


class _Member(NamedTuple):
    """What a mix needs to know of a sound, whatever the weights are.

    Attributes:
        values: modes that are heard, (3, M, F), with their phases at the onset.
        profile: what matching knows of them.
        carriers: their carriers.
        level: natural logarithms (M, F) of their amplitudes, as low as the floor.
        time: their decay times (M,), in frames.
        energy: sum of the squares of their amplitudes.
    """

    values: Tensor
    profile: Profile
    carriers: Carriers
    level: Tensor
    time: Tensor
    energy: Tensor


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

    Frequencies stray in an attack. So the phases that lie between others are those of carriers
    (:mod:`~drumblender.parameters.carriers`), which agree with what follows the attack.

    The energy of all of them is at most 1.5 dB below what lies between theirs in dB. Otherwise it
    would be too low between drums whose partials are loud where the other drum has soft ones.

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
    onset = _frame_of(moment, frame)
    since = torch.arange(first.num_frames, dtype=torch.float64) - onset
    members = [_member(x, sound, moment) for sound, x in enumerate(modes)]
    groups = group_profiles([x.profile for x in members], weights)
    powers = power_shares(weights)
    # What fades in and out has nothing in common, so powers add up.
    faded = [x.values[:, left] for x, left in zip(members, groups.alone)]
    for x, power in zip(faded, powers):
        x[1] *= power.sqrt()
    is_there = groups.rows >= 0
    weight = torch.tensor(weights, dtype=torch.float64)[:, None] * is_there
    weight = weight / weight.sum(0)
    rows = groups.rows.clamp(min=0)
    carriers = [_rows_of(x.carriers, row) for x, row in zip(members, rows)]
    frequency, ahead = _frequency_between(carriers, weight, since, frame)
    _, longer = mean_time(
        torch.stack([_pick(x.time, row) for x, row in zip(members, rows)]), weight
    )
    level = torch.zeros_like(frequency, dtype=torch.float32)
    heard = torch.zeros_like(frequency, dtype=torch.bool)
    for index, (member, row) in enumerate(zip(members, rows)):
        end = None if ends is None else int(ends[index] // frame)
        own = ring_out(_pick(member.level, row), end, 1 - weight[index])
        own = stretched(own, onset, longer[index])
        level += weight[index][:, None].float() * own
        heard |= (own > math.log(2 * FLOOR)) & is_there[index][:, None]
    gain, phase = _phase_between(torch.stack([x.phase for x in carriers]), weight)
    share = groups.shares * (is_there * powers[:, None]).sum(0).sqrt()
    amplitude = level.exp() * heard * share[:, None]
    energies = torch.stack([x.energy for x in members])
    made = sum((_energy(x) for x in faded), amplitude.double().square().sum())
    louder = missing_gain(energies, made, torch.tensor(weights), ALLOWED)
    phase = (phase - ahead)[:, None].expand_as(amplitude)
    moving = torch.stack([frequency, amplitude * gain[:, None], phase])
    mixed = torch.cat([moving.to(first.values), *faded], dim=1)
    mixed[1] *= louder
    return replace(first, values=mixed).turned(moment, back=True)


@remember(most=32)
def _member(modes: Modes, sound: int, moment: float) -> _Member:
    """Work out what a mix needs to know of the modes of a sound, with its place among others."""
    frame = modes.num_samples / modes.num_frames
    onset = _frame_of(moment, frame)
    values = modes.turned(moment).values
    values = _canonical(values[:, values[1].any(-1)])
    return _Member(
        values=values,
        profile=profile_of(values, sound),
        carriers=fit_carriers(values, onset, frame, _ATTACK * modes.sample_rate / frame),
        level=values[1].clamp(min=FLOOR).log(),
        time=decay_time(values[1], onset),
        energy=_energy(values),
    )


def _energy(values: Tensor) -> Tensor:
    """Add the squares of all amplitudes up."""
    return values[1].double().square().sum()


def _frame_of(moment: float, frame: float) -> float:
    """Convert a sample to frames that are so many samples apart."""
    return (moment + 0.5) / frame - 0.5


def _pick(x: Tensor, rows: Tensor) -> Tensor:
    """Take rows of (M, ...). Those of a sound that has none are zeros."""
    return x[rows] if len(x) else x.new_zeros(len(rows), *x.shape[1:])


def _rows_of(carriers: Carriers, rows: Tensor) -> Carriers:
    """Take carriers."""
    base, size, time = (_pick(x, rows) for x in carriers.glides)
    detour, weight, phase = (_pick(x, rows) for x in carriers[1:])
    return Carriers(Glides(base.clamp(min=1e-9), size, time), detour, weight, phase)


def power_shares(weights: Sequence[float]) -> Tensor:
    """Compute the shares (n,) in the power that sounds of these weights have in a mix.

    >>> power_shares([0.5, 0.25, 0.25]).tolist()
    [0.6306..., 0.1846..., 0.1846...]
    """
    power = (torch.tensor(weights, dtype=torch.float64) * math.pi / 2).sin().square()
    return power / power.sum()


def _frequency_between(
    carriers: Sequence[Carriers], weights: Tensor, since: Tensor, frame: float
) -> Tuple[Tensor, Tensor]:
    """Compute the frequencies (M, F) between those of the modes of each group.

    Glides become glides: their way moves in octaves, and their time on a logarithmic scale. What
    frequencies are beside their glides moves on a logarithmic scale, in the time of the glide.

    Returns:
        The frequencies, and how far they are ahead of their carriers in phase (M,).
    """
    glides = [x.glides for x in carriers]
    time, slower = mean_time(torch.stack([x.time for x in glides]), weights)
    size = torch.stack([1 + x.size for x in glides]).pow(weights).prod(0) - 1
    base = torch.stack([x.base for x in glides]).pow(weights).prod(0)
    course = base[:, None] * Glides(base, size, time).factor(since)
    detour, trust = torch.zeros_like(course), torch.zeros_like(course)
    for x, weight, factor in zip(carriers, weights[..., None], slower):
        detour += weight * stretched(x.detour, -float(since[0]), factor)
        trust += weight * x.weight
    frequency = course * detour.exp()
    return frequency, phase_beside(frequency - course, trust, since, frame)


def _phase_between(phases: Tensor, weights: Tensor) -> Tuple[Tensor, Tensor]:
    """Compute the phases between those of the modes of each group, and a gain for each group.

    Seen from one mode, the others turn toward it the shorter way around. Three phases or more may
    lie all around the circle. What is seen from each of them then differs and cancels in part. The
    gain falls to 0 only where nearly all of it cancels.

    Args:
        phases: phases at the onset.
        weights: weights in each group.

    Returns:
        The gain and the phase of each group, (M,).

    Shape:
        - phases, weights: (n, M)
    """
    way = torch.remainder(phases - phases[:, None] + math.pi, 2 * math.pi) - math.pi
    # Of two opposite phases, both see the same way.
    before = torch.ones(len(phases), len(phases)).triu()[..., None]
    way = way * before - (way * before).transpose(0, 1)
    seen = phases + (weights * way).sum(1)
    total = torch.polar(weights, seen).sum(0)
    return (_CANCELED * total.abs()).clamp(max=1), total.angle()


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
