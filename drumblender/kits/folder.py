"""Plain folders and files of drums, whose names may say how hard a drum was hit.

``snare_soft.wav`` and ``snare_hard.wav``, or ``Snare v1 rr2.wav`` and the like, are layers and
round robins of one drum. Files whose names say nothing of that are drums of their own.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Dict, List, Optional, Sequence, Tuple

from drumblender.data.library.filenames import is_sound_name
from drumblender.data.library.names import recognize_instrument
from drumblender.files.listing import files_below
from drumblender.files.text import printable
from drumblender.kits.kit import Drum, Hit, Kit, Layer, even_layers

# Words that say how hard a drum was hit, from soft to hard.
_DYNAMICS: Dict[str, float] = {
    word: rank
    for rank, words in enumerate(
        "ppp softest pianissimo,pp softer quiet,p soft piano,mp,med medium normal,mf,"
        "f hard loud forte,ff harder accent fortissimo,fff hardest loudest".split(",")
    )
    for word in words.split()
}
_USUAL = _DYNAMICS["medium"]  # where a name says nothing
_NUMBERED = r"(?<![^\W\d_])(?:{})[ _.-]*(\d+)(?!\d)"
_VELOCITY = re.compile(_NUMBERED.format("velocity|vel|v|layer|lyr|dyn"), re.IGNORECASE)
_TURN = re.compile(_NUMBERED.format("round[ _-]?robin|rr|take|hit|alt"), re.IGNORECASE)


@dataclass(frozen=True)
class _Name:
    """What the name of a file says.

    Attributes:
        drum: the words that name the drum.
        dynamics: how hard it was hit, as a number that only compares. None if it is not said.
        turn: number among hits that are alike. None if it is not said.
    """

    drum: str
    dynamics: Optional[Tuple[int, float]]
    turn: Optional[int]


def read_folder(folder: Path, left_out: Sequence[Path] = ()) -> Kit:
    """Read a folder of drums, with its sub-folders.

    Args:
        folder: the folder.
        left_out: folders in it that do not count.
    """
    listed = sorted(files_below(folder))
    apart = [path.resolve() for path in left_out]
    notes, names = [], []
    others = 0
    for name, problem in listed:
        path = folder / name
        if any(place in path.resolve().parents for place in apart):
            continue
        if problem:
            notes.append(printable(f"{path}: {problem}; left out."))
        elif is_sound_name(name):
            names.append(name)
        else:
            others += 1
    if others:
        notes.append(printable(f"{folder}: {others} files that are no audio left out."))
    files = [(PurePosixPath(name), folder / name) for name in names]
    return Kit(folder.resolve().name, tuple(drums_of(files)), tuple(notes))


def read_file(path: Path) -> Kit:
    """Read one file as a kit of one drum."""
    return Kit(path.stem, tuple(drums_of([(PurePosixPath(path.name), path)])))


def drums_of(files: Sequence[Tuple[PurePosixPath, Path]]) -> List[Drum]:
    """Make drums of files.

    Args:
        files: pairs of the name by which a file is known, and its path.
    """
    said = [(name, path, _read_name(name)) for name, path in files]
    together: Dict[Tuple[PurePosixPath, str], List[Tuple[PurePosixPath, Path, _Name]]] = {}
    for name, path, meant in said:
        together.setdefault((name.parent, meant.drum), []).append((name, path, meant))
    drums = []
    for same in together.values():
        told = {(meant.dynamics, meant.turn) for _, _, meant in same}
        # Names that tell hits apart are those of one drum, and others are drums of their own.
        groups = [same] if len(told) == len(same) else [[each] for each in same]
        drums += [_drum(group) for group in groups]
    return drums


def _drum(hits: Sequence[Tuple[PurePosixPath, Path, _Name]]) -> Drum:
    """Make a drum of all its hits. Its layers are ranges of equal width."""
    ranks: Dict[Tuple[int, float], List[Tuple[int, Path]]] = {}
    for _, path, meant in hits:
        rank = (0, _USUAL) if meant.dynamics is None else meant.dynamics
        ranks.setdefault(rank, []).append((meant.turn or 0, path))
    ranges = even_layers(len(ranks))
    layers = tuple(
        Layer(low, high, tuple(Hit(path) for _, path in sorted(turns)))
        for (low, high), (_, turns) in zip(ranges, sorted(ranks.items()))
    )
    name, _, meant = hits[0]
    label = name.stem if len(hits) == 1 else meant.drum
    return Drum(label, recognize_instrument(str(name)), None, layers)


def _read_name(name: PurePosixPath) -> _Name:
    """Read what the name of a file says about how a drum was hit."""
    text = name.stem
    turn = _TURN.search(text)
    if turn:
        text = text[: turn.start()] + " " + text[turn.end() :]
    velocity = _VELOCITY.search(text)
    dynamics: Optional[Tuple[int, float]] = None
    if velocity:
        text = text[: velocity.start()] + " " + text[velocity.end() :]
        dynamics = (1, float(velocity[1]))
    words = re.findall(r"[^\W\d_]+|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text))
    # The last word that says so counts: a name begins with what the drum is.
    places = [index for index, word in enumerate(words) if word.lower() in _DYNAMICS and index]
    if places and dynamics is None:
        dynamics = (0, _DYNAMICS[words.pop(places[-1]).lower()])
    return _Name(" ".join(words), dynamics, int(turn[1]) if turn else None)
