"""Outlines, which say how loud a recording is, so that sounds made from it begin and end like it.

Modes and noise bands are given at frames, some milliseconds apart. A sound that is made from them
begins up to a frame too early, or with a step. An ear notices both at once. The recording itself
shows how an onset rises. So wherever the recording rises, a sound is held below it. Audio coders
hold pre-echoes down in this way, by a gain that follows the attack [1].

[1] Link, "An attack processing of audio signals for optimizing the temporal characteristics of a
    low bit-rate audio coding system", AES Convention 95, 1993.
"""

import functools
import math
from dataclasses import dataclass, replace
from typing import List, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.parameters.structure import weighted_sum
from drumblender.parameters.time_maps import TimeMap, interpolate
from drumblender.signal import fit_length

# A recording counts as loud as it was so long before, in seconds: half a period of 25 Hz.
_HELD = 0.02
# A sound counts as loud as it was so long before, in seconds. If it were longer, what comes after
# an early peak would be too soft; if it were shorter, waveforms would be cut off.
_SOUND_HELD = 0.0003
# What rises within so many seconds is an attack.
_AHEAD = 0.025
# Factors by which a recording has to rise so that a sound is held below it, a little and entirely.
_RISE = (1.25, 2.0)
# An attack that comes takes hold within so many seconds.
_GRIP = 0.003
# What a sound may be louder than the recording where it is held.
_LOUDER = 10 ** (1 / 20)
# A sound whose peak is lower than the recording's by more than this factor is held lower, too.
_SOFTER = 10 ** (3 / 20)
# Ends fade within so many seconds, and are compared over so many.
_FADE, _END = 0.005, 0.0005
# The share of its highest level at which an outline begins, as the separating analysis has it.
_BEGUN = 0.05
# The share of what one recording has alone that counts as a level of the others in a mix.
_ALONE = 0.2
# Onsets of recordings, each cut where it begins, are no farther apart, in seconds.
_APART = 0.006
# Levels that are silence, in a ratio and at an end.
_TINY, _INAUDIBLE = 1e-9, 2.0**-17


@dataclass(frozen=True, eq=False)
class Outline:
    """An outline, which says how loud a recording is from moment to moment.

    Attributes:
        levels: for each sample, the highest absolute value of the last 20 ms.
        end: highest absolute value of the last 0.5 ms of the recording.
        sample_rate: sample rate in Hz.

    Shape:
        - levels: (C, N)
        - end: (C, 1)

    >>> click = torch.zeros(1, 1000)
    >>> click[:, 400] = 1
    >>> early = torch.ones(1, 1000)
    >>> Outline.of(click, 48_000).gain(early)[0, ::200].tolist()
    [0.0, 0.0, 1.0, 1.0, 1.0]
    """

    levels: Tensor
    end: Tensor
    sample_rate: int

    @classmethod
    def of(
        cls, audio: Tensor, sample_rate: int, begins: bool = True, ends: bool = True
    ) -> "Outline":
        """Measure a recording.

        Args:
            audio: samples, all of which are heard.
            sample_rate: sample rate in Hz.
            begins: whether the recording begins with these samples. Otherwise others come before.
            ends: whether the recording ends with these samples. Otherwise others follow.

        Shape:
            - audio: (C, N)
        """
        size = audio.abs()
        levels = _highest(size, _count(_HELD, sample_rate), 0)
        end = size[:, -_count(_END, sample_rate) :].amax(1, keepdim=True)
        peak = size.amax(1, keepdim=True)
        if not begins:
            levels[:, : _count(_AHEAD, sample_rate)] = peak
        return cls(levels, end if ends else peak, sample_rate)

    @property
    def num_samples(self) -> int:
        """Number N of samples."""
        return self.levels.shape[-1]

    def gain(self, sound: Tensor) -> Tensor:
        """Compute the gain that holds a sound below the recording where the recording rises.

        The gain is 1 elsewhere, and where the sound is no more than 1 dB louder than the recording.

        Shape:
            - sound: (C, N)
            - Output: (C, N), from 0 to 1
        """
        rate = self.sample_rate
        levels = fit_length(self.levels, sound.shape[-1]).expand_as(sound)
        coming = _highest(levels, 0, _count(_AHEAD, rate))
        rise = coming.clamp(min=_TINY) / levels.clamp(min=_TINY)
        weight = ((rise - _RISE[0]) / (_RISE[1] - _RISE[0])).clamp(0, 1)
        weight = torch.minimum(weight, _mean(weight, _count(_GRIP, rate)))
        loud = _highest(sound.abs(), _count(_SOUND_HELD, rate), 0)
        gain, held = torch.ones_like(loud), weight > 0
        ratio = self._allowed(sound) * levels[held] / loud[held].clamp(min=_TINY)
        gain[held] = ratio.clamp(max=1) ** weight[held]
        return gain

    def fade(self, sound: Tensor) -> Tensor:
        """Compute the gain that lets a sound end no louder than the recording.

        Shape:
            - sound: (C, N), which is heard to its last sample
            - Output: (C, 1) if there is nothing to do, or (C, N)
        """
        count, last = sound.shape[-1], _count(_END, self.sample_rate)
        length = min(_count(_FADE, self.sample_rate), count)
        loud = sound[:, -last:].abs().amax(1, keepdim=True)
        left = self.end.clamp(min=_INAUDIBLE) / loud.clamp(min=_INAUDIBLE)
        left = (self._allowed(sound) * left).clamp(max=1)
        if bool((left == 1).all()):
            return left
        # Where the ends are compared, the fade is over.
        turn = torch.arange(1, length + 1, device=sound.device) / max(1, length - last)
        fall = left + (1 - left) * (0.5 + 0.5 * (math.pi * turn.clamp(max=1)).cos())
        return F.pad(fall, (count - length, 0), value=1.0)

    def retime(self, num_samples: int, time_map: TimeMap, seconds: float) -> "Outline":
        """Move the levels in time, and let a sound of another length end more softly.

        Args:
            num_samples: number of samples of the result.
            time_map: map from samples of the result to samples of this outline.
            seconds: by how much the sound becomes longer, or shorter if negative. The end becomes
                softer with it, and is silent if the length changes by 5 ms or more.
        """
        time = torch.arange(num_samples, dtype=torch.float32, device=self.levels.device)
        source = time_map(time)
        # A map may lead nowhere, between two strokes.
        moved = interpolate(self.levels, source) * (source < self.num_samples)
        # Transients that were recorded do not move in time.
        levels = torch.maximum(moved, fit_length(self.levels, num_samples))
        end = self.end * max(0.0, 1 - abs(seconds) / _FADE)
        return replace(self, levels=levels, end=end)

    def delay(self, num_samples: int) -> "Outline":
        """Put a number of silent samples in front, or cut samples there if it is negative."""
        return replace(self, levels=F.pad(self.levels, (num_samples, 0)))

    def resample(self, sample_rate: int) -> "Outline":
        """Describe the same outline at another sample rate, in Hz."""
        ratio = self.sample_rate / sample_rate
        if ratio == 1:
            return self
        time = torch.arange(math.ceil(self.num_samples / ratio), dtype=torch.float64) * ratio
        return replace(self, levels=interpolate(self.levels, time), sample_rate=sample_rate)

    def outlasted(self) -> "Outline":
        """Make the end silent, for a sound that ends within a longer one."""
        return replace(self, end=torch.zeros_like(self.end))

    def loudest(self, other: "Outline") -> "Outline":
        """Compute the outline that is as loud as the louder one of two at each moment."""
        levels = torch.maximum(*_of_one_length((self, other)))
        return replace(self, levels=levels, end=torch.maximum(self.end, other.end))

    def _allowed(self, sound: Tensor) -> Tensor:
        """Compute by which factor a sound may be louder than the recording where it is held.

        A sound that is much softer than the recording as a whole must be softer at its beginning
        and end as well.
        """
        softer = sound.abs().amax() / self.levels.amax().clamp(min=_TINY)
        return _LOUDER * (_SOFTER * softer).clamp(max=1)

    def _onset(self) -> int:
        """Find the first sample that is loud in any channel."""
        levels = self.levels.amax(0)
        return int((levels >= _BEGUN * levels.max()).to(torch.uint8).argmax())


