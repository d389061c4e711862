"""Words and machines in names of folders and files that say whether a sound is electronic.

Names mostly say what was recorded. Whose machine or drum that is stands in the tables of
:mod:`drumblender.data.library.makers`.
"""

import functools
import re
import unicodedata
from typing import List, Pattern, Sequence, Tuple

from drumblender.data.library import makers
from drumblender.data.library.makers import Maker

ACOUSTIC, ELECTRONIC = "acoustic", "electronic"

# A shorter code in a file's name may be that of an instrument with a running number (CR 78).
_LEAST_LETTERS_OF_A_FILE_CODE = 5


def said(texts: Sequence[str], file: str) -> str:
    """Return the type that names say, by machines or in words. It is empty if they say none.

    Folders count more than the file's name, and inner folders more than outer ones.

    Args:
        texts: names of folders, the outer ones first.
        file: name of the file, without its ending.

    >>> said(["Roland", "R-8"], "Acoustic Snare"), said(["Ludwig"], "808 Kick")
    ('electronic', 'electronic')
    """
    folders = [_spoken(text) for text in texts]
    for inner in range(len(folders), 0, -1):
        found = _of_folder(" / ".join(folders[: inner - 1]), folders[inner - 1])
        if found:
            return found
    return _of_file(_spoken(file))


def hinted(texts: Sequence[str], file: str) -> str:
    """Return the type that names make likely, or an empty text, from the arguments of :func:`said`.

    Of a file's name, only makers count.

    >>> hinted(["Korg"], "01"), hinted(["Jazz Kit"], "01"), hinted(["My sounds"], "01")
    ('electronic', 'acoustic', '')
    """
    for text in reversed(texts):
        spoken = _spoken(text)
        found = _one(
            acoustic=_hint(ACOUSTIC).search(spoken) or _whole(makers.HINTS_ACOUSTIC).search(spoken),
            electronic=_hint(ELECTRONIC).search(spoken)
            or _whole(makers.HINTS_ELECTRONIC).search(spoken),
        )
        if found:
            return found
    spoken = _spoken(file)
    return _one(
        acoustic=_hint(ACOUSTIC).search(spoken), electronic=_hint(ELECTRONIC).search(spoken)
    )


@functools.lru_cache(maxsize=4096)
def without(text: str) -> str:
    """Remove the makers and machines from a name.

    >>> without("rolandtr808-bd"), without("My_BD 01")
    ('bd', 'my bd 01')
    """
    spoken = _spoken(text)
    for pattern in (_glued(), _coded(), _machines(), _named()):
        spoken = pattern.sub(" ", spoken)
    return " ".join(spoken.split())


@functools.lru_cache(maxsize=4096)
def _of_folder(outer: str, text: str) -> str:
    """Return the type that the name of a folder says, given the names of the folders around it."""
    if _machines().search(text) or _whole(makers.NUMBERS).search(text) or _beside(outer, text):
        return ELECTRONIC
    return _word(text)


def _of_file(text: str) -> str:
    """Return the type that the name of a file says."""
    # At the end of a file's name, 808 is its number in a long row.
    if re.match(rf"{makers.NUMBERS} ", text) or _beside("", text):
        return ELECTRONIC
    found = _machines().search(text)
    code = found[0] if found else ""
    long = len(code.replace(" ", "")) >= _LEAST_LETTERS_OF_A_FILE_CODE or code.isalpha()
    if found and long and not (code == text and text[-1].isdigit()):
        return ELECTRONIC
    return _word(text)


def _word(text: str) -> str:
    """Return the type that a text says in words."""
    return _one(
        acoustic=_whole(f"{makers.SAYS_ACOUSTIC}|{makers.ACOUSTIC_SERIES}").search(text),
        electronic=_whole(makers.SAYS_ELECTRONIC).search(text),
    )


def _beside(outer: str, text: str) -> bool:
    """Return whether a text names a machine that counts beside its maker, named here or outside."""
    if _glued().search(text) or _coded().search(text):
        return True
    if not _named().search(f"{outer} {text}"):
        return False
    if _CODE.fullmatch(text) and _hint(ELECTRONIC).search(outer):
        return True
    return any(
        (names.search(text) or names.search(outer)) and machines.search(text)
        for names, machines in _pairs()
    )


