"""Keys of MIDI for the drums of a kit, and which drums end each other.

A drum gets the key of General MIDI whose drum it is, going by its names. Further drums of the same
kind get the other keys of their instrument, then the nearest keys that General MIDI gives to no
drum, and its free keys only at the end. No two drums share a key.
"""

import re
from dataclasses import replace
from typing import Dict, List, Optional, Sequence, Tuple

from drumblender.data.library.names import UNKNOWN, general_midi_name, recognize, words_of
from drumblender.errors import UsageError
from drumblender.kits.kit import Drum

# Keys that are tried for a drum whose name says no more than its instrument.
_KEYS: Dict[str, Tuple[int, ...]] = {
    "kick": (36, 35),
    "snare": (38, 40, 37),
    "clap": (39,),
    "hihat": (42, 46, 44),
    "tom": (48, 45, 41, 50, 47, 43),
    "cymbals": (49, 51, 57, 59, 55, 52, 53),
    "cowbell": (56,),
    "percussion": (54, 82, 60, 61, 63, 64, 62, 70, 69, 75, 76, 77, 65, 66, 67, 68, 73, 74, 80, 81),
}
# What a name says beside its instrument, as patterns of whole words, and the keys that it means.
# The first row that fits counts.
_NARROWER: Tuple[Tuple[str, str, Tuple[int, ...]], ...] = (
    ("snare", r"rim ?click|(side|cross|x) ?sti(ck|k)s?|side|stk|rims?|rim ?shots?|rs", (37,)),
    ("snare", r"sti(ck|k)s?", (37, 31)),
    ("snare", r"elec\w*|ghost|brush\w*|roll|flam|drag|ruff|off", (40, 38)),
    ("clap", r"snaps?|slaps?", (39, 28)),
    ("kick", r"acoustic", (35, 36)),
    ("hihat", r"pedal|ped|foot|ph|hhp|hatp|chick|splash", (44,)),
    ("hihat", r"half|semi|loose|quarter", (46, 26)),
    ("hihat", r"\w*open(ed)?\w*|op?|oh|oph?|ohh|hho|ho|hato|long", (46, 26)),
    ("tom", r"floor|f|fl|ft|sub|bass", (41, 43)),
    ("tom", r"(lo|low|deep|l) ?(mid|middle|med)|mid ?(lo|low)", (47, 45)),
    ("tom", r"(hi|high|h) ?(mid|middle|med)|mid ?(hi|high)", (48, 50)),
    ("tom", r"lo|low|deep|large|l|lt|lowtom|tom ?l", (45, 43, 41)),
    ("tom", r"mid|middle|med|medium|m|mt|tom ?m", (47, 48, 45)),
    ("tom", r"hi|high|small|h|ht|tom ?h|rack", (50, 48, 47)),
    ("cymbals", r"\w*ride ?(bell|cup)\w*|bells?|cup", (53,)),
    ("cymbals", r"\w*ride\w*|rd|rdb|rc", (51, 59)),
    ("cymbals", r"\w*splash\w*|spl", (55,)),
    ("cymbals", r"china|chinese|chn|swish", (52,)),
    ("percussion", r"tamb\w*|tmb|pandeiro", (54,)),
    ("percussion", r"vibra ?slaps?|quijada|jaw ?bone|rattles?", (58,)),
    ("percussion", r"\w*bongos?\w*|bng", (60, 61)),
    ("percussion", r"\w*congas?\w*|cn?ga|tumba|quinto", (63, 64, 62)),
    ("percussion", r"timbales?|timbl?", (65, 66)),
    ("percussion", r"\w*agogos?\w*", (67, 68)),
    ("percussion", r"cabasas?|caba|cabas|cbsa|cab", (69,)),
    ("percussion", r"maracas?|ma|marc", (70,)),
    ("percussion", r"whistles?", (71, 72)),
    ("percussion", r"guirr?os?|guira", (73, 74)),
    ("percussion", r"claves?|clav|cl", (75,)),
    ("percussion", r"\w*wood ?blocks?\w*|wood|w(oo)?d ?blk|wb", (76, 77)),
    ("percussion", r"cuicas?", (79, 78)),
    ("percussion", r"\w*triangles?|tri", (81, 80)),
    ("percussion", r"\w*shakers?\w*|sha?k|shake|caxixi|ganza", (82,)),
    ("percussion", r"jingles?|(jingle|sleigh) bells?", (83,)),
    ("percussion", r"bell tree|(wind|bar) ?chimes?", (84,)),
    ("percussion", r"castanets?", (85,)),
    ("percussion", r"surdos?", (87, 86)),
)
# Words in a name that tell the keys of one instrument apart, as patterns.
_PAIRS: Dict[Tuple[int, ...], Tuple[Tuple[str, int], ...]] = {
    (60, 61): (("lo|low|large", 61), ("hi|high|small", 60)),
    (63, 64, 62): (("lo|low|tumba", 64), ("mute[d]?|slap", 62), ("hi|high|open", 63)),
    (65, 66): (("lo|low", 66), ("hi|high", 65)),
    (67, 68): (("lo|low", 68), ("hi|high", 67)),
    (71, 72): (("long", 72), ("short", 71)),
    (73, 74): (("long", 74), ("short", 73)),
    (76, 77): (("lo|low", 77), ("hi|high", 76)),
    (79, 78): (("mute[d]?", 78), ("open", 79)),
    (81, 80): (("mute[d]?|closed", 80), ("open", 81)),
    (87, 86): (("mute[d]?", 86), ("open", 87)),
}
# Keys that are ended by others: an open hi-hat by a closed one and by its pedal, and so on.
_OPEN: Dict[int, Tuple[int, ...]] = {46: (42, 44), 81: (80,), 79: (78,), 87: (86,), 63: (62,)}
KEYS = 128  # of MIDI
_ALL = range(KEYS)
_PERCUSSION = 87  # the last key of General MIDI, above which there is room


