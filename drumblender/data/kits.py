"""Drum kits of samplers: what Hydrogen and SFZ kits in a raw folder say about its files.

A Hydrogen kit is a folder with ``drumkit.xml``, or that folder as an archive (``.h2drumkit``); an
SFZ kit is a text file ``.sfz`` (https://sfzformat.com) beside or above its samples. Both name the
instruments that files belong to, which the files' own names often do not. Kits come from the
internet: a file that cannot be read, or that points outside the raw folder, is noted and left out.
"""

import os
import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Dict, Iterable, Iterator, List, Set, Tuple

from drumblender.data import archives
from drumblender.data.names import general_midi_name
from drumblender.errors import DrumblenderError

HYDROGEN = "drumkit.xml"
HYDROGEN_ARCHIVE = ".h2drumkit"
SFZ = ".sfz"

_MOST_INCLUDES = 1000
_DEFINE = r"#define\s+(\$\w+)\s+(\S+)"
_NOTE = re.compile(r"([a-g])([#b]?)(-?\d)", re.IGNORECASE)


@dataclass(frozen=True)
class Mention:
    """What a kit says about one file.

    Attributes:
        pack: the kit's name.
        labels: names of its instrument, the best first.
        hints: what may tell the instrument if nothing else does.
    """

    pack: str
    labels: Tuple[str, ...] = ()
    hints: Tuple[str, ...] = ()


@dataclass
class Kits:
    """All kits of a raw folder; files are named by their path in it, with ``/``.

    Attributes:
        mentions: file -> what a kit says about it.
        descriptions: files that describe kits and are no sounds.
        packs: folder or archive of a kit -> the kit's name.
        archives: archive -> its files. A file in an archive is named as if that were a folder.
        missing: description -> files that it names and that are not there.
        broken: description -> why it cannot be read.
    """

    mentions: Dict[str, Mention] = field(default_factory=dict)
    descriptions: Set[str] = field(default_factory=set)
    packs: Dict[str, str] = field(default_factory=dict)
    archives: Dict[str, List[str]] = field(default_factory=dict)
    missing: Dict[str, List[str]] = field(default_factory=dict)
    broken: Dict[str, str] = field(default_factory=dict)

    def archive_of(self, name: str) -> str:
        """The archive that holds a file; empty when none does."""
        if HYDROGEN_ARCHIVE in name.lower():
            for parent in PurePosixPath(name).parents:
                if str(parent) in self.archives:
                    return str(parent)
        return ""


def read_kits(raw_dir: Path, names: Iterable[str]) -> Kits:
    """Read all kits among the files of a raw folder.

    Args:
        raw_dir: the folder.
        names: its files.
    """
    kits = Kits()
    names = sorted(names)
    described = [name for name in names if _is_description(name)]
    if not described:
        return kits
    # SFZ kits are mostly written on systems that ignore case.
    there = {_folded(name): name for name in names}
    for name in described:
        try:
            if name.lower().endswith(HYDROGEN_ARCHIVE):
                _read_archive(raw_dir, name, kits)
            elif name.lower().endswith(SFZ):
                _read_sfz(raw_dir, name, kits, there)
            else:
                folder = PurePosixPath(name).parent
                pack = folder.name or raw_dir.resolve().name
                mentions = _hydrogen_mentions((raw_dir / name).read_bytes(), pack)
                kits.packs[str(folder)] = pack
                _add(kits, name, folder, mentions, there)
        except (OSError, ElementTree.ParseError, DrumblenderError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error).rstrip(".")
            kits.broken[name] = f"is no kit that can be read ({reason})"
    kits.descriptions -= kits.broken.keys()
    return kits


def _is_description(name: str) -> bool:
    lower = name.lower()
    return lower.endswith((SFZ, HYDROGEN_ARCHIVE)) or lower.rpartition("/")[2] == HYDROGEN


