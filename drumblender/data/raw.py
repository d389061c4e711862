"""What is in a raw folder of recordings: sounds with their pack, type and instrument.

Raw metadata, where there is some, says so: pack -> {``type``: acoustic|electronic|unknown,
``folders``: a list of paths, or name -> {``path``, any further keys}}. Paths are relative to the
raw folder and name a folder, a drum kit (see :mod:`drumblender.data.kits`) or a single file.
Without it every sub-folder of the raw folder is a pack, and so is every kit; what is not said is
recognized from names.
"""

import hashlib
import json
import os
import posixpath
import re
import shutil
import unicodedata
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Union

from drumblender.data import archives
from drumblender.data.kits import Kits, Mention, is_sound_name, read_kits, under
from drumblender.data.names import TYPES, UNKNOWN, recognize_instrument, recognize_type
from drumblender.errors import DrumblenderError, trace
from drumblender.files import atomic
from drumblender.files.listing import ABOVE, files_below, is_junk
from drumblender.files.paths import as_seen_from

PathLike = Union[str, Path]


@dataclass(frozen=True)
class RawSound:
    """One file of a raw folder.

    Attributes:
        name: its path relative to the raw folder, with ``/``.
        key: names it in the dataset; depends on pack and name only, so it never changes.
        sample_pack_key: the pack.
        type: acoustic, electronic or unknown.
        instrument: what it is a recording of.
        extra: further keys that the raw metadata gives its folder.
        archive: the archive that holds it, relative to the raw folder; ``name`` goes on inside.
        problem: why it cannot be a sound, as far as that is known without reading it.
    """

    name: str
    key: str
    sample_pack_key: str
    type: str
    instrument: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    archive: str = ""
    problem: str = ""

    def metadata(self) -> Dict[str, Any]:
        """What the dataset's metadata says about it, besides its files."""
        return {
            "type": self.type,
            "sample_pack_key": self.sample_pack_key,
            "instrument": self.instrument,
            **self.extra,
        }


@dataclass(frozen=True)
class Library:
    """What is in a raw folder.

    Attributes:
        sounds: all files that may be sounds, sorted by key.
        left_out: (file, reason) of those that the raw metadata does not name.
    """

    sounds: List[RawSound]
    left_out: List[Tuple[str, str]] = field(default_factory=list)


def find_sounds(raw_dir: Path, meta_file: PathLike) -> List[RawSound]:
    """The sounds of :func:`read_library`."""
    return read_library(raw_dir, meta_file).sounds


def read_library(raw_dir: Path, meta_file: PathLike) -> Library:
    """Find all files of a raw folder, and what names, kits and metadata say about them.

    Args:
        raw_dir: the raw folder.
        meta_file: raw metadata, relative to the raw folder; the folder structure counts when it
            does not exist.
    """
    if not os.path.isdir(raw_dir):
        raise DrumblenderError(
            f"There is no raw folder {raw_dir}; put the recordings there, "
            "or correct data_dir_unprocessed in the configuration."
        )
    path = raw_dir / meta_file
    listing = _Listing(raw_dir)
    if "." in listing.files:
        raise DrumblenderError(f"{raw_dir} {listing.files['.']}; check its permissions.")
    kits = listing.kits()
    described = path.is_file()
    packs = _read(path) if described else _packs_of_folders(listing, kits)
    own = _name_of(raw_dir, path)
    entries = [
        (pack, content, PurePosixPath(folder["path"]), folder)
        for pack, content in packs.items()
        for folder in _folders(pack, content, path)
    ]
    # Where folders are nested, the inner one says more about its files.
    entries.sort(key=lambda entry: -len(entry[2].parts))
    sounds: Dict[str, RawSound] = {}
    for pack, content, folder, further in entries:
        extra = {k: v for k, v in further.items() if k not in ("path", "type", "instrument")}
        for name, problem in _candidates(listing, folder, kits, path if described else None, pack):
            if name in sounds or name == own:
                continue
            mention = kits.mentions.get(name, Mention(pack))
            pack_of_sound = pack if described else mention.pack
            sounds[name] = RawSound(
                name=name,
                key=_key(pack_of_sound, name),
                sample_pack_key=pack_of_sound,
                type=further.get("type")
                or content.get("type")
                or recognize_type(pack_of_sound, name),
                instrument=further.get("instrument")
                or recognize_instrument(name, pack_of_sound, mention.labels, mention.hints),
                extra=extra,
                archive=kits.archive_of(name),
                problem=problem,
            )
    left_out = _left_out(listing, kits, sounds, own) if described else []
    if not sounds and left_out:
        first = "; ".join(" ".join(entry) for entry in left_out[:3])
        raise DrumblenderError(
            f"{path} names none of the {len(left_out)} files in {raw_dir} ({first}); correct it, "
            "or put recordings there and write it again with drumblender-dataset CONFIG --init."
        )
    if not sounds:
        raise DrumblenderError(f"{raw_dir} holds no files; put recordings there.")
    return Library(
        sorted(_with_keys_of_their_own(sounds.values()), key=lambda sound: sound.key), left_out
    )


