"""Wirings, which combine the parts of a model into one sound.

A wiring plays the parts and says what each contributes to the sum. The published models have four
wirings of modal signal m, noise n and transient network T (Shier et al., Forum Acusticum 2023):

==================================  ============
wiring                              sound
==================================  ============
``Series()``                        T(m) + n
``Series(("modal", "noise"))``      T(m + n)
``Parallel()``                      m + n + T(m)
``Parallel(("modal", "noise"))``    m + n + T(m + n)
==================================  ============
"""

from abc import ABC, abstractmethod
from typing import Collection, Dict, Mapping, Optional, Protocol, Sequence

from torch import Tensor

from drumblender.errors import UsageError


class Playable(Protocol):
    """A part that a call plays, as :class:`~drumblender.tasks.parts.Player` is."""

    @property
    def on_signal(self) -> bool:
        """Whether it is played on the signal of other parts."""

    def __call__(self, signal: Optional[Tensor] = None) -> Tensor:
        """Play it, perhaps on a signal, (B, 1, N) to (B, 1, N)."""


class Wiring(ABC):
    """A way to play parts together, which says what each contributes to the sound."""

    @abstractmethod
    def connect(self, players: Mapping[str, Playable]) -> Dict[str, Tensor]:
        """Play the parts of a sound.

        Args:
            players: each part by its name, in the order of the model. A call plays it. A part whose
                ``on_signal`` is true takes the signal that it is played on.

        Returns:
            The contribution of each part, by name and in the same order. The sound is the sum.

        Shape:
            - each output: (B, 1, N)
        """

    def check(self, names: Collection[str]) -> None:  # noqa: B027
        """Check that parts of these names are enough for this wiring.

        Raises:
            UsageError: if one is missing.
        """


class _Fed(Wiring):
    """A wiring in which some parts are played on the sum of others.

    Args:
        inputs: names of the parts whose sum is the signal.
    """

    def __init__(self, inputs: Sequence[str] = ("modal",)):
        self.inputs = tuple(inputs)

    def check(self, names: Collection[str]) -> None:
        """Check that the inputs are among the parts."""
        missing = [name for name in self.inputs if name not in names]
        if missing:
            raise UsageError(
                f"Model: the wiring {type(self).__name__} feeds the part {missing[0]!r} to others, "
                f"and the model has only {', '.join(names)}; change its inputs, or add the part."
            )

    def connect(self, players: Mapping[str, Playable]) -> Dict[str, Tensor]:
        """Play the inputs, and then the parts that are played on their sum."""
        signals = {name: play() for name, play in players.items() if not play.on_signal}
        shaped = [name for name, play in players.items() if play.on_signal]
        if shaped:
            fed, *others = (signals[name] for name in self.inputs)
            for other in others:
                fed = fed + other
            for name in shaped:
                signals[name], fed = self._shape(players[name], fed)
        return {name: signals[name] for name in players}

    @abstractmethod
    def _shape(self, play: Playable, fed: Tensor) -> "tuple[Tensor, Tensor]":
        """Play a part on a signal. Return its contribution, and the signal for the next part."""


class Series(_Fed):
    """A wiring in which each part that is played on a signal replaces it.

    A signal x becomes T(x). The part contributes the difference T(x) - x, so that all
    contributions add up.
    """

    def _shape(self, play: Playable, fed: Tensor) -> "tuple[Tensor, Tensor]":
        """Play a part in place of the signal."""
        shaped = play(fed)
        return shaped - fed, shaped


class Parallel(_Fed):
    """A wiring in which each part that is played on a signal is added to it.

    A signal x stays, and the part contributes T(x).
    """

    def _shape(self, play: Playable, fed: Tensor) -> "tuple[Tensor, Tensor]":
        """Play a part beside the signal."""
        return play(fed), fed


def published_wiring(transient_parallel: bool, transient_takes_noise: bool) -> Wiring:
    """Translate the two keywords by which published configurations choose a wiring."""
    kind = Parallel if transient_parallel else Series
    return kind(("modal", "noise") if transient_takes_noise else ("modal",))
