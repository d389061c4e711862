"""From audio files to audio files with a trained model: what ``drumblender-synth`` does.

A request says what shall happen to every recording; a job is a recording and where it goes. Sounds
are rendered first and written when all are there, because one gain holds for all of them
(:mod:`drumblender.files.takes`). Reading and analysis (:func:`~drumblender.voice.prepare`) need no
model, so that other processes can do them while a GPU works. Without a GPU every process has a
model of its own and does all by itself: there, batches are no faster than one sound at a time.
"""

import functools
import hashlib
import itertools
import math
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np
import torch

from drumblender.analysis import AnalysisSettings
from drumblender.errors import DrumblenderError, UsageError, sentence_of, trace
from drumblender.files.atomic import disk_errors
from drumblender.files.audio import (
    FORMATS,
    SUFFIXES,
    check_name,
    check_rate,
    read_audio,
    write_audio,
)
from drumblender.files.listing import files_below
from drumblender.files.memory import keep_memory
from drumblender.files.parallel import Workers
from drumblender.files.progress import progress
from drumblender.files.reading import Unreadable, duration, open_recording
from drumblender.files.takes import (
    Take,
    add_up,
    describe_scales,
    forget,
    full_scales,
    record,
    scratch_folder,
    write_take,
)
from drumblender.files.text import printable
from drumblender.signal import resample
from drumblender.tasks import Parts
from drumblender.voice import PARTS, Recording, Sound, Voice, blend, load, prepare

__all__ = ["FORMATS", "Changes", "Job", "Request", "read_audio", "resynthesize", "write_audio"]

PathLike = Union[str, Path]
# Recordings longer than a segment are taken apart segment by segment, which bounds memory; segments
# overlap, and are faded into each other.
SEGMENT_S = 20.0
OVERLAP_S = 0.1
# A picture shows no more than this much of a recording.
SHOWN_S = 60.0
# Sounds that go through the model together on a GPU.
GPU_BATCH = 16
# Fewer recordings than this do not deserve other processes, which take seconds to start.
_FEW = 64


@dataclass(frozen=True)
class Changes:
    """What is done to every sound; see the methods of :class:`~drumblender.voice.Sound`.

    Attributes:
        modal_gain: in dB.
        noise_gain: in dB.
        transient_gain: in dB.
        pitch: in semitones.
        pitch_noise: move the noise's bands as well.
        decay: factor of T60.
        brightness: in dB per octave.
        attack: amount of transient.
        humanize: amount of variation; None for none.
    """

    modal_gain: float = 0.0
    noise_gain: float = 0.0
    transient_gain: float = 0.0
    pitch: float = 0.0
    pitch_noise: bool = False
    decay: float = 1.0
    brightness: float = 0.0
    attack: float = 1.0
    humanize: Optional[float] = None

    def apply(self, sound: Sound) -> Sound:
        sound = sound.with_gain(
            modal=self.modal_gain, noise=self.noise_gain, transient=self.transient_gain
        )
        sound = sound.with_pitch(self.pitch, self.pitch_noise).with_attack(self.attack)
        return sound.with_decay(self.decay).with_brightness(self.brightness)


@dataclass(frozen=True)
class Request:
    """What shall happen, the same for all recordings.

    Attributes:
        config: configuration file, or the checkpoint when it is the only one.
        checkpoint: or None.
        device: as of :func:`~drumblender.voice.load`.
        precision: as well.
        seed: of everything random; other noise each time when None.
        changes: of each sound.
        parts: (name, file) of parts to take from other recordings.
        variations: how many to write of each; 0 for the sound itself.
        stereo: keep channels.
        sample_rate: of what is written; the recording's when None.
        bits: 16, 24 or 32.
        normalize: "no", "all" for one gain that brings the loudest sound to full scale, or "each".
        stems: folder for the parts, or None.
        plot: write a picture beside each sound.
        scratch: folder for what is not written yet.
    """

    config: Path
    checkpoint: Optional[Path] = None
    device: str = "auto"
    precision: str = "32-true"
    seed: Optional[int] = None
    changes: Changes = Changes()
    parts: Tuple[Tuple[str, Path], ...] = ()
    variations: int = 0
    stereo: bool = False
    sample_rate: Optional[int] = None
    bits: int = 24
    normalize: str = "no"
    stems: Optional[Path] = None
    plot: bool = False
    scratch: Path = Path(".")