def _left_out(
    listing: "_Listing", kits: Kits, sounds: Mapping[str, RawSound], own: str
) -> List[Tuple[str, str]]:
    """What nobody asked for: all files that are neither sounds nor describe kits, with reasons."""
    known = {posixpath.normpath(name) for name in sounds}  # metadata may say a/../b
    used = {sound.archive for sound in sounds.values()}
    known |= kits.descriptions - kits.archives.keys()
    # The configuration that --init wrote beside the metadata.
    known |= {own, *(os.path.splitext(own)[0] + suffix for suffix in (".yaml", ".yml"))}
    found = []
    for name, problem in listing.files.items():
        members = kits.archives.get(name, ()) if name in used else ()
        for file in members or [name]:
            reason = problem or kits.broken.get(file) or "is not in the metadata"
            if file not in known and not _is_junk(file):
                found.append((file, reason))
    return sorted(found, key=lambda entry: (not is_sound_name(entry[0]), entry))


def _name_of(raw_dir: Path, path: Path) -> str:
    """What a file is called in the raw folder, if it is there."""
    return as_seen_from(os.path.realpath(raw_dir), os.path.realpath(path))


def pack_folders(raw_dir: Path) -> Dict[str, List[str]]:
    """Pack -> the folders and files that are it where no metadata says otherwise."""
    listing = _Listing(raw_dir)
    packs = _packs_of_folders(listing, listing.kits())
    return {
        pack: [path for path in content["folders"] if not listing.files.get(path)]
        for pack, content in packs.items()
    }


def unpack_archives(
    raw_dir: Path, sounds: Iterable[RawSound], folder: Path
) -> Tuple[Dict[str, Path], Dict[str, str]]:
    """Unpack the archives that hold sounds.

    Args:
        raw_dir: the raw folder.
        sounds: in it.
        folder: to unpack to; what is there goes.

    Returns:
        Key -> the file to read, and key -> why there is none.
    """
    shutil.rmtree(folder, ignore_errors=True)
    inside: Dict[str, Dict[PurePosixPath, RawSound]] = {}
    for sound in sounds:
        if sound.archive and not sound.problem:
            name = PurePosixPath(sound.name).relative_to(sound.archive)
            inside.setdefault(sound.archive, {})[name] = sound
    sources: Dict[str, Path] = {}
    problems: Dict[str, str] = {}
    for index, (archive, members) in enumerate(inside.items()):
        place = folder / str(index)
        # Numbers, because the names are those of another system.
        targets = {name: place / str(number) for number, name in enumerate(members)}
        try:
            place.mkdir(parents=True)
            archives.extract_kit(raw_dir / archive, targets)
            # As old as the archive, so that it counts as unchanged when it is unpacked again.
            time = (raw_dir / archive).stat().st_mtime_ns
            for name, sound in members.items():
                os.utime(targets[name], ns=(time, time))
                sources[sound.key] = targets[name]
        except Exception as error:  # whatever one archive does, the others go on
            cause = error.__cause__ or error
            if isinstance(cause, OSError) and cause.errno in atomic.FULL:
                raise
            trace(error)
            reason = str(error).rstrip(".") or type(error).__name__
            for sound in members.values():
                if sound.key not in sources:
                    problems[sound.key] = f"cannot be unpacked ({reason})"
    return sources, problems


