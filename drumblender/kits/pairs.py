"""Pairs of drums of two kits, and the drums between them.

Drums of two kits belong together if they are of one instrument. Where a kit has several of it, the
names say which ones: an open hi-hat goes with an open one, and a floor tom with a floor tom.
"""

import math
import statistics
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from drumblender.data.library.names import UNKNOWN, recognize_instrument
from drumblender.errors import DrumblenderError
from drumblender.files.reading import read_channels
from drumblender.kits.kit import Drum
from drumblender.kits.layers import Stroke, mean_loudness, ranges_of, rising, stroke_at
from drumblender.kits.notes import KEYS, named_key, with_notes
from drumblender.kits.settings import Other, Shape
from drumblender.signal import loudness_of
from drumblender.sound.blending import blend
from drumblender.sound.sound import Sound


@dataclass(frozen=True)
class Partner:
    """The drum of another kit that a drum is combined with.

    Attributes:
        drum: the drum of the other kit.
        apart: how much louder the first kit is than the other one, in dB.
    """

    drum: Drum
    apart: float


def pair_drums(drums: Sequence[Drum], others: Sequence[Drum]) -> List[Optional[int]]:
    """Find the drum of another kit that belongs to each drum.

    Drums of one instrument are paired in four steps: those of one name, those whose names say the
    same beside the instrument, those that get the same key, and the rest in their order. Toms are
    in the order of their keys from high to low instead. Drums whose instrument is unknown are
    paired by their names only.

    Returns:
        For each drum, the position of its partner, or None if it has none.

    >>> names = ("Kick", "Tom 1", "Tom 2"), ("Tom lo", "BD", "Tom hi", "Clap")
    >>> instruments = ("kick", "tom", "tom"), ("tom", "kick", "tom", "clap")
    >>> kits = [[Drum(n, i, None, ()) for n, i in zip(*x)] for x in zip(names, instruments)]
    >>> pair_drums(*kits)
    [1, 2, 0]
    """
    # A folder may hold more drums than there are keys.
    kits = [with_notes(x) if len(x) <= KEYS else tuple(x) for x in (drums, others)]
    partner: Dict[int, int] = {}

    def go_together(key: Callable[[Drum], object]) -> None:
        """Pair the drums that are free and have the same key, in their order."""
        waiting: Dict[object, List[int]] = {}
        for index, drum in enumerate(kits[1]):
            if index not in partner.values() and key(drum) is not None:
                waiting.setdefault((drum.instrument, key(drum)), []).append(index)
        for index, drum in enumerate(kits[0]):
            if index not in partner:
                found = waiting.get((drum.instrument, key(drum)))
                if found:
                    partner[index] = found.pop(0)

    go_together(lambda drum: drum.name.casefold())
    go_together(named_key)
    go_together(lambda drum: drum.note if drum.instrument not in ("tom", UNKNOWN) else None)
    for instrument in {drum.instrument for drum in drums} - {UNKNOWN}:
        free = [
            [
                index
                for index, drum in enumerate(kit)
                if drum.instrument == instrument and index not in taken
            ]
            for kit, taken in zip(kits, (partner, set(partner.values())))
        ]
        if instrument == "tom":
            for kit, indices in zip(kits, free):
                indices.sort(key=lambda index: -(kit[index].note or 0))
        partner.update(zip(*free))
    return [partner.get(index) for index in range(len(drums))]


