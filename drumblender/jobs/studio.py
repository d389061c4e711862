"""Studios, each of which does the jobs of one process with a model."""

import functools
import hashlib
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import (
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
)

import numpy as np

from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.audio import check_rate
from drumblender.files.memory import keep_memory
from drumblender.files.paths import is_drum
from drumblender.files.segments import SEGMENT_S, segment_lengths, segments
from drumblender.files.takes import record
from drumblender.files.writing import stem_files
from drumblender.jobs.pictures import SHOWN_S, Input, first_channel, with_inputs
from drumblender.jobs.plan import numbered
from drumblender.jobs.request import Job, Report, Request
from drumblender.sound.blending import mix
from drumblender.sound.recording import Recording, TooLong
from drumblender.sound.sound import Sound, render
from drumblender.sound.voice import load

T = TypeVar("T")


@dataclass(frozen=True)
class Product:
    """One sound that is to be made for a job.

    Attributes:
        index: index of the job.
        path: file to write in the end.
        stems: file to write each part to, by the name of the part. None if the part is only needed
            for a picture.
        prefix: path that the names of temporary files begin with.
        seed: seed of what changes draw by chance.
    """

    index: int
    path: Path
    stems: Mapping[str, Optional[Path]]
    prefix: Path
    seed: Optional[int]