_CODE = re.compile(r"[a-z]{1,4} ?\d+( [a-z]{1,3})?")


def _one(acoustic: object, electronic: object) -> str:
    """Return the type that was found, or an empty text if it was none or both."""
    if bool(acoustic) == bool(electronic):
        return ""
    return ACOUSTIC if acoustic else ELECTRONIC


# --- Patterns of the tables ----------------------------------------------------------------------


def _spoken(text: str) -> str:
    """Write a name as runs of lower-case letters and of digits, with spaces between them.

    Accents are left out.

    >>> _spoken("RolandTR-707"), _spoken("LinnDrum_kit")
    ('roland tr 707', 'linn drum kit')
    """
    text = unicodedata.normalize("NFKD", text)
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    text = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", text)
    return " ".join(re.findall(r"[^\W\d_]+|\d+", text.lower()))


def _patterns(names: str) -> List[str]:
    """Make patterns of the names in a list.

    >>> _patterns("TR 707 8S, LinnDrum, RX #")
    ['tr ?707', 'tr ?8 ?s', 'linn ?drum', 'rx ?\\\\d+']
    """
    found = []
    for entry in filter(None, map(str.strip, names.split(","))):
        first, *more = entry.split(" ")
        # Words up to the first number are the name, and what follows are its machines.
        while more and not re.match(r"[\d#]|[A-Z]{1,4}$|I+x?$", more[0]):
            first = f"{first} {more.pop(0)}"
        for machine in more or [""]:
            spoken = _spoken(f"{first} {machine}").replace(" ", " ?")
            found.append(f"{spoken} ?\\d+" if machine == "#" else spoken)
    return found


def _any(names: str) -> str:
    """Make one pattern of the names in a list, with the longest first."""
    return "|".join(sorted(_patterns(names), key=len, reverse=True))


@functools.cache
def _whole(pattern: str) -> Pattern[str]:
    """Compile a pattern that matches whole words only, and no part of a longer word or number."""
    return re.compile(rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])")


@functools.cache
def _machines() -> Pattern[str]:
    """Compile machines whose name says enough, with or without the maker's name in front."""
    alone = ",".join(maker.alone for maker in makers.MAKERS if maker.alone)
    return _whole(rf"(?:(?:{_any(_names(makers.MAKERS))}) ?)?(?:{_any(alone)})s?")


@functools.cache
def _glued() -> Pattern[str]:
    """Compile machines that count beside their maker, right behind its name."""
    return _whole(
        "|".join(f"(?:{_any(m.names)}) ?(?:{_any(m.beside)})s?" for m in makers.MAKERS if m.beside)
    )


@functools.cache
def _coded() -> Pattern[str]:
    """Compile a maker of machines and a code behind it, which need not be in the table."""
    names = _any(_names(makers.ELECTRONIC_MAKERS))
    return _whole(rf"(?:{names}) (?!(?:19|20)\d\d(?!\d))(?:[a-z]{{1,4}} )?\d+")


@functools.cache
def _pairs() -> List[Tuple[Pattern[str], Pattern[str]]]:
    """Compile the names of each maker, and its machines that count beside them."""
    return [
        (_whole(_any(maker.names)), _whole(f"(?:{_any(maker.beside)})s?"))
        for maker in makers.MAKERS
        if maker.beside
    ]


@functools.cache
def _named() -> Pattern[str]:
    """Compile the names of all makers."""
    return _whole(_any(_names(makers.MAKERS)))


@functools.cache
def _hint(kind: str) -> Pattern[str]:
    """Compile the names of the makers that make a type likely."""
    return _whole(
        _any(_names(makers.ACOUSTIC_MAKERS if kind == ACOUSTIC else makers.ELECTRONIC_MAKERS))
    )


def _names(of: Sequence[Maker]) -> str:
    """Join the names of makers to one list."""
    return ",".join(maker.names for maker in of)