def with_notes(drums: Sequence[Drum]) -> Tuple[Drum, ...]:
    """Give every drum a key of its own, and let drums end each other.

    A key that a drum has already is kept if General MIDI has a drum of that instrument there, or if
    the instrument is unknown. Groups are kept if any drum has one. Else open hi-hats are ended by
    closed ones and by the pedal, and so are other pairs of General MIDI that are open and muted.

    Raises:
        UsageError: if there are more drums than keys.

    >>> drums = [Drum(name, "hihat", None, ()) for name in ("Open Hat", "Closed Hat", "Hat 3")]
    >>> [(d.note, d.group, d.off_by) for d in with_notes(drums)]
    [(46, 1, 2), (42, 2, 0), (44, 2, 0)]
    """
    if len(drums) > len(_ALL):
        raise UsageError(
            f"A kit has {len(_ALL)} keys, and these are {len(drums)} drums; give fewer of them."
        )
    wishes = [_wishes(drum) for drum in drums]
    kinds = [keys[0] if keys else None for keys in wishes]
    taken: Dict[int, int] = {}

    def take(index: int, keys: Sequence[int]) -> None:
        """Give a drum the first of some keys that is free."""
        if index not in taken.values():
            key = next((key for key in keys if key not in taken), None)
            if key is not None:
                taken[key] = index

    # What all wish for first, so that no second choice takes the first choice of another drum.
    for index, drum in enumerate(drums):
        if _is_fitting(drum):
            take(index, [drum.note] if drum.note is not None else [])
    for index, keys in enumerate(wishes):
        take(index, keys[:1])
    for index, keys in enumerate(wishes):
        take(index, keys)
    for index, drum in enumerate(drums):
        take(index, _KEYS.get(drum.instrument, ()))
    for index, keys in enumerate(wishes):
        take(index, _near(keys[0] if keys else _PERCUSSION))
    key_of = {index: key for key, index in taken.items()}
    placed = [replace(drum, note=key_of[index]) for index, drum in enumerate(drums)]
    if any(drum.group or drum.off_by for drum in drums):
        return tuple(placed)
    return tuple(_with_groups(placed, kinds))


def _is_fitting(drum: Drum) -> bool:
    """Return whether a drum may keep the key that it has."""
    if drum.note is None or not 0 <= drum.note <= 127:
        return False
    return drum.instrument in (UNKNOWN, recognize(general_midi_name(drum.note)))


def _wishes(drum: Drum) -> List[int]:
    """List the keys that a drum's name asks for, the best first."""
    return _named(drum) or list(_KEYS.get(drum.instrument, ())[:1])


def named_key(drum: Drum) -> Optional[int]:
    """Return the key whose drum a name means, or None if it says no more than an instrument.

    >>> named_key(Drum("Open Hat", "hihat", None, ())), named_key(Drum("Hat", "hihat", None, ()))
    (46, None)
    """
    return next(iter(_named(drum)), None)


def _named(drum: Drum) -> List[int]:
    """List the keys that a name asks for if it says more than an instrument, the best first."""
    words = words_of(drum.name)
    for instrument, pattern, keys in _NARROWER:
        if instrument == drum.instrument and _has(words, pattern):
            for narrower, key in _PAIRS.get(keys, ()):
                if _has(words, narrower):
                    return [key, *(other for other in keys if other != key)]
            return list(keys)
    return []


def _has(words: str, pattern: str) -> bool:
    """Return whether a text of words has a pattern as whole words."""
    return re.search(rf"(?<!\w)(?:{pattern})(?!\w)", words) is not None


def _near(key: int) -> List[int]:
    """List all keys, first those that General MIDI gives to no drum, and the nearest first."""
    return sorted(
        _ALL, key=lambda other: (bool(general_midi_name(other)), abs(other - key), -other)
    )


def _with_groups(drums: Sequence[Drum], kinds: Sequence[Optional[int]]) -> List[Drum]:
    """Let open drums be ended by closed ones, each pair in two groups of its own."""
    found = list(drums)
    group = 1
    for opened, closers in _OPEN.items():
        open_ones = [i for i, kind in enumerate(kinds) if kind == opened]
        closing = [i for i, kind in enumerate(kinds) if kind in closers]
        if not (open_ones and closing):
            continue
        for index in open_ones:
            found[index] = replace(found[index], group=group, off_by=group + 1)
        for index in closing:
            found[index] = replace(found[index], group=group + 1)
        group += 2
    return found
