"""Sounds that are taken apart. They are values that edits turn into other values."""

import functools
import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    List,
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
from drumblender.parameters import Timeline, map_tensors
from drumblender.sound.controls import CONTROLS, KNOWN_PARTS, method_of
from drumblender.sound.engine import Engine, channels_of
from drumblender.sound.playing import play, render
from drumblender.tasks.blender import Stems
from drumblender.tasks.parts import Part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PathLike = Union[str, Path]


@dataclass(frozen=True, eq=False, repr=False)
class Sound:
    """A sound that is taken apart. It never changes, and its methods ``with_...`` return another.

    The methods of the controls (``with_pitch``, ``with_decay``, ``with_brightness``,
    ``with_attack``, ``with_variation``) are made from the table in
    :mod:`drumblender.sound.controls`.

    Attributes:
        engine: engine of the model that took the sound apart. It also plays the sound.
        parameters: parameters of each part by name. The first axis of each tensor is the channel.
        timeline: when the sound happens.
        sample_rate: sample rate of the recording, in Hz.
        seed: seed of the noise.
        gains: linear gain of each part by name.
        brightness: tilt of the spectrum about 1 kHz, in dB per octave.
        name: name for messages and titles.
        recording: samples (N, C) that the sound was made from. None if there are none, as for a
            blend.
        analysis: method and version of the analysis that measured it. Empty if it is that of the
            engine.
        edits: controls that were applied to it, in their order. This is a note only.
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
    analysis: str = ""
    edits: Tuple[Mapping[str, Any], ...] = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., "Sound"]:
            """Tell type checkers of the methods of the controls."""

    def __repr__(self) -> str:
        channels = f", {self.channels} channels" if self.channels > 1 else ""
        modes = self.parameters.get("modal")
        count = "" if modes is None else f", {int(modes.amplitude.any(-1).sum(-1).max())} modes"
        return (
            f"<Sound {self.name}: {self.seconds:.2f} s at {self.sample_rate} Hz{channels}{count}>"
        )

    @property
    def seconds(self) -> float:
        """Length of the sound, in seconds."""
        return self.timeline.seconds

    @property
    def channels(self) -> int:
        """Number of channels."""
        return channels_of(self.parameters)

    @property
    def is_silent(self) -> bool:
        """Whether the gains of all parts are zero."""
        return not any(self.gains.values())

    @cached_property
    def parts(self) -> Stems:
        """What each part contributes by name, (C, 1, N), at the sample rate of ``timeline``."""
        return play([self])[0]

    def stems(self, sample_rate: Optional[int] = None) -> Dict[str, np.ndarray]:
        """Return what each part contributes, by name. The sum is what :meth:`render` returns.

        Args:
            sample_rate: sample rate of the output, in Hz. None stands for that of the recording.

        Shape:
            - each output: (N,), or (N, channels) if there are several channels
        """
        return render([self], sample_rate, played=[self.parts])[0]

    def render(self, sample_rate: Optional[int] = None) -> np.ndarray:
        """Put the sound together, and return its samples in float32.

        Args:
            sample_rate: sample rate of the output, in Hz. None stands for that of the recording.

        Shape:
            - Output: (N,), or (N, channels) if there are several channels
        """
        first, *others = self.stems(sample_rate).values()
        total = first.copy()
        for other in others:
            total += other
        return total

    def write(self, path: PathLike, sample_rate: Optional[int] = None, bits: int = 24) -> None:
        """Write the sound to a file.

        Args:
            path: file to write. Its suffix decides between WAV, FLAC and OGG.
            sample_rate: sample rate of the file, in Hz. None stands for that of the recording.
            bits: 16, 24, or 32 for floats, which only WAV has. OGG is Vorbis, whatever this says.

        Raises:
            UsageError: if the name has no known format, or if its format has no such samples.
            DrumblenderError: if the sound exceeds full scale and ``bits`` is not 32, if it is not
                finite, or if the file cannot be written.
        """
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

    def save(self, path: PathLike) -> None:
        """Save the parts of the sound, so that it can be opened and changed later.

        :meth:`Voice.open <drumblender.sound.voice.Voice.open>` reads it again.

        Args:
            path: file to write. Its name ends in ``.drum``.

        Raises:
            UsageError: if the name ends in anything else.
            DrumblenderError: if the file cannot be written.
        """
        from drumblender.sound.storing import save_sound

        save_sound(self, path)

    def with_gain(self, gain: float = 0.0, **parts: float) -> "Sound":
        """Make the sound or its parts louder or softer.

        ``with_gain(-3, noise=-6)`` makes the noise softer by 9 dB, and all else by 3 dB.

        Args:
            gain: gain of the whole sound, in dB. A gain of -inf mutes it.
            parts: further gains of parts by name, in dB.

        Raises:
            UsageError: if the model does not make one of the parts.
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
        """Give the sound the noise of another seed."""
        return replace(self, seed=seed)

    def with_part(self, name: str, other: "Sound") -> "Sound":
        """Take a part from another sound. The result is as long as the longer one of the two.

        Args:
            name: name of the part.
            other: a sound of the same voice.

        Raises:
            UsageError: if the model makes no such part, or if the sounds were made by two voices.
            DrumblenderError: if one sound has neither one channel nor as many as the other one.
        """
        self.need(name)
        one, other = aligned(self, other)
        return replace(
            one,
            parameters={**one.parameters, name: other.parameters[name]},
            timeline=one.timeline.beside(other.timeline),
            gains={**one.gains, name: other.gains[name]},
        )

    def with_modal(self, other: "Sound") -> "Sound":
        """Take the sinusoids from another sound, as :meth:`with_part` does."""
        return self.with_part("modal", other)

    def with_noise(self, other: "Sound") -> "Sound":
        """Take the noise from another sound, as :meth:`with_part` does."""
        return self.with_part("noise", other)

    def with_transient(self, other: "Sound") -> "Sound":
        """Take the transient from another sound, as :meth:`with_part` does."""
        return self.with_part("transient", other)

    def transposed(self, ratio: float, also: Sequence[str] = ()) -> "Sound":
        """Multiply frequencies by a ratio.

        Args:
            ratio: 2 is an octave.
            also: names of parts that move as well, although they do not follow the pitch.
        """
        return self._edited(
            lambda part, value: (
                part.transpose(value, ratio, self.timeline.onset)
                if part.follows_pitch or part.name in also
                else value
            )
        )

    def stretched(self, factor: float) -> "Sound":
        """Stretch what follows the loudest moment. A factor of 2 makes it twice as long."""
        if factor == 1:
            return self
        moment = self.loudest_moment
        time_map = self.timeline.stretch_map(moment, factor)
        timeline = self.timeline.stretched(moment, factor)
        return replace(
            self._edited(lambda part, value: part.retime(value, timeline.described, time_map)),
            timeline=timeline,
        )

    def at_rate(self, sample_rate: int) -> "Sound":
        """Describe the same sound at another sample rate, in Hz."""
        old = self.timeline.sample_rate
        if old == sample_rate:
            return self
        edited = self._edited(lambda part, value: part.resample(value, old, sample_rate))
        return replace(edited, timeline=self.timeline.at_rate(sample_rate))

    def delayed(self, num_samples: int) -> "Sound":
        """Describe a number of silent samples more in front, which are not heard."""
        if not num_samples:
            return self
        edited = self._edited(lambda part, value: part.delay(value, num_samples))
        return replace(edited, timeline=self.timeline.delayed(num_samples))

    def varied(self, amount: float, seed: int) -> "Sound":
        """Let every part draw small deviations, as between two hits of one drum.

        Args:
            amount: 1 is usual, and 0 changes nothing.
            seed: seed of the deviations.
        """
        generator = torch.Generator().manual_seed(seed)
        return self._edited(lambda part, value: part.vary(value, amount, generator))

    def need(self, part: str) -> None:
        """Raise a UsageError if the model makes no part of this name."""
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

    @property
    def loudest_moment(self) -> float:
        """The described sample at which the first part that knows its energy is loudest."""
        for name, part in self.engine.parts.items():
            moment = part.peak(self.parameters[name])
            if moment is not None:
                return moment
        return 0.0

    def figure(self) -> "Figure":
        """Draw waveforms and spectrograms of recording, sound and parts as a matplotlib figure."""
        from drumblender.sound.notebook import figure_of

        return figure_of(self)

    def _repr_html_(self) -> str:
        """Make the player and the picture that a notebook shows."""
        from drumblender.sound.notebook import html_of

        return html_of(self)


