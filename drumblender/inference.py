"""From audio files to audio files with a trained model: what ``drumblender-synth`` does.

A request says what shall happen to every recording; a job is a recording and where it goes. Reading
and analysis (:func:`~drumblender.voice.prepare`) need no model, so that other processes can do them
while a GPU works. Without a GPU every process has a model of its own and does all by itself: there,
batches are no faster than one sound at a time.
"""

import functools
import hashlib
import math
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np
import torch

from drumblender.analysis import AnalysisSettings
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.audio import (
    FORMATS,
    SUFFIXES,
    check_name,
    check_samples,
    read_audio,
    write_audio,
    write_samples,
)
from drumblender.files.memory import keep_memory
from drumblender.files.parallel import Workers
from drumblender.files.progress import progress
from drumblender.files.reading import duration, read_channels
from drumblender.signal import resample
from drumblender.tasks import Parts
from drumblender.voice import Recording, Sound, Voice, blend, load, prepare

__all__ = ["FORMATS", "Changes", "Job", "Request", "read_audio", "resynthesize", "write_audio"]

PathLike = Union[str, Path]
# Recordings longer than a segment are taken apart segment by segment, which bounds memory; segments
# overlap, and are faded into each other.
SEGMENT_S = 20.0
OVERLAP_S = 0.1
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
        normalize: scale to full scale.
        stems: folder for the parts, or None.
        plot: write a picture beside each sound.
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
    normalize: bool = False
    stems: Optional[Path] = None
    plot: bool = False


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
    """What became of a job: what to say, or why it failed."""

    job: Job
    written: Tuple[str, ...] = ()
    notes: Tuple[str, ...] = ()
    error: Optional[str] = None


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
    reports = []
    # A bar of seconds, for a long recording takes longer than a short one.
    total = math.ceil(1000 * sum(seconds.values())) / 1000
    with progress("Resynthesis", total, " s of sound", unit_scale=True, disable=not many) as bar:
        for report in _reports(request, jobs, num_workers, batch_size):
            bar.update(seconds[report.job])
            reports.append(report)
            for line in report.notes if many else (*report.written, *report.notes):
                bar.write(line, file=sys.stdout)
            if many and report.error:
                bar.write(f"failed: {report.error}", file=sys.stderr)
    failed = sorted(r for r in (report.error for report in reports) if r)
    if failed and not many:
        raise DrumblenderError(failed[0])
    if many:
        print(f"{len(jobs) - len(failed)} of {len(jobs)} recordings resynthesized.")
    if failed:
        print("\n".join(["Failed:", *(f"  {reason}" for reason in failed)]), file=sys.stderr)
        raise DrumblenderError(
            f"{len(failed)} of {len(jobs)} recordings failed, for the reasons listed above; mend "
            "or remove them, and run the same command again."
        )


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
    output = Path(output)
    check_name(output, request.bits)
    blends = [(amount, Job(a, output, request.stems))]
    if steps:
        names = [f"{number:0{len(str(steps))}d}" for number in range(1, steps + 1)]
        blends = [
            (
                index / (steps - 1),
                Job(
                    a,
                    output.with_name(f"{output.stem}_{name}{output.suffix}"),
                    request.stems and request.stems / name,
                ),
            )
            for index, name in enumerate(names)
        ]
    check_overwriting([job for _, job in blends], [a, b])
    studio = Studio(request)
    one, other = studio.whole(a, "to blend"), studio.whole(b, "to blend")
    inputs = [(x.name, x.recording[:, 0], x.sample_rate) for x in (one, other)]
    for x, job in progress("Blends", len(blends), disable=not steps, iterable=blends):
        (report,) = studio.produce([(job, [blend(one, other, x)])], inputs)
        if report.error:
            raise DrumblenderError(report.error)
        print(*report.written, *report.notes, sep="\n")


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
        (segments,) = self.take_apart([_prepare(self.request, self.voice.settings, path)])
        if len(segments) > 1:
            raise DrumblenderError(
                f"{path} is longer than {SEGMENT_S:g} s, too long {purpose}; cut it."
            )
        return segments[0]

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

    def take_apart(self, prepared: Sequence[List[Recording]]) -> List[List[Sound]]:
        """Sounds of recordings, as many for each as it has segments."""
        flat = [recording for segments in prepared for recording in segments]
        seeds = [
            derive_seed(self.request.seed, f"{r.name} {index}" if index else r.name)
            for segments in prepared
            for index, r in enumerate(segments)
        ]
        sounds = iter(self.voice.decompose_prepared(flat, seeds))
        return [[next(sounds) for _ in segments] for segments in prepared]

    def work(self, jobs: Sequence[Job], prepared: Sequence[List[Recording]]) -> List[Report]:
        """Take recordings apart, change them, write them."""
        todo = []
        for job, segments in zip(jobs, self.take_apart(prepared)):
            for part, other in self.others.items():
                segments = [getattr(s, f"with_{part}")(other) for s in segments]
            todo.append((job, segments))
        return self.produce(todo)

    def produce(
        self,
        todo: Sequence[Tuple[Job, List[Sound]]],
        inputs: Optional[List[Tuple[str, np.ndarray, int]]] = None,
    ) -> List[Report]:
        """Change, render and write sounds; sounds in segments are joined.

        Args:
            todo: jobs with their sounds.
            inputs: what pictures show above (name, samples, sample rate); the recording when None.
        """
        reports = []
        products: List[Tuple[int, Path, Optional[Path], List[Sound]]] = []
        for index, (job, segments) in enumerate(todo):
            reports.append(Report(job))
            if len(segments) > 1 and (self.others or not self._keeps_time()):
                reports[index] = Report(
                    job,
                    error=f"{job.source} is longer than {SEGMENT_S:g} s, too long for --decay, "
                    "--humanize, --variations and parts of other recordings; cut it.",
                )
                continue
            for number, name, sounds in self._versions(segments):
                path, stems = job.destination, job.stems
                if number:
                    path = path.with_name(f"{path.stem}_{name}{path.suffix}")
                    stems = stems and stems / name
                products.append((index, path, stems, sounds))
        flat = [sound for *_, sounds in products for sound in sounds]
        parts = iter(self.voice.render(flat))
        for index, path, stems, sounds in products:
            made = [next(parts) for _ in sounds]
            try:
                line, *notes = self._write(reports[index].job, path, stems, sounds, made, inputs)
                before = reports[index]
                reports[index] = replace(
                    before, written=(*before.written, line), notes=(*before.notes, *notes)
                )
            except DrumblenderError as error:
                reports[index] = replace(reports[index], error=str(error))
        return reports

    def _keeps_time(self) -> bool:
        changes = self.request.changes
        return changes.decay == 1 and changes.humanize is None and not self.request.variations

    def _versions(self, segments: List[Sound]) -> Iterator[Tuple[int, str, List[Sound]]]:
        """The variations of a sound, numbered from 1; or number 0, the sound itself."""
        request, seed = self.request, self.request.seed
        segments = [request.changes.apply(sound) for sound in segments]
        amount = request.changes.humanize
        count = request.variations
        if not count and amount is None:
            yield 0, "", segments
            return
        for number in range(1, max(1, count) + 1):
            each = derive_seed(seed, f"{segments[0].name} variation {number}")
            sounds = [s.with_variation(1.0 if amount is None else amount, each) for s in segments]
            yield (number if count else 0), f"{number:0{len(str(count))}d}", sounds

    def _write(
        self,
        job: Job,
        path: Path,
        folder: Optional[Path],
        sounds: List[Sound],
        parts: List[Parts],
        inputs: Optional[List[Tuple[str, np.ndarray, int]]],
    ) -> List[str]:
        request = self.request
        rate = request.sample_rate or sounds[0].sample_rate
        if folder is None and not request.plot:
            parts = [Parts(p.sum) for p in parts]  # resampled once, not part by part
        stems = _join([s.stems_of(p, rate) for s, p in zip(sounds, parts)], rate)
        output = sum(stems.values())
        check_samples(path, output)
        notes = [f"{path}: {len(output) / rate:.2f} s at {rate} Hz"]
        peak = float(np.abs(output).max())
        loudest = peak
        if folder is not None:
            loudest = max(peak, *(float(np.abs(x).max()) for x in stems.values()))
        if (request.normalize and loudest > 0) or (loudest > 1 and request.bits != 32):
            output = output / loudest
            stems = {name: x / loudest for name, x in stems.items()}
            if not request.normalize and loudest > 1.005:  # less cannot be heard
                what = "it" if loudest == peak else "a stem of it"
                notes.append(
                    f"{path}: scaled by {-20 * math.log10(loudest):.1f} dB, as {what} exceeded "
                    "full scale."
                )
        elif loudest > 1.005:
            notes.append(f"{path}: exceeds full scale by {20 * math.log10(loudest):.1f} dB.")
        if sounds[0].gains == (0.0, 0.0, 0.0) and len(sounds) == 1:
            notes.append(f"{path}: is silent, as {job.source} never exceeds -60 dB.")
        if len(sounds) > 1:
            notes.append(
                f"{path}: made in {len(sounds)} segments of {SEGMENT_S:g} s, faded into each other."
            )
        write_samples(path, output, rate, request.bits)
        if folder is not None:
            # What is lossy would not add up.
            suffix = ".wav" if path.suffix.lower() == ".ogg" else path.suffix
            for name, stem in stems.items():
                write_samples(folder / f"{name}{suffix}", stem, rate, request.bits)
        if request.plot:
            self._plot(path.with_suffix(".png"), path.name, rate, output, stems, sounds, inputs)
        return notes

    def _plot(self, path, title, rate, output, stems, sounds, inputs) -> None:
        from drumblender.plotting import plot_parts, save_figure

        if inputs is None:
            recorded = [{"": s.recording[:, 0]} for s in sounds]
            its_rate = sounds[0].sample_rate
            inputs = [("Input", _join(recorded, its_rate)[""], its_rate)]
        signals = [
            (name, resample(torch.from_numpy(np.ascontiguousarray(x)), its_rate, rate))
            for name, x, its_rate in inputs
        ]
        made = [("Output", output), *((name.capitalize(), x) for name, x in stems.items())]
        signals += [(name, torch.from_numpy(_first(x))) for name, x in made]
        save_figure(plot_parts(signals, rate, title), path)


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
        check_overwriting(jobs, [*sources, *others])
        return jobs, []
    if target.is_file() or (target.suffix.lower() in SUFFIXES and not target.exists()):
        raise UsageError(f"{target} names a file, but several recordings need a folder; name one.")
    apart = [path.resolve() for path in (target, stems) if path is not None]
    notes, found = [], []
    for source in sources:
        if not source.is_dir():
            found.append((source, Path(source.name)))
            continue
        files = [path for path in sorted(source.rglob("*")) if path.is_file()]
        files = [
            p for p in files if not any(x.startswith(".") for x in p.relative_to(source).parts)
        ]
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
    check_overwriting(jobs, [*others, *(path for path, _ in found)])
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DrumblenderError(
            f"Folder {target} cannot be made ({error.strerror}); name another one."
        ) from None
    if not os.access(target, os.W_OK):
        raise DrumblenderError(f"Folder {target} cannot be written to; name another one.")
    return jobs, notes


