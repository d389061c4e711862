"""SFZ kits (https://sfzformat.com), with the opcodes of version 2 that ARIA players know.

Within a layer, a sampler shall play softer by the same law by which layers differ from each other.
So each layer is written with a curve (``amp_velcurve``) that says how much softer than its highest
velocity the others are; there, the file is heard as it is.
"""

import math
import os
import re
from pathlib import Path, PurePosixPath
from typing import Callable, Dict, List, Mapping, Optional, Tuple

from drumblender.data.library.filenames import Names
from drumblender.data.library.names import UNKNOWN, general_midi_name, recognize_instrument
from drumblender.data.library.sfz import note_number, read_sfz
from drumblender.errors import DrumblenderError
from drumblender.files.listing import files_below
from drumblender.files.paths import as_seen_from, joined
from drumblender.files.text import printable
from drumblender.kits.kit import HIGHEST, LOWEST, Drum, Hit, Kit, Layer, Zone, layers_of

SUFFIX = ".sfz"
_LARGEST = 16 << 20  # bytes of a description
_UP = re.compile(rb"(?:\.\.[/\\])+")  # out of the folder of a kit, step by step
_MOST_STEPS = 2
_STEP = 8  # velocities between two points of a curve

Region = Mapping[str, str]
# Maps a velocity to a level, in dB.
Curve = Callable[[float], float]


def read(path: Path) -> Kit:
    """Read a kit. Regions on one key are a drum.

    Raises:
        DrumblenderError: if it cannot be read.
    """
    top = _top(path)
    names = Names(name for name, problem in files_below(top) if not problem)
    own = as_seen_from(top, path)

    def load(name: str) -> bytes:
        """Read the file of a kit or of a part of it."""
        with (path if name == own else top / name).open("rb") as file:
            return file.read(_LARGEST + 1)

    try:
        found = read_sfz(own, load, names.find)
    except (OSError, ValueError) as error:
        raise DrumblenderError(
            f"{path} is no SFZ kit that can be read ({str(error).rstrip('.')}); mend it."
        ) from error
    notes = [printable(f"{path}: {problem}.") for problem in found.problems]
    regions: Dict[int, List[Tuple[Region, Zone]]] = {}
    for region in found.regions:
        note = _key(region)
        if note is None or region.get("trigger", "attack") not in ("attack", "first"):
            continue
        file = names.find_sound(joined(PurePosixPath(own).parent, region["sample"]))
        if file is None:
            notes.append(printable(f"{path}: there is no file {region['sample']}; left out."))
        else:
            regions.setdefault(note, []).append((region, _zone(region, note, Path(file))))
    drums = []
    for note, said in sorted(regions.items()):
        layers, left_out = layers_of(zone for _, zone in said)
        drum = _drum([region for region, _ in said], note, layers)
        if left_out:
            notes.append(printable(f"{drum.name}: of samples that play together, one is taken."))
        drums.append(drum)
    kit = Kit(path.stem, tuple(drums), tuple(dict.fromkeys(notes)))
    return kit.with_files({file: top / file for file in kit.files})


