"""Recognition of a sound by its name: parts of a drum kit, General MIDI names, abbreviations.

Names of kits and files are all that most libraries say about their sounds. An instrument or a type
that is not recognized is ``unknown``, which a person can correct in the raw metadata
(``drumblender-dataset --init``).
"""

import re
from pathlib import PurePosixPath
from typing import Dict, Iterable, Tuple

from drumblender.data.library import machines

TYPES = (machines.ACOUSTIC, machines.ELECTRONIC)
UNKNOWN = "unknown"

# Instrument -> names and abbreviations, as patterns of whole words (see `words_of`), where only
# `\w*` lets letters stand around: "custom" and "bottom" are no toms. Of names the first instrument
# that matches wins, so the narrower comes first (cowbell before bell). Abbreviations count only
# where no name does, and the first in the text wins: OH in "Snare OH" and "SD OH" is an overhead.
INSTRUMENTS: Dict[str, Tuple[str, str]] = {
    "kick": (
        r"\w*kick\w*|\w*bass ?drum\w*|drum bass|gran cassa|bombo|kik",
        r"bd\w?|kd|bdrum|kck",
    ),
    "clap": (r"\w*claps?|(finger ?)?snaps?|clapping", r"h?cp|clp"),
    "cowbell": (r"\w*cow ?bell?s?\w*", r"cb|cowb|^cow$"),
    "hihat": (
        r"\w*hi ?hats?\w*|high ?hats?|(\w*(open|closed?|pedal|foot)|cl?|op?|long|short)?hats?"
        r"|hh\w*|charleys?|(open(ed)?|closed?|pedal|half open) cymbal|cymbal (closed|pedal)",
        r"[cop]hh?|ho|hat[cop]",
    ),
    "tom": (
        r"toms?|tom ?toms?|(floor|rack|low|lo|mid|hi|high|el|s?fl?|[lmh])toms?"
        r"|tom(floor|rack|low|lo|middle|mid|high|hi|[lmh])",
        r"[lmhf]t|tm|tom[am]",
    ),
    "snare": (
        r"\w*snar(?!l)\w*|\w*rim ?sho?ts?\w*|rims?|rim ?click|\w*(side|cross) ?sticks?\w*"
        r"|\w*sti(ck|k)s?|brush(es)?",
        r"s[dnrs]|snr?e?|sna|rs|([sx]|side|cross) ?stk",
    ),
    "percussion": (
        r"percussions?|\w*bongos?\w*|\w*congas?\w*|timbales?|\w*agogos?\w*|cabasas?"
        r"|maracas?|\w*shakers?\w*|caxixi|ganza|guirr?os?|claves?|\w*wood ?blocks?\w*|wood|cuicas?"
        r"|\w*triangles?|tambo\w*|pandeiro|vibra ?slaps?|castanets?|surdos?|whistles?|rattles?"
        r"|(jingle|sleigh|hand|metronome|agogo|tubular|wind) bells?|bell tree|(wind|bar) chimes?"
        r"|windbells?|quijada|jaw ?bone|flexatone"
        r"|jingles?|\w*djembes?\w*|\w*cajons?\w*|tablas?|udu|darbuka|doumbek|bodhran|taiko"
        r"|timpani|dununba|dundun|kenkeni|sangban|high q|slaps?|scratch|(square )?clicks?"
        r"|metronome|(log|steel|hand|slit) drum|kalimba|guira",
        r"perc?s?|tamb?|tmb|cn?ga|bng|sha?k|shake|clav|caba|cabas|cbsa|timbl?|w(oo)?d ?blk"
        # Only where there is nothing else: CL is closed, or claves.
        r"|^(cl|ma|marc|[lmh]c|tb|wb|tri|cab|sh)$",
    ),
    "cymbals": (
        r"\w*cymbals?\w*|\w*crash(es)?\w*|\w*splash(es)?\w*|(\w*crash)?rides?"
        r"|ride(bell|cup|bow|edge|cym|rock|jazz)\w*|china|chinese|gongs?|tam tam|sizzle|swish"
        r"|bells?|chimes?",
        r"cym?s?|cra?s?|crsh|rdb?|rc|spl|chn|zildjian|sabian|paiste",
    ),
}
_NAMES, _ABBREVIATIONS = (
    {
        instrument: re.compile(rf"(?<!\w)(?:{patterns[column]})(?!\w)")
        for instrument, patterns in INSTRUMENTS.items()
    }
    for column in (0, 1)
)