def check_overwriting(jobs: Sequence[Job], sources: Sequence[Path]) -> None:
    """Raise where a recording would be overwritten."""
    read = {path.resolve() for path in sources}
    for job in jobs:
        written = [job.destination]
        if job.stems:
            suffix = job.destination.suffix
            written += [job.stems / f"{n}{suffix}" for n in ("modal", "noise", "transient")]
        for path in written:
            if path.resolve() in read:
                raise UsageError(f"{path} would overwrite a recording; give another OUTPUT.")


def derive_seed(seed: Optional[int], name: str) -> Optional[int]:
    """A seed for one recording, the same alone and among others; None without a seed.

    >>> derive_seed(1, "kick.wav") == derive_seed(1, "snare.wav")
    False
    """
    if seed is None:
        return None
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:4], "big") >> 1


def _reports(
    request: Request, jobs: Sequence[Job], num_workers: Optional[int], batch_size: Optional[int]
) -> Iterator[Report]:
    workers = Workers(num_workers)
    parallel = workers.count > 1 and len(jobs) >= _FEW
    cpu = request.device == "cpu" or (request.device == "auto" and not torch.cuda.is_available())
    size = batch_size or (1 if cpu else GPU_BATCH)
    if parallel and cpu and size == 1:
        with workers:
            yield from workers.map(functools.partial(_alone, request), jobs)
        return
    studio = _studio(request)
    prepared = functools.partial(_prepared, request, studio.voice.settings)
    with workers:
        ready = workers.map(prepared, jobs) if parallel else map(prepared, jobs)
        batch: List[Tuple[Job, List[Recording]]] = []
        for job, recordings, error in ready:
            if error:
                yield Report(job, error=error)
                continue
            batch.append((job, recordings))
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
    job, recordings, error = _prepared(request, studio.voice.settings, job)
    if error:
        return Report(job, error=error)
    return _guarded(studio, [(job, recordings)])[0]


