"""Kits as values: drums, their velocity layers, and the hits that take turns in each layer.

All forms of kits are read into these values and written from them. A hit is a file and how it is
played. Levels are those at the highest velocity of a layer, because samplers play a layer softer
below it and each of them by another law.
"""

import re
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

LOWEST, HIGHEST = 1, 127  # velocities of MIDI; a velocity of 0 ends a note


@dataclass(frozen=True)
class Hit:
    """One recorded hit of a drum.

    Attributes:
        file: the recording.
        gain: what is added to its level at the highest velocity of its layer, in dB.
        pitch: what is added to its pitch by playing it faster, in semitones.
    """

    file: Path
    gain: float = 0.0
    pitch: float = 0.0


@dataclass(frozen=True)
class Layer:
    """The hits that a range of velocities plays by turns.

    Attributes:
        low: lowest velocity, from 1 to 127.
        high: highest velocity.
        hits: the hits in their order.
    """

    low: int
    high: int
    hits: Tuple[Hit, ...]


@dataclass(frozen=True)
class Drum:
    """One drum of a kit.

    Attributes:
        name: what it is called.
        instrument: instrument as :mod:`drumblender.data.library.names` recognizes it.
        note: key of MIDI that plays it. None as long as nobody has chosen one.
        layers: velocity layers from soft to loud. Together they cover all velocities.
        pan: place between left (-1) and right (1).
        group: number of the group that the drum belongs to. 0 is no group.
        off_by: number of the group whose drums end this one. 0 is none.
    """

    name: str
    instrument: str
    note: Optional[int]
    layers: Tuple[Layer, ...]
    pan: float = 0.0
    group: int = 0
    off_by: int = 0


@dataclass(frozen=True)
class Kit:
    """A kit of drums.

    Attributes:
        name: what it is called.
        drums: its drums.
        notes: sentences about what could not be taken from its files as it is.
    """

    name: str
    drums: Tuple[Drum, ...]
    notes: Tuple[str, ...] = ()

    @property
    def files(self) -> List[Path]:
        """All files that the kit plays, each once."""
        hits = (hit for drum in self.drums for layer in drum.layers for hit in layer.hits)
        return list(dict.fromkeys(hit.file for hit in hits))

    def with_files(self, paths: Mapping[Path, Path]) -> "Kit":
        """Return the kit with other files in the places of those that it plays."""

        def moved(layer: Layer) -> Layer:
            """Return a layer with other files."""
            return replace(
                layer, hits=tuple(replace(hit, file=paths[hit.file]) for hit in layer.hits)
            )

        drums = (replace(d, layers=tuple(map(moved, d.layers))) for d in self.drums)
        return replace(self, drums=tuple(drums))


@dataclass(frozen=True)
class Zone:
    """What the description of a kit says about one file, before drums are made of it.

    Attributes:
        drum: anything that tells drums apart.
        low: lowest velocity.
        high: highest velocity.
        turn: where it stands among files that play by turns. None if they do not.
        hit: the file and how it is played.
    """

    drum: object
    low: int
    high: int
    turn: Optional[float]
    hit: Hit


def layers_of(zones: Iterable[Zone]) -> Tuple[Tuple[Layer, ...], bool]:
    """Make the velocity layers of one drum.

    Layers that overlap are cut in the middle of what they share, and gaps are closed. Of files that
    one note plays together, such as those of two microphones, only the first one is taken.

    Args:
        zones: what a kit says about the files of the drum.

    Returns:
        The layers, and whether files were left out because they play together with others.
    """
    ranges: Dict[Tuple[int, int], List[Zone]] = {}
    for zone in zones:
        ranges.setdefault((zone.low, zone.high), []).append(zone)
    layers, left_out = [], False
    for (low, high), same in ranges.items():
        hits: Dict[Optional[float], Hit] = {}
        for zone in same:
            left_out = left_out or zone.turn in hits
            hits.setdefault(zone.turn, zone.hit)
        order = sorted(hits, key=lambda turn: -1.0 if turn is None else turn)
        layers.append(Layer(low, high, tuple(hits[turn] for turn in order)))
    layers.sort(key=lambda layer: (layer.low + layer.high, layer.low))
    apart: List[Layer] = []
    for layer in layers:
        if apart and layer.low <= (apart[-1].low + apart[-1].high) / 2 and _is_inside(layer, apart):
            left_out = True
            continue
        apart.append(layer)
    return _covering(apart), left_out


def _is_inside(layer: Layer, before: Sequence[Layer]) -> bool:
    """Return whether most of a layer's velocities are those of the layer before it."""
    shared = min(layer.high, before[-1].high) - max(layer.low, before[-1].low) + 1
    return 2 * shared > layer.high - layer.low + 1


def _covering(layers: Sequence[Layer]) -> Tuple[Layer, ...]:
    """Let layers, sorted by velocity, cover all velocities without gaps and overlaps."""
    highs = [(a.high + b.low) // 2 for a, b in zip(layers, layers[1:])]
    # Where rounding leaves a layer no velocity, it takes one from the layers above it.
    for index, high in enumerate(highs):
        least = (highs[index - 1] if index else LOWEST - 1) + 1
        highs[index] = min(max(high, least), HIGHEST - len(highs) + index)
    lows = [LOWEST, *(high + 1 for high in highs)]
    return tuple(
        replace(layer, low=low, high=high)
        for layer, low, high in zip(layers, lows, [*highs, HIGHEST])
    )


def even_layers(count: int) -> List[Tuple[int, int]]:
    """Divide all velocities into ranges of equal width, from soft to loud.

    >>> even_layers(4)
    [(1, 32), (33, 64), (65, 95), (96, 127)]
    """
    ends = [round(HIGHEST * index / count) for index in range(count + 1)]
    return [(low + 1, high) for low, high in zip(ends, ends[1:])]


def plain(name: str) -> str:
    """Return a name of letters, digits and spaces that every system takes, 40 at most.

    >>> plain("Große Trommel #1 (für Élise)")
    'Groe Trommel 1 fur Elise'
    """
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", " ", ascii_only).strip()[:40].strip()