@dataclass(frozen=True)
class Job:
    """A recording and where it goes.

    Attributes:
        source: the recording.
        destination: the file to write; variations are numbered.
        stems: folder of its stems, or None.
    """

    source: Path
    destination: Path
    stems: Optional[Path] = None


@dataclass(frozen=True)
class Report:
    """What became of a job: sounds to write and what to say, or why it failed."""

    job: Job
    takes: Tuple[Take, ...] = ()
    notes: Tuple[str, ...] = ()
    error: Optional[str] = None

    def failed(self, error: Exception) -> "Report":
        """The same with an error; whatever is wrong with one recording, the others go on."""
        trace(error)
        return replace(self, error=_reason(self.job.source, error))


def resynthesize(
    request: Request,
    jobs: Sequence[Job],
    num_workers: Optional[int] = None,
    batch_size: Optional[int] = None,
) -> None:
    """Do all jobs; what fails does not stop the others, and is listed at the end.

    Args:
        request: what shall happen.
        jobs: from :func:`plan`.
        num_workers: processes; all cores when None.
        batch_size: recordings that go through the model together; when None, 16 on a GPU, and on a
            CPU one in each process.

    Raises:
        DrumblenderError: when a job failed, or all would.
    """
    many = len(jobs) > 1
    # The longest first: neighbors are then of one length, for which the analysis keeps its filters
    # and a GPU its batches, and no long one is left to a single process at the end.
    seconds = {job: duration(job.source) for job in jobs}
    jobs = sorted(jobs, key=lambda job: -seconds[job])
    reports: List[Report] = []
    # A bar of seconds, for a long recording takes longer than a short one.
    total = math.ceil(1000 * sum(seconds.values())) / 1000
    bar = progress("Resynthesis", total, " s of sound", unit_scale=True, disable=not many)
    folder = Path(os.path.commonpath([job.destination.parent for job in jobs]))
    with scratch_folder(folder, jobs[0].destination) as scratch, Workers(num_workers) as workers:
        request = replace(request, scratch=scratch)
        try:
            with bar:
                for report in _reports(request, jobs, workers, batch_size):
                    bar.update(seconds[report.job])
                    reports.append(report)
                    for line in report.notes:
                        bar.write(printable(line), file=sys.stdout)
                    if many and report.error:
                        bar.write(printable(f"failed: {report.error}"), file=sys.stderr)
        except BaseException:
            # What is made shall not be lost; how loud the rest would be nobody knows.
            workers.abandon()
            _write_after_a_stop(request, reports, len(jobs))
            raise
        finally:
            _studio.cache_clear()
        reports = _write(request, reports, workers)
    if not many:
        _print_written(request, reports[0])
    failed = sorted(r for r in (report.error for report in reports) if r)
    if failed and not many:
        raise DrumblenderError(failed[0])
    if many:
        print(f"{len(jobs) - len(failed)} of {len(jobs)} recordings resynthesized.")
    if failed:
        lines = ["Failed:", *(f"  {printable(reason)}" for reason in failed)]
        print("\n".join(lines), file=sys.stderr)
        raise DrumblenderError(
            f"{len(failed)} of {len(jobs)} recordings failed, for the reasons listed above; mend "
            "or remove them, and run the same command again."
        )


def _write_after_a_stop(request: Request, reports: Sequence[Report], total: int) -> None:
    """Write what there is, which takes a moment, and say how much of all that is."""
    if not reports:
        return
    print("Stopped; what is finished is being written ...", file=sys.stderr)
    written = _write(request, reports, Workers(1))
    done = sum(report.error is None for report in written)
    print(f"{done} of {total} recordings are written.", file=sys.stderr)


def _write(request: Request, reports: Sequence[Report], workers: Workers) -> List[Report]:
    """Write what was made, all by one gain; gives reports with what failed now."""
    takes = [take for report in reports for take in report.takes]
    scales = full_scales(takes, request.normalize, request.bits)
    for line in describe_scales(takes, scales, request.normalize, request.bits):
        print(printable(line))
    scale_of = iter(scales)
    tasks = [(report, [next(scale_of) for _ in report.takes]) for report in reports]
    return list(workers.map(functools.partial(_write_report, request.bits), tasks))


