"""Streams: sounds that are played block by block, and whose controls move meanwhile.

A stream is opened once for a sound. What depends on the whole sound is worked out then: the gain
that lets it begin and end as the recording does, noise and transients that were recorded, and the
sounds on the way to another one. Sinusoids, filtered noise and transient networks are played block
by block (:mod:`drumblender.streaming`). Encoders are not: a recording is taken apart before it is
played.
"""

import time
from dataclasses import dataclass
from typing import Iterator, List, Optional

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.errors import UsageError
from drumblender.sound.blending import blend
from drumblender.sound.controls import by_name
from drumblender.sound.sound import Sound, aligned
from drumblender.sound.takes import States, Take
from drumblender.streaming.base import PIECE, Moving, Ramp
from drumblender.streaming.output import Filter, filters_of

# A control that is changed moves for so many seconds.
RAMP_S = 0.02
# Places of the sounds that are made on the way to another one. Near the ends, both still sound.
_PLACES = (0.001, 0.25, 0.5, 0.75, 0.999)
# Loudest level of a part, in dB.
_LOUDEST = 24.0


@dataclass(frozen=True)
class Prepared:
    """A sound that is ready to be streamed any number of times.

    Attributes:
        alone: the sound itself.
        way: the way to another sound. None if there is no other one.
        sample_rate: sample rate of the parts, in Hz.
        seconds: length of the sound.
        total: number of samples of the parts, with silence in front.
        channels: number of channels.
        brightness: tilt of the spectrum, in dB per octave.
        opening: seconds of processor time that the preparation took.
    """

    alone: Take
    way: Optional[Take]
    sample_rate: int
    seconds: float
    total: int
    channels: int
    brightness: float
    opening: float

    @classmethod
    def of(cls, sound: Sound, toward: Optional[Sound] = None) -> "Prepared":
        """Prepare a sound, and perhaps the way to another one.

        Raises:
            UsageError: if the model is not on a CPU or computes in 16 bits, or if the sounds were
                made by two voices.
            DrumblenderError: if one sound has neither one channel nor as many as the other one.
        """
        engine = sound.engine
        if torch.device(engine.device).type != "cpu" or engine.precision != "32-true":
            raise UsageError(
                f"Sounds are streamed by a CPU in 32 bits, and this model is on {engine.device} "
                f'with precision {engine.precision}; load it with device="cpu" and no precision.'
            )
        begun = time.process_time()
        with torch.inference_mode():
            way, last = None, sound
            if toward is not None:
                alike, last = aligned(sound, toward)
                if (alike.timeline.sample_rate, alike.channels) != (
                    sound.timeline.sample_rate,
                    sound.channels,
                ):
                    sound = alike
                knots = [0.0, *_PLACES[1:-1], 1.0]
                sounds = [blend(sound, toward, place) for place in _PLACES]
                way = Take.of(sounds, knots, alike.timeline.lead)
            alone = Take.of([sound], [0.0], sound.timeline.lead)
        timeline = sound.timeline
        return cls(
            alone=alone,
            way=way,
            sample_rate=timeline.sample_rate,
            seconds=max(sound.seconds, last.seconds),
            total=max(timeline.total, last.timeline.total),
            channels=sound.channels,
            brightness=sound.brightness,
            opening=time.process_time() - begun,
        )


