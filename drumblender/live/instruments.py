"""Kits that are ready to be played: each hit taken apart and prepared to be streamed."""

from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from drumblender.errors import DrumblenderError
from drumblender.kits.kit import Drum, Kit
from drumblender.kits.layers import Stroke, take_apart
from drumblender.kits.notes import with_notes
from drumblender.kits.pairs import pair_drums
from drumblender.kits.velocity import level
from drumblender.sound.streaming import Prepared
from drumblender.sound.voice import Voice


@dataclass(frozen=True)
class Layer:
    """The hits of a range of velocities.

    Attributes:
        high: highest velocity.
        hits: the hits, which take turns.
    """

    high: int
    hits: Tuple[Prepared, ...]


@dataclass(frozen=True)
class Instrument:
    """A drum that is ready to be played.

    Attributes:
        name: what it is called.
        note: key of MIDI that plays it.
        layers: its layers from soft to loud.
        group: number of the group that it belongs to. 0 is no group.
        off_by: number of the group whose drums end it. 0 is none.
        pan: place between left (-1) and right (1).
    """

    name: str
    note: int
    layers: Tuple[Layer, ...]
    group: int = 0
    off_by: int = 0
    pan: float = 0.0

    def layer(self, velocity: int) -> Layer:
        """Return the layer that a velocity plays."""
        return next((x for x in self.layers if x.high >= velocity), self.layers[-1])

    def gain(self, velocity: int) -> float:
        """Return the gain of a velocity in its layer. It is 1 at the highest velocity of it."""
        high = self.layer(velocity).high
        return float(10 ** ((level(velocity) - level(high)) / 20))


def instruments_of(
    kit: Kit,
    voice: Voice,
    toward: Optional[Kit] = None,
    seed: int = 0,
    tell: Callable[[str], None] = print,
) -> List[Instrument]:
    """Take the drums of a kit apart, and prepare them to be played.

    Args:
        kit: the kit. Drums without a key get one, as in ``drumblender-kit``.
        voice: the voice that takes them apart.
        toward: another kit, to whose drums of the same instrument those of the kit can morph.
        seed: seed of the noise.
        tell: takes a line for each drum that cannot be played.

    Raises:
        DrumblenderError: if no drum can be played.
    """
    drums = with_notes(kit.drums)
    others: Sequence[Drum] = () if toward is None else toward.drums
    partners = pair_drums(drums, others) if others else [None] * len(drums)
    apart: Dict[int, Tuple[Stroke, ...]] = {}
    made, reasons = [], []
    for drum, partner in zip(drums, partners):
        try:
            strokes = take_apart(drum, voice, seed)
            if partner is not None and partner not in apart:
                apart[partner] = take_apart(others[partner], voice, seed)
            made.append(_instrument(drum, strokes, None if partner is None else apart[partner]))
        except DrumblenderError as error:
            reasons.append(str(error))
            tell(f"{drum.name} is left out: {error}")
    if not made:
        why = f", because {reasons[0]}" if reasons else ""
        raise DrumblenderError(f"{kit.name} has no drum that can be played{why or '.'}")
    return made


def _instrument(
    drum: Drum, strokes: Sequence[Stroke], others: Optional[Sequence[Stroke]]
) -> Instrument:
    """Prepare the hits of a drum."""
    layers = []
    for stroke in strokes:
        toward = None
        if others:
            # The layer of the other drum that this velocity plays.
            toward = next((x for x in others if x.velocity >= stroke.velocity), others[-1])
        hits = [
            Prepared.of(sound, toward.sounds[i % len(toward.sounds)] if toward else None)
            for i, sound in enumerate(stroke.sounds)
        ]
        layers.append(Layer(stroke.velocity, tuple(hits)))
    assert drum.note is not None  # with_notes gave it one
    return Instrument(drum.name, drum.note, tuple(layers), drum.group, drum.off_by, drum.pan)


def rate_of(instruments: Sequence[Instrument]) -> int:
    """Return the highest sample rate of the parts of instruments, in Hz."""
    return max(
        hit.sample_rate for drum in instruments for layer in drum.layers for hit in layer.hits
    )