def _write_report(bits: int, task: Tuple[Report, Sequence[float]]) -> Report:
    """Write the takes of one report."""
    report, scales = task
    for take, scale in zip(report.takes, scales):
        try:
            write_take(take, scale, bits)
            _remove_former_stems(take)
            if take.inputs:
                _draw(take, scale)
        except Exception as error:
            report = report.failed(error)
        finally:
            forget(take)
    return report


def _remove_former_stems(take: Take) -> None:
    """Remove parts of an earlier sound of this name that this one does not have."""
    for folder in {path.parent for path in take.stems.values()}:
        for path in set(_stem_files(folder, take.destination)) - set(take.stems.values()):
            path.unlink(missing_ok=True)


def _draw(take: Take, full_scale: float) -> None:
    """Write a picture of a take beside it, or of its beginning if it is long."""
    from drumblender.plotting import plot_parts, save_figure

    path, rate = take.destination, take.sample_rate
    length = round(SHOWN_S * rate)
    signals = []
    for label, file, its_rate in take.inputs:
        samples = torch.from_numpy(np.fromfile(file, np.float32))
        signals.append((label, resample(samples, its_rate, rate)[:length]))
    for name in take.recorded:
        blocks, shown = [], 0
        for block in take.blocks(name, full_scale):
            blocks.append(block if block.ndim == 1 else block[:, 0])
            shown += len(block)
            if shown >= length:
                break
        samples = np.concatenate(blocks)[:length]
        signals.append((name.capitalize() or "Output", torch.from_numpy(samples)))
    title = path.name
    if take.length > length:
        title += f", the first {SHOWN_S:g} s"
    save_figure(plot_parts(signals, rate, title), path.with_suffix(".png"))


def _print_written(request: Request, report: Report) -> None:
    for take in report.takes if report.error is None else ():
        info = f"{take.length / take.sample_rate:.2f} s at {take.sample_rate} Hz"
        print(printable(f"{take.destination}: {info}"))


def blend_files(
    request: Request,
    sources: Sequence[PathLike],
    output: PathLike,
    amount: float = 0.5,
    steps: Optional[int] = None,
) -> None:
    """Write a blend of two recordings, or a series from one to the other.

    Args:
        request: what else shall happen.
        sources: the two.
        output: file to write; those of a series are numbered.
        amount: 0 for the first to 1 for the second.
        steps: in a series, from 0 to 1.
    """
    a, b = (Path(source) for source in sources)
    for path in (a, b):
        if path.is_dir():
            raise UsageError(f"--blend takes two recordings, and {path} is a folder; name a file.")
    output = Path(output)
    check_name(output, request.bits)
    blends = [(amount, Job(a, output, request.stems))]
    if steps:
        names = [f"{number:0{len(str(steps))}d}" for number in range(1, steps + 1)]
        blends = [
            (index / (steps - 1), Job(a, *_numbered(output, request.stems, name)))
            for index, name in enumerate(names)
        ]
    check_overwriting([job for _, job in blends], [a, b])
    with scratch_folder(output.parent, output) as scratch:
        request = replace(request, scratch=scratch)
        studio = Studio(request)
        one, other = studio.whole(a, "to blend"), studio.whole(b, "to blend")
        inputs = [(x.name, x.recording[:, 0], x.sample_rate) for x in (one, other)]
        reports: List[Report] = []
        try:
            for x, job in progress("Blends", len(blends), disable=not steps, iterable=blends):
                reports += studio.produce([(job, blend(one, other, x))], inputs)
        except BaseException:
            _write_after_a_stop(request, reports, len(blends))
            raise
        reports = _write(request, reports, Workers(1))
    for report in reports:
        for line in report.notes:
            print(printable(line))
        _print_written(request, report)
    for report in reports:
        if report.error:
            raise DrumblenderError(report.error)


def _numbered(path: Path, stems: Optional[Path], name: str) -> Tuple[Path, Optional[Path]]:
    """Where one of several sounds of one job goes, and its stems."""
    return path.with_name(f"{path.stem}_{name}{path.suffix}"), stems and stems / name