class Stream:
    """A sound that is played block by block.

    As long as no control is set, the blocks are what :meth:`~drumblender.sound.sound.Sound.render`
    gives at the sample rate of the parts, bit for bit if sinusoids, noise and transient are those
    of this package and the brightness is 0. Brightness and other sample rates differ by rounding.

    Args:
        prepared: the sound.
        block_size: number of samples in a block.
        sample_rate: sample rate of the output, in Hz. None stands for that of the parts.

    Attributes:
        block_size: number of samples in a block.
        sample_rate: sample rate of the output, in Hz.
        channels: number of channels.
        latency: number of samples by which the output is late. It is 0, because a sound is known
            before it is played.
        control_latency: number of samples after which a control that is set begins to move, at
            most. It has moved after 20 ms more.
        opening: seconds of processor time that it took to prepare the sound.

    Raises:
        UsageError: if the block size is no positive number, or if the sound cannot be converted to
            the sample rate block by block.
    """

    latency = 0

    def __init__(
        self, prepared: Prepared, block_size: int = 128, sample_rate: Optional[int] = None
    ):
        if block_size < 1:
            raise UsageError(f"A block of {block_size} samples is none; give 1 or more.")
        self.prepared = prepared
        self.block_size = block_size
        self.sample_rate = prepared.sample_rate if sample_rate is None else sample_rate
        self.channels = prepared.channels
        self.opening = prepared.opening
        self._filters: List[Filter] = filters_of(
            prepared.total,
            prepared.sample_rate,
            self.sample_rate,
            prepared.brightness,
            prepared.channels,
        )
        self.control_latency = round(2 * PIECE * self.sample_rate / prepared.sample_rate)
        self.total = max(1, round(prepared.seconds * self.sample_rate))
        self.position = 0
        lead = prepared.alone.lead
        # Samples that are ready to be heard, and the next one of the parts.
        self._ready = torch.zeros(self.channels, 0)
        self._at = 0
        self._skipped = max(0, -lead)
        self._push(torch.zeros(self.channels, max(0, lead)))
        self._pitch, self._morph = Ramp.still(0.0), Ramp.still(0.0)
        self._levels = {name: Ramp.still(1.0) for name in prepared.alone.blocks}
        with torch.inference_mode():
            self._alone: Optional[States] = prepared.alone.begin()
        self._way: Optional[States] = None
        self._share = Ramp.still(0.0)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield blocks until the sound is over. Silence fills the last one."""
        while not self.ended:
            yield self.next()

    @property
    def ended(self) -> bool:
        """Whether the sound is over."""
        return self.position >= self.total

    def again(self) -> "Stream":
        """Return another stream of the same sound from its beginning, with controls at rest.

        It takes no time, because nothing is prepared again.
        """
        return Stream(self.prepared, self.block_size, self.sample_rate)

    def set(
        self, pitch: Optional[float] = None, morph: Optional[float] = None, **levels: float
    ) -> None:
        """Let controls move to other values. Those that are not given go on as they do.

        They begin to move ``control_latency`` samples later at most, and arrive after 20 ms more.
        Before the first block, they are there at once.

        Args:
            pitch: transposition of the sinusoids, in semitones.
            morph: place between the sound at 0 and the other one at 1.
            levels: levels of parts by name, in dB beside what they were. -inf mutes a part.

        Raises:
            UsageError: if a value is out of range, if there is no other sound, or if the sound has
                no such part.
        """
        if pitch is not None:
            by_name("pitch").check(pitch, called="pitch")
            self._pitch = self._toward(self._pitch, pitch)
        for name, level in levels.items():
            if name not in self._levels:
                raise UsageError(
                    f"This sound has no {name} part, only {' and '.join(self._levels)}; set one of "
                    "them."
                )
            if not level <= _LOUDEST:
                raise UsageError(f"A level of {level} dB is too high; give up to {_LOUDEST:g}.")
            self._levels[name] = self._toward(self._levels[name], 10 ** (level / 20))
        if morph is not None:
            self._set_morph(morph)

    @torch.inference_mode()
    def _set_morph(self, morph: float) -> None:
        """Let the sound move toward the other one."""
        if self.prepared.way is None:
            raise UsageError(
                "There is no other sound to morph to; open the stream with toward=another sound."
            )
        if not 0 <= morph <= 1:
            raise UsageError(f"A morph of {morph} is not between two sounds; give 0 to 1.")
        if self._at == 0 and self._way is None:
            # Nothing has been heard.
            self._morph, self._share = Ramp.still(float(morph)), Ramp.still(1.0)
            self._way = self.prepared.way.begin(
                self._shift, moving=Moving(self._pitch, self._morph)
            )
            self._alone = None
            return
        self._morph = self._toward(self._morph, morph)
        if self._way is None and morph > 0:
            self._way = self.prepared.way.begin(self._at + self._shift, self._alone)
            self._share = self._toward(self._share, 1.0)

    @property
    def _shift(self) -> int:
        """Number of samples that the way describes in front of those of the sound itself."""
        way = self.prepared.way
        return 0 if way is None else self.prepared.alone.lead - way.lead

    def _toward(self, ramp: Ramp, value: float) -> Ramp:
        """Let a control move to a value from the next samples on that nothing has computed."""
        if self._at == 0:  # Nothing has been heard.
            return Ramp.still(float(value))
        length = max(1, round(RAMP_S * self.prepared.sample_rate))
        return ramp.since(self._at).toward(value, self._at + PIECE, length)

    def next(self, count: Optional[int] = None) -> np.ndarray:
        """Play the next samples, in float32. Silence follows the sound.

        Args:
            count: number of samples. None stands for the block size.

        Shape:
            - Output: (count,), or (count, channels) if there are several channels
        """
        count = self.block_size if count is None else count
        ratio = self.prepared.sample_rate / self.sample_rate
        with torch.inference_mode():
            while self._ready.shape[1] < count:
                lacking = (count - self._ready.shape[1]) * ratio + self._skipped
                pieces = max(1, -(-int(lacking) // PIECE))
                self._push(self._parts(pieces * PIECE))
            block, self._ready = self._ready[:, :count], self._ready[:, count:]
        left = max(0, self.total - self.position)
        if left < count:
            block = F.pad(block[:, :left], (0, count - left))
        self.position += count
        return block[0].numpy() if self.channels == 1 else block.T.contiguous().numpy()

    def _push(self, samples: Tensor) -> None:
        """Let samples go through the filters, and put them behind those that are ready."""
        skipped = min(self._skipped, samples.shape[1])
        self._skipped -= skipped
        samples = samples[:, skipped:]
        for each in self._filters:
            samples = each(samples)
        self._ready = torch.cat([self._ready, samples], dim=1)

    def _parts(self, count: int) -> Tensor:
        """Play all parts for some samples, (C, count)."""
        at, made = self._at, None
        self._at += count
        if self._alone is not None:
            moving = Moving(self._pitch, Ramp.still(0.0))
            made, self._alone = self.prepared.alone.play(
                self._alone, at, count, moving, self._levels
            )
        if self._way is not None and self.prepared.way is not None:
            shift = self._shift
            ramps = [x.shifted(shift) for x in (self._pitch, self._morph)]
            levels = {name: x.shifted(shift) for name, x in self._levels.items()}
            between, self._way = self.prepared.way.play(
                self._way, at + shift, count, Moving(*ramps), levels
            )
            share = torch.from_numpy(self._share.at(np.arange(at, at + count))).float()
            made = between if made is None else made + share * (between - made)
            if bool((share == 1).all()):
                self._alone = None
        assert made is not None
        return made