# The drums of General MIDI, key 27 (High Q) and up.
GENERAL_MIDI = (
    "High Q,Slap,Scratch Push,Scratch Pull,Sticks,Square Click,Metronome Click,Metronome Bell,"
    "Acoustic Bass Drum,Bass Drum 1,Side Stick,Acoustic Snare,Hand Clap,Electric Snare,"
    "Low Floor Tom,Closed Hi-Hat,High Floor Tom,Pedal Hi-Hat,Low Tom,Open Hi-Hat,Low-Mid Tom,"
    "Hi-Mid Tom,Crash Cymbal 1,High Tom,Ride Cymbal 1,Chinese Cymbal,Ride Bell,Tambourine,"
    "Splash Cymbal,Cowbell,Crash Cymbal 2,Vibra Slap,Ride Cymbal 2,High Bongo,Low Bongo,"
    "Mute High Conga,Open High Conga,Low Conga,High Timbale,Low Timbale,High Agogo,Low Agogo,"
    "Cabasa,Maracas,Short Whistle,Long Whistle,Short Guiro,Long Guiro,Claves,High Wood Block,"
    "Low Wood Block,Mute Cuica,Open Cuica,Mute Triangle,Open Triangle,Shaker,Jingle Bell,"
    "Bell Tree,Castanets,Mute Surdo,Open Surdo"
).split(",")
GENERAL_MIDI_FIRST_KEY = 27


def recognize(text: str) -> str:
    """Recognize the instrument that one name says. It is ``unknown`` if it says none.

    The letters of a machine's code are no abbreviation, because a CR-78 has more than cymbals.

    >>> [recognize(name) for name in ("Hi-Mid Tom", "SD_OH 3", "crash16inch", "custom bottom")]
    ['tom', 'snare', 'cymbals', 'unknown']
    >>> recognize("Roland CR-78"), recognize("rolandcr78-bd")
    ('unknown', 'kick')
    """
    words = words_of(text)
    for instrument, pattern in _NAMES.items():
        if pattern.search(words):
            return instrument
    return _abbreviated(words_of(machines.without(text)))


def recognize_instrument(
    name: str, pack: str = "", before: Iterable[str] = (), after: Iterable[str] = ()
) -> str:
    """Recognize the instrument of a file by its name, or else by its folders', nearest first.

    Args:
        name: path of the file.
        pack: its sample pack, whose name counts after the folders.
        before: names that a kit gives it, which count before its own.
        after: names that count last.

    >>> recognize_instrument("My Kit/Snares/01.wav")
    'snare'
    >>> recognize_instrument("My Kit/OpenHat_3.WAV")
    'hihat'
    """
    path = PurePosixPath(name)
    # "CR 78" may be a crash with a number, too.
    own = (recognize(path.stem), _abbreviated(words_of(path.stem)))
    others = map(recognize, (*reversed(path.parent.parts), pack, *after))
    return next((i for i in (*map(recognize, before), *own, *others) if i != UNKNOWN), UNKNOWN)


def recognize_type(pack: str, name: str) -> str:
    """Recognize whether a sound is electronic or acoustic, or else ``unknown``.

    What names say counts before what they only make likely (see
    :mod:`drumblender.data.library.machines`).

    Args:
        pack: the sample pack.
        name: path of the file.

    >>> recognize_type("TR808 kit", "kick.wav"), recognize_type("Ludwig", "Ludwig/kick.wav")
    ('electronic', 'acoustic')
    >>> recognize_type("My sounds", "My sounds/kick 808.wav")
    'unknown'
    """
    path = PurePosixPath(name)
    folders = path.parent.parts
    texts = folders if pack in folders else (pack, *folders)
    return machines.said(texts, path.stem) or machines.hinted(texts, path.stem) or UNKNOWN


def general_midi_name(key: int) -> str:
    """Return the name of the drum on a key of General MIDI, which is empty if there is none.

    >>> general_midi_name(36), general_midi_name(20)
    ('Bass Drum 1', '')
    """
    index = key - GENERAL_MIDI_FIRST_KEY
    return GENERAL_MIDI[index] if 0 <= index < len(GENERAL_MIDI) else ""


def _abbreviated(words: str) -> str:
    """Find the instrument of the first abbreviation."""
    found = [
        (match.start(), instrument)
        for instrument, match in ((i, p.search(words)) for i, p in _ABBREVIATIONS.items())
        if match
    ]
    return min(found)[1] if found else UNKNOWN


def words_of(name: str) -> str:
    """Split a name into lower-case words, at capitals, digits and punctuation.

    >>> words_of("OpenHat_3")
    'open hat'
    """
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return " ".join(re.findall(r"[^\W\d_]+", name.lower()))
