"""What is in a raw folder of recordings: sounds with their pack, type and instrument.

Raw metadata, where there is some, says so: pack -> {``type``: acoustic|electronic, ``folders``: a
list of paths, or name -> {``path``, any further keys}}. Paths are relative to the raw folder and
name a folder, a drum kit (see :mod:`drumblender.data.kits`) or a single file. Without it every
sub-folder of the raw folder is a pack, and so is every kit; what is not said is recognized from
names.
"""

import hashlib
import json
import os
import re
import shutil
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Tuple, Union

from drumblender.data import archives
from drumblender.data.kits import Kits, Mention, read_kits
from drumblender.data.names import TYPES, recognize_instrument, recognize_type
from drumblender.errors import DrumblenderError

PathLike = Union[str, Path]

_JUNK = re.compile(r"\..*|__MACOSX|Thumbs\.db|desktop\.ini|Icon\r?", re.IGNORECASE)


@dataclass(frozen=True)
class RawSound:
    """One file of a raw folder.

    Attributes:
        name: its path relative to the raw folder, with ``/``.
        key: names it in the dataset; depends on pack and name only, so it never changes.
        sample_pack_key: the pack.
        type: acoustic or electronic.
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


def find_sounds(raw_dir: Path, meta_file: PathLike) -> List[RawSound]:
    """All files of a raw folder that may be sounds, sorted by key.

    Args:
        raw_dir: the raw folder.
        meta_file: raw metadata, relative to the raw folder; the folder structure counts when it
            does not exist.
    """
    if not raw_dir.is_dir():
        raise DrumblenderError(
            f"There is no raw folder {raw_dir}; put the recordings there, "
            "or correct data_dir_unprocessed in the configuration."
        )
    path = raw_dir / meta_file
    kits = read_kits(raw_dir, _files(raw_dir, PurePosixPath(".")))
    described = path.is_file()
    packs = _read(path) if described else _packs_of_folders(raw_dir, kits)
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
        for name, problem in _candidates(raw_dir, folder, kits, path, pack):
            if name in sounds or raw_dir / name == path:
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
    if not sounds:
        raise DrumblenderError(f"{raw_dir} holds no files; put recordings there.")
    return sorted(sounds.values(), key=lambda sound: sound.key)


def pack_folders(raw_dir: Path) -> Dict[str, List[str]]:
    """Pack -> the folders and files that are it where no metadata says otherwise."""
    packs = _packs_of_folders(raw_dir, read_kits(raw_dir, _files(raw_dir, PurePosixPath("."))))
    return {pack: content["folders"] for pack, content in packs.items()}


def unpack_archives(raw_dir: Path, sounds: Iterable[RawSound], folder: Path) -> Dict[str, Path]:
    """Unpack the archives that hold sounds, and give the file to read for each such sound.

    Args:
        raw_dir: the raw folder.
        sounds: in it.
        folder: to unpack to; what is there goes.
    """
    shutil.rmtree(folder, ignore_errors=True)
    places: Dict[str, Path] = {}
    sources = {}
    for sound in sounds:
        if not sound.archive or sound.problem:
            continue
        if sound.archive not in places:
            places[sound.archive] = folder / str(len(places))
            archives.extract(raw_dir / sound.archive, places[sound.archive])
        source = places[sound.archive] / PurePosixPath(sound.name).relative_to(sound.archive)
        # As old as the archive, so that it counts as unchanged when it is unpacked again.
        time = (raw_dir / sound.archive).stat().st_mtime_ns
        os.utime(source, ns=(time, time))
        sources[sound.key] = source
    return sources


def fingerprint(keys: Iterable[str]) -> str:
    """A digest of a set of keys, by which shards tell that they are of the same library."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def _key(pack: str, name: str) -> str:
    identity = unicodedata.normalize("NFC", f"{pack}\n{name}").encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(identity).hexdigest()[:10]
    return "-".join([*filter(None, map(_slug, (pack, PurePosixPath(name).stem))), digest])


def _slug(text: str) -> str:
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:40]


def _read(path: Path) -> Dict[str, Dict[str, Any]]:
    try:
        packs = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DrumblenderError(f"{path} is not valid JSON ({error}); correct it.") from error
    if not isinstance(packs, dict) or not packs:
        raise DrumblenderError(f"{path} lists no sample pack; write pack -> {{type, folders}}.")
    for pack, content in packs.items():
        if not isinstance(content, dict) or not isinstance(content.get("folders"), (list, dict)):
            raise DrumblenderError(
                f"Pack {pack!r} in {path} has no 'folders'; write pack -> {{type, folders}}, "
                "folders being a list of paths or name -> {path}."
            )
        if content.get("type") not in (None, *TYPES):
            raise DrumblenderError(
                f"Pack {pack!r} in {path} is of type {content['type']!r}; "
                f"write {' or '.join(TYPES)}."
            )
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
        yield folder


def _packs_of_folders(raw_dir: Path, kits: Kits) -> Dict[str, Dict[str, Any]]:
    packs: Dict[str, Dict[str, Any]] = {}

    def add(pack: str, path: str) -> None:
        packs.setdefault(pack, {"folders": []})["folders"].append(path)

    for folder, pack in sorted(kits.packs.items()):
        if folder != ".":
            add(pack, folder)
    for path in sorted(raw_dir.iterdir()):
        if not _JUNK.fullmatch(path.name) and path.name not in kits.packs:
            add(path.name if path.is_dir() else raw_dir.resolve().name, path.name)
    return packs


def _candidates(
    raw_dir: Path, folder: PurePosixPath, kits: Kits, metadata: Path, pack: str
) -> Iterator[Tuple[str, str]]:
    """The files of a folder, an archive or a kit that may be sounds, with what is known against."""
    archive = str(folder) if str(folder) in kits.archives else kits.archive_of(str(folder))
    if archive:
        inside = f"{folder}/"
        files = [f for f in kits.archives[archive] if f == str(folder) or f.startswith(inside)]
        if not files:
            raise _not_there(raw_dir / folder, metadata, pack)
        names: Iterable[str] = [name for name in files if not _is_junk(name)]
        names = [*names, archive] if archive == str(folder) else names
    elif not (raw_dir / folder).exists():
        raise _not_there(raw_dir / folder, metadata, pack)
    else:
        names = _files(raw_dir, folder)
    for name in names:
        if name in kits.archives and name != archive:
            for file in kits.archives[name]:
                if not _is_junk(file):
                    yield file, ""
        for missing in kits.missing.get(name, ()):
            yield missing, f"is not there, but {name} names it"
        if name in kits.broken or name not in kits.descriptions:
            yield name, kits.broken.get(name, "")


def _not_there(path: Path, metadata: Path, pack: str) -> DrumblenderError:
    return DrumblenderError(
        f"{path}, which {metadata} names in pack {pack!r}, does not exist; "
        "add it, or correct the metadata."
    )


def _is_junk(name: str) -> bool:
    return any(_JUNK.fullmatch(part) for part in PurePosixPath(name).parts)


def _files(raw_dir: Path, folder: PurePosixPath) -> Iterator[str]:
    top = raw_dir / folder
    if not top.is_dir():
        yield str(folder)
        return
    visited = set()
    for here, folders, files in os.walk(top, followlinks=True):
        real = os.path.realpath(here)
        if real in visited:  # a link to a folder above itself
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not _JUNK.fullmatch(name))
        inside = Path(here).relative_to(raw_dir).as_posix()
        for name in sorted(files):
            if not _JUNK.fullmatch(name):
                yield name if inside == "." else f"{inside}/{name}"
