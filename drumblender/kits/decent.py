"""Presets of Decent Sampler (``.dspreset``), as its developers' guide describes them.

Decent Sampler multiplies by the velocity, which is 1 at its highest, as Hydrogen does
(``ampVelTrack="1"``). So a layer that ends at half of it is written with twice the level: at the
highest velocity of a layer, the file is heard as it is.
"""

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path, PurePosixPath
from typing import Any, Dict, List, Mapping, Tuple

from drumblender.data.library.filenames import Names
from drumblender.data.library.hydrogen import parse
from drumblender.data.library.names import general_midi_name, recognize_instrument
from drumblender.errors import DrumblenderError
from drumblender.files.listing import files_below
from drumblender.files.paths import as_seen_from, joined
from drumblender.files.text import printable
from drumblender.kits.kit import HIGHEST, LOWEST, Drum, Hit, Kit, Layer, Zone, layers_of

SUFFIX = ".dspreset"
_LARGEST = 16 << 20  # bytes of a description

Sample = Mapping[str, str]


def read(path: Path) -> Kit:
    """Read a kit. Samples on one key are a drum.

    Raises:
        DrumblenderError: if it cannot be read.
    """
    try:
        with path.open("rb") as description:
            samples = parse(description.read(_LARGEST + 1), _Reader)
    except (OSError, ValueError, SyntaxError) as error:  # ParseError is a SyntaxError
        raise DrumblenderError(
            f"{path} is no preset of Decent Sampler that can be read ({str(error).rstrip('.')}); "
            "mend it."
        ) from error
    names = Names(name for name, problem in files_below(path.parent) if not problem)
    groups: Dict[str, int] = {}
    notes: List[str] = []
    found: Dict[int, List[Tuple[Sample, Zone]]] = {}
    for sample in samples:
        note = _key(sample)
        if note is None or sample.get("trigger", "attack") not in ("attack", "first"):
            continue
        file = names.find_sound(joined(PurePosixPath(), sample["path"]))
        if file is None:
            notes.append(printable(f"{path}: there is no file {sample['path']}; left out."))
        else:
            found.setdefault(note, []).append((sample, _zone(sample, note, Path(file))))
    drums = []
    for note, said in sorted(found.items()):
        layers, left_out = layers_of(zone for _, zone in said)
        drum = _drum(said[0][0], note, layers, groups)
        if left_out:
            notes.append(printable(f"{drum.name}: of samples that play together, one is taken."))
        drums.append(drum)
    kit = Kit(path.stem, tuple(drums), tuple(dict.fromkeys(notes)))
    return kit.with_files({file: path.parent / file for file in kit.files})


