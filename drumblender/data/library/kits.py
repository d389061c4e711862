"""Drum kits of samplers: what Hydrogen and SFZ kits in a raw folder say about its files.

A Hydrogen kit is a folder with ``drumkit.xml``, or an archive of such folders (``.h2drumkit``). An
SFZ kit is a text file ``.sfz`` beside or above its samples. Both name the instruments that files
belong to, which the files' own names often do not. Kits come from the internet, so a file that
cannot be read, or that points outside the raw folder, is noted and left out.
"""

import os
import posixpath
import re
import stat
import zlib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Dict, Iterable, List, Set, Tuple

from drumblender.data.library import hydrogen
from drumblender.data.library.filenames import Names
from drumblender.data.library.names import general_midi_name
from drumblender.data.library.sfz import note_number, read_sfz
from drumblender.errors import DrumblenderError, trace
from drumblender.files import archives
from drumblender.files.paths import joined
from drumblender.files.text import printable

SFZ = ".sfz"
_IN_ARCHIVE = re.compile(re.escape(hydrogen.ARCHIVE_SUFFIX) + "(?=/)", re.IGNORECASE)
_LONGEST_FILE = 16 << 20
_LONGEST_LABEL = 200
_LONGEST_NAME = 255  # in bytes; no file system takes more
_LONGEST_PATH = 4096


@dataclass(frozen=True)
class Mention:
    """A statement of a kit about one file.

    Attributes:
        pack: name of the kit, which is that of a sample pack.
        labels: names of its instrument, the best first.
        hints: names that count only if nothing else tells the instrument.
    """

    pack: str
    labels: Tuple[str, ...] = ()
    hints: Tuple[str, ...] = ()


@dataclass
class Kits:
    """All kits of a raw folder. Files are named by their path in it, with ``/``.

    Attributes:
        mentions: maps files to what a kit says about them.
        descriptions: files that describe kits, and hence are no sounds.
        packs: maps the folder or archive of a kit to the kit's name.
        archives: maps archives to their files, sorted. A file in an archive is named as if that
            were a folder.
        missing: maps descriptions to files that they name and that do not exist.
        broken: maps descriptions to why they cannot be read, or not all of them.
        unusable: maps files in an archive to why they cannot be unpacked.
    """

    mentions: Dict[str, Mention] = field(default_factory=dict)
    descriptions: Set[str] = field(default_factory=set)
    packs: Dict[str, str] = field(default_factory=dict)
    archives: Dict[str, List[str]] = field(default_factory=dict)
    missing: Dict[str, List[str]] = field(default_factory=dict)
    broken: Dict[str, str] = field(default_factory=dict)
    unusable: Dict[str, str] = field(default_factory=dict)

    def archive_of(self, name: str) -> str:
        """Return the archive that holds a file, or an empty text if none does."""
        for match in _IN_ARCHIVE.finditer(name):
            if name[: match.end()] in self.archives:
                return name[: match.end()]
        return ""


def read_kits(raw_dir: Path, names: Iterable[str]) -> Kits:
    """Read all kits among the files of a raw folder. A kit that cannot be read is noted.

    Args:
        raw_dir: the folder.
        names: its regular files.
    """
    kits = Kits()
    names = sorted(names)
    described = [name for name in names if is_description(name)]
    if not described:
        return kits
    there = Names(names)
    for name in described:
        try:
            if name.lower().endswith(hydrogen.ARCHIVE_SUFFIX):
                _read_archive(raw_dir, name, kits)
            elif name.lower().endswith(SFZ):
                _read_sfz(raw_dir, name, kits, there)
            else:
                folder = PurePosixPath(name).parent
                pack = folder.name or raw_dir.resolve().name
                mentions = _hydrogen_mentions(_content(raw_dir, name), pack)
                kits.packs[str(folder)] = pack
                _add(kits, name, folder, mentions, there)
        except Exception as error:  # whatever one kit does, the others go on
            trace(error)
            kits.broken[name] = f"is no kit that can be read ({_reason(error)})"
    kits.descriptions -= kits.broken.keys()
    return kits


def is_description(name: str) -> bool:
    """Return whether a file describes a kit, judged by its name."""
    lower = name.lower()
    is_kit = lower.endswith((SFZ, hydrogen.ARCHIVE_SUFFIX))
    return is_kit or lower.rpartition("/")[2] == hydrogen.DESCRIPTION


def _reason(error: Exception) -> str:
    """Say what was wrong with a kit."""
    text = getattr(error, "strerror", None) or str(error).rstrip(".") or type(error).__name__
    known = isinstance(error, (DrumblenderError, OSError, ValueError, SyntaxError))
    return printable(text if known else f"{type(error).__name__}: {text}")


def _content(raw_dir: Path, name: str) -> bytes:
    """Read a description that is a file of its own."""
    path = raw_dir / name
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is no regular file")
    if status.st_size > _LONGEST_FILE:
        raise ValueError(f"it is larger than {_LONGEST_FILE >> 20} MiB")
    return path.read_bytes()


def _add(
    kits: Kits,
    description: str,
    folder: PurePosixPath,
    mentions: Iterable[Tuple[str, Mention]],
    there: Names,
) -> None:
    """Enter what a description says about files, whose names are relative to ``folder``."""
    kits.descriptions.add(description)
    missing = set()
    for file, mention in mentions:
        path = joined(folder, file)
        name = there.find_sound(path)
        if name is None and path == ".":
            continue  # the raw folder itself, which is no file
        if name is None:
            missing.add(path)
        elif not (name in kits.mentions and kits.mentions[name].labels):
            kits.mentions[name] = mention
    kits.missing[description] = sorted({*kits.missing.get(description, ()), *missing})


