"""The content of a raw folder: sounds with their sample pack, type and instrument.

Raw metadata says which they are, if there is some (see
:mod:`~drumblender.data.library.raw_metadata`). Without it every sub-folder of the raw folder is a
sample pack, and so is every kit. What nobody says is recognized from names.
"""

import os
import posixpath
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple, Union

from drumblender.data.library.filenames import is_sound_name, under
from drumblender.data.library.kits import Kits, Mention, read_kits
from drumblender.data.library.names import recognize_instrument, recognize_type
from drumblender.data.library.raw_metadata import folders_of, read_raw_metadata
from drumblender.data.library.sounds import RawSound, key_of, with_keys_of_their_own
from drumblender.errors import DrumblenderError
from drumblender.files.listing import ABOVE, files_below, is_junk
from drumblender.files.paths import as_seen_from

PathLike = Union[str, Path]


@dataclass(frozen=True)
class Library:
    """The content of a raw folder.

    Attributes:
        sounds: all files that may be sounds, sorted by key.
        left_out: files that the raw metadata does not name, each with a reason.
    """

    sounds: List[RawSound]
    left_out: List[Tuple[str, str]] = field(default_factory=list)


def find_sounds(raw_dir: Path, meta_file: PathLike) -> List[RawSound]:
    """Find the sounds of a raw folder, as :func:`read_library` does."""
    return read_library(raw_dir, meta_file).sounds


def read_library(raw_dir: Path, meta_file: PathLike, is_part: bool = False) -> Library:
    """Find all files of a raw folder, and what names, kits and metadata say about them.

    Args:
        raw_dir: the raw folder.
        meta_file: raw metadata, relative to the raw folder. If it does not exist, folders are
            sample packs.
        is_part: whether the folder is a part of a library, which may hold no sound.

    Raises:
        DrumblenderError: if there is no such folder, if it holds no files, or if its metadata names
            none of them.
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
    packs = read_raw_metadata(path) if described else _packs_of_folders(listing, kits)
    own = _name_of(raw_dir, path)
    entries = [
        (pack, content, PurePosixPath(folder["path"]), folder)
        for pack, content in packs.items()
        for folder in folders_of(pack, content, path)
    ]
    # Where folders are nested, the inner one says more about its files.
    entries.sort(key=lambda entry: -len(entry[2].parts))
    sounds: Dict[str, RawSound] = {}
    for pack, content, folder, further in entries:
        said = ("path", "folders", "type", "instrument")
        extra = {k: v for k, v in {**content, **further}.items() if k not in said}
        for name, problem in _candidates(listing, folder, kits, path if described else None, pack):
            if name in sounds or name == own:
                continue
            mention = kits.mentions.get(name, Mention(pack))
            pack_of_sound = pack if described else mention.pack
            sounds[name] = RawSound(
                name=name,
                key=key_of(pack_of_sound, name),
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
    if not sounds and left_out and not is_part:
        first = "; ".join(" ".join(entry) for entry in left_out[:3])
        raise DrumblenderError(
            f"{path} names none of the {len(left_out)} files in {raw_dir} ({first}); correct it, "
            "or put recordings there and write it again with drumblender-dataset CONFIG --init."
        )
    if not sounds and not is_part:
        raise DrumblenderError(f"{raw_dir} holds no files; put recordings there.")
    return Library(
        sorted(with_keys_of_their_own(sounds.values()), key=lambda sound: sound.key), left_out
    )


def _left_out(
    listing: "_Listing", kits: Kits, sounds: Mapping[str, RawSound], own: str
) -> List[Tuple[str, str]]:
    """List the files that neither the metadata names nor kits use, each with a reason."""
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
    """Return the name that a file has, or would have, relative to the raw folder."""
    return as_seen_from(os.path.realpath(raw_dir), os.path.realpath(path))


def pack_folders(raw_dir: Path) -> Dict[str, List[str]]:
    """List the folders and files of each sample pack, as they are without raw metadata."""
    listing = _Listing(raw_dir)
    packs = _packs_of_folders(listing, listing.kits())
    return {
        pack: [path for path in content["folders"] if not listing.files.get(path)]
        for pack, content in packs.items()
    }


def _packs_of_folders(listing: "_Listing", kits: Kits) -> Dict[str, Dict[str, Any]]:
    """Make raw metadata where there is none, with each kit and each folder as a sample pack."""
    packs: Dict[str, Dict[str, Any]] = {}
    raw_dir = listing.raw_dir

    def add(pack: str, path: str) -> None:
        """Add a path to a sample pack."""
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
    """Find the files of a folder, an archive or a kit that may be sounds.

    Args:
        listing: all files of the raw folder.
        folder: a folder or a file in the raw folder.
        kits: the kits of the raw folder.
        metadata: the raw metadata that names the folder, if there is some.
        pack: the sample pack that the folder belongs to.

    Yields:
        The name of a file, and why it cannot be a sound, or an empty text.
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
    """Return whether an operating system left a file behind, or a folder that it is in."""
    return any(map(is_junk, PurePosixPath(name).parts))


class _Listing:
    """All files below a raw folder, each once, whatever links lead to it.

    Args:
        raw_dir: the raw folder.

    Attributes:
        files: maps names to why they cannot be read, or to an empty text. A folder is among them
            only if it cannot be read.
    """

    def __init__(self, raw_dir: Path):
        self.raw_dir = raw_dir
        self.files: Dict[str, str] = dict(files_below(raw_dir))
        self._sorted = sorted(self.files)

    def kits(self) -> Kits:
        """Read the kits among the files."""
        return read_kits(self.raw_dir, (n for n, problem in self.files.items() if not problem))

    def under(self, folder: str, as_said: bool = False) -> Dict[str, str]:
        """Return the files of one folder, or one file, in the form of ``files``.

        Args:
            folder: name relative to the raw folder.
            as_said: whether metadata says the name, so that it is read by that name.
        """
        found = {name: self.files[name] for name in under(self._sorted, folder)}
        # Raw metadata may name by a link what the listing has by its own name, or what is hidden.
        if as_said and found.get(folder) not in (None, "", ABOVE):
            found = {}
        return found or dict(files_below(self.raw_dir, folder))
