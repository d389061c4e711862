"""The one table of what can be changed about a sound.

A control is one entry of ``CONTROLS``: its name, unit, range, neutral value, help and function. The
options of ``drumblender-synth``, their checks, the methods ``with_...`` of
:class:`~drumblender.sound.Sound` and the table in the documentation are made of it. This module
imports no PyTorch, so that the help of a command appears at once.
"""

import inspect
import math
import random
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Callable, Optional, Tuple

from drumblender.errors import UsageError

if TYPE_CHECKING:
    from drumblender.sound.sound import Sound


@dataclass(frozen=True)
class Switch:
    """Something that a control does, too, when it is asked to.

    Attributes:
        name: of the argument of the method. The option is ``--CONTROL_NAME``.
        help: one line, without a period.
        part: the part that a model must have for it.
    """

    name: str
    help: str
    part: str


@dataclass(frozen=True)
class Control:
    """One thing that can be changed about a sound.

    Attributes:
        name: of the option.
        unit: of the value, as an error names it.
        lowest: lowest value.
        highest: highest value.
        neutral: value that changes nothing. None if every value changes something.
        help: one line, without a period.
        function: (sound, value) -> sound, with the switches as further arguments.
        argument: what the method calls the value.
        metavar: what the help calls the value.
        method: of :class:`~drumblender.sound.Sound`; None where another one serves.
        part: the part that a model must have for it.
        aliases: further names of the option.
        switches: what it does on request.
        usual: value that the method takes if none is given.
        is_random: whether it draws something. Its function takes a seed, too.
        keeps_time: whether the sound stays as long as it is.
    """

    name: str
    unit: str
    lowest: float
    highest: float
    neutral: Optional[float]
    help: str
    function: Callable[..., "Sound"]
    argument: str
    metavar: str
    method: Optional[str] = None
    part: Optional[str] = None
    aliases: Tuple[str, ...] = ()
    switches: Tuple[Switch, ...] = ()
    usual: Optional[float] = None
    is_random: bool = False
    keeps_time: bool = True

    @property
    def range(self) -> str:
        """Unit and range in words, for errors and documentation.

        >>> by_name("pitch").range
        'semitones from -96 to 96'
        """
        if math.isinf(self.lowest):
            return f"{self.unit} up to {self.highest:g} (-inf mutes)"
        return f"{self.unit} from {self.lowest:g} to {self.highest:g}"

    def check(self, value: float, called: Optional[str] = None) -> None:
        """Raise a UsageError for a value out of range.

        Args:
            value: to check.
            called: how whoever gave it knows the control; its name by default.
        """
        if not self.lowest <= value <= self.highest:
            raise UsageError(f"{called or self.name} is {value}; give {self.range}.")

    def is_neutral(self, value: Optional[float]) -> bool:
        """Whether a value leaves the sound as it is."""
        return value is None or value == self.neutral

    def apply(self, sound: "Sound", value: float, **more: Any) -> "Sound":
        """Change a sound.

        Args:
            sound: which does not change itself.
            value: in the unit of this control.
            more: switches that are on, and the seed of a control that draws.

        Raises:
            UsageError: for a value out of range, or where the model lacks the part.
        """
        self.check(value)
        needed = {switch.part for switch in self.switches if more.get(switch.name)}
        if self.part is not None and not self.is_neutral(value):
            needed.add(self.part)
        for part in sorted(needed):
            sound.need(part)
        if self.is_neutral(value):
            return sound
        return self.function(sound, value, **more)


def _gain(part: str) -> Control:
    """The control of a part's level."""
    return Control(
        name=f"{part}_gain",
        unit="decibels",
        lowest=-math.inf,
        highest=100.0,
        neutral=0.0,
        help=f"level of {part}, in dB",
        function=lambda sound, decibels: sound.with_gain(**{part: decibels}),
        argument="decibels",
        metavar="DB",
        part=part,
    )


def _pitch(sound: "Sound", semitones: float, noise: bool = False) -> "Sound":
    """Move all modes, and with ``noise`` the bands of the noise as well.

    What moves to Nyquist and beyond is silent.
    """
    return sound.transposed(2 ** (semitones / 12), ("noise",) if noise else ())


def _decay(sound: "Sound", factor: float) -> "Sound":
    """Let envelopes last longer (above 1) or shorter after their attack.

    Envelopes of modes and noise are stretched in time from the loudest moment on, so that T60 is
    multiplied by the factor. The length of what follows that moment is, too. Frequencies stay, and
    with them the speed of a pitch sweep.
    """
    return sound.stretched(factor)


def _brightness(sound: "Sound", slope: float) -> "Sound":
    """Tilt the spectrum by ``slope`` dB per octave about 1 kHz, on top of what there is."""
    return replace(sound, brightness=sound.brightness + slope)