def _label(text: str) -> str:
    """Return the beginning of a label, because searching a long one would take too long."""
    return text[:_LONGEST_LABEL]


# --- Hydrogen ------------------------------------------------------------------------------------


def _read_archive(raw_dir: Path, name: str, kits: Kits) -> None:
    """Enter the kits of a Hydrogen archive, and the files that it holds."""
    descriptions: Dict[PurePosixPath, bytes] = {}
    members: Set[PurePosixPath] = set()
    problems: archives.Problems = {}
    size = 0
    for member, content in archives.read_some(raw_dir / name, _is_drumkit_xml, problems):
        members.add(member)
        if content is not None:
            size += len(content)
            if size > _LONGEST_FILE:
                raise ValueError(f"what describes it is larger than {_LONGEST_FILE >> 20} MiB")
            descriptions[member] = content  # of two of one name the last one counts, as in tar
    if not descriptions:
        raise DrumblenderError(f"it holds no {hydrogen.DESCRIPTION}")
    stem = PurePosixPath(name).stem
    kits.packs[name] = stem
    for member in sorted((members | problems.keys()) - descriptions.keys()):
        file = f"{name}/{member}"
        length = len(os.fsencode(file))
        longest = max(len(os.fsencode(part)) for part in member.parts or ("",))
        if member in problems:
            kits.unusable[file] = problems[member]
        elif length > _LONGEST_PATH:
            file = f"{file[:_LONGEST_NAME]}…{zlib.crc32(os.fsencode(file)):08x}"
            kits.unusable[file] = f"has a path of {length} bytes, more than any file may have"
        elif longest > _LONGEST_NAME:
            kits.unusable[file] = f"has a name of {longest} bytes, more than any file may have"
        kits.archives.setdefault(name, []).append(file)
    files = kits.archives.setdefault(name, [])
    files.sort()
    there = Names(files)
    for member, xml in sorted(descriptions.items()):
        # Several kits in one archive are packs of their own.
        pack = stem if len(descriptions) == 1 else member.parent.name or stem
        try:
            mentions = _hydrogen_mentions(xml, pack)
        except Exception as error:
            if len(descriptions) == 1:
                raise
            kits.broken[f"{name}/{member}"] = f"is no kit that can be read ({_reason(error)})"
            continue
        _add(kits, name, PurePosixPath(name) / member.parent, mentions, there)


def _is_drumkit_xml(member: PurePosixPath) -> bool:
    """Return whether a file of an archive describes a kit."""
    return member.name == hydrogen.DESCRIPTION


def _hydrogen_mentions(xml: bytes, pack: str) -> List[Tuple[str, Mention]]:
    """List the files of a Hydrogen kit, each with what the kit says about it."""
    found = hydrogen.instruments(xml)
    return [(file, Mention(pack, (_label(name),) if name else ())) for file, name in found]


# --- SFZ -----------------------------------------------------------------------------------------


def _read_sfz(raw_dir: Path, name: str, kits: Kits, there: Names) -> None:
    """Enter an SFZ kit with the parts that it includes."""
    if name in kits.descriptions:  # a part of another
        return
    path = PurePosixPath(name)
    kit = read_sfz(name, lambda part: _content(raw_dir, part), there.find)
    files = [joined(path.parent, region["sample"]) for region in kit.regions]
    pack = _sfz_pack(raw_dir, path, files)
    mentions = [
        (region["sample"], Mention(pack, _labels(region), (path.stem, *_key_name(region))))
        for region in kit.regions
    ]
    _add(kits, name, path.parent, mentions, there)
    # A part names files by the folder of the whole, and says less than that.
    for part in kit.parts:
        kits.missing.pop(part, None)
        kits.broken.pop(part, None)
    kits.descriptions.update(kit.parts)
    if kit.problems:
        raise ValueError("; ".join(kit.problems))


def _labels(region: Dict[str, str]) -> Tuple[str, ...]:
    """List the names of a region and of what it is part of, the region's own first."""
    names = ("region_label", "group_label", "master_label", "global_label")
    return tuple(_label(region[name]) for name in names if region.get(name))


def _key_name(region: Dict[str, str]) -> List[str]:
    """Return the drum of General MIDI on a region's key, or nothing if it has several keys."""
    key = region.get("key", region.get("lokey", ""))
    if "key" not in region and region.get("hikey") != key:
        return []
    number = note_number(key)
    if number is None:
        return []
    for opcode, semitones in (("note_offset", 1), ("octave_offset", 12)):
        offset = region.get(opcode, "0")
        if re.fullmatch(r"[+-]?\d{1,3}", offset):
            number += semitones * int(offset)
    return [general_midi_name(number)]


def _sfz_pack(raw_dir: Path, path: PurePosixPath, files: List[str]) -> str:
    """Return the sample pack of a kit: the folder of the kit and its samples, or of the samples."""
    inside = {str(PurePosixPath(file).parent) for file in files if not file.startswith(("..", "/"))}
    for folders in ([str(path.parent), *inside], list(inside)):
        common = posixpath.commonpath(folders) if folders else ""
        if common not in ("", "."):
            return PurePosixPath(common).name
    return raw_dir.resolve().name