class Studio:
    """A model at work in one process."""

    def __init__(self, request: Request):
        keep_memory()
        self.request = request
        self.voice: Voice = load(
            request.config, request.checkpoint, request.device, request.precision
        )
        self._check()
        self.others = {p: self.whole(path, "to take a part from") for p, path in request.parts}

    def whole(self, path: Path, purpose: str) -> Sound:
        """A recording taken apart in one piece."""
        recordings = list(
            itertools.islice(segments(path, self.voice.settings, self.request.stereo), 2)
        )
        if len(recordings) > 1:
            raise DrumblenderError(
                f"{path} is longer than {SEGMENT_S:g} s, too long {purpose}; cut it."
            )
        return self.take_apart(recordings)[0]

    def _check(self) -> None:
        """Raise where this model cannot do what is asked of it."""
        changes = self.request.changes
        needs = [(f"--{part}", part) for part, _ in self.request.parts]
        needs += [("--noise_gain", "noise")] * (changes.noise_gain != 0)
        needs += [("--pitch_noise", "noise")] * changes.pitch_noise
        needs += [("--transient_gain", "transient")] * (changes.transient_gain != 0)
        needs += [("--attack", "transient")] * (changes.attack != 1)
        for option, part in needs:
            if part not in self.voice.parts:
                raise UsageError(
                    f"{option} needs a {part} part, which this model does not make (only "
                    f"{' and '.join(self.voice.parts)}); leave it out, or take another model."
                )

    def take_apart(self, recordings: Sequence[Recording], first: int = 0) -> List[Sound]:
        """Sounds of recordings.

        Args:
            recordings: of one sound each, or a segment.
            first: the number of the segment.
        """
        names = [f"{r.name} {first}" if first else r.name for r in recordings]
        seeds = [derive_seed(self.request.seed, name) for name in names]
        return self.voice.decompose_prepared(recordings, seeds)

    def work(self, jobs: Sequence[Job], recordings: Sequence[Recording]) -> List[Report]:
        """Take recordings apart, change and render them."""
        todo = []
        for job, sound in zip(jobs, self.take_apart(recordings)):
            for part, other in self.others.items():
                sound = getattr(sound, f"with_{part}")(other)
            todo.append((job, sound))
        return self.produce(todo)

    def work_through(self, job: Job) -> Report:
        """As :meth:`work`, of one recording of any length, segment by segment."""
        if self.others or not self._keeps_time():
            raise DrumblenderError(
                f"{job.source} is longer than {SEGMENT_S:g} s, too long for --decay, --humanize, "
                "--variations and parts of other recordings; cut it."
            )
        with open_recording(job.source) as file:
            its_rate = file.sample_rate
        rate = self.request.sample_rate or its_rate
        _, hop = _segment(its_rate)
        count, shown = 0, []

        def pieces() -> Iterator[Tuple[int, Dict[str, np.ndarray]]]:
            nonlocal count
            for recording in segments(job.source, self.voice.settings, self.request.stereo):
                (sound,) = self.take_apart([recording], count)
                (_, _, sound), *_ = self._versions(job, sound)
                (parts,) = self.voice.render([sound])
                if self.request.plot and count * hop < SHOWN_S * its_rate:
                    shown.append(sound.recording[:hop, 0])
                yield round(count * hop * rate / its_rate), self._stems(sound, parts)
                count += 1

        take = self._record(job.destination, job.stems, rate, pieces())
        if self.request.plot:
            recorded = np.concatenate(shown)[: round(SHOWN_S * its_rate)]
            take = self._with_inputs(take, [("Input", recorded, its_rate)])
        note = f"made in {count} segments of {SEGMENT_S:g} s, faded into each other."
        return Report(job, (take,), (f"{job.destination}: {note}",))

    def produce(
        self,
        todo: Sequence[Tuple[Job, Sound]],
        inputs: Optional[List[Tuple[str, np.ndarray, int]]] = None,
    ) -> List[Report]:
        """Change and render sounds.

        Args:
            todo: jobs with their sounds.
            inputs: what pictures show above (name, samples, sample rate); the recording when None.
        """
        reports = [Report(job) for job, _ in todo]
        products = [
            (index, *product)
            for index, (job, sound) in enumerate(todo)
            for product in self._versions(job, sound)
        ]
        rendered = self.voice.render([sound for *_, sound in products])
        for (index, path, stems, sound), parts in zip(products, rendered):
            report = reports[index]
            try:
                pieces = [(0, self._stems(sound, parts))]
                take = self._record(path, stems, self._rate(sound), pieces)
                notes = report.notes
                if sound.gains == (0.0, 0.0, 0.0):
                    source = report.job.source
                    notes += (f"{path}: is silent, as {source} never exceeds -60 dB.",)
                if self.request.plot:
                    shown = inputs or [("Input", sound.recording[:, 0], sound.sample_rate)]
                    take = self._with_inputs(take, shown)
                reports[index] = replace(report, takes=(*report.takes, take), notes=notes)
            except DrumblenderError as error:
                reports[index] = report.failed(error)
        return reports

    def _keeps_time(self) -> bool:
        changes = self.request.changes
        return changes.decay == 1 and changes.humanize is None and not self.request.variations

    def _versions(self, job: Job, sound: Sound) -> Iterator[Tuple[Path, Optional[Path], Sound]]:
        """(file, folder of stems, sound): the variations of a sound, or the sound itself."""
        request, seed = self.request, self.request.seed
        sound = request.changes.apply(sound)
        amount, count = request.changes.humanize, request.variations
        if not count and amount is None:
            yield job.destination, job.stems, sound
            return
        for number in range(1, max(1, count) + 1):
            each = derive_seed(seed, f"{sound.name} variation {number}")
            varied = sound.with_variation(1.0 if amount is None else amount, each)
            if count:
                name = f"{number:0{len(str(count))}d}"
                yield (*_numbered(job.destination, job.stems, name), varied)
            else:
                yield job.destination, job.stems, varied

    def _rate(self, sound: Sound) -> int:
        return self.request.sample_rate or sound.sample_rate

    def _stems(self, sound: Sound, parts: Parts) -> Dict[str, np.ndarray]:
        """The signals to write of a sound; only their sum where nobody asks for them."""
        if self.request.stems is None and not self.request.plot:
            parts = Parts(parts.sum)  # resampled once, not part by part
        return sound.stems_of(parts, self._rate(sound))

    def _record(
        self,
        path: Path,
        folder: Optional[Path],
        rate: int,
        pieces: Iterable[Tuple[int, Dict[str, np.ndarray]]],
    ) -> Take:
        check_rate(path, rate)
        stems = {}
        if folder is not None:
            stems = dict(zip(PARTS, _stem_files(folder, path)))
            stems = {name: stems[name] for name in self.voice.parts}
        kept = stems if not self.request.plot else {**dict.fromkeys(self.voice.parts), **stems}
        return record(pieces, path, kept, rate, self._recorded(path))

    def _recorded(self, path: Path) -> Path:
        """What the names of files begin with that are recorded for a path."""
        digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return self.request.scratch / digest

    def _with_inputs(self, take: Take, inputs: Sequence[Tuple[str, np.ndarray, int]]) -> Take:
        """A take with what its picture shows above it."""
        kept = []
        with disk_errors(take.destination):
            for index, (label, samples, rate) in enumerate(inputs):
                path = Path(f"{self._recorded(take.destination)}-input-{index}.f32")
                np.ascontiguousarray(samples, np.float32).tofile(path)
                kept.append((label, path, rate))
        return replace(take, inputs=tuple(kept))