def _add(
    kits: Kits,
    description: str,
    folder: PurePosixPath,
    mentions: Iterable[Tuple[str, Mention]],
    there: Dict[str, str],
) -> None:
    """Enter what a description says, with file names relative to ``folder``."""
    kits.descriptions.add(description)
    missing = set()
    for file, mention in mentions:
        path = os.path.normpath(str(folder / file.replace("\\", "/")))
        name = there.get(_folded(path))
        if name is None:
            missing.add(path)
        elif not (name in kits.mentions and kits.mentions[name].labels):
            kits.mentions[name] = mention
    kits.missing[description] = sorted(missing)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


# --- Hydrogen ------------------------------------------------------------------------------------


def _read_archive(raw_dir: Path, name: str, kits: Kits) -> None:
    xml, files = b"", []
    top = None
    for member, content in archives.read_files(raw_dir / name, lambda path: path.name == HYDROGEN):
        if content is not None and (top is None or len(member.parts) < len(top.parts)):
            top, xml = member, content
        files.append(str(member))
    if top is None:
        raise DrumblenderError(f"it holds no {HYDROGEN}")
    pack = PurePosixPath(name).stem
    mentions = _hydrogen_mentions(xml, pack)
    kits.archives[name] = sorted(f"{name}/{file}" for file in files if file != str(top))
    kits.packs[name] = pack
    there = {_folded(file): file for file in kits.archives[name]}
    _add(kits, name, PurePosixPath(name) / top.parent, mentions, there)


def _hydrogen_mentions(xml: bytes, pack: str) -> List[Tuple[str, Mention]]:
    """Files and instruments of a ``drumkit.xml``, of any version of Hydrogen.

    >>> xml = b"<drumkit_info><instrumentList><instrument><name>Tom 1</name><layer><filename>a.wav"
    >>> xml += b"</filename></layer></instrument></instrumentList></drumkit_info>"
    >>> _hydrogen_mentions(xml, "Kit")
    [('a.wav', Mention(pack='Kit', labels=('Tom 1',), hints=()))]
    """
    mentions = []
    for instrument in _xml(xml).iter():
        if _tag(instrument) != "instrument":
            continue
        name = next((e.text for e in instrument if _tag(e) == "name" and e.text), "")
        for element in instrument.iter():
            if _tag(element) == "filename" and element.text:
                mentions.append((element.text.strip(), Mention(pack, (name,) if name else ())))
    return mentions


def _xml(content: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(content)
    except ElementTree.ParseError:
        # Old versions wrote names in the encoding of the day, and control characters.
        text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]|<\?xml[^>]*\?>", "", content.decode("latin-1"))
        return ElementTree.fromstring(text)


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


# --- SFZ -----------------------------------------------------------------------------------------


def _read_sfz(raw_dir: Path, name: str, kits: Kits, there: Dict[str, str]) -> None:
    if name in kits.descriptions:  # a part of another
        return
    path = PurePosixPath(name)
    text, included = _sfz_text(raw_dir, name, there)
    regions = list(sfz_regions(text))
    files = [
        os.path.normpath(str(path.parent / region["sample"].replace("\\", "/")))
        for region in regions
    ]
    pack = _sfz_pack(raw_dir, path, files)
    mentions = [
        (region["sample"], Mention(pack, _labels(region), (path.stem, *_key_name(region))))
        for region in regions
    ]
    _add(kits, name, path.parent, mentions, there)
    # A part names files by the folder of the whole, and says less than that.
    for part in included:
        kits.missing.pop(part, None)
        kits.broken.pop(part, None)
    kits.descriptions.update(included)


