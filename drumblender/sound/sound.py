"""A sound taken apart: a value that edits turn into other values."""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Union,
)

import numpy as np
import torch

from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.audio import check_samples, write_samples
from drumblender.parameters import map_tensors
from drumblender.sound.controls import CONTROLS, KNOWN_PARTS, method_of
from drumblender.sound.engine import Engine, channels_of
from drumblender.sound.playing import play, render
from drumblender.sound.timeline import Timeline
from drumblender.tasks.blender import Stems
from drumblender.tasks.parts import Part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PathLike = Union[str, Path]


@dataclass(frozen=True, eq=False, repr=False)
class Sound:
    """A sound taken apart. It never changes; ``with_...`` gives another one.

    The methods of the controls (``with_pitch``, ``with_decay``, ``with_brightness``,
    ``with_attack``, ``with_variation``) are made from the table in
    :mod:`drumblender.sound.controls`.

    Attributes:
        engine: the model that took it apart and puts it together.
        parameters: what the model makes each part of, by name. The first axis of tensors is the
            channel.
        timeline: when it happens.
        sample_rate: of the recording, in Hz.
        seed: of the noise.
        gains: linear, of each part by name.
        brightness: in dB per octave.
        name: what to call it.
        recording: the samples (N, C) that it was made of, or None.
    """

    engine: Engine
    parameters: Mapping[str, Any]
    timeline: Timeline
    sample_rate: int
    seed: int
    gains: Mapping[str, float]
    brightness: float = 0.0
    name: str = "sound"
    recording: Optional[np.ndarray] = field(default=None)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., "Sound"]:
            """The methods of the controls, for type checkers."""

    def __repr__(self) -> str:
        channels = f", {self.channels} channels" if self.channels > 1 else ""
        modes = self.parameters.get("modal")
        count = "" if modes is None else f", {int(modes.amplitude.any(-1).sum(-1).max())} modes"
        return (
            f"<Sound {self.name}: {self.seconds:.2f} s at {self.sample_rate} Hz{channels}{count}>"
        )

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.timeline.seconds

    @property
    def channels(self) -> int:
        """How many channels it has."""
        return channels_of(self.parameters)

    @property
    def is_silent(self) -> bool:
        """Whether nothing of it is to be heard."""
        return not any(self.gains.values())

    @cached_property
    def parts(self) -> Stems:
        """What each part contributes, (C, 1, N) at the model's rate; the sum is the sound."""
        return play([self])[0]

    def stems(self, sample_rate: Optional[int] = None) -> Dict[str, np.ndarray]:
        """What each part contributes, by name; together they are :meth:`render`.

        Args:
            sample_rate: in Hz; the recording's when None.

        Shape:
            - Output: (N,) each, or (N, channels)
        """
        return render([self], sample_rate, played=[self.parts])[0]

    def render(self, sample_rate: Optional[int] = None) -> np.ndarray:
        """Put the sound together.

        Args:
            sample_rate: in Hz; the recording's when None.

        Shape:
            - Output: (N,), or (N, channels) of more than one channel; float32
        """
        first, *others = self.stems(sample_rate).values()
        total = first.copy()
        for other in others:
            total += other
        return total

    def write(self, path: PathLike, sample_rate: Optional[int] = None, bits: int = 24) -> None:
        """Write the sound to a WAV, FLAC or OGG file; what exceeds full scale is an error."""
        rate = self.sample_rate if sample_rate is None else sample_rate
        samples = self.render(rate)
        check_samples(path, samples)
        peak = float(np.abs(samples).max())
        if peak > 1 and bits != 32:
            raise DrumblenderError(
                f"{path} is not written, because it exceeds full scale; take with_gain("
                f"{-20 * math.log10(peak) - 0.01:.2f}) of the sound, or bits=32 and a WAV file."
            )
        write_samples(path, samples, rate, bits)

    def with_gain(self, gain: float = 0.0, **parts: float) -> "Sound":
        """Louder or softer.

        Args:
            gain: of the whole, in dB; -inf mutes.
            parts: of parts by name, in dB and on top: ``with_gain(-3, noise=-6)``.
        """
        for name, decibels in parts.items():
            if decibels != 0 or name not in KNOWN_PARTS:
                self.need(name)
        gains = {
            name: linear * 10 ** ((gain + parts.get(name, 0.0)) / 20)
            for name, linear in self.gains.items()
        }
        return replace(self, gains=gains)

    def with_seed(self, seed: int) -> "Sound":
        """The same with other noise."""
        return replace(self, seed=seed)

    def with_part(self, name: str, other: "Sound") -> "Sound":
        """A part of another sound in the place of this one's; as long as the longer of the two."""
        self.need(name)
        one, other = aligned(self, other)
        return replace(
            one,
            parameters={**one.parameters, name: other.parameters[name]},
            timeline=one.timeline.beside(other.timeline),
            gains={**one.gains, name: other.gains[name]},
        )

    def with_modal(self, other: "Sound") -> "Sound":
        """The sinusoids of another sound in the place of these."""
        return self.with_part("modal", other)

    def with_noise(self, other: "Sound") -> "Sound":
        """The noise of another sound in the place of this one."""
        return self.with_part("noise", other)

    def with_transient(self, other: "Sound") -> "Sound":
        """The transient of another sound in the place of this one."""
        return self.with_part("transient", other)

    def transposed(self, ratio: float, also: Sequence[str] = ()) -> "Sound":
        """Multiply frequencies by a ratio.

        Args:
            ratio: 2 is an octave.
            also: names of parts that move, too, beside those that always follow the pitch.
        """
        return self._edited(
            lambda part, value: (
                part.transpose(value, ratio, self.timeline.onset)
                if part.follows_pitch or part.name in also
                else value
            )
        )

    def stretched(self, factor: float) -> "Sound":
        """Let what follows the loudest moment last longer by a factor."""
        if factor == 1:
            return self
        moment = self._loudest_moment()
        time_map = self.timeline.stretch_map(moment, factor)
        timeline = self.timeline.stretched(moment, factor)
        return replace(
            self._edited(lambda part, value: part.retime(value, timeline.described, time_map)),
            timeline=timeline,
        )

    def at_rate(self, sample_rate: int) -> "Sound":
        """The same sound, described at another sample rate."""
        old = self.timeline.sample_rate
        if old == sample_rate:
            return self
        edited = self._edited(lambda part, value: part.resample(value, old, sample_rate))
        return replace(edited, timeline=self.timeline.at_rate(sample_rate))

    def delayed(self, num_samples: int) -> "Sound":
        """The same sound, described with silence in front that is not heard."""
        if not num_samples:
            return self
        edited = self._edited(lambda part, value: part.delay(value, num_samples))
        return replace(edited, timeline=self.timeline.delayed(num_samples))

    def varied(self, amount: float, seed: int) -> "Sound":
        """Let every part draw small deviations."""
        generator = torch.Generator().manual_seed(seed)
        return self._edited(lambda part, value: part.vary(value, amount, generator))

    def need(self, part: str) -> None:
        """Raise a UsageError where the model does not make a part."""
        if part not in self.gains:
            raise UsageError(
                f"This model makes no {part} part, only {' and '.join(self.gains)}; "
                "take another model, or leave that part alone."
            )

    def _edited(self, function: Callable[[Part, Any], Any]) -> "Sound":
        """Let each part change its parameters."""
        parts = self.engine.parts
        edited = {name: function(parts[name], value) for name, value in self.parameters.items()}
        return replace(self, parameters=edited)

    def _loudest_moment(self) -> float:
        """The described sample at which the first part that knows its energy is loudest."""
        for name, part in self.engine.parts.items():
            moment = part.peak(self.parameters[name])
            if moment is not None:
                return moment
        return 0.0

    def figure(self) -> "Figure":
        """Waveforms and spectrograms of recording, sound and parts, as a matplotlib figure."""
        from drumblender.sound.notebook import figure_of

        return figure_of(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: a player and a picture."""
        from drumblender.sound.notebook import html_of

        return html_of(self)


for _control in CONTROLS:
    if _control.method is not None:
        setattr(Sound, _control.method, method_of(_control))


def aligned(a: Sound, b: Sound) -> Tuple[Sound, Sound]:
    """Two sounds with as many samples, frames and channels as the larger one has.

    Sounds that are measured get the higher sample rate of the two, and begin together.

    Raises:
        UsageError: when they are of two models.
        DrumblenderError: when their channels do not go together.
    """
    if a.engine is not b.engine:
        raise UsageError("These sounds are of two models; decompose both with the same one.")
    channels = max(a.channels, b.channels)
    if {a.channels, b.channels} - {1, channels}:
        raise DrumblenderError(
            f"{a.name} and {b.name} have {a.channels} and {b.channels} channels; give sounds of as "
            "many, or of one."
        )

    rate = max(a.timeline.sample_rate, b.timeline.sample_rate)
    a, b = a.at_rate(rate), b.at_rate(rate)
    if a.engine.is_measured:
        onset = max(a.timeline.onset, b.timeline.onset)
        a, b = (x.delayed(round(onset - x.timeline.onset)) for x in (a, b))

    def widen(x: torch.Tensor) -> torch.Tensor:
        return x.expand(channels, *x.shape[1:])

    one, other = {}, {}
    for name, part in a.engine.parts.items():
        pair = part.align(a.parameters[name], b.parameters[name])
        one[name], other[name] = (map_tensors(widen, value) for value in pair)
    return (
        replace(a, parameters=one, timeline=a.timeline.extended(b.timeline)),
        replace(b, parameters=other, timeline=b.timeline.extended(a.timeline)),
    )