def _stem_files(folder: Path, output: Path) -> List[Path]:
    """Where the parts of an output go, in the order of ``PARTS``.

    Their format is that of their sum, unless it is lossy, because they shall add up.
    """
    suffix = ".wav" if output.suffix.lower() == ".ogg" else output.suffix
    return [folder / f"{name}{suffix}" for name in PARTS]


def plan(
    inputs: Sequence[PathLike], output: PathLike, request: Request, suffix: str = "wav"
) -> Tuple[List[Job], List[str]]:
    """Say what goes where.

    One file goes to a file. Several, and those of folders, go to a folder, with their sub-folders,
    under their own names.

    Args:
        inputs: files and folders.
        output: a file, or a folder.
        request: what shall happen, of which the folder of stems and other recordings count.
        suffix: of files in a folder.

    Returns:
        Jobs, and what to say about them.

    Raises:
        UsageError: when something would be overwritten that is to be read.
        DrumblenderError: when there is nothing to do.
    """
    sources, target, stems = [Path(x) for x in inputs], Path(output), request.stems
    others = [path for _, path in request.parts]
    if len(sources) == 1 and not sources[0].is_dir() and not target.is_dir():
        check_name(target, request.bits)
        jobs = [Job(sources[0], target, stems)]
        check_overwriting(jobs, [*sources, *others], request.variations)
        return jobs, []
    if target.is_file() or (target.suffix.lower() in SUFFIXES and not target.exists()):
        raise UsageError(f"{target} names a file, but several recordings need a folder; name one.")
    apart = [path.resolve() for path in (target, stems) if path is not None]
    notes, found = [], []
    for source in sources:
        if not source.is_dir():
            found.append((source, Path(source.name)))
            continue
        listed = {source / name: problem for name, problem in sorted(files_below(source))}
        files = [path for path, problem in listed.items() if not problem]
        notes += [f"{path}: {why}; left out." for path, why in listed.items() if why]
        if source.resolve() not in apart:  # results of an earlier run are no recordings
            files = [p for p in files if not any(a in p.resolve().parents for a in apart)]
        sound = [path for path in files if path.suffix.lower() in SUFFIXES]
        if not sound:
            raise DrumblenderError(
                f"There are no audio files in {source}; give a folder of WAV, FLAC or OGG files."
            )
        if len(sound) < len(files):
            notes.append(f"{source}: {len(files) - len(sound)} files that are no audio left out.")
        found += [(path, path.relative_to(source)) for path in sound]
    taken: Dict[str, int] = {}
    jobs = []
    for path, relative in found:
        name = relative.with_suffix("")
        wanted, count = name, 1
        while str(name).casefold() in taken:
            count += 1
            name = wanted.with_name(f"{wanted.name}-{count}")
        taken[str(name).casefold()] = 1
        destination = target / name.with_name(f"{name.name}.{suffix}")
        if count > 1:
            notes.append(f"{path}: written as {destination}, as another one has its name.")
        jobs.append(Job(path, destination, stems and stems / name))
    check_overwriting(jobs, [*others, *(path for path, _ in found)], request.variations)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DrumblenderError(
            f"Folder {target} cannot be made ({error.strerror}); name another one."
        ) from None
    if not os.access(target, os.W_OK):
        raise DrumblenderError(f"Folder {target} cannot be written to; name another one.")
    return jobs, notes