def _top(path: Path) -> Path:
    """Return the folder that holds a kit and its samples, which often lie beside its own folder."""
    try:
        with path.open("rb") as file:
            steps = _UP.findall(file.read(_LARGEST))
    except OSError as error:
        raise DrumblenderError(
            f"{path} cannot be read ({(error.strerror or str(error)).lower()}); check the path."
        ) from error
    folder = Path(os.path.abspath(path.parent))
    up = min(_MOST_STEPS, max((len(step) // 3 for step in steps), default=0))
    return [folder, *folder.parents][: up + 1][-1]


def _key(region: Region) -> Optional[int]:
    """Return the key of a region that plays a drum: the one that plays it at its own pitch."""
    key = note_number(region.get("key", ""))
    if key is None:
        low, high = (note_number(region.get(name, "")) for name in ("lokey", "hikey"))
        if low is None and high is None:
            return None
        low, high = (0 if low is None else low), (127 if high is None else high)
        center = note_number(region.get("pitch_keycenter", "60"))
        key = min(max(low, low if center is None else center), high)
    key += int(_number(region, "note_offset", 0)) + 12 * int(_number(region, "octave_offset", 0))
    return key if 0 <= key <= 127 else None


def _zone(region: Region, note: int, file: Path) -> Zone:
    """Read what a kit says about one file."""
    low = max(LOWEST, min(HIGHEST, int(_number(region, "lovel", LOWEST))))
    high = max(low, min(HIGHEST, int(_number(region, "hivel", HIGHEST))))
    turn = None
    if _number(region, "seq_length", 1) > 1:
        turn = _number(region, "seq_position", 1)
    elif "lorand" in region or "hirand" in region:
        turn = _number(region, "lorand", 0)
    gain = _number(region, "volume", 0) + _number(region, "gain", 0)
    amplitude = _number(region, "amplitude", 100) / 100 * _follows(region, high)
    gain += 20 * math.log10(max(amplitude, 1e-5))
    pitch = _number(region, "transpose", 0)
    pitch += _number(region, "tune", _number(region, "pitch", 0)) / 100
    center = note if "key" in region else note_number(region.get("pitch_keycenter", "60"))
    if "pitch_keycenter" in region:
        center = note_number(region["pitch_keycenter"])
    if center is not None:
        pitch += (note - center) * _number(region, "pitch_keytrack", 100) / 100
    return Zone(note, low, high, turn, Hit(file, gain, pitch))


def _follows(region: Region, velocity: int) -> float:
    """Return the factor by which a velocity plays a region softer than the highest one."""
    points = {0.0: 0.0, float(HIGHEST): 1.0}
    said = {
        float(name.rpartition("_")[2]): _number(region, name, 0.0)
        for name in region
        if name.startswith("amp_velcurve_")
    }
    if said:
        points.update(said)
        below = max(x for x in points if x <= velocity)
        above = min(x for x in points if x >= velocity)
        share = (velocity - below) / (above - below) if above > below else 0.0
        curve = points[below] + share * (points[above] - points[below])
    else:
        curve = (velocity / HIGHEST) ** 2
    track = _number(region, "amp_veltrack", 100) / 100
    return 1 - track * (1 - curve) if track >= 0 else 1 + track * curve


def _drum(regions: List[Region], note: int, layers: Tuple[Layer, ...]) -> Drum:
    """Read what a kit says about the drum on one key."""
    said = ("region_label", "group_label", "master_label", "global_label")
    labels = [region[name] for region in regions[:1] for name in said if region.get(name)]
    file = layers[-1].hits[0].file
    by_key = general_midi_name(note)
    instrument = recognize_instrument(file.as_posix(), before=labels, after=[by_key])
    name = labels[0] if labels else file.stem
    if instrument == UNKNOWN or recognize_instrument(name) == UNKNOWN:
        name = labels[0] if labels else by_key or name
    return Drum(
        name=name,
        instrument=instrument,
        note=note,
        layers=layers,
        pan=max(-1.0, min(1.0, _number(regions[0], "pan", 0) / 100)),
        group=max(0, int(_number(regions[0], "group", 0))),
        off_by=max(0, int(_number(regions[0], "off_by", 0))),
    )


def _number(region: Region, name: str, usual: float) -> float:
    """Return a number that a region says, or the usual one if it says none that is finite."""
    try:
        number = float(region.get(name, usual))
    except ValueError:
        return usual
    return number if math.isfinite(number) else usual


def write(path: Path, kit: Kit, level: Curve) -> None:
    """Write a kit, whose files are named relative to it.

    Args:
        path: file to write.
        kit: the kit. All its drums have keys.
        level: function that says how loud a velocity is, in dB.
    """
    lines = [f"// {kit.name}", "", "<global>", "loop_mode=one_shot", "amp_veltrack=100", ""]
    for drum in kit.drums:
        lines += ["<group>", f"group_label={_label(drum.name)}"]
        lines += [f"key={drum.note}", f"pitch_keycenter={drum.note}", "pitch_keytrack=0"]
        if drum.pan:
            lines.append(f"pan={100 * drum.pan:.6g}")
        if drum.group:
            lines.append(f"group={drum.group}")
        if drum.off_by:
            # A hand or a pedal needs a moment to stop a cymbal.
            lines += [f"off_by={drum.off_by}", "off_mode=normal", "ampeg_release=0.05"]
        lines.append("")
        for layer in drum.layers:
            lines += _layer(layer, path.parent, level)
        lines.append("")
    path.write_bytes("\n".join(lines).encode())


def _layer(layer: Layer, folder: Path, level: Curve) -> List[str]:
    """Return the lines of a layer, one for each hit."""
    shared = f"lovel={layer.low} hivel={layer.high}"
    points = [*range(layer.low, layer.high, _STEP), layer.high]
    for velocity in points:
        share = 10 ** ((level(velocity) - level(layer.high)) / 20)
        shared += f" amp_velcurve_{velocity}={share:.5g}"
    lines = []
    for index, hit in enumerate(layer.hits):
        line = f"<region> {shared}"
        if len(layer.hits) > 1:
            line += f" seq_length={len(layer.hits)} seq_position={index + 1}"
        if hit.gain:
            line += f" volume={hit.gain:.6g}"
        if hit.pitch:
            line += f" tune={100 * hit.pitch:.6g}"
        lines.append(f"{line} sample={as_seen_from(folder, hit.file)}")
    return lines


def _label(name: str) -> str:
    """Return a name that is no opcode, header, comment, or name of a definition."""
    return re.sub(r"[<>=#$]|//|/\*", " ", name).strip() or "Drum"