for _control in CONTROLS:
    if _control.method is not None:
        setattr(Sound, _control.method, method_of(_control))


def aligned(*sounds: Sound) -> List[Sound]:
    """Give sounds the same number of samples, frames and channels.

    Each number is the largest one of all. Sounds whose parts are measured also get the highest
    sample rate of all, and their onsets are put at the same described sample.

    Raises:
        UsageError: if the sounds were made by several voices.
        DrumblenderError: if one sound has neither one channel nor as many as another one.
    """
    first = sounds[0]
    if any(sound.engine is not first.engine for sound in sounds):
        raise UsageError("These sounds are of two models; decompose both with the same one.")
    channels = max(sound.channels for sound in sounds)
    widest = next(sound for sound in sounds if sound.channels == channels)
    for sound in sounds:
        if sound.channels not in (1, channels):
            raise DrumblenderError(
                f"{sound.name} and {widest.name} have {sound.channels} and {channels} channels; "
                "give sounds of as many, or of one."
            )

    rate = max(sound.timeline.sample_rate for sound in sounds)
    sounds = tuple(sound.at_rate(rate) for sound in sounds)
    if first.engine.is_measured:
        onset = max(sound.timeline.onset for sound in sounds)
        sounds = tuple(sound.delayed(round(onset - sound.timeline.onset)) for sound in sounds)

    def widen(x: torch.Tensor) -> torch.Tensor:
        """Repeat a single channel."""
        return x.expand(channels, *x.shape[1:])

    parameters: List[Dict[str, Any]] = [{} for _ in sounds]
    for name, part in first.engine.parts.items():
        values = part.align([sound.parameters[name] for sound in sounds])
        for its, value in zip(parameters, values):
            its[name] = map_tensors(widen, value)
    timelines = [sound.timeline for sound in sounds]
    return [
        replace(sound, parameters=its, timeline=functools.reduce(Timeline.extended, timelines, own))
        for sound, its, own in zip(sounds, parameters, timelines)
    ]
