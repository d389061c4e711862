"""Hydrogen's kits: a folder with ``drumkit.xml``, or an archive of one (``.h2drumkit``).

Hydrogen plays a hit at the level of its file times the gains of layer, component and instrument
times the velocity, which is 1 at its highest. So a layer that ends at half of it is written with
twice the gain: at the highest velocity of a layer, the file is heard as it is.
"""

import gzip
import io
import math
import tarfile
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Dict, List, Mapping, Sequence, Tuple

from drumblender.data.library.filenames import Names
from drumblender.data.library.hydrogen import (
    ARCHIVE_SUFFIX,
    DESCRIPTION,
    Instrument,
    read_instruments,
)
from drumblender.data.library.names import recognize_instrument
from drumblender.errors import DrumblenderError
from drumblender.files import archives
from drumblender.files.listing import files_below
from drumblender.files.paths import joined
from drumblender.files.text import fitting, printable
from drumblender.kits.kit import HIGHEST, Drum, Hit, Kit, Layer, Zone, layers_of, plain

# Hydrogen 1.2 loads no more layers of an instrument than this, unless its settings say so.
MOST_LAYERS = 16
_NAMESPACE = "http://www.hydrogen-music.org/drumkit"
_LARGEST = 16 << 20  # bytes of a description


def read(path: Path, scratch: Path) -> Kit:
    """Read a kit.

    Args:
        path: ``drumkit.xml``, or an archive.
        scratch: an empty folder, where an archive is unpacked.

    Raises:
        DrumblenderError: if it cannot be read.
    """
    if path.name.lower().endswith(ARCHIVE_SUFFIX):
        return _read_archive(path, scratch)
    names = (name for name, problem in files_below(path.parent) if not problem)
    try:
        with path.open("rb") as file:
            xml = file.read(_LARGEST + 1)
        kit, wanted = _kit(xml, path.resolve().parent.name, Names(names))
    except (ValueError, SyntaxError) as error:  # ParseError is a SyntaxError
        raise _unreadable(path, error) from error
    return _placed(kit, {name: path.parent / name for name in wanted})


def _read_archive(path: Path, scratch: Path) -> Kit:
    """Read a kit in an archive, whose files are unpacked under their names behind numbers."""
    members: List[PurePosixPath] = []
    descriptions: Dict[PurePosixPath, bytes] = {}
    for member, content in archives.read_some(path, _is_description, {}):
        members.append(member)
        if content is not None:
            descriptions[member] = content
    if len(descriptions) != 1:
        number = "no kit" if not descriptions else f"{len(descriptions)} kits"
        raise DrumblenderError(f"{path} holds {number}; give an archive of one Hydrogen kit.")
    ((description, xml),) = descriptions.items()
    folder = description.parent
    inside = {joined(PurePosixPath(), str(member)): member for member in members}
    relative = {
        name[len(f"{folder}/") :] if str(folder) != "." else name: member
        for name, member in inside.items()
        if str(folder) == "." or name.startswith(f"{folder}/")
    }
    try:
        kit, wanted = _kit(xml, path.stem, Names(relative))
    except (ValueError, SyntaxError) as error:
        raise _unreadable(path, error) from error
    targets = {
        name: scratch / fitting(f"{number} {PurePosixPath(name).stem}", PurePosixPath(name).suffix)
        for number, name in enumerate(wanted)
    }
    if targets:
        archives.extract_some(path, {relative[name]: target for name, target in targets.items()})
    return _placed(kit, targets)


def _is_description(member: PurePosixPath) -> bool:
    """Return whether a file of an archive describes a kit."""
    return member.name == DESCRIPTION


def _unreadable(path: Path, error: Exception) -> DrumblenderError:
    """Make the error of a description that cannot be read."""
    reason = str(error).rstrip(".")
    return DrumblenderError(f"{path} is no Hydrogen kit that can be read ({reason}); mend it.")


def _placed(kit: Kit, targets: Mapping[str, Path]) -> Kit:
    """Replace names of files in a kit by their paths."""
    return kit.with_files({Path(name): path for name, path in targets.items()})


