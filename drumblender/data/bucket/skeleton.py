"""A part of a library in a bucket, as the scan of a raw folder sees it.

Names say what the sounds are, so a folder of empty files with the same names will do. Only what
describes kits has to be real, and it is small. Keys, packs and instruments are thus those that one
machine would give the same recordings in a folder.
"""

import contextlib
import json
import os
import posixpath
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

from drumblender.data.bucket.place import Item, Place
from drumblender.data.library import hydrogen, scan
from drumblender.data.library.kits import is_description
from drumblender.data.library.names import UNKNOWN
from drumblender.data.library.raw_metadata import folders_of, read_raw_metadata
from drumblender.data.library.sounds import RawSound, key_of
from drumblender.errors import DrumblenderError
from drumblender.files.listing import is_junk
from drumblender.files.paths import leads_outside

Packs = Dict[str, Dict[str, Any]]  # raw metadata
_INCLUDE = re.compile(rb'#include\s+"([^"\r\n]+)"')


@dataclass(frozen=True)
class Described:
    """Raw metadata of a library in a bucket.

    Attributes:
        packs: what it says.
        title: what to call it in messages.
    """

    packs: Packs
    title: str

    def part(self, wanted: Callable[[str], bool]) -> "Described":
        """Return what it says about some of the paths."""
        packs = {
            pack: {
                **content,
                "folders": [
                    entry
                    for entry in folders_of(pack, content, Path(self.title))
                    if wanted(posixpath.normpath(entry["path"]))
                ],
            }
            for pack, content in self.packs.items()
        }
        return Described(packs, self.title)

    def by_top(self) -> Dict[str, "Described"]:
        """Return what it says about each name at the top of the library, in one pass.

        What it says about all of the library, as the path ``.``, is part of each.
        """
        found: Dict[str, Packs] = {}
        tops = dict.fromkeys(path.partition("/")[0] for path in self.paths())
        for pack, content in self.packs.items():
            for entry in folders_of(pack, content, Path(self.title)):
                top = posixpath.normpath(entry["path"]).partition("/")[0]
                for name in tops if top == "." else [top]:
                    packs = found.setdefault(name, {})
                    packs.setdefault(pack, {**content, "folders": []})["folders"].append(entry)
        return {name: Described(packs, self.title) for name, packs in found.items()}

    def paths(self) -> Iterator[str]:
        """Yield all paths, and refuse those that lead out of the library."""
        for pack, content in self.packs.items():
            for entry in folders_of(pack, content, Path(self.title)):
                if leads_outside(entry["path"]):
                    raise DrumblenderError(
                        f"{self.title} names {entry['path']}, which lies outside of the "
                        "recordings; correct it."
                    )
                yield posixpath.normpath(entry["path"])


def described_by(place: Place, path: Optional[Path], meta_file: str) -> Optional[Described]:
    """Return the raw metadata of a library.

    Args:
        place: the recordings.
        path: file of the raw metadata. None stands for ``meta_file`` among the recordings, which
            need not be there.
        meta_file: name of the metadata.
    """
    if path is not None:
        return Described(read_raw_metadata(path), str(path)) if path.is_file() else None
    data = place.read(meta_file)
    if data is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "metadata.json")
        file.write_bytes(data)
        title = place.title(meta_file)
        with _renamed({str(file): title}):
            return Described(read_raw_metadata(file), title)


def is_archive(name: str) -> bool:
    """Return whether an object is an archive of a drum kit, going by its name."""
    return name.lower().endswith(hydrogen.ARCHIVE_SUFFIX)


