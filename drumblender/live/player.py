"""What plays notes: a limited number of streams, controllers that move them, and groups."""

import math
import time
from dataclasses import dataclass, field
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from drumblender.live.instruments import Instrument
from drumblender.sound.streaming import Stream

# Controllers of MIDI and what they move.
CONTROLLERS: Dict[int, str] = {1: "morph", 20: "modal", 21: "noise", 22: "transient"}
# The value of a controller at which a level stays as it is.
_UNITY = 100
# Semitones that the pitch wheel reaches.
_BEND = 2.0
# A note that is ended fades within so many seconds.
_FADE_S = 0.01
_ALL_OFF = (120, 123)


@dataclass
class Note:
    """A note that sounds.

    Attributes:
        instrument: the drum.
        stream: what plays it.
        gains: gain of the left and the right channel.
        wait: number of samples until it begins.
        left: number of samples in which it fades out. None if it does not.
    """

    instrument: Instrument
    stream: Stream
    gains: Tuple[float, float]
    wait: int = 0
    left: Optional[int] = None


@dataclass
class Load:
    """How long blocks took.

    Attributes:
        worst: the longest time beside what the block lasts.
        late: number of blocks that took longer than they last.
        blocks: number of blocks.
        most: most notes that sounded at once.
    """

    worst: float = 0.0
    late: int = 0
    blocks: int = 0
    most: int = 0

    def __str__(self) -> str:
        return (
            f"{self.blocks} blocks, {self.most} notes at most; the worst block took "
            f"{100 * self.worst:.0f} % of its time, and {self.late} were late"
        )


@dataclass
class Player:
    """A player of instruments.

    Args:
        instruments: the drums.
        sample_rate: in Hz.
        voices: most notes that sound at once. Another one ends the oldest.
        gain: gain of everything.
        load: how long blocks took.
        clock: what tells the time that they take.
    """

    instruments: Sequence[Instrument]
    sample_rate: int
    voices: int = 8
    gain: float = 1.0
    load: Load = field(default_factory=Load)
    clock: Callable[[], float] = time.perf_counter

    def __post_init__(self) -> None:
        self._by_note = {drum.note: drum for drum in self.instruments}
        self._turns: Dict[Tuple[int, int], int] = {}
        self._values: Dict[str, float] = {}
        self._sounding: List[Note] = []
        self._fade = max(1, round(_FADE_S * self.sample_rate))
        # What is prepared for the first time here is not prepared in an audio callback.
        for drum in self.instruments:
            for layer in drum.layers:
                for hit in layer.hits:
                    Stream(hit, 64, self.sample_rate).next()

    @property
    def sounding(self) -> int:
        """Number of notes that sound."""
        return len(self._sounding)

    def note(self, note: int, velocity: int, wait: int = 0) -> bool:
        """Play a note, and return whether there is a drum for it.

        Args:
            note: key of MIDI.
            velocity: from 1 to 127. A velocity of 0 does nothing, because drums ring out.
            wait: number of samples of the next block before it begins.
        """
        drum = self._by_note.get(note)
        if drum is None or velocity < 1:
            return drum is not None
        for other in self._sounding:
            if drum.group and other.instrument.off_by == drum.group:
                self._end(other)
        lasting = [x for x in self._sounding if x.left is None]
        if len(lasting) >= self.voices:
            self._end(lasting[0])
        layer = drum.layer(velocity)
        turn = self._turns.get((note, layer.high), 0)
        self._turns[note, layer.high] = turn + 1
        stream = Stream(layer.hits[turn % len(layer.hits)], 128, self.sample_rate)
        self._set(stream, self._values)
        gain = self.gain * drum.gain(velocity)
        angle = (drum.pan + 1) * math.pi / 4
        # In the middle, both channels are as loud as the recording.
        sides = (math.cos(angle) * math.sqrt(2) * gain, math.sin(angle) * math.sqrt(2) * gain)
        self._sounding.append(Note(drum, stream, sides, wait))
        return True

    def control(self, number: int, value: int) -> None:
        """Take the value of a controller of MIDI, from 0 to 127."""
        if number in _ALL_OFF:
            for note in self._sounding:
                self._end(note)
        name = CONTROLLERS.get(number)
        if name == "morph":
            self._move({name: value / 127})
        elif name is not None:
            self._move({name: 40 * math.log10(value / _UNITY) if value else -math.inf})

    def bend(self, value: int) -> None:
        """Take the value of the pitch wheel, from -8192 to 8191."""
        self._move({"pitch": _BEND * value / 8192})

    def _move(self, values: Dict[str, float]) -> None:
        """Move controls of all notes, and of those to come."""
        self._values.update(values)
        for note in self._sounding:
            self._set(note.stream, values)

    @staticmethod
    def _set(stream: Stream, values: Dict[str, float]) -> None:
        """Move the controls that a stream has."""
        prepared = stream.prepared
        known = {"pitch", *prepared.alone.blocks}
        if prepared.way is not None:
            known.add("morph")
        stream.set(**{name: value for name, value in values.items() if name in known})

    def _end(self, note: Note) -> None:
        """Let a note fade out."""
        note.left = self._fade if note.left is None else note.left

    def render(self, count: int) -> np.ndarray:
        """Play the next samples of all notes, (count, 2) in float32."""
        begun = self.clock()
        self.load.most = max(self.load.most, len(self._sounding))
        mixed = np.zeros((count, 2), dtype=np.float32)
        for note in self._sounding:
            wait = min(note.wait, count)
            note.wait -= wait
            if wait < count:
                mixed[wait:] += self._samples(note, count - wait)
        self._sounding = [
            x for x in self._sounding if not x.stream.ended and (x.left is None or x.left > 0)
        ]
        share = (self.clock() - begun) * self.sample_rate / count
        self.load.blocks += 1
        self.load.late += share > 1
        self.load.worst = max(self.load.worst, share)
        return mixed

    def _samples(self, note: Note, count: int) -> np.ndarray:
        """Play the next samples of a note, (count, 2)."""
        samples = note.stream.next(count)
        if samples.ndim == 1:
            samples = samples[:, None]
        samples = samples[:, [0, min(1, samples.shape[1] - 1)]] * np.array(
            note.gains, dtype=np.float32
        )
        if note.left is not None:
            fall = np.arange(note.left, note.left - count, -1).clip(0) / self._fade
            samples = samples * fall[:, None].astype(np.float32)
            note.left -= count
        return samples