class _Reader:
    """A target of the parser that collects samples, with what they inherit from their groups."""

    def __init__(self) -> None:
        self._scopes: List[Dict[str, str]] = [{}]
        self._found: List[Dict[str, str]] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Enter a tag."""
        own = dict(attributes)
        if tag == "group" and "name" in own:
            own["group_name"] = own["name"]
        # Levels of a sample, its group and all groups add up.
        levels = [
            scope for scope in (self._scopes[-1].get("levels"), own.pop("volume", "")) if scope
        ]
        scope = {**self._scopes[-1], **own}
        if levels:
            scope["levels"] = " ".join(levels)
        self._scopes.append(scope)
        if tag == "sample" and scope.get("path") and scope.get("enabled", "true") != "false":
            self._found.append(scope)

    def end(self, tag: str) -> None:
        """Leave a tag."""
        self._scopes.pop()

    def close(self) -> List[Dict[str, str]]:
        """Return what was found."""
        return self._found


def _key(sample: Sample) -> Any:
    """Return the key of a sample that plays a drum: the one that plays it at its own pitch."""
    low, high = int(_number(sample, "loNote", 0)), int(_number(sample, "hiNote", 127))
    key = min(max(low, int(_number(sample, "rootNote", low))), high)
    return key if 0 <= key <= 127 else None


def _zone(sample: Sample, note: int, file: Path) -> Zone:
    """Read what a kit says about one file."""
    low = max(LOWEST, min(HIGHEST, int(_number(sample, "loVel", LOWEST))))
    high = max(low, min(HIGHEST, int(_number(sample, "hiVel", HIGHEST))))
    turn = None
    if sample.get("seqMode", "always") != "always":
        turn = _number(sample, "seqPosition", 1)
    track = max(0.0, min(1.0, _number(sample, "ampVelTrack", 1)))
    gain = 20 * math.log10(1 - track * (1 - high / HIGHEST))
    gain += sum(map(_decibels, sample.get("levels", "").split()))
    pitch = _number(sample, "tuning", 0) + _number(sample, "groupTuning", 0)
    pitch += _number(sample, "globalTuning", 0)
    root = _number(sample, "rootNote", note)
    pitch += (note - root) * _number(sample, "pitchKeyTrack", 1)
    return Zone(note, low, high, turn, Hit(file, gain, pitch))


def _decibels(text: str) -> float:
    """Return a level in dB that is written as a factor, or in dB."""
    is_decibels = text.lower().endswith("db")
    value = _number({"level": text[:-2] if is_decibels else text}, "level", 0 if is_decibels else 1)
    return value if is_decibels else 20 * math.log10(max(value, 1e-5))


def _drum(sample: Sample, note: int, layers: Tuple[Layer, ...], groups: Dict[str, int]) -> Drum:
    """Read what a kit says about the drum on one key. Tags get numbers as groups."""
    file = layers[-1].hits[0].file
    labels = [sample["group_name"]] if sample.get("group_name") else []
    silencing = [tag.strip() for tag in sample.get("silencedByTags", "").split(",") if tag.strip()]
    tags = [tag.strip() for tag in sample.get("tags", "").split(",") if tag.strip()]
    name = labels[0] if labels else file.stem

    def number(tags: List[str]) -> int:
        """Return the number of the first tag. 0 stands for none."""
        return groups.setdefault(tags[0], len(groups) + 1) if tags else 0

    return Drum(
        name=name,
        instrument=recognize_instrument(file.as_posix(), "", labels, [general_midi_name(note)]),
        note=note,
        layers=layers,
        pan=max(-1.0, min(1.0, _number(sample, "pan", 0) / 100)),
        group=number(tags),
        off_by=number(silencing),
    )


def _number(sample: Sample, name: str, usual: float) -> float:
    """Return a number that a sample says, or the usual one if it says none that is finite."""
    try:
        number = float(sample.get(name, usual))
    except ValueError:
        return usual
    return number if math.isfinite(number) else usual


def write(path: Path, kit: Kit) -> None:
    """Write a kit, whose files are named relative to it. There is one group for each drum."""
    root = ElementTree.Element("DecentSampler", {"minVersion": "1.6.0"})
    # Samples play to their ends, whenever a note ends.
    inside = ElementTree.SubElement(root, "groups", {"ampEnvEnabled": "false", "ampVelTrack": "1"})
    for drum in kit.drums:
        group = ElementTree.SubElement(inside, "group", _group(drum))
        for layer in drum.layers:
            for index, hit in enumerate(layer.hits):
                said = _sample(drum, layer, index, hit, path.parent)
                ElementTree.SubElement(group, "sample", said)
    ElementTree.indent(root, " ")
    text = ElementTree.tostring(root, encoding="utf-8")
    path.write_bytes(b'<?xml version="1.0" encoding="UTF-8"?>\n' + text + b"\n")


def _group(drum: Drum) -> Dict[str, str]:
    """Return what is written about a drum."""
    said = {"name": drum.name}
    if drum.pan:
        said["pan"] = f"{100 * drum.pan:.6g}"
    if drum.group:
        said["tags"] = f"choke{drum.group}"
    if drum.off_by:
        said.update(silencedByTags=f"choke{drum.off_by}", silencingMode="fast")
    return said


def _sample(drum: Drum, layer: Layer, index: int, hit: Hit, folder: Path) -> Dict[str, str]:
    """Return what is written about a file."""
    note = str(drum.note)
    said = {
        "path": as_seen_from(folder, hit.file),
        "rootNote": note,
        "loNote": note,
        "hiNote": note,
        "loVel": str(layer.low),
        "hiVel": str(layer.high),
    }
    level = hit.gain - 20 * math.log10(layer.high / HIGHEST)
    if level:
        said["volume"] = f"{level:.4f}dB"
    if hit.pitch:
        said["tuning"] = f"{hit.pitch:g}"
    if len(layer.hits) > 1:
        said.update(
            seqMode="round_robin", seqLength=str(len(layer.hits)), seqPosition=str(index + 1)
        )
    return said