def _attack(sound: "Sound", amount: float) -> "Sound":
    """Another amount of transient: 1 leaves it as it is, 0 removes it, 2 doubles it."""
    return replace(sound, gains={**sound.gains, "transient": sound.gains["transient"] * amount})


def _humanize(sound: "Sound", amount: float, seed: Optional[int] = None) -> "Sound":
    """The same drum, hit once more: small seeded changes of everything, and other noise.

    With an amount of 1, standard deviations are 5 cents of pitch and 4 cents of every mode, 0.5 dB
    of level and 1 dB of every mode, 3 % of decay, 0.2 dB per octave of brightness, and 0.5 dB of
    every other part.
    """
    draw = random.Random(secrets.randbits(64) if seed is None else f"variation {seed}")
    sound = sound.varied(amount, draw.getrandbits(31))

    def vary(deviation: float) -> float:
        return amount * deviation * max(-2.5, min(2.5, draw.gauss(0, 1)))

    sound = sound.transposed(2 ** (vary(0.05) / 12)).stretched(math.exp(vary(0.03)))
    sound = _brightness(sound.with_gain(vary(0.5)), vary(0.2))
    # Drawn for all known parts, so that a seed means the same with and without one of them.
    names = ("noise", "transient", *(n for n in sound.gains if n not in KNOWN_PARTS))
    decibels = {name: vary(0.5) for name in names}
    sound = sound.with_gain(**{name: db for name, db in decibels.items() if name in sound.gains})
    return sound.with_seed(draw.getrandbits(31))


# Parts that options of the command line name; a model may have others.
KNOWN_PARTS = ("modal", "noise", "transient")

CONTROLS: Tuple[Control, ...] = (
    *(_gain(part) for part in KNOWN_PARTS),
    Control(
        name="pitch",
        unit="semitones",
        lowest=-96.0,
        highest=96.0,
        neutral=0.0,
        help="move the modes, in semitones",
        function=_pitch,
        argument="semitones",
        metavar="ST",
        method="with_pitch",
        switches=(Switch("noise", "move the noise with them", "noise"),),
    ),
    Control(
        name="decay",
        unit="a factor",
        lowest=0.01,
        highest=100.0,
        neutral=1.0,
        help="multiply decay times (T60)",
        function=_decay,
        argument="factor",
        metavar="FACTOR",
        method="with_decay",
        keeps_time=False,
    ),
    Control(
        name="brightness",
        unit="decibels per octave",
        lowest=-24.0,
        highest=24.0,
        neutral=0.0,
        help="tilt the spectrum, in dB per octave about 1 kHz",
        function=_brightness,
        argument="slope",
        metavar="DB",
        method="with_brightness",
        aliases=("tilt",),
    ),
    Control(
        name="attack",
        unit="a factor",
        lowest=0.0,
        highest=100.0,
        neutral=1.0,
        help="amount of transient; 0 for none",
        function=_attack,
        argument="amount",
        metavar="X",
        method="with_attack",
        part="transient",
    ),
    Control(
        name="humanize",
        unit="an amount",
        lowest=0.0,
        highest=10.0,
        neutral=None,
        help="small variations of everything; 1 is usual",
        function=_humanize,
        argument="amount",
        metavar="X",
        method="with_variation",
        usual=1.0,
        is_random=True,
        keeps_time=False,
    ),
)


def by_name(name: str) -> Control:
    """The control of a name.

    Raises:
        UsageError: when there is none.
    """
    for control in CONTROLS:
        if name == control.name:
            return control
    names = ", ".join(control.name for control in CONTROLS)
    raise UsageError(f"There is no control {name!r}; the controls are {names}.")


def method_of(control: Control) -> Callable[..., "Sound"]:
    """Make the method of :class:`~drumblender.sound.Sound` that applies a control."""
    usual = inspect.Parameter.empty if control.usual is None else control.usual
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [
        inspect.Parameter("self", kind),
        inspect.Parameter(control.argument, kind, default=usual, annotation=float),
    ]
    for switch in control.switches:
        parameters.append(inspect.Parameter(switch.name, kind, default=False, annotation=bool))
    if control.is_random:
        parameters.append(inspect.Parameter("seed", kind, default=None, annotation=Optional[int]))
    signature = inspect.Signature(parameters, return_annotation="Sound")

    def method(*args: Any, **kwargs: Any) -> "Sound":
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        arguments = dict(given.arguments)
        sound, value = arguments.pop("self"), arguments.pop(control.argument)
        return control.apply(sound, value, **arguments)

    method.__name__ = str(control.method)
    method.__qualname__ = f"Sound.{control.method}"
    method.__doc__ = inspect.getdoc(control.function)
    method.__signature__ = signature  # type: ignore[attr-defined]
    return method
