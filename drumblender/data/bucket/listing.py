"""The recordings of a bucket, part by part, with what is known of each.

A part is a folder at the top of the library with all that is in it, so that the memory of a whole
library is never needed. Kits name files of their own part only. Where a kit lies at the top itself,
the library is one part.
"""

import functools
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

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


def read_parts(
    place: Place, described: Optional[Described], own: str, inside: str = ""
) -> Iterator[Part]:
    """List a library.

    Args:
        place: the recordings.
        described: their raw metadata.
        own: name of the raw metadata, which is no recording.
        inside: what the names of objects begin with that are no recordings, such as those of the
            dataset itself if it lies among the recordings.

    Raises:
        DrumblenderError: if there are no recordings, or if the raw metadata does not fit them.
    """
    count, left_out = 0, []
    for items, part_of_metadata in _divided(place, described, own, inside):
        part = _read_part(place, items, part_of_metadata)
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
    for items, _ in _divided(place, None, "", ""):
        with skeleton(place, items, None) as folder:
            yield folder


def _divided(
    place: Place, described: Optional[Described], own: str, inside: str
) -> Iterator[Tuple[List[Item], Optional[Described]]]:
    """Yield the objects of each part, with what the raw metadata says about them."""

    def is_recording(item: Item) -> bool:
        """Return whether an object is a recording, and not the library's own."""
        stem = own.rpartition(".")[0]
        ours = (own, f"{stem}.yaml", f"{stem}.yml") if described is not None and own else (own,)
        return item.name not in ours and not (inside and item.name.startswith(inside))

    files, folders = place.top()
    files = [item for item in files if is_recording(item)]
    if described is not None:
        names = {path.partition("/")[0] for path in described.paths()}
        # What the metadata names is reported even if there is nothing of that name.
        folders = sorted({*folders, *(names - {".", *(item.name for item in files)})})
    if has_kit(files):
        items = [item for item in place.items() if is_recording(item)]
        yield items, described
        return
    for folder in folders:
        items = [item for item in place.items(f"{folder}/") if is_recording(item)]
        if items or described is not None:
            yield items, described and described.part(functools.partial(_concerns, {folder}))
    if files:
        names = {item.name for item in files}
        yield files, described and described.part(functools.partial(_concerns, names))


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