class Studio:
    """A voice, with all that is needed to do the jobs of a request.

    Args:
        request: what shall happen to every recording.

    Attributes:
        request: the request.
        voice: voice that takes recordings apart.
        changes: changes that are made to each sound. They are random if variations are asked for.
        notes: lines that tell the user something about every sound.
        others: sounds that parts are taken from, by the name of the part.

    Raises:
        UsageError: if the request does not fit the model, or if the model cannot be used here.
        DrumblenderError: if the checkpoint or one of the other recordings cannot be read.
    """

    def __init__(self, request: Request):
        keep_memory()
        self.request = request
        model = request.config, request.checkpoint, request.device, request.precision
        self.voice = load(*model, request.force)
        self._check()
        changes = request.changes
        self.changes = changes.randomized() if request.variations else changes
        self.notes: Tuple[str, ...] = ()
        if request.seed is not None and not self.voice.is_repeatable:
            self.notes = (
                "--seed does not repeat the noise of this model, because its noise synth takes no "
                "`generator`.",
            )
        # One may be needed for several jobs in a row.
        self._whole = functools.lru_cache(maxsize=4)(self.whole)
        self.others = {p: self.whole(path, "to take a part from") for p, path in request.parts}

    @property
    def _silence(self) -> str:
        """The words that say why a recording counts as silent."""
        return "is" if self.voice.engine.is_measured else "never exceeds -60 dB"

    def _check(self) -> None:
        """Check that the model makes all parts that the request needs."""
        request = self.request
        needs = {f"--{part}": part for part, _ in request.parts}
        needs.update(request.changes.needs)
        for option, part in needs.items():
            if part not in self.voice.parts:
                raise UsageError(
                    f"{option} needs a {part} part, which this model does not make (only "
                    f"{' and '.join(self.voice.parts)}); leave it out, or take another model."
                )

    def whole(self, path: Path, purpose: str) -> Sound:
        """Take a recording apart that may be one segment long at most.

        Args:
            path: file of the recording.
            purpose: words such as "to blend", which say in an error what the recording is for.

        Raises:
            DrumblenderError: if it is longer, or cannot be read.
        """
        seed = derive_seed(self.request.seed, path.name)
        try:
            return self.voice.read(path, seed, self.request.stereo, whole=False)
        except TooLong:
            raise DrumblenderError(
                f"{path} is longer than {SEGMENT_S:g} s, too long {purpose}; cut it."
            ) from None

    def do(self, job: Job) -> Report:
        """Take a recording apart, change it, and keep the result in temporary files.

        A long recording is taken apart segment by segment.

        Raises:
            DrumblenderError: if the recording cannot be read, or is too long for what is asked.
        """
        if job.others:
            return self.do_mixed(job)
        seed = derive_seed(self.request.seed, job.source.name)
        stereo = self.request.stereo
        try:
            return self.produce(
                [job],
                [job.source.name],
                lambda: [self.voice.read(job.source, seed, stereo, whole=False)],
            )[0]
        except TooLong:
            return self.work_through(job)

    def do_mixed(self, job: Job) -> Report:
        """Mix a recording with others, change the mix, and keep it in temporary files.

        Raises:
            UsageError: if the sounds cannot be mixed.
            DrumblenderError: if a recording cannot be read, or is too long.
        """
        sounds = [self._whole(path, "to blend") for path in (job.source, *job.others)]
        inputs = [(x.name, first_channel(x), x.sample_rate) for x in sounds]
        mixed = mix(sounds, job.weights)
        return self.produce([job], [mixed.name], lambda: [mixed], inputs)[0]

    def do_prepared(self, jobs: Sequence[Job], recordings: Sequence[Recording]) -> List[Report]:
        """Take recordings apart together, change them, and keep the results in temporary files.

        Args:
            jobs: one job for each recording.
            recordings: recordings from :meth:`~drumblender.sound.voice.Voice.prepare`.
        """
        names = [recording.name for recording in recordings]
        seeds = [derive_seed(self.request.seed, name) for name in names]
        return self.produce(jobs, names, lambda: self.voice.decompose_prepared(recordings, seeds))

    def produce(
        self,
        jobs: Sequence[Job],
        names: Sequence[str],
        make: Callable[[], Sequence[Sound]],
        inputs: Optional[Sequence[Input]] = None,
    ) -> List[Report]:
        """Make sounds, change them, and keep the results in temporary files.

        Args:
            jobs: one job for each sound.
            names: names of the sounds, from which seeds of variations are derived.
            make: function that returns the sounds.
            inputs: signals that pictures show above the sound. None stands for its recording.

        Returns:
            One report for each job.
        """
        request = self.request
        products = self._products(jobs, names)
        originals = make()
        reports = [
            Report(job, notes=(*self.notes, *_strokes(job, len(sound.timeline.onsets))))
            for job, sound in zip(jobs, originals)
        ]
        silent = [sound.is_silent for sound in originals]
        sounds = [self._with_parts(sound, job) for job, sound in zip(jobs, originals)]
        edited = [self.changes.apply(sounds[p.index], p.seed) for p in products]
        separate = bool(request.stems or request.plot)
        played: List[Dict[str, np.ndarray]] = [{} for _ in edited]
        if not all(is_drum(product.path) for product in products):
            played = render(edited, request.sample_rate, separate)
        for product, sound, stems in zip(products, edited, played):
            report = reports[product.index]
            try:
                if silent[product.index]:
                    source = report.job.source
                    note = f"{product.path}: is silent, as {source} {self._silence}."
                    report = replace(report, notes=(*report.notes, note))
                rate = request.sample_rate or sound.sample_rate
                if is_drum(product.path):
                    replace(sound, sample_rate=rate).save(product.path)
                    line = f"{product.path}: {sound.seconds:.2f} s at {rate} Hz, as parts"
                    report = replace(report, saved=(*report.saved, line))
                else:
                    check_rate(product.path, rate)
                    take = record([(0, stems)], product.path, product.stems, rate, product.prefix)
                    if request.plot:
                        original = first_channel(originals[product.index])
                        shown = inputs or [("Input", original, sound.sample_rate)]
                        take = with_inputs(take, shown, product.prefix)
                    report = replace(report, takes=(*report.takes, take))
            except DrumblenderError as error:
                report = report.failed(error)
            reports[product.index] = report
        return reports

    def _with_parts(self, sound: Sound, job: Job) -> Sound:
        """Give a sound the parts of other recordings."""
        others = {part: self._whole(path, "to take a part from") for part, path in job.parts}
        for part, other in {**self.others, **others}.items():
            sound = sound.with_part(part, other)
        return sound

    def work_through(self, job: Job) -> Report:
        """Do a job whose recording may have any length, segment by segment.

        Raises:
            DrumblenderError: if the request needs the whole recording, or if it cannot be read.
        """
        request = self.request
        if is_drum(job.destination):
            raise DrumblenderError(
                f"{job.source} is longer than {SEGMENT_S:g} s, too long for a file of parts; cut "
                "it."
            )
        if self.others or job.parts or request.variations or not self.changes.keeps_time:
            raise DrumblenderError(
                f"{job.source} is longer than {SEGMENT_S:g} s, too long for --decay, --humanize, "
                "--variations and parts of other recordings; cut it."
            )
        (product,) = self._products([job], [job.source.name])
        count, strokes, shown, its_rate = 0, 0, [], 0

        def pieces() -> Iterator[Tuple[int, Dict[str, np.ndarray]]]:
            """Give the first sample of each segment in the output, and its stems."""
            nonlocal count, strokes, its_rate
            name = job.source.name
            for (samples, its_rate), is_last in _with_last(segments(job.source)):
                _, hop = segment_lengths(its_rate)
                recording = self.voice.prepare(samples, its_rate, request.stereo, name)
                # Only the first segment begins like a sound, and only the last one ends.
                recording = replace(recording, begins=not count, ends=is_last)
                seed = derive_seed(request.seed, f"{name} {count}" if count else name)
                (sound,) = self.voice.decompose_prepared([recording], [seed])
                # Those where segments overlap are counted once.
                end = math.inf if is_last else hop * sound.timeline.sample_rate / its_rate
                strokes += sum(onset < end for onset in sound.timeline.onsets)
                separate = bool(request.stems or request.plot)
                (stems,) = render([self.changes.apply(sound)], request.sample_rate, separate)
                if request.plot and count * hop < SHOWN_S * its_rate:
                    shown.append(first_channel(sound)[:hop])
                rate = request.sample_rate or its_rate
                if not count:
                    check_rate(product.path, rate)
                yield round(count * hop * rate / its_rate), stems
                count += 1

        take = record(pieces(), product.path, product.stems, 0, product.prefix)
        # The rate of the recording is known when its first segment has been read.
        take = replace(take, sample_rate=request.sample_rate or its_rate)
        if request.plot:
            recorded = np.concatenate(shown)[: round(SHOWN_S * its_rate)]
            take = with_inputs(take, [("Input", recorded, its_rate)], product.prefix)
        note = f"made in {count} segments of {SEGMENT_S:g} s, faded into each other."
        notes = (*self.notes, *_strokes(job, strokes), f"{job.destination}: {note}")
        return Report(job, (take,), notes)

    def _products(self, jobs: Sequence[Job], names: Sequence[str]) -> List[Product]:
        """List the sounds to make for jobs, which are one each, or all variations of each."""
        count, found = self.request.variations, []
        for index, (job, name) in enumerate(zip(jobs, names)):
            for number in range(1, max(1, count) + 1):
                path, folder = job.destination, job.stems
                if count:
                    path, folder = numbered(path, folder, f"{number:0{len(str(count))}d}")
                stems: Dict[str, Optional[Path]] = {}
                if self.request.plot:
                    stems.update(dict.fromkeys(self.voice.parts))
                if folder is not None:
                    stems.update(stem_files(folder, path, self.voice.parts))
                digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
                seed = derive_seed(self.request.seed, f"{name} variation {number}")
                found.append(Product(index, path, stems, self.request.scratch / digest, seed))
        return found


def _with_last(items: Iterable[T]) -> Iterator[Tuple[T, bool]]:
    """Give each item, and whether it is the last one."""
    held: List[T] = []
    for item in items:
        yield from ((before, False) for before in held)
        held = [item]
    yield from ((last, True) for last in held)


def derive_seed(seed: Optional[int], name: str) -> Optional[int]:
    """Derive the seed of one recording from a common seed and from its name.

    The seed of a recording does not depend on what others there are. It is None if there is no
    common seed.

    >>> derive_seed(1, "kick.wav") == derive_seed(1, "snare.wav")
    False
    """
    if seed is None:
        return None
    # A name may hold bytes that are no UTF-8, which are lone surrogates here.
    text = f"{seed} {name}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:4], "big") >> 1


def _strokes(job: Job, count: int) -> Tuple[str, ...]:
    """Say how many strokes a recording holds, if there are several."""
    if count < 2:
        return ()
    return (f"{job.source}: {count} strokes, each with modes and a transient of its own.",)
