"""How the parts of a model become one sound.

A wiring plays the parts and says what each contributes to the sum. The published models know four
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
from typing import Collection, Dict, Mapping, Sequence

from torch import Tensor

from drumblender.errors import UsageError
from drumblender.tasks.parts import Player


class Wiring(ABC):
    """Plays parts, and says what each contributes to the sound."""

    @abstractmethod
    def connect(self, players: Mapping[str, Player]) -> Dict[str, Tensor]:
        """Play the parts of a sound.

        Args:
            players: each part by its name, in the order of the model. Calling one plays it. One
                whose ``on_signal`` is true needs the signal that it is played on.

        Returns:
            What each part contributes, by name and in the same order. The sound is the sum.

        Shape:
            - Output: (B, 1, N) each
        """

    def check(self, names: Collection[str]) -> None:  # noqa: B027
        """Raise a UsageError where parts of these names are not enough for this wiring."""


class _Fed(Wiring):
    """A wiring that feeds parts which play on a signal with the sum of others.

    Args:
        inputs: names of the parts whose sum is the signal.
    """

    def __init__(self, inputs: Sequence[str] = ("modal",)):
        self.inputs = tuple(inputs)

    def check(self, names: Collection[str]) -> None:
        missing = [name for name in self.inputs if name not in names]
        if missing:
            raise UsageError(
                f"Model: the wiring {type(self).__name__} feeds the part {missing[0]!r} to others, "
                f"and the model has only {', '.join(names)}; change its inputs, or add the part."
            )

    def connect(self, players: Mapping[str, Player]) -> Dict[str, Tensor]:
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
    def _shape(self, play: Player, fed: Tensor) -> "tuple[Tensor, Tensor]":
        """Return what a part contributes, and what the next one is fed with."""


class Series(_Fed):
    """Each part that plays on a signal replaces the signal: T(x) instead of x.

    It then contributes the difference T(x) - x, so that all contributions add up.
    """

    def _shape(self, play: Player, fed: Tensor) -> "tuple[Tensor, Tensor]":
        shaped = play(fed)
        return shaped - fed, shaped


class Parallel(_Fed):
    """Each part that plays on a signal is added to the signal: x + T(x)."""

    def _shape(self, play: Player, fed: Tensor) -> "tuple[Tensor, Tensor]":
        return play(fed), fed


def published_wiring(transient_parallel: bool, transient_takes_noise: bool) -> Wiring:
    """Translate the two keywords by which published configurations choose a wiring."""
    kind = Parallel if transient_parallel else Series
    return kind(("modal", "noise") if transient_takes_noise else ("modal",))