def check_overwriting(jobs: Sequence[Job], sources: Sequence[Path], variations: int = 0) -> None:
    """Raise where a recording, or the stems of another sound, would be overwritten."""
    read = {path.resolve() for path in sources}
    for job in jobs:
        products = [(job.destination, job.stems)]
        if variations:
            numbers = range(1, variations + 1)
            names = [f"{number:0{len(str(variations))}d}" for number in numbers]
            products = [_numbered(job.destination, job.stems, name) for name in names]
        for output, folder in products:
            stems = _stem_files(folder, output) if folder is not None else []
            for path in (output, *stems):
                if path.resolve() in read:
                    raise UsageError(f"{path} would overwrite a recording; give another OUTPUT.")
            there = [path for path in stems if os.path.lexists(path)]
            # Those of the output that is there are made anew with it.
            if there and not add_up(there, output):
                raise UsageError(
                    f"{there[0]} is a stem of another sound than {output}, and would be "
                    "overwritten; give another folder to --stems, or remove what is there."
                )


def derive_seed(seed: Optional[int], name: str) -> Optional[int]:
    """A seed for one recording, the same alone and among others; None without a seed.

    >>> derive_seed(1, "kick.wav") == derive_seed(1, "snare.wav")
    False
    """
    if seed is None:
        return None
    # A name may hold bytes that are no UTF-8, which are lone surrogates here.
    text = f"{seed} {name}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:4], "big") >> 1