def _sfz_text(raw_dir: Path, name: str, there: Dict[str, str]) -> Tuple[str, Set[str]]:
    """A kit's text with the files that it includes in place, and their names."""
    folder = PurePosixPath(name).parent
    included: Set[str] = set()
    count = 0

    def read(name: str, parents: Tuple[str, ...]) -> str:
        nonlocal count
        count += 1
        if name in parents or count > _MOST_INCLUDES:
            raise ValueError(f"{name} includes itself" if name in parents else "too many parts")
        text = (raw_dir / name).read_bytes().decode("utf-8-sig", "replace")
        text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
        lines = []
        for line in text.splitlines():
            line = re.sub(r"(?:^|\s)//.*", "", line)
            match = re.match(r'\s*#include\s*"([^"]+)"', line)
            if match:
                path = os.path.normpath(str(folder / match[1].replace("\\", "/")))
                part = there.get(_folded(path))
                if part is None:
                    raise ValueError(f"it includes {match[1]}, which is not there")
                included.add(part)
                line = read(part, (*parents, name))
            lines.append(line)
        return "\n".join(lines)

    return read(name, ()), included


def sfz_regions(text: str) -> Iterator[Dict[str, str]]:
    r"""The regions of an SFZ kit that play a file, with all opcodes that hold for them.

    ``sample`` comes with ``default_path`` in front.

    Args:
        text: the kit, without comments and includes.

    >>> kit = "<control> default_path=Kit\\ <group> key=36 <region> sample=Big Kick.wav volume=3"
    >>> next(sfz_regions(kit))
    {'default_path': 'Kit\\', 'key': '36', 'sample': 'Kit\\Big Kick.wav', 'volume': '3'}
    """
    levels = ("control", "global", "master", "group", "region")
    scopes: Dict[str, Dict[str, str]] = {level: {} for level in levels}
    defines: Dict[str, str] = {}
    level = ""

    def region() -> Iterator[Dict[str, str]]:
        opcodes: Dict[str, str] = {}
        for name in levels:
            opcodes.update(scopes[name])
        sample = opcodes.get("sample", "")
        if level == "region" and sample and not sample.startswith("*"):  # *sine makes its sound
            yield {**opcodes, "sample": opcodes.get("default_path", "") + sample}

    for line in text.splitlines():
        defines.update(re.findall(_DEFINE, line))
        line = re.sub(_DEFINE, "", line)
        # The longest name first: $KICK and $KICK2 may both exist.
        for name in sorted(defines, key=len, reverse=True):
            line = line.replace(name, defines[name])
        for header, opcode, value in re.findall(
            r"<(\w+)>|([\w$]+)=(.*?)(?=\s+[\w$]+=|\s*<|\s*$)", line
        ):
            if not header:
                if level in scopes:
                    scopes[level][opcode.lower()] = value.strip()
                continue
            yield from region()
            level = header.lower()
            if level != "control" and level in levels:
                for lower in levels[levels.index(level) :]:
                    scopes[lower] = {}
    yield from region()


def _labels(region: Dict[str, str]) -> Tuple[str, ...]:
    names = ("region_label", "group_label", "master_label", "global_label")
    return tuple(region[name] for name in names if region.get(name))


def _key_name(region: Dict[str, str]) -> List[str]:
    """What General MIDI has on a region's key, if it has a single one."""
    key = region.get("key", region.get("lokey", ""))
    if "key" not in region and region.get("hikey") != key:
        return []
    note = _NOTE.fullmatch(key)
    if note:
        semitone = "c d ef g a b".index(note[1].lower())
        shift = {"#": 1, "b": -1, "": 0}[note[2].lower()]
        key = str(12 * (int(note[3]) + 1) + semitone + shift)
    return [general_midi_name(int(key))] if re.fullmatch(r"\d{1,3}", key) else []


def _sfz_pack(raw_dir: Path, path: PurePosixPath, files: List[str]) -> str:
    """The folder that holds a kit and its samples; else, the samples."""
    inside = [str(PurePosixPath(file).parent) for file in files if not file.startswith(("..", "/"))]
    for folders in ([str(path.parent), *inside], inside):
        common = os.path.commonpath(folders) if folders else ""
        if common not in ("", "."):
            return PurePosixPath(common).name
    return raw_dir.resolve().name
