"""What plays in blocks, and controls that move from block to block."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Optional, Sequence, Tuple

import numpy as np
from torch import Tensor

from drumblender.fast.causal import PIECE

__all__ = ["PIECE", "STILL", "Blocks", "Moving", "Ramp", "between"]


@dataclass(frozen=True)
class Ramp:
    """A control that moves along straight lines.

    Attributes:
        times: samples between which it moves, in their order.
        values: its values at these samples. It stays before the first and after the last one.

    >>> Ramp.still(0.0).toward(1.0, begin=100, length=10).at([100, 105, 200]).tolist()
    [0.0, 0.5, 1.0]
    """

    times: Tuple[int, ...]
    values: Tuple[float, ...]

    @classmethod
    def still(cls, value: float) -> "Ramp":
        """Return a control that does not move."""
        return cls((0,), (value,))

    @property
    def last(self) -> float:
        """Value that it moves to."""
        return self.values[-1]

    def is_still(self, at: float) -> bool:
        """Return whether it has this value and no other one."""
        return all(value == at for value in self.values)

    def at(self, times: Any) -> np.ndarray:
        """Return its values at any number of samples, in float64."""
        return np.interp(times, self.times, self.values)

    def toward(self, value: float, begin: int, length: int) -> "Ramp":
        """Let it move to a value.

        Args:
            value: the value.
            begin: sample at which it starts to move there.
            length: number of samples that this takes.
        """
        now = float(self.at(begin))
        kept = [(t, v) for t, v in zip(self.times, self.values) if t < begin]
        points = [*kept, (begin, now), (begin + length, float(value))]
        return Ramp(*zip(*points))

    def shifted(self, num_samples: int) -> "Ramp":
        """Let everything happen a number of samples later."""
        if not num_samples:
            return self
        return Ramp(tuple(t + num_samples for t in self.times), self.values)

    def since(self, position: int) -> "Ramp":
        """Forget what happened long before a sample."""
        first = max((i for i, t in enumerate(self.times) if t <= position), default=0)
        return Ramp(self.times[first:], self.values[first:]) if first else self


@dataclass(frozen=True)
class Moving:
    """The controls that sound follows while it plays.

    Attributes:
        pitch: transposition in semitones.
        amount: place among the values that blocks were made of, from 0 to 1.
    """

    pitch: Ramp
    amount: Ramp


STILL = Moving(Ramp.still(0.0), Ramp.still(0.0))


class Blocks(ABC):
    """A part of a sound that plays in blocks.

    It never changes. What it has to remember from block to block is a value of any kind, the state,
    which it takes and gives back.
    """

    @abstractmethod
    def begin(self, position: int = 0, before: Any = None, moving: Moving = STILL) -> Any:
        """Return the state before a sample.

        Args:
            position: the sample.
            before: state of blocks of another sound that have played until then, if there is one.
            moving: the controls.
        """

    @abstractmethod
    def block(
        self, state: Any, count: int, moving: Moving, signal: Optional[Tensor] = None
    ) -> Tuple[Tensor, Any]:
        """Play a block.

        Args:
            state: state before its first sample.
            count: number of samples, a multiple of ``PIECE``. Blocks begin at such multiples, too.
            moving: the controls.
            signal: signal that the part is played on, if it is played on one.

        Returns:
            The samples (C, 1, count), and the state after them.

        Shape:
            - signal: (C, 1, count)
        """


def between(knots: Sequence[float], amounts: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Find the places of amounts between given ones, which begin with 0 and end with 1.

    Returns:
        For each amount, the index of the given one below it and the share of the next one.

    >>> between([0, 0.5, 1], np.array([0, 0.75, 1]))
    (array([0, 1, 1]), array([0. , 0.5, 1. ]))
    """
    places = np.interp(amounts, knots, np.arange(len(knots)))
    below = np.minimum(places.astype(int), max(0, len(knots) - 2))
    return below, places - below