def fingerprint(keys: Iterable[str]) -> str:
    """A digest of a set of keys, by which shards tell that they are of the same library."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def _key(pack: str, name: str, as_it_is: bool = False) -> str:
    """What names a sound in the dataset.

    Args:
        pack: of the sound.
        name: of the sound.
        as_it_is: tell names apart that differ in the composition of their characters only.
    """
    identity = f"{pack}\n{name}"
    if not as_it_is:
        identity = unicodedata.normalize("NFC", identity)
    digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return "-".join([*filter(None, map(_slug, (pack, PurePosixPath(name).stem))), digest])


def _with_keys_of_their_own(sounds: Iterable[RawSound]) -> List[RawSound]:
    """Sounds of which no two share a key.

    A name has one key whether its accents are composed or not, because copying from one system to
    another changes that. Only where both are there, the one that is not composed gets another key.
    """
    sounds = sorted(sounds, key=lambda sound: sound.name)
    count = Counter(sound.key for sound in sounds)
    result: Dict[str, RawSound] = {}
    for sound in sounds:
        key = sound.key
        if count[key] > 1 and not unicodedata.is_normalized("NFC", sound.name):
            key = _key(sound.sample_pack_key, sound.name, as_it_is=True)
        while key in result:  # by chance: a checksum of 40 bits tells two names of a million apart
            key += "x"
        result[key] = replace(sound, key=key)
    return list(result.values())


def _slug(text: str) -> str:
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:40]


def _read(path: Path) -> Dict[str, Dict[str, Any]]:
    try:
        # With the mark that some editors write, and names that earlier versions wrote as bytes.
        packs = json.loads(path.read_bytes().decode("utf-8-sig", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise DrumblenderError(f"{path} is not valid JSON ({error}); correct it.") from error
    if not isinstance(packs, dict) or not packs:
        raise DrumblenderError(f"{path} lists no sample pack; write pack -> {{type, folders}}.")
    for pack, content in packs.items():
        if not isinstance(content, dict) or not isinstance(content.get("folders"), (list, dict)):
            raise DrumblenderError(
                f"Pack {pack!r} in {path} has no 'folders'; write pack -> {{type, folders}}, "
                "folders being a list of paths or name -> {path}."
            )
        _check_type(content, f"Pack {pack!r} in {path}")
    return packs


def _folders(pack: str, content: Mapping[str, Any], path: Path) -> Iterator[Dict[str, Any]]:
    folders = content["folders"]
    for folder in folders.values() if isinstance(folders, dict) else folders:
        folder = {"path": folder} if isinstance(folder, str) else folder
        if not isinstance(folder, dict) or not isinstance(folder.get("path"), str):
            raise DrumblenderError(
                f"A folder of pack {pack!r} in {path} has no 'path'; name one, "
                f"relative to {path.parent}."
            )
        _check_type(folder, f"{folder['path']!r} of pack {pack!r} in {path}")
        yield folder


def _check_type(entry: Mapping[str, Any], name: str) -> None:
    if entry.get("type") not in (None, *TYPES, UNKNOWN):
        raise DrumblenderError(f"{name} is of type {entry['type']!r}; write {' or '.join(TYPES)}.")


def _packs_of_folders(listing: "_Listing", kits: Kits) -> Dict[str, Dict[str, Any]]:
    packs: Dict[str, Dict[str, Any]] = {}
    raw_dir = listing.raw_dir

    def add(pack: str, path: str) -> None:
        packs.setdefault(pack, {"folders": []})["folders"].append(path)

    for folder, pack in sorted(kits.packs.items()):
        if folder != ".":
            add(pack, folder)
    for name in sorted(os.listdir(raw_dir)):
        if not is_junk(name) and name not in kits.packs:
            add(name if os.path.isdir(raw_dir / name) else raw_dir.resolve().name, name)
    return packs


def _candidates(
    listing: "_Listing", folder: PurePosixPath, kits: Kits, metadata: Optional[Path], pack: str
) -> Iterator[Tuple[str, str]]:
    """The files of a folder, an archive or a kit that may be sounds, with what is known against.

    Args:
        listing: of the raw folder.
        folder: in it, or a file.
        kits: in it.
        metadata: that names the folder, if one does.
        pack: that the folder belongs to.
    """
    name = str(folder)
    archive = name if name in kits.archives else kits.archive_of(name)
    if archive:
        files = under(kits.archives[archive], name)
        found = {file: kits.unusable.get(file, "") for file in files if not _is_junk(file)}
        if archive == name:
            found[archive] = ""
    else:
        found = listing.under(name, as_said=metadata is not None)
    if not found and (archive or not os.path.lexists(listing.raw_dir / folder)):
        if metadata is None:
            found = {name: "is not there any more"}
        elif is_sound_name(name) or any(str(parent) in listing.files for parent in folder.parents):
            found = {name: f"is not there, but {metadata} names it"}
        else:  # with a folder, too much would be lost that nobody notices
            raise DrumblenderError(
                f"{listing.raw_dir / folder}, which {metadata} names in pack {pack!r}, does not "
                "exist; add it, or correct the metadata."
            )
    for name, problem in found.items():
        if name in kits.archives and name != archive:
            for file in kits.archives[name]:
                if not _is_junk(file):
                    yield file, kits.unusable.get(file, "")
        for missing in kits.missing.get(name, ()):
            yield missing, f"is not there, but {name} names it"
        if name in kits.archives:
            inside = f"{name}/"
            yield from (x for x in kits.broken.items() if x[0].startswith(inside))
        if problem or name in kits.broken or name not in kits.descriptions:
            yield name, problem or kits.broken.get(name, "")


def _is_junk(name: str) -> bool:
    return any(map(is_junk, PurePosixPath(name).parts))


class _Listing:
    """All files below a raw folder, each once, whatever links lead to it.

    Args:
        raw_dir: the raw folder.

    Attributes:
        files: name -> why it cannot be read, or nothing. A folder is among them only where it
            cannot be read.
    """

    def __init__(self, raw_dir: Path):
        self.raw_dir = raw_dir
        self.files: Dict[str, str] = dict(files_below(raw_dir))
        self._sorted = sorted(self.files)

    def kits(self) -> Kits:
        """The kits among the files."""
        return read_kits(self.raw_dir, (n for n, problem in self.files.items() if not problem))

    def under(self, folder: str, as_said: bool = False) -> Dict[str, str]:
        """The part of ``files`` that is one file, or in one folder.

        Args:
            folder: relative to the raw folder.
            as_said: somebody names it, then it is read by that name.
        """
        found = {name: self.files[name] for name in under(self._sorted, folder)}
        # Raw metadata may name by a link what the listing has by its own name, or what is hidden.
        if as_said and found.get(folder) not in (None, "", ABOVE):
            found = {}
        return found or dict(files_below(self.raw_dir, folder))