def _reports(
    request: Request, jobs: Sequence[Job], workers: Workers, batch_size: Optional[int]
) -> Iterator[Report]:
    many = len(jobs) >= _FEW
    cpu = request.device == "cpu" or (request.device == "auto" and not torch.cuda.is_available())
    size = batch_size or (1 if cpu else GPU_BATCH)
    if many and cpu and size == 1:  # of one thread each, for the same bytes from any number
        yield from workers.map(functools.partial(_alone, request), jobs)
        return
    studio = _studio(request)
    prepared = functools.partial(_prepared, request, studio.voice.settings)
    ready = workers.map(prepared, jobs) if many and workers.count > 1 else map(prepared, jobs)
    batch: List[Tuple[Job, Recording]] = []
    for job, recording, failure in ready:
        if failure:
            yield failure
        elif recording is None:
            yield _guarded_long(studio, job)
        else:
            batch.append((job, recording))
        if len(batch) == size:
            yield from _guarded(studio, batch)
            batch = []
    if batch:
        yield from _guarded(studio, batch)


@functools.lru_cache(maxsize=1)
def _studio(request: Request) -> Studio:
    return Studio(request)


def _alone(request: Request, job: Job) -> Report:
    """All of one job, in a process that has a model of its own."""
    studio = _studio(request)
    job, recording, failure = _prepared(request, studio.voice.settings, job)
    if failure:
        return failure
    if recording is None:
        return _guarded_long(studio, job)
    return _guarded(studio, [(job, recording)])[0]


def _prepared(
    request: Request, settings: AnalysisSettings, job: Job
) -> Tuple[Job, Optional[Recording], Optional[Report]]:
    """A recording that is read and analyzed; None if it is longer than a segment, or fails."""
    try:
        cut = list(itertools.islice(_cut(job.source), 2))
        if len(cut) > 1:
            return job, None, None
        samples, rate = cut[0]
        return job, prepare(samples, settings, rate, request.stereo, job.source.name), None
    except Exception as error:
        return job, None, Report(job).failed(error)


def _guarded(studio: Studio, batch: Sequence[Tuple[Job, Recording]]) -> List[Report]:
    """Work; where a batch fails, one by one, so that one does not take the others with it."""
    try:
        return studio.work([job for job, _ in batch], [recording for _, recording in batch])
    except UsageError:
        raise
    except Exception as error:
        if len(batch) == 1:
            return [Report(batch[0][0]).failed(error)]
        return [report for one in batch for report in _guarded(studio, [one])]


def _guarded_long(studio: Studio, job: Job) -> Report:
    try:
        return studio.work_through(job)
    except Exception as error:
        return Report(job).failed(error)


def _reason(source: Path, error: Exception) -> str:
    """One line that says why a recording failed."""
    if isinstance(error, DrumblenderError):
        return str(error)
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"{source} takes more memory than there is; cut it, or take fewer --num_workers."
    sentence = sentence_of(error) if isinstance(error, OSError) else None
    if sentence is not None:
        return sentence
    kind = type(error).__name__
    return f"{source}: {kind}{': ' if text else ''}{text} (add --debug to see where)"


def segments(path: Path, settings: AnalysisSettings, stereo: bool) -> Iterator[Recording]:
    """A recording, read and analyzed in pieces that overlap; mostly there is one."""
    for samples, rate in _cut(path):
        yield prepare(samples, settings, rate, stereo, path.name)


def _segment(rate: int) -> Tuple[int, int]:
    """Samples of a segment, and from the beginning of one to that of the next."""
    return round(SEGMENT_S * rate), round((SEGMENT_S - OVERLAP_S) * rate)


def _cut(path: Path) -> Iterator[Tuple[np.ndarray, int]]:
    """(samples (n, channels), sample rate) of segments, never more than two of them in memory."""
    with open_recording(path) as file:
        rate = file.sample_rate
        length, hop = _segment(rate)
        held = np.empty((0, file.channels), np.float32)
        for block in file.blocks(hop):
            held = np.concatenate([held, block])
            while len(held) > length:
                yield held[:length], rate
                held = held[hop:]
        if not len(held):
            raise Unreadable(path, "holds no samples", "give a recording")
        yield held, rate
