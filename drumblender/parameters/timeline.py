"""Timelines, which say when a sound happens and how it begins and ends."""

import math
from dataclasses import dataclass, field, replace
from typing import Optional, Sequence, Tuple

import torch
from torch import Tensor

from drumblender.parameters.outline import Outline, mix_outlines
from drumblender.parameters.time_maps import TimeMap, stretch_after

# Sounds are played in multiples of this many samples, so that many are of one length and can go
# through the model together, and each gives the same whatever goes beside it.
UNIT = 512
# A stroke is heard so long before its onset, in seconds.
_BEFORE_S = 0.0015
# What is added before a mean lead is rounded down. Means of usual weights, such as 1/2 and 1/4, lie
# between two samples often, and a hair of a weight shall not make the difference there.
_ROUNDED = 0.485


@dataclass(frozen=True)
class Timeline:
    """A timeline, which says when a sound happens.

    A sound begins with silence. Then the samples follow that its parameters describe, which are
    called described samples. Those of them that lie within the length of the sound are heard.

    Attributes:
        sample_rate: sample rate of the parameters, in Hz.
        lead: number of samples of silence in front. If it is negative, as many described samples
            come before the beginning of the sound and are not heard.
        described: number of samples that the parameters describe.
        seconds: length of the sound, with the silence in front.
        onsets: described samples at which strokes begin, in their order.
        outline: how loud the recording is at each described sample. If it is None, a sound begins
            and ends as its parts do.

    >>> time = Timeline(48_000, lead=100, described=4_096, seconds=0.05)
    >>> time.total, time.recorded, time.played
    (2400, 2300, 2560)
    """

    sample_rate: int
    lead: int
    described: int
    seconds: float
    onsets: Tuple[float, ...] = (0.0,)
    outline: Optional[Outline] = field(default=None, repr=False, compare=False)

    @property
    def onset(self) -> float:
        """The described sample at which the sound begins."""
        return self.onsets[0]

    @property
    def total(self) -> int:
        """Number of samples of the sound, with the silence in front."""
        return max(1, math.ceil(self.seconds * self.sample_rate - 1e-6))

    @property
    def recorded(self) -> int:
        """Number of described samples that come before the end of the sound."""
        return min(self.described, max(1, self.total - self.lead))

    @property
    def played(self) -> int:
        """Number of described samples that are played.

        This is the number of those before the end, rounded up to a multiple of ``UNIT``. It is
        never more than are described.
        """
        return min(self.described, UNIT * math.ceil(self.recorded / UNIT))

    def stretch_map(self, moment: float, factor: float) -> TimeMap:
        """Return a map from described samples of a stretched sound to those of this sound.

        In a sound of several strokes, the map stretches each stroke by itself. It begins as long
        after the onset of each stroke as ``moment`` comes after the onset of its own. A stroke ends
        where the next one begins, so that all strokes stay where they are.

        Args:
            moment: the described sample after which the sound is stretched.
            factor: 2 makes everything after the moment twice as long.

        >>> loop = Timeline(48_000, 0, 1_000, 0.02, onsets=(0.0, 500.0))
        >>> time = torch.tensor([100.0, 300.0, 400.0, 600.0, 700.0])
        >>> loop.stretch_map(100.0, 2.0)(time).tolist()
        [100.0, 200.0, 250.0, 600.0, 650.0]
        """
        if len(self.onsets) == 1:
            return stretch_after(moment, factor)
        begins, ends = self.strokes(moment)

        def source(time: Tensor) -> Tensor:
            """Return samples of this sound, or infinity where a stroke has no samples."""
            stroke = torch.searchsorted(ends.to(time.device), time.contiguous(), right=True)
            begin, end = begins.to(time.device)[stroke], ends.to(time.device)[stroke]
            moved = torch.where(time <= begin, time, begin + (time - begin) / factor)
            # What would belong to the next stroke is not there.
            return torch.where(moved < end, moved, math.inf)

        return source

    def strokes(self, moment: float) -> Tuple[Tensor, Tensor]:
        """Return where each stroke begins to be stretched and where it ends, as samples.

        Args:
            moment: the described sample after which the sound is stretched.

        Shape:
            - Output: (strokes,) both; the last stroke ends at infinity

        >>> Timeline(48_000, 0, 1_000, 0.02).strokes(100.0)
        (tensor([100.]), tensor([inf]))
        """
        if len(self.onsets) == 1:
            return torch.tensor([moment]), torch.tensor([math.inf])
        onsets = torch.tensor(self.onsets)
        after = self._after_onset(moment)
        ends = torch.cat([onsets[1:], torch.tensor([math.inf])]) - _BEFORE_S * self.sample_rate
        return torch.minimum(onsets + after, ends), ends

    def _after_onset(self, moment: float) -> float:
        """Return how many samples after the onset of its stroke a moment comes."""
        return max(0.0, moment - max((o for o in self.onsets if o <= moment), default=moment))

    def at_rate(self, sample_rate: int) -> "Timeline":
        """Give the same timeline in samples of another rate, in Hz."""
        ratio = sample_rate / self.sample_rate
        if ratio == 1:
            return self
        return replace(
            self,
            sample_rate=sample_rate,
            lead=round(self.lead * ratio),
            described=round(self.described * ratio),
            onsets=tuple(onset * ratio for onset in self.onsets),
            outline=self.outline and self.outline.resample(sample_rate),
        )

    def delayed(self, num_samples: int) -> "Timeline":
        """Describe a number of silent samples more in front. The sound stays the same."""
        return replace(
            self,
            lead=self.lead - num_samples,
            described=self.described + num_samples,
            onsets=tuple(onset + num_samples for onset in self.onsets),
            outline=self.outline and self.outline.delay(num_samples),
        )

    def stretched(self, moment: float, factor: float) -> "Timeline":
        """Stretch the timeline after a moment, as :meth:`stretch_map` does.

        Args:
            moment: the described sample after which the sound is stretched.
            factor: 2 makes everything after the moment twice as long.
        """
        time_map = self.stretch_map(moment, factor)
        moment = self.onsets[-1] + self._after_onset(moment) if len(self.onsets) > 1 else moment
        begin = (self.lead + moment) / self.sample_rate
        described = math.ceil(moment + (self.described - moment) * factor)
        seconds = begin + max(0.0, self.seconds - begin) * factor
        longer = seconds - self.seconds
        return replace(
            self,
            described=described,
            seconds=seconds,
            outline=self.outline and self.outline.retime(described, time_map, longer),
        )

    def extended(self, other: "Timeline") -> "Timeline":
        """Describe as many samples as another timeline and last as long, where that is more.

        A sound that ends within a longer one ends silently.
        """
        outline = self.outline
        if outline is not None and self.seconds < other.seconds:
            outline = outline.outlasted()
        return replace(
            self,
            described=max(self.described, other.described),
            seconds=max(self.seconds, other.seconds),
            outline=outline,
        )

    def beside(self, other: "Timeline") -> "Timeline":
        """Take the louder outline of two at each moment, for a sound that has parts of both."""
        if self.outline is None or other.outline is None:
            return self
        return replace(self, outline=self.outline.loudest(other.outline))


def mix_timelines(
    timelines: Sequence[Timeline], weights: Sequence[float], together: bool
) -> Timeline:
    """Begin between the beginnings of sounds that describe as many samples.

    The strokes are those of the first sound.

    Args:
        timelines: timeline of each sound.
        weights: weight of each sound. Their sum is 1.
        together: whether all sounds have their onset at the same described sample.
    """
    outlines = [x.outline for x in timelines if x.outline is not None]
    is_held = len(outlines) == len(timelines)
    return replace(
        timelines[0],
        lead=math.floor(math.fsum(w * x.lead for x, w in zip(timelines, weights)) + _ROUNDED),
        outline=mix_outlines(outlines, weights, together) if is_held else timelines[0].outline,
    )
