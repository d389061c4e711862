"""The modes of a drum that lies between two others."""

import math
from dataclasses import replace
from typing import Optional, Sequence, Tuple

import torch
from torch import Tensor

from drumblender.parameters.glides import Glides, fit_glides
from drumblender.parameters.matching import match_modes
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


def blend_modes(
    a: Modes,
    b: Modes,
    amount: float,
    ends: Tuple[Optional[int], Optional[int]] = (None, None),
    moment: float = 0.0,
) -> Modes:
    """Compute the modes of a sound that lies between two others.

    Matched modes move: their frequency on a logarithmic scale, their amplitude in dB, and their
    phase at the onset the shorter way around. Where both decay or glide, the times in which they do
    move on a logarithmic scale, too. Modes of ``a`` that have no match fade out with a growing
    amount, and those of ``b`` fade in, by a cosine and a sine.

    A recording may stop while its modes still sound. Its matched modes then ring out, because the
    blend would otherwise stop there, too. They ring the shorter, the nearer the blend is to that
    sound.

    Args:
        a: modes of the sound at amount 0.
        b: modes of the sound at amount 1, with as many samples and frames.
        amount: from 0 to 1.
        ends: number of samples that the recordings of ``a`` and of ``b`` last. None stands for all
            of them.
        moment: sample of the onset.

    Shape:
        - a.values: (3, M, F)
        - b.values: (3, L, F)
        - values of the output: (3, at most M + L, F)
    """
    frame = a.num_samples / a.num_frames
    onset = (moment + 0.5) / frame - 0.5
    since = torch.arange(a.num_frames, dtype=torch.float64) - onset
    end_a, end_b = (None if end is None else int(end // frame) for end in ends)
    one, other = (_canonical(x.turned(moment).values) for x in (a, b))
    pairs = match_modes(one, other)
    rows = [i for i, _ in pairs], [j for _, j in pairs]
    alone = [
        [row for row in range(x.shape[1]) if row not in matched and x[1, row].any()]
        for x, matched in zip((one, other), rows)
    ]
    # What fades out and what fades in have nothing in common, so their powers add up.
    turn = torch.tensor(amount * math.pi / 2)
    faded = [x[:, left] for x, left in zip((one, other), alone)]
    for x, gain in zip(faded, (turn.cos(), turn.sin())):
        x[1] *= gain
    one, other = one[:, rows[0]], other[:, rows[1]]
    settled = _ATTACK * a.sample_rate / frame
    glides = [fit_glides(x[0], x[1], onset, settled) for x in (one, other)]
    frequency = _frequency_between(one[0], other[0], amount, glides, onset)
    longer = ratio_of_times(decay_time(one[1], onset), decay_time(other[1], onset))
    mine, its = longer**amount, longer ** (amount - 1)
    heard = (stretched(one[1], onset, mine) > 0) | (stretched(other[1], onset, its) > 0)
    fading = stretched(ring_out(one[1], end_a, amount), onset, mine)
    rising = stretched(ring_out(other[1], end_b, 1 - amount), onset, its)
    amplitude = fading ** (1 - amount) * rising**amount
    # In an attack, frequencies stray, and phases with them. Which way around is shorter is decided
    # by the phases that modes would have begun with to sound as they do after it.
    strays = [frame * _stray(x[0], glide, since, settled) for x, glide in zip((one, other), glides)]
    later = (strays[1] - strays[0])[:, None].to(one)
    turn = torch.remainder(other[2] - one[2] + later + math.pi, 2 * math.pi) - math.pi - later
    moving = torch.stack([frequency.to(one), amplitude * heard, one[2] + amount * turn])
    values = torch.cat([moving, *faded], dim=1)
    return replace(a, values=values).turned(moment, back=True)


def _frequency_between(
    a: Tensor, b: Tensor, amount: float, glides: Sequence[Glides], onset: float
) -> Tensor:
    """Compute the frequencies (M, F) between those of matched modes, (M, F) each.

    Glides become glides: their way moves in octaves, and their time on a logarithmic scale. What
    frequencies are beside their glides moves on a logarithmic scale, in the time of the glide.
    """
    since = torch.arange(a.shape[-1], dtype=torch.float64) - onset
    one, other = glides
    slower = ratio_of_times(one.time, other.time)
    size = (1 + one.size) ** (1 - amount) * (1 + other.size) ** amount - 1
    time = torch.where(one.time.isfinite(), one.time * slower**amount, other.time)
    mine = stretched(a / one.factor(since), onset, slower**amount)
    its = stretched(b / other.factor(since), onset, slower ** (amount - 1))
    return Glides(one.base, size, time).factor(since) * mine ** (1 - amount) * its**amount


def _stray(frequency: Tensor, glides: Glides, since: Tensor, settled: float) -> Tensor:
    """Sum up what frequencies (M, F) are beside their glides in the attack, (M,), in frames."""
    inside = (since + 0.5).clamp(0, settled) - (since - 0.5).clamp(0, settled)
    return ((frequency - glides.base[:, None] * glides.factor(since)) * inside).sum(-1)


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


def ratio_of_times(time_a: Tensor, time_b: Tensor) -> Tensor:
    """Return how much longer the second of two times is, which is 1 where one of them is infinite.

    Shape:
        - time_a, time_b: (M,), in frames
        - Output: (M,)
    """
    ratio = (time_b / time_a).clamp(1 / _MOST, _MOST)
    return torch.where(time_a.isfinite() & time_b.isfinite(), ratio, 1)


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
