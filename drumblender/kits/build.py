"""Making of a kit, from recordings or from another kit to all forms that samplers open.

The drums of a kit are made one after the other, or several at once in processes. Their samples wait
as floats until all are there, because one gain holds for the whole kit. Everything is written into
a hidden folder beside the kit, read back, and moved into place at the end.
"""

import functools
import itertools
import math
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import List, Optional, Sequence, Tuple, Union

from drumblender.data.library.names import general_midi_name
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files import atomic
from drumblender.files.audio import check_rate
from drumblender.files.parallel import Workers
from drumblender.files.progress import progress
from drumblender.files.takes import Take, record, scratch_folder
from drumblender.files.text import printable
from drumblender.files.writing import write_take
from drumblender.jobs.request import reason
from drumblender.kits import forms
from drumblender.kits.kit import Drum, Hit, Kit, Layer, plain
from drumblender.kits.layers import Samples, samples_of, take_apart
from drumblender.kits.notes import with_notes
from drumblender.kits.pairs import Partner, combine, level_apart, pair_drums
from drumblender.kits.reading import read_kit, read_kits
from drumblender.kits.settings import KitRequest
from drumblender.sound.voice import Voice, load

PathLike = Union[str, Path]
# Peak of the loudest sample, in dB. Samplers interpolate, which may exceed what samples are.
PEAK = -1.0
# Drums that deserve another process, which takes seconds to start. Each is a dozen samples.
_FEW = 8


@dataclass(frozen=True)
class Built:
    """A kit that was written.

    Attributes:
        kit: the kit, with the files that it plays.
        files: descriptions of the kit that samplers open.
        gain: gain of all samples beside the recordings, in dB.
        notes: sentences about what a person should know.
        failed: sentences about the drums that the kit lacks.
    """

    kit: Kit
    files: Tuple[Path, ...]
    gain: float
    notes: Tuple[str, ...]
    failed: Tuple[str, ...]


@dataclass(frozen=True)
class _Made:
    """The samples of a drum, which wait to be written, or why there are none."""

    index: int
    layers: Tuple[Tuple[int, int, Tuple[Take, ...]], ...] = ()
    decayed: bool = True
    error: Optional[str] = None


def build_kit(
    inputs: Sequence[PathLike],
    out: PathLike,
    request: Optional[KitRequest] = None,
    force: bool = False,
    num_workers: Optional[int] = None,
) -> Built:
    """Make a playable kit of recordings, folders of drums and kits.

    Args:
        inputs: recordings, folders, and kits as files or folders. They become one kit.
        out: folder to write, whose name is that of the kit.
        request: what shall be made. None stands for the usual settings.
        force: whether to replace a kit that has this name.
        num_workers: number of processes. None stands for one on each core.

    Raises:
        UsageError: if there is something of that name already, or if the request cannot be met.
        DrumblenderError: if an input cannot be read, if no drum can be made, or if the disk refuses
            the kit.
    """
    request = request or KitRequest()
    out = Path(out)
    read = [Path(path) for path in inputs]
    read += [request.other.kit] if request.other else []
    forms.check_out(out, read, force)
    with scratch_folder(out.parent, out) as scratch, atomic.disk_errors(out), atomic.exclusive(out):
        forms.check_out(out, read, force)
        source = read_kits(inputs, out.name, scratch / "read", left_out=[out, scratch])
        partners, notes = _partners(source, request, scratch / "other", [out, scratch])
        with Workers(num_workers, least=_FEW) as workers:
            try:
                made = _make_all(source.drums, partners, request, scratch / "made", workers)
            except BaseException:
                workers.abandon()
                raise
        # What was unpacked is known by its name in the archive.
        unpacked = re.compile(re.escape(f"{scratch}{os.sep}") + r"(?:\w+/)+\d+ ")
        failed = tuple(printable(unpacked.sub("", m.error)) for m in made if m.error is not None)
        made = [m for m in made if m.error is None]
        if not made:
            raise DrumblenderError(
                f"{out} is not written, because no drum could be made: {' '.join(failed)}"
            )
        folder = scratch / "kit"
        kit, gain = _write_samples(out.name, source.drums, made, folder, request.bits)
        files = forms.write_forms(folder, kit, request)
        forms.check_forms(folder, kit, request.formats, scratch / "check")
        atomic.put_in_place(folder, out)
    late = [source.drums[m.index].name for m in made if not m.decayed]
    if late:
        notes.append(
            f"Cut off before they have decayed, and faded there: {', '.join(map(printable, late))}."
        )
    kit = kit.with_files({file: out / file.relative_to(folder) for file in kit.files})
    moved = tuple(out / file.relative_to(folder) for file in files)
    return Built(kit, moved, gain, tuple(notes), failed)