def _prepared(
    request: Request, settings: AnalysisSettings, job: Job
) -> Tuple[Job, List[Recording], Optional[str]]:
    try:
        return job, _prepare(request, settings, job.source), None
    except (DrumblenderError, OSError, RuntimeError, MemoryError) as error:
        return job, [], _reason(job, error)


def _guarded(studio: Studio, batch: Sequence[Tuple[Job, List[Recording]]]) -> List[Report]:
    """Work; where a batch fails, one by one, so that one does not take the others with it."""
    try:
        return studio.work([job for job, _ in batch], [recordings for _, recordings in batch])
    except UsageError:
        raise
    except (DrumblenderError, OSError, RuntimeError, MemoryError) as error:
        if len(batch) == 1:
            return [Report(batch[0][0], error=_reason(batch[0][0], error))]
        return [report for one in batch for report in _guarded(studio, [one])]


def _reason(job: Job, error: BaseException) -> str:
    if isinstance(error, DrumblenderError):
        return str(error)
    return f"{job.source}: {' '.join(str(error).split()) or type(error).__name__}"


def _prepare(request: Request, settings: AnalysisSettings, path: Path) -> List[Recording]:
    """A recording in segments, mostly one."""
    samples, rate = read_channels(path)
    length, hop = round(SEGMENT_S * rate), round((SEGMENT_S - OVERLAP_S) * rate)
    last = len(samples) - length
    starts = range(0, last + hop, hop) if last > 0 else [0]
    return [
        prepare(samples[start : start + length], settings, rate, request.stereo, path.name)
        for start in starts
    ]


def _join(segments: List[Dict[str, np.ndarray]], rate: int) -> Dict[str, np.ndarray]:
    """Fade segments into each other."""
    joined = dict(segments[0])
    for index, segment in enumerate(segments[1:], start=1):
        start = round(index * (SEGMENT_S - OVERLAP_S) * rate)
        for name, piece in segment.items():
            before = joined[name]
            shared = len(before) - start
            fade = np.linspace(0, 1, shared, dtype=np.float32)
            fade = fade.reshape(-1, *[1] * (piece.ndim - 1))
            middle = before[start:] * (1 - fade) + piece[:shared] * fade
            joined[name] = np.concatenate([before[:start], middle, piece[shared:]])
    return joined


def _first(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x if x.ndim == 1 else x[:, 0])