def _kit(xml: bytes, folder: str, there: Names) -> Tuple[Kit, List[str]]:
    """Read a description, and list the names of files that it plays."""
    drums, notes = [], []
    wanted: Dict[str, None] = {}
    for index, instrument in enumerate(read_instruments(xml)):
        name = instrument.says.get("name", "").strip() or f"Drum {index + 1}"
        zones = []
        components = [layer.get("component_component_id", "0") for layer in instrument.layers]
        if len(set(components)) > 1:
            notes.append(printable(f"{name}: of several components, the first one is taken."))
        for turn, layer in enumerate(instrument.layers):
            if components[turn] != components[0]:
                continue
            file = there.find_sound(joined(PurePosixPath(), layer["filename"]))
            if file is None:
                notes.append(printable(f"{name}: there is no file {layer['filename']}; left out."))
                continue
            wanted[file] = None
            zones.append(_zone(instrument, layer, turn, Path(file)))
        layers, left_out = layers_of(zones)
        if left_out:
            notes.append(printable(f"{name}: of samples that play together, one is taken."))
        if layers:
            drums.append(_drum(instrument, name, layers))
    return Kit(folder, tuple(drums), tuple(notes)), list(wanted)


def _zone(instrument: Instrument, layer: Mapping[str, str], turn: int, file: Path) -> Zone:
    """Read what a kit says about one file."""
    low = round(_number(layer, "min", 0.0) * HIGHEST + 0.5)
    high = math.floor(_number(layer, "max", 1.0) * HIGHEST + 0.5 - 1e-4)
    low, high = max(1, low), min(HIGHEST, max(high, low, 1))
    gain = _number(layer, "gain", 1.0) * _number(layer, "component_gain", 1.0)
    for name in ("gain", "volume"):
        gain *= _number(instrument.says, name, 1.0)
    left, right = (_number(instrument.says, f"pan_{side}", 1.0) for side in "LR")
    gain *= max(left, right)
    if instrument.says.get("applyVelocity", "true").strip().lower() != "false":
        gain *= high / HIGHEST
    pitch = _number(layer, "pitch", 0.0) + _number(instrument.says, "pitchOffset", 0.0)
    takes_turns = instrument.says.get("sampleSelectionAlgo", "").strip() != "VELOCITY"
    hit = Hit(file, 20 * math.log10(max(gain, 1e-5)), pitch)
    return Zone(0, low, high, float(turn) if takes_turns else None, hit)


def _drum(instrument: Instrument, name: str, layers: Tuple[Layer, ...]) -> Drum:
    """Read what a kit says about an instrument."""
    says = instrument.says
    left, right = (_number(says, f"pan_{side}", 1.0) for side in "LR")
    pan = _number(says, "pan", (right - left) / max(left, right, 1e-6))
    note = int(_number(says, "midiOutNote", -1))
    group = int(_number(says, "muteGroup", -1)) + 1
    return Drum(
        name=name,
        instrument=recognize_instrument(layers[-1].hits[0].file.as_posix(), before=[name]),
        note=note if 0 <= note <= 127 else None,
        layers=layers,
        pan=max(-1.0, min(1.0, pan)),
        group=max(0, group),
        off_by=max(0, group),
    )


def _number(says: Mapping[str, str], name: str, usual: float) -> float:
    """Return a number that a kit says, or the usual one if it says none that is finite."""
    try:
        number = float(says.get(name, usual))
    except ValueError:
        return usual
    return number if math.isfinite(number) else usual


def fitted(kit: Kit) -> Kit:
    """Return a kit with no more samples of a drum than Hydrogen loads, by fewer round robins.

    Velocity layers stay, unless they alone are too many: then the loudest ones stay.
    """
    drums = []
    for drum in kit.drums:
        layers = drum.layers[-MOST_LAYERS:]
        layers = (replace(layers[0], low=1), *layers[1:])
        most = MOST_LAYERS // len(layers)
        layers = tuple(replace(layer, hits=layer.hits[:most]) for layer in layers)
        drums.append(replace(drum, layers=layers))
    return replace(kit, drums=tuple(drums))