def pair_files(
    files: Sequence[Tuple[Path, str]], others: Sequence[Tuple[Path, str]], by_name: bool = False
) -> List[Optional[int]]:
    """Find the recording that belongs to each of some others, as :func:`pair_drums` does.

    Recordings of one path go together first, whatever their suffix.

    Args:
        files: path of each recording, relative to a folder, and the name of this folder.
        others: the same of those that partners are found among.
        by_name: whether only recordings of one path go together.

    >>> kits = [[(Path(name), "kit") for name in names] for names in (("BD.wav", "x.wav"),
    ...         ("x.flac", "kick.wav"))]
    >>> pair_files(*kits), pair_files(*kits, by_name=True)
    ([1, 0], [None, 0])
    """
    places = {
        path.with_suffix("").as_posix().casefold(): index for index, (path, _) in enumerate(others)
    }
    found = [places.get(path.with_suffix("").as_posix().casefold()) for path, _ in files]
    if by_name:
        return found
    free = [
        [index for index in range(len(each)) if index not in taken]
        for each, taken in (
            (files, {index for index, other in enumerate(found) if other is not None}),
            (others, set(found)),
        )
    ]
    drums, its = (
        [
            Drum(path.stem, recognize_instrument(path.as_posix(), folder), None, ())
            for path, folder in (each[index] for index in indices)
        ]
        for each, indices in zip((files, others), free)
    )
    for index, other in zip(free[0], pair_drums(drums, its)):
        found[index] = None if other is None else free[1][other]
    return found


def level_apart(pairs: Sequence[Tuple[Drum, Drum]]) -> float:
    """Measure how much louder the first drums of pairs are than the second ones, in dB.

    It is the median over all pairs whose loudest recordings can be read.
    """
    found = [_level(one) - _level(other) for one, other in pairs]
    found = [decibels for decibels in found if math.isfinite(decibels)]
    return statistics.median(found) if found else 0.0


def combine(
    strokes: Sequence[Stroke], others: Sequence[Stroke], other: Other, shape: Shape, apart: float
) -> Tuple[Stroke, ...]:
    """Make a drum of two.

    The layers are those of the drum that has more of them. Those of the other drum are taken or
    derived at the same velocities. A blend is as loud as what lies between both. A drum that only
    takes parts of the other one is as loud as it was, and the other one is brought to its level
    before.

    Args:
        strokes: the first drum, from soft to loud.
        others: the second drum.
        other: what is taken from the second drum.
        shape: layers that are wanted.
        apart: how much louder the first kit is than the second one, in dB.
    """
    velocities = [stroke.velocity for stroke in max((strokes, others), key=len)]
    if len(velocities) > 1:
        velocities = [high for _, high in ranges_of(velocities, shape.layers)]
    levels, its_levels = (
        rising({x.velocity: mean_loudness(x.sounds) for x in each}, shape.range_db)
        for each in (strokes, others)
    )
    made = []
    for velocity in velocities:
        one, loud = stroke_at(strokes, levels, velocity, shape.range_db)
        its, its_loud = stroke_at(others, its_levels, velocity, shape.range_db)
        goal = loud
        if other.amount is not None:
            goal += other.amount * (its_loud + apart - loud)
        mine = _scaled(one.sounds, loud)
        theirs = _scaled(its.sounds, loud if other.amount is None else its_loud + apart)
        sounds = [
            _together(mine[i % len(mine)], theirs[i % len(theirs)], other.amount)
            for i in range(max(len(mine), len(theirs)))
        ]
        made.append(Stroke(velocity, _scaled(sounds, goal), strokes[0].instrument))
    return tuple(made)


def _together(a: Sound, b: Sound, amount: Optional[float]) -> Sound:
    """Blend two sounds, or give one the noise and the transient of the other one."""
    if amount is not None:
        return replace(blend(a, b, amount), name=a.name)
    for part in a.parameters:
        a = a if part == "modal" else a.with_part(part, b)
    return a


def _scaled(sounds: Sequence[Sound], loud: float) -> Tuple[Sound, ...]:
    """Bring sounds to a loudness in LUFS, all by the same gain."""
    gain = loud - mean_loudness(sounds)
    if not math.isfinite(gain):
        raise DrumblenderError(f"{sounds[0].name} is silent; leave it out.")
    return tuple(sound.with_gain(gain) for sound in sounds)


def _level(drum: Drum) -> float:
    """Return how loud the loudest recording of a drum is as its kit plays it, in LUFS."""
    hit = drum.layers[-1].hits[0]
    try:
        samples, rate = read_channels(hit.file)
    except DrumblenderError:
        return math.nan  # that drum will be reported
    return loudness_of(samples, rate) + hit.gain
