"""All forms of a kit in one folder, written and read back.

The folder holds the samples once. SFZ, Decent Sampler and the MIDI file lie beside them and name
them relative to themselves, so that the folder can be moved. Hydrogen's archive has to hold samples
itself.
"""

from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import soundfile

from drumblender.data.library.hydrogen import ARCHIVE_SUFFIX
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.listing import files_below
from drumblender.kits import decent, hydrogen, midi, sfz
from drumblender.kits.kit import Drum, Kit
from drumblender.kits.settings import KitRequest
from drumblender.kits.velocity import level

SAMPLES = "samples"
_SUFFIXES = {
    "sfz": sfz.SUFFIX,
    "hydrogen": ARCHIVE_SUFFIX,
    "decent": decent.SUFFIX,
    "folder": midi.SUFFIX,
}
_CLOSE_DB = 0.05


def check_out(out: Path, inputs: Sequence[Path], force: bool) -> None:
    """Check that a kit can be written, and that nothing else than a kit would be replaced.

    Raises:
        UsageError: if not.
    """
    if out.name in ("", ".."):
        raise UsageError(f"{out} gives a kit no name; name a folder for it.")
    place = out.resolve()
    if out.suffix.lower() in (*_SUFFIXES.values(), ".wav", ".flac"):
        raise UsageError(
            f"{out} names a file, but a kit is a folder; name it {out.with_suffix('')}."
        )
    for path in inputs:
        if place in (path.resolve(), *path.resolve().parents):
            raise UsageError(f"{out} holds what is read ({path}); give another folder.")
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists() and not force:
        raise UsageError(f"{out} exists; give another name, or --force to replace the kit there.")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file and no kit, so it is not replaced; give another name.")
    others = [name for name, _ in files_below(out) if not _may_be_of_a_kit(name)] if force else []
    if others:
        raise UsageError(
            f"{out} holds {sorted(others)[0]}, which is no part of a kit, so it is not replaced; "
            "give another name."
        )


def _may_be_of_a_kit(name: str) -> bool:
    """Return whether a file can be one of those that a kit is written as."""
    path = Path(name)
    if path.parent == Path(SAMPLES):
        return path.suffix == ".wav"
    return path.parent == Path(".") and path.suffix in _SUFFIXES.values()


def write_forms(folder: Path, kit: Kit, request: KitRequest) -> List[Path]:
    """Write the descriptions of a kit, whose samples lie in the folder already.

    Args:
        folder: folder of the kit.
        kit: the kit.
        request: which forms to write, and by which law level follows velocity.

    Returns:
        The files that were written.
    """
    written = []
    for name in request.formats:
        path = folder / f"{kit.name}{_SUFFIXES[name]}"
        if name == "sfz":
            sfz.write(path, kit, lambda v: level(v, request.shape.range_db))
        elif name == "hydrogen":
            hydrogen.write(path, hydrogen.fitted(kit))
        elif name == "decent":
            decent.write(path, kit)
        else:
            midi.write(path, kit, _seconds(kit))
        written.append(path)
    return written


def _seconds(kit: Kit) -> Dict[int, float]:
    """Measure the longest sample of each drum, by its key."""
    return {
        drum.note or 0: max(
            soundfile.info(str(hit.file)).duration for layer in drum.layers for hit in layer.hits
        )
        for drum in kit.drums
    }


def check_forms(folder: Path, kit: Kit, formats: Sequence[str], scratch: Path) -> None:
    """Read what was written, and check that it is the kit.

    Args:
        folder: folder of the kit.
        kit: the kit that was to be written.
        formats: forms that were written.
        scratch: an empty folder.

    Raises:
        DrumblenderError: if a form does not say what it should.
    """
    for name in formats:
        path = folder / f"{kit.name}{_SUFFIXES[name]}"
        place = scratch / name
        place.mkdir(parents=True)
        if name == "folder":
            continue
        read = {"sfz": sfz.read, "decent": decent.read}.get(name)
        found = read(path) if read else hydrogen.read(path, place)
        wanted = hydrogen.fitted(kit) if name == "hydrogen" else kit
        if sorted(map(_said, found.drums)) != sorted(map(_said, wanted.drums)) or found.notes:
            raise DrumblenderError(
                f"{path.name} does not read back as it was written, which is a defect; "
                f"leave out --format {name}, and tell us."
            )


def _said(drum: Drum) -> Tuple[object, ...]:
    """Return what all forms say about a drum, so that two of them can be compared."""
    layers = tuple(
        (layer.low, layer.high, tuple(round(hit.gain / _CLOSE_DB) for hit in layer.hits))
        for layer in drum.layers
    )
    return drum.note, layers, round(drum.pan, 2)