def mix_outlines(
    outlines: Sequence[Outline], weights: Sequence[float], together: bool = False
) -> Outline:
    """Compute the outline that lies between others.

    Levels are interpolated in dB. If two onsets are a few milliseconds apart, both move toward
    each other, so that the onset of the result lies between them.

    Args:
        outlines: outline of each sound.
        weights: weight of each sound. Their sum is 1.
        together: whether all onsets are at the same sample already.
    """
    levels = _of_one_length(outlines)
    if not together:
        onsets, most = [x._onset() for x in outlines], _APART * outlines[0].sample_rate
        ways = [
            sum(w * (other - own) for w, other in zip(weights, onsets) if abs(other - own) < most)
            for own in onsets
        ]
        levels = [_shift(x, round(way)) for x, way in zip(levels, ways)]
    # A stroke that only one of them has does not vanish.
    # There may be one channel or several.
    least = functools.reduce(torch.maximum, (_ALONE * w * x for x, w in zip(levels, weights)))
    held = [torch.maximum(x, least) ** w for x, w in zip(levels, weights)]
    end = weighted_sum([x.end for x in outlines], weights)
    return replace(outlines[0], levels=functools.reduce(torch.mul, held), end=end)


def _of_one_length(outlines: Sequence[Outline]) -> List[Tensor]:
    """Give the levels of all as many samples as the longest one has."""
    count = max(x.num_samples for x in outlines)
    return [fit_length(x.levels, count) for x in outlines]


def _count(seconds: float, sample_rate: int) -> int:
    """Convert seconds to a number of samples, which is 1 at least."""
    return max(1, round(seconds * sample_rate))


def _highest(x: Tensor, before: int, after: int) -> Tensor:
    """Find the highest value from so many samples before to so many after each one of (C, N)."""
    size, total = 1, before + after + 1
    x = F.pad(x, (before, after), mode="constant", value=-math.inf)
    while 2 * size <= total:
        x = torch.maximum(x[:, :-size], x[:, size:])
        size *= 2
    return torch.maximum(x[:, : x.shape[1] - (total - size)], x[:, total - size :])


def _mean(x: Tensor, before: int) -> Tensor:
    """Compute the mean of each sample of (C, N) and so many before it.

    The first sample counts for all that would come before it.
    """
    total = F.pad(x[:, None].double(), (before + 1, 0), mode="replicate")[:, 0].cumsum(1)
    return ((total[:, before + 1 :] - total[:, : -before - 1]) / (before + 1)).to(x.dtype)


def _shift(x: Tensor, num_samples: int) -> Tensor:
    """Move (C, N) to later, or to earlier if the number is negative. Silence fills the gap."""
    if num_samples >= 0:
        return F.pad(x, (num_samples, 0))[:, : x.shape[-1]]
    return F.pad(x[:, -num_samples:], (0, -num_samples))
