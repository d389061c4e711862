"""Texts in pictures, in whatever script they are written."""

import contextlib
import functools
import warnings
from typing import TYPE_CHECKING, FrozenSet, Iterator, List

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextlib.contextmanager
def any_script(figure: "Figure") -> Iterator[None]:
    """Draw a figure with the installed fonts that its texts need.

    A character that no installed font has becomes a box, without a warning, because nobody who
    draws a picture of a sound should have to install a font first.
    """
    from matplotlib.text import Text

    texts = [artist for artist in figure.findobj() if isinstance(artist, Text)]
    foreign = frozenset(c for text in texts for c in text.get_text() if ord(c) > 0x24F)
    if foreign:
        families = families_for(foreign)
        for text in texts:
            text.set_fontfamily([*text.get_fontfamily(), *families])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph .* missing.*")
        yield


@functools.lru_cache(maxsize=64)
def families_for(characters: FrozenSet[str]) -> List[str]:
    """List the few installed font families that draw what matplotlib's own font does not."""
    from matplotlib.font_manager import findfont, fontManager

    missing = {ord(c) for c in characters} - _characters(findfont("DejaVu Sans"))
    found: List[str] = []
    # Those made for all of a script come first, and before fonts of symbols.
    fonts = sorted(fontManager.ttflist, key=lambda font: ("CJK" not in font.name, font.name))
    for font in fonts:
        if not missing:
            break
        if font.name in found or font.name.startswith(("Last Resort", "DejaVu Sans")):
            continue
        drawn = missing & _characters(font.fname)
        if drawn:
            found.append(font.name)
            missing -= drawn
    return found


@functools.lru_cache(maxsize=256)
def _characters(path: str) -> FrozenSet[int]:
    """List the characters of a font file, by their code points."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):  # a font that was removed, or is broken
        return frozenset()