def write(path: Path, kit: Kit) -> None:
    """Write a kit as an archive, which holds its files.

    The archive has the same bytes for the same kit. Names in it are plain letters, because Hydrogen
    unpacks no others unless the system is set to UTF-8. Hydrogen knows one group of drums that end
    each other, so drums that are ended and drums that end them share it.
    """
    names = {file: file.name for file in kit.files}
    folder = plain(kit.name) or "Kit"
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w:", format=tarfile.GNU_FORMAT) as tar,
    ):
        text = ElementTree.tostring(_description(kit, names), encoding="utf-8")
        declared = b'<?xml version="1.0" encoding="UTF-8"?>\n' + text + b"\n"
        info = tarfile.TarInfo(f"{folder}/{DESCRIPTION}")
        info.size, info.mode = len(declared), 0o644
        tar.addfile(info, io.BytesIO(declared))
        for file, name in names.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size, info.mode = file.stat().st_size, 0o644
            with file.open("rb") as content:
                tar.addfile(info, content)


def _description(kit: Kit, names: Mapping[Path, str]) -> ElementTree.Element:
    """Make the XML of a kit, in the order that Hydrogen's schema asks for."""
    root = ElementTree.Element("drumkit_info", {"xmlns": _NAMESPACE})
    about = {"name": kit.name, "author": "", "info": "", "license": "", "image": ""}
    _add(root, {**about, "imageLicense": ""})
    component = ElementTree.SubElement(
        ElementTree.SubElement(root, "componentList"), "drumkitComponent"
    )
    _add(component, {"id": "0", "name": "Main", "volume": "1"})
    listed = ElementTree.SubElement(root, "instrumentList")
    for index, drum in enumerate(kit.drums):
        instrument = ElementTree.SubElement(listed, "instrument")
        _add(instrument, _says(index, drum, kit.drums))
        inside = ElementTree.SubElement(instrument, "instrumentComponent")
        _add(inside, {"component_id": "0", "gain": "1"})
        for layer in drum.layers:
            for hit in layer.hits:
                element = ElementTree.SubElement(inside, "layer")
                _add(element, _layer(layer, hit, names[hit.file]))
    ElementTree.indent(root, " ")
    return root


def _says(index: int, drum: Drum, drums: Sequence[Drum]) -> Dict[str, str]:
    """Return what is written about an instrument."""
    takes_turns = any(len(layer.hits) > 1 for layer in drum.layers)
    ending = {other.off_by for other in drums if other.off_by}
    mute = drum.off_by or (drum.group if drum.group in ending else 0)
    return {
        "id": str(index),
        "name": drum.name,
        "volume": "1",
        "isMuted": "false",
        "isSoloed": "false",
        "pan": f"{drum.pan:.6g}",
        "pitchOffset": "0",
        "randomPitchFactor": "0",
        "gain": "1",
        "applyVelocity": "true",
        "filterActive": "false",
        "filterCutoff": "1",
        "filterResonance": "0",
        "Attack": "0",
        "Decay": "0",
        "Sustain": "1",
        "Release": "1000",
        "muteGroup": str(mute - 1),
        "midiOutChannel": "-1",
        "midiOutNote": str(drum.note),
        "isStopNote": "false",
        "sampleSelectionAlgo": "ROUND_ROBIN" if takes_turns else "VELOCITY",
        "isHihat": "-1",
        "lower_cc": "0",
        "higher_cc": "127",
        "FX1Level": "0",
        "FX2Level": "0",
        "FX3Level": "0",
        "FX4Level": "0",
    }


def _layer(layer: Layer, hit: Hit, name: str) -> Dict[str, str]:
    """Return what is written about a file. Bounds lie between two velocities of MIDI."""
    low = 0.0 if layer.low == 1 else (layer.low - 0.5) / HIGHEST
    high = 1.0 if layer.high == HIGHEST else (layer.high + 0.5) / HIGHEST
    gain = 10 ** (hit.gain / 20) * HIGHEST / layer.high
    return {
        "filename": name,
        "min": f"{low:.6f}",
        "max": f"{high:.6f}",
        "gain": f"{gain:.6f}",
        "pitch": f"{hit.pitch:g}",
    }


def _add(element: ElementTree.Element, texts: Mapping[str, str]) -> None:
    """Add elements that hold texts."""
    for name, text in texts.items():
        ElementTree.SubElement(element, name).text = text