def _partners(
    source: Kit, request: KitRequest, scratch: Path, left_out: Sequence[Path]
) -> Tuple[List[Optional[Partner]], List[str]]:
    """Find the drum of the other kit that each drum is combined with, if there is one.

    Returns:
        A partner for each drum, and sentences that tell what goes with what.
    """
    notes = list(source.notes)
    if request.other is None:
        return [None] * len(source.drums), notes
    scratch.mkdir()
    kit = read_kit(request.other.kit, scratch, left_out)
    found = pair_drums(source.drums, kit.drums)
    pairs = [(drum, kit.drums[i]) for drum, i in zip(source.drums, found) if i is not None]
    if not pairs:
        raise UsageError(
            f"{request.other.kit} has no drum of an instrument that the other kit has; give "
            "another kit, or name its drums by their instruments."
        )
    notes += [*kit.notes, *(f"{one.name} goes with {its.name}." for one, its in pairs)]
    kept = ", ".join(drum.name for drum, i in zip(source.drums, found) if i is None)
    left = ", ".join(drum.name for i, drum in enumerate(kit.drums) if i not in found)
    where = request.other.kit
    notes += [f"Kept as they are, because {where} has no drums for them: {kept}."] if kept else []
    notes += [f"Left out of {where}, because no drums go with them: {left}."] if left else []
    apart = level_apart(pairs)
    partners = [None if i is None else Partner(kit.drums[i], apart) for i in found]
    return partners, notes


def _make_all(
    drums: Sequence[Drum],
    partners: Sequence[Optional[Partner]],
    request: KitRequest,
    scratch: Path,
    workers: Workers,
) -> List[_Made]:
    """Make the samples of all drums, in the order of the drums."""
    scratch.mkdir()
    make = functools.partial(_make, request, scratch)
    made = []
    bar = progress("Kit", len(drums), " drums", disable=len(drums) < 2)
    try:
        with bar:
            for each in workers.map(make, list(zip(itertools.count(), drums, partners))):
                bar.update(1)
                made.append(each)
    finally:
        _voice.cache_clear()
    return sorted(made, key=lambda each: each.index)


@functools.lru_cache(maxsize=1)
def _voice(config: Optional[Path], checkpoint: Optional[Path], device: str, way: str) -> Voice:
    """Return the voice of this process, which loads its model only once."""
    return load(config, checkpoint, device, way)


def _make(request: KitRequest, scratch: Path, task: Tuple[int, Drum, Optional[Partner]]) -> _Made:
    """Make the samples of one drum."""
    index, drum, partner = task
    voice = _voice(request.config, request.checkpoint, request.device, request.precision)
    source = drum.layers[-1].hits[0].file
    try:
        layers, decayed = _samples(drum, partner, voice, request)
        waiting = []
        for number, layer in enumerate(layers):
            takes: List[Take] = []
            for turn, (samples, rate) in enumerate(layer.takes):
                prefix = scratch / f"{index}-{number}-{turn}"
                takes.append(record([(0, {"sum": samples})], source, {}, rate, prefix))
            waiting.append((layer.low, layer.high, tuple(takes)))
        return _Made(index, tuple(waiting), decayed)
    except UsageError:
        raise
    except Exception as error:
        return _Made(index, error=reason(source, error))


def _samples(
    drum: Drum, partner: Optional[Partner], voice: Voice, request: KitRequest
) -> Tuple[List[Samples], bool]:
    """Take a drum apart, combine it with its partner, change it, and make its layers."""
    strokes = take_apart(drum, voice, request.seed)
    if partner is not None and request.other is not None:
        others = take_apart(partner.drum, voice, request.seed)
        strokes = combine(strokes, others, request.other, request.shape, partner.apart)
    changed, shape = request.changes.without_chance, request.shape
    strokes = tuple(
        replace(stroke, sounds=tuple(changed.apply(sound) for sound in stroke.sounds))
        for stroke in strokes
    )
    if request.sample_rate is not None:
        check_rate("samples.wav", request.sample_rate)
        strokes = tuple(
            replace(s, sounds=tuple(replace(x, sample_rate=request.sample_rate) for x in s.sounds))
            for s in strokes
        )
    return samples_of(strokes, shape, request.seed)


def _write_samples(
    name: str, drums: Sequence[Drum], made: Sequence[_Made], folder: Path, bits: int
) -> Tuple[Kit, float]:
    """Write all samples with one gain, and return the kit that plays them and the gain in dB."""
    takes = [take for m in made for _, _, takes in m.layers for take in takes]
    full_scale = max(take.peak for take in takes) / 10 ** (PEAK / 20)
    placed = with_notes([drums[m.index] for m in made])
    kept = []
    for drum, each in zip(placed, made):
        drum = replace(drum, name=_label(drum.name))
        layers = []
        for low, high, waiting in each.layers:
            hits = []
            for turn, take in enumerate(waiting):
                stem = _file_name(drum, high, len(each.layers), turn, len(waiting))
                path = folder / forms.SAMPLES / f"{stem}.wav"
                write_take(replace(take, destination=path), full_scale, bits)
                hits.append(Hit(path))
            layers.append(Layer(low, high, tuple(hits)))
        kept.append(replace(drum, layers=tuple(layers)))
    kept.sort(key=lambda drum: drum.note or 0)
    return Kit(name, tuple(kept)), -20 * math.log10(full_scale)


def _file_name(drum: Drum, high: int, layers: int, turn: int, turns: int) -> str:
    """Name a sample by its key, its drum, its highest velocity and its turn.

    >>> _file_name(Drum("BD", "kick", 36, ()), 64, 4, 1, 3)
    '36 Bass Drum 1 v064 rr2'
    """
    assert drum.note is not None
    stem = f"{drum.note:02d} {general_midi_name(drum.note) or plain(drum.name) or 'Drum'}"
    stem += f" v{high:03d}" if layers > 1 else ""
    return stem + (f" rr{turn + 1}" if turns > 1 else "")


def _label(name: str) -> str:
    """Return the name of a drum on one line, and not too long."""
    return " ".join(printable(name).split())[:60] or "Drum"
