"""Names of files in a library: which of them are sounds, and which file a name means."""

from bisect import bisect_left
from pathlib import PurePosixPath
from typing import Dict, Iterable, List, Optional, Sequence

from drumblender.files.text import readable

# What libsndfile reads goes by these names; other files are tried, too, but not counted as sounds.
SOUND_SUFFIXES = frozenset(
    ".wav .wave .aif .aiff .aifc .flac .ogg .oga .opus .mp3 .au .snd .caf .w64 .rf64 .voc .sf .avr "
    ".iff .8svx .svx .pvf .mat .mpc .wve".split()
)


class Names:
    """Finds files by what kits call them, which are mostly written on systems that ignore case.

    Args:
        names: names of the files.
    """

    def __init__(self, names: Iterable[str]):
        self._exact = set(names)
        self._readable: Dict[str, str] = {}
        self._folded: Dict[str, str] = {}
        self._stems: Dict[str, str] = {}
        for name in sorted(self._exact):
            meant = readable(name)
            self._readable.setdefault(meant, name)
            self._folded.setdefault(meant.casefold(), name)
            if is_sound_name(name):
                self._stems.setdefault(_without_suffix(meant).casefold(), name)

    def find(self, path: str) -> Optional[str]:
        """Return the file of that very name, or else one whose name differs in case or encoding."""
        if path in self._exact:
            return path
        meant = readable(path)
        return self._readable.get(meant) or self._folded.get(meant.casefold())

    def find_sound(self, path: str) -> Optional[str]:
        """Find a file as :meth:`find` does, or else a sound of that name with another ending."""
        found = self.find(path)
        if found is None and is_sound_name(path):
            found = self._stems.get(_without_suffix(readable(path)).casefold())
        return found


def is_sound_name(name: str) -> bool:
    """Return whether a file is a sound, going by its name."""
    return PurePosixPath(name).suffix.lower() in SOUND_SUFFIXES


def under(names: Sequence[str], folder: str) -> List[str]:
    """Take from sorted names the file ``folder``, or else the files in that folder.

    >>> under(["a b.wav", "a/b.wav", "a/c.wav", "ab.wav"], "a")
    ['a/b.wav', 'a/c.wav']
    """
    if folder == ".":
        return list(names)
    index = bisect_left(names, folder)
    if index < len(names) and names[index] == folder:
        return [folder]
    return list(names[bisect_left(names, f"{folder}/") : bisect_left(names, f"{folder}0")])


def _without_suffix(name: str) -> str:
    """Return a name without the ending that says its format."""
    return name[: len(name) - len(PurePosixPath(name).suffix)]
