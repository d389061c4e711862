"""When a sound happens, in samples of its model."""

import math
from dataclasses import dataclass, replace

# Sounds are played in multiples of this many samples, so that many are of one length and can go
# through the model together, and each gives the same whatever goes beside it.
UNIT = 512


@dataclass(frozen=True)
class Timeline:
    """Silence, then the samples that parameters describe, of which some are heard.

    Attributes:
        sample_rate: of the model, in Hz.
        lead: number of samples of silence in front.
        described: number of samples that the parameters describe, after the silence.
        seconds: length of the whole.

    >>> time = Timeline(48_000, lead=100, described=4_096, seconds=0.05)
    >>> time.total, time.recorded, time.played
    (2400, 2300, 2560)
    """

    sample_rate: int
    lead: int
    described: int
    seconds: float

    @property
    def total(self) -> int:
        """Number of samples of the whole."""
        return max(1, math.ceil(self.seconds * self.sample_rate - 1e-6))

    @property
    def recorded(self) -> int:
        """Number of described samples that come before the end."""
        length = math.ceil(self.seconds * self.sample_rate) - self.lead
        return min(self.described, max(1, length))

    @property
    def played(self) -> int:
        """Number of described samples that are made: those before the end, up to a multiple."""
        return min(self.described, UNIT * math.ceil(self.recorded / UNIT))

    def stretched(self, moment: float, factor: float) -> "Timeline":
        """Let what follows a described sample last longer by a factor."""
        begin = (self.lead + moment) / self.sample_rate
        return replace(
            self,
            described=math.ceil(moment + (self.described - moment) * factor),
            seconds=begin + max(0.0, self.seconds - begin) * factor,
        )

    def extended(self, other: "Timeline") -> "Timeline":
        """Describe as many samples as another timeline, and last as long, if that is more."""
        return replace(
            self,
            described=max(self.described, other.described),
            seconds=max(self.seconds, other.seconds),
        )
