"""The recordings of a bucket, part by part, with what is known of each.

A part is a folder at the top of the library with all that is in it, so that the memory of a whole
library is never needed. Kits name files of their own part only. Where a kit lies at the top itself,
the library is one part.
"""

import functools
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

from drumblender.data.bucket.engine import Engine
from drumblender.data.bucket.place import Item, Place
from drumblender.data.bucket.skeleton import (
    Described,
    Skeleton,
    has_kit,
    is_archive,
    skeleton,
)
from drumblender.data.library.sounds import RawSound
from drumblender.errors import DrumblenderError


@dataclass(frozen=True)
class Recording:
    """An object that sounds are made of.

    Attributes:
        item: the object.
        sound: what is known of its sound. None stands for an archive, which whoever makes its
            sounds reads.
        packs: the raw metadata of an archive, if there is some.
    """

    item: Item
    sound: Optional[RawSound] = None
    packs: Optional[Dict[str, Any]] = None

    def to_json(self) -> Dict[str, Any]:
        """Return the recording as a line of a plan."""
        line = {"object": asdict(self.item)}
        if self.sound is not None:
            return {**line, "sound": asdict(self.sound)}
        return {**line, "packs": self.packs}

    @classmethod
    def from_json(cls, line: Dict[str, Any]) -> "Recording":
        """Read a line of a plan."""
        item, sound = Item(**line["object"]), line.get("sound")
        return cls(item, RawSound(**sound) if sound else None, line.get("packs"))


@dataclass
class Part:
    """A part of a library.

    Attributes:
        recordings: its recordings, sorted by name.
        left_out: files that the raw metadata does not name, each with a reason.
    """

    recordings: List[Recording] = field(default_factory=list)
    left_out: List[Tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Division:
    """A part of a library that is to be listed.

    Attributes:
        prefix: what the names of its objects begin with.
        files: its objects, where they are known already.
        described: what the raw metadata says about them.
        own: names that are no recordings, but the library's own.
        inside: what the names of objects begin with that are no recordings either.
    """

    prefix: str
    files: Optional[List[Item]]
    described: Optional[Described]
    own: Tuple[str, ...] = ()
    inside: str = ""

    def items(self, place: Place) -> List[Item]:
        """List the objects, unless they are known."""
        found = place.items(self.prefix) if self.files is None else self.files
        return [item for item in found if self.is_recording(item)]

    def is_recording(self, item: Item) -> bool:
        """Return whether an object may be a recording."""
        is_inside = bool(self.inside) and item.name.startswith(self.inside)
        return item.name not in self.own and not is_inside


def read_parts(
    place: Place, described: Optional[Described], own: str, inside: str, engine: Engine
) -> Iterator[Part]:
    """List a library.

    Args:
        place: the recordings.
        described: their raw metadata.
        own: name of the raw metadata, which is no recording.
        inside: what the names of objects begin with that are no recordings, such as those of the
            dataset itself if it lies among the recordings.
        engine: what lists the parts.

    Yields:
        The parts, in the order of their names.

    Raises:
        DrumblenderError: if there are no recordings, or if the raw metadata does not fit them.
    """
    count, left_out = 0, []
    tasks = list(enumerate(_divided(place, described, own, inside)))
    waiting: Dict[int, Part] = {}
    following = 0
    for number, listed in engine.map(functools.partial(_read_division, place), tasks):
        waiting[number] = listed
        while following in waiting:
            part = waiting.pop(following)
            following += 1
            count += len(part.recordings)
            left_out += part.left_out[:3]
            yield part
    if not count and left_out and described is not None:
        first = "; ".join(" ".join(entry) for entry in left_out[:3])
        raise DrumblenderError(
            f"{described.title} names none of the files in {place} ({first}); correct it, or write "
            "it again with drumblender-dataset CONFIG --init."
        )
    if not count:
        raise DrumblenderError(f"{place} holds no recordings; correct the address.")


def skeletons(place: Place) -> Iterator[Skeleton]:
    """Yield all parts of a library as folders, with archives and without raw metadata."""
    for division in _divided(place, None, "", ""):
        with skeleton(place, division.items(place), None) as folder:
            yield folder


def _divided(place: Place, described: Optional[Described], own: str, inside: str) -> List[Division]:
    """Return the parts of a library, each with what the raw metadata says about it."""
    stem = own.rpartition(".")[0]
    ours = (own, f"{stem}.yaml", f"{stem}.yml") if described is not None and own else (own,)
    whole = Division("", None, described, ours, inside)
    files, folders = place.top()
    files = [item for item in files if whole.is_recording(item)]
    if has_kit(files):
        return [whole]
    tops = {} if described is None else described.by_top()
    # What the metadata names is reported even if there is nothing of that name.
    names = {item.name for item in files}
    folders = sorted({*folders, *(tops.keys() - names)} - {"."})
    nothing = tops.get(".") or (described and described.part(lambda path: path == "."))
    divisions = [
        Division(f"{folder}/", None, tops.get(folder, nothing), ours, inside) for folder in folders
    ]
    if files:
        part = described and described.part(functools.partial(_concerns, names))
        divisions.append(Division("", files, part, ours, inside))
    return divisions


def _read_division(place: Place, task: Tuple[int, Division]) -> Tuple[int, Part]:
    """List a part, and return it with its number."""
    number, division = task
    items = division.items(place)
    if not items and division.described is None:
        return number, Part()
    return number, _read_part(place, items, division.described)


def _concerns(names: Set[str], path: str) -> bool:
    """Return whether a path names all, or something at the top or in it."""
    return path == "." or path.partition("/")[0] in names


def _concerns_archive(name: str, path: str) -> bool:
    """Return whether a path names an archive, something in it, or what it is in."""
    above = path == "." or f"{name}/".startswith(f"{path}/")
    return above or path.startswith(f"{name}/")


def _read_part(place: Place, items: List[Item], described: Optional[Described]) -> Part:
    """Find the recordings of one part."""
    archives = {item.name: item for item in items if is_archive(item.name)}
    others = {item.name: item for item in items if item.name not in archives}

    def in_archive(path: str) -> bool:
        """Return whether a path names an archive, or something in one."""
        parents = [path, *map(str, PurePosixPath(path).parents)]
        return any(parent in archives for parent in parents)

    rest = described.part(lambda path: not in_archive(path)) if described is not None else None
    with skeleton(place, others.values(), rest) as folder:
        sounds, left_out = folder.scan()
    nothing = Item("", 0, "", "")  # of what only metadata and kits name
    found = [Recording(others.get(sound.name, nothing), sound) for sound in sounds]
    for name, item in archives.items():
        packs = None
        if described is not None:
            packs = described.part(functools.partial(_concerns_archive, name)).packs
            if not any(content["folders"] for content in packs.values()):
                left_out.append((name, "is not in the metadata"))
                continue
        found.append(Recording(item, packs=packs))
    found.sort(key=lambda recording: recording.sound.name if recording.sound else "")
    return Part(found, left_out)
