"""The one table of what can be changed about a sound.

A control is one entry of ``CONTROLS``. It holds a name, a unit, a range, a neutral value, a help
text and a function. The options of ``drumblender-synth``, their checks, the sliders of
``drumblender-app``, the methods ``with_...`` of :class:`~drumblender.sound.Sound` and the table in
the documentation are made from these entries.
This module imports no PyTorch, so that the help of a command appears at once.
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
    """Something that a control also does when it is asked to.

    Attributes:
        name: name of the method's argument. The option is called ``--CONTROL_NAME``.
        help: one line of help, without a period.
        part: name of the part that a model must have for it.
    """

    name: str
    help: str
    part: str


@dataclass(frozen=True)
class Slider:
    """How a control looks on a screen.

    Attributes:
        lowest: value at the left end, which is in the control's range but need not be its limit.
        highest: value at the right end.
        step: distance of values that can be set. If the slider is logarithmic, it is the number of
            parts of an octave.
        symbol: the unit, as short as it stands beside a number.
        is_logarithmic: whether equal distances are equal ratios.
    """

    lowest: float
    highest: float
    step: float
    symbol: str
    is_logarithmic: bool = False


@dataclass(frozen=True)
class Control:
    """One thing that can be changed about a sound.

    Attributes:
        name: name of the option.
        unit: unit of the value, in the words of an error.
        lowest: lowest value that is allowed.
        highest: highest value that is allowed.
        neutral: value that changes nothing. None if every value changes something.
        help: one line of help, without a period.
        function: function that takes a sound, a value and the switches, and returns a sound.
        slider: how it looks on a screen.
        argument: name of the value in the method.
        metavar: name of the value in the help.
        method: name of the method of :class:`~drumblender.sound.Sound` that is made from this
            entry. None if another method already does the same.
        part: name of the part that a model must have for it. None if any model will do.
        aliases: further names of the option.
        switches: what it also does on request.
        usual: value that the method takes if none is given. None if a value must be given.
        is_random: whether something is drawn by chance. The function then takes a seed as well.
        keeps_time: whether a sound keeps its length.
    """

    name: str
    unit: str
    lowest: float
    highest: float
    neutral: Optional[float]
    help: str
    function: Callable[..., "Sound"]
    slider: Slider
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
        """Unit and range in the words that errors and documentation use.

        >>> by_name("pitch").range
        'semitones from -96 to 96'
        """
        if math.isinf(self.lowest):
            return f"{self.unit} up to {self.highest:g} (-inf mutes)"
        return f"{self.unit} from {self.lowest:g} to {self.highest:g}"

    def check(self, value: float, called: Optional[str] = None) -> None:
        """Refuse a value that is out of range.

        Args:
            value: the value, in the unit of this control.
            called: name by which the error calls the control. None stands for its own name.

        Raises:
            UsageError: if the value is out of range.
        """
        if not self.lowest <= value <= self.highest:
            raise UsageError(f"{called or self.name} is {value}; give {self.range}.")

    def is_neutral(self, value: Optional[float]) -> bool:
        """Return whether a value leaves the sound as it is. None does."""
        return value is None or value == self.neutral

    def apply(self, sound: "Sound", value: float, **more: Any) -> "Sound":
        """Return a changed sound.

        Args:
            sound: the sound to start from, which stays as it is.
            value: the value, in the unit of this control.
            more: switches by name. A control that is random also takes ``seed``.

        Raises:
            UsageError: if the value is out of range, or if the model lacks a part that is needed.
        """
        self.check(value)
        needed = {switch.part for switch in self.switches if more.get(switch.name)}
        if self.part is not None and not self.is_neutral(value):
            needed.add(self.part)
        for part in sorted(needed):
            sound.need(part)
        if self.is_neutral(value):
            return sound
        edit = {"control": self.name, "value": value, **{k: v for k, v in more.items() if v}}
        return replace(self.function(sound, value, **more), edits=(*sound.edits, edit))


def _gain(part: str) -> Control:
    """Make the control of a part's level."""
    return Control(
        name=f"{part}_gain",
        unit="decibels",
        lowest=-math.inf,
        highest=100.0,
        neutral=0.0,
        help=f"level of {part}, in dB",
        function=lambda sound, decibels: sound.with_gain(**{part: decibels}),
        slider=Slider(-48, 12, 0.5, "dB"),
        argument="decibels",
        metavar="DB",
        part=part,
    )


def _pitch(sound: "Sound", semitones: float, noise: bool = False) -> "Sound":
    """Transpose the modes by a number of semitones.

    With ``noise``, the bands of the noise move as well. What moves to Nyquist or beyond is silent.
    """
    return sound.transposed(2 ** (semitones / 12), ("noise",) if noise else ())


def _decay(sound: "Sound", factor: float) -> "Sound":
    """Multiply decay times (T60) by a factor.

    Envelopes of modes and noise are stretched in time from the loudest moment of a sound on. The
    length of what follows that moment is multiplied by the factor, too. Frequencies stay where they
    are, so that a glide of pitch keeps its speed.
    """
    return sound.stretched(factor)


def _brightness(sound: "Sound", slope: float) -> "Sound":
    """Tilt the spectrum about 1 kHz by ``slope`` dB per octave. Several tilts add up."""
    return replace(sound, brightness=sound.brightness + slope)


def _attack(sound: "Sound", amount: float) -> "Sound":
    """Multiply the amplitude of the transient. 0 removes it, and 2 doubles it."""
    return replace(sound, gains={**sound.gains, "transient": sound.gains["transient"] * amount})


def _humanize(sound: "Sound", amount: float, seed: Optional[int] = None) -> "Sound":
    """Vary everything a little and draw other noise, as if the same drum were hit once more.

    With an amount of 1, pitch varies by 5 cents, and every mode by another 4 cents. The level
    varies by 0.5 dB, every mode by another 1 dB, and every other part by another 0.5 dB. Decay
    varies by 3 %, and brightness varies by 0.2 dB per octave. All of these are standard deviations.
    The same seed gives the same variation.
    """
    draw = random.Random(secrets.randbits(64) if seed is None else f"variation {seed}")
    sound = sound.varied(amount, draw.getrandbits(31))

    def vary(deviation: float) -> float:
        """Draw a number of this standard deviation, within 2.5 times as much."""
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
        slider=Slider(-24, 24, 0.1, "st"),
        argument="semitones",
        metavar="ST",
        method="with_pitch",
        switches=(Switch("noise", "move the noise, too", "noise"),),
    ),
    Control(
        name="decay",
        unit="a factor",
        lowest=0.01,
        highest=100.0,
        neutral=1.0,
        help="multiply decay times (T60)",
        function=_decay,
        slider=Slider(0.1, 10, 48, "x", is_logarithmic=True),
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
        slider=Slider(-12, 12, 0.1, "dB/oct"),
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
        slider=Slider(0, 4, 0.05, "x"),
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
        slider=Slider(0, 4, 0.05, "x"),
        argument="amount",
        metavar="X",
        method="with_variation",
        usual=1.0,
        is_random=True,
        keeps_time=False,
    ),
)


def by_name(name: str) -> Control:
    """Return the control of a name.

    Raises:
        UsageError: if there is none.
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
        """Apply the control to a sound."""
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