@contextlib.contextmanager
def skeleton(
    place: Place, items: Iterable[Item], described: Optional[Described]
) -> Iterator["Skeleton"]:
    """Make a folder in which the scan finds the names of objects.

    Args:
        place: place of the objects.
        items: the objects. Archives among them are fetched as they are.
        described: the raw metadata of these objects.
    """
    with tempfile.TemporaryDirectory(prefix="drumblender-scan-") as folder:
        raw_dir = Path(folder, "raw", place.last_name)
        raw_dir.mkdir(parents=True)
        metadata = Path(folder, "metadata.json")
        if described is not None:
            metadata.write_bytes(json.dumps(described.packs).encode())
        impossible = _fill(place, raw_dir, list(items))
        title = described.title if described is not None else ""
        names = {str(metadata): title, str(raw_dir): place.address}
        yield Skeleton(raw_dir, metadata, impossible, names, place)


@dataclass(frozen=True)
class Skeleton:
    """A folder with the names of objects.

    Attributes:
        raw_dir: the folder.
        metadata: raw metadata, which need not be there.
        impossible: objects that no folder can hold.
        names: names in messages, in place of those of the temporary files.
        place: place of the objects.
    """

    raw_dir: Path
    metadata: Path
    impossible: List[str]
    names: Dict[str, str]
    place: Place

    def scan(self) -> Tuple[List[RawSound], List[Tuple[str, str]]]:
        """Return the sounds, and what the raw metadata leaves out."""
        with _renamed(self.names):
            found = scan.read_library(self.raw_dir, self.metadata, is_part=True)
        sounds = [replace(s, problem=self.said(s.problem)) for s in found.sounds]
        for name in self.impossible:
            pack, slash, _ = name.partition("/")
            pack = pack if slash else self.place.last_name
            problem = "has a name that no file may have"
            sounds.append(
                RawSound(name, key_of(pack, name), pack, UNKNOWN, UNKNOWN, problem=problem)
            )
        return sounds, found.left_out

    def said(self, text: str) -> str:
        """Return a text without the names of temporary files."""
        return _rename(text, self.names)

    def pack_folders(self) -> Dict[str, List[str]]:
        """Return the folders and files of each sample pack."""
        with _renamed(self.names):
            return scan.pack_folders(self.raw_dir)


def _fill(place: Place, raw_dir: Path, items: List[Item]) -> List[str]:
    """Put files into the folder, and list the names that no file can have."""
    impossible = []
    by_name: Dict[str, List[Item]] = {}
    wanted = []
    for item in items:
        if any(map(is_junk, PurePosixPath(item.name).parts)):
            continue
        if not _touch(raw_dir, item.name):
            impossible.append(item.name)
            continue
        by_name.setdefault(posixpath.basename(item.name), []).append(item)
        if is_description(item.name):
            wanted.append(item)
    fetched = set()
    while wanted:
        item = wanted.pop()
        path = raw_dir / item.name
        if item.name in fetched:
            continue
        fetched.add(item.name)
        path.unlink()
        place.fetch(item, path)
        if not is_archive(item.name) and not item.name.endswith(hydrogen.DESCRIPTION):
            # Parts of an SFZ kit go by any name.
            for part in _INCLUDE.findall(path.read_bytes()):
                text = part.decode("utf-8", "replace").replace("\\", "/")
                wanted += by_name.get(posixpath.basename(text), [])
    return impossible


def _touch(raw_dir: Path, name: str) -> bool:
    """Make an empty file; returns whether that is possible."""
    if leads_outside(name) or "\\" in name or name != posixpath.normpath(name):
        return False
    path = raw_dir / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
    except (OSError, ValueError):
        return False
    return True


@contextlib.contextmanager
def _renamed(names: Dict[str, str]) -> Iterator[None]:
    """Call temporary files in errors by what they stand for."""
    try:
        yield
    except DrumblenderError as error:
        raise type(error)(_rename(str(error), names)) from error


def _rename(text: str, names: Dict[str, str]) -> str:
    """Replace names in a text."""
    for name, other in names.items():
        text = text.replace(name, other)
    return text


def has_kit(items: Iterable[Item]) -> bool:
    """Return whether objects at the top describe kits, whose files may lie in any folder."""
    return any(is_description(item.name) and not is_archive(item.name) for item in items)
