"""A model at work on the jobs of one process."""

import hashlib
import itertools
import os
from dataclasses import replace
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.atomic import disk_errors
from drumblender.files.audio import check_rate
from drumblender.files.memory import keep_memory
from drumblender.files.reading import open_recording
from drumblender.files.takes import Take, record
from drumblender.jobs.plan import numbered, stem_files
from drumblender.jobs.request import Job, Report, Request
from drumblender.jobs.segments import SEGMENT_S, segment_lengths, segments
from drumblender.sound.recording import Recording
from drumblender.sound.sound import Sound, as_written, play
from drumblender.sound.voice import Voice, load
from drumblender.tasks.blender import Stems, mix

# A picture shows no more than this much of a recording.
SHOWN_S = 60.0


class Studio:
    """A model at work in one process."""

    def __init__(self, request: Request):
        keep_memory()
        self.request = request
        self.voice: Voice = load(
            request.config, request.checkpoint, request.device, request.precision
        )
        self._check()
        self.notes: Tuple[str, ...] = ()
        if request.seed is not None and not self.voice.is_repeatable:
            self.notes = (
                "--seed does not repeat the noise of this model, because its noise synth takes no "
                "`generator`.",
            )
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
        request = self.request
        needs = {f"--{part}": part for part, _ in request.parts}
        needs.update(request.changes.needs)
        for option, part in needs.items():
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
                sound = sound.with_part(part, other)
            todo.append((job, sound))
        return self.produce(todo)

    def work_through(self, job: Job) -> Report:
        """As :meth:`work`, of one recording of any length, segment by segment."""
        keeps_time = self.request.changes.keeps_time and not self.request.variations
        if self.others or not keeps_time:
            raise DrumblenderError(
                f"{job.source} is longer than {SEGMENT_S:g} s, too long for --decay, --humanize, "
                "--variations and parts of other recordings; cut it."
            )
        with open_recording(job.source) as file:
            its_rate = file.sample_rate
        rate = self.request.sample_rate or its_rate
        _, hop = segment_lengths(its_rate)
        count, shown = 0, []

        def pieces() -> Iterator[Tuple[int, Dict[str, np.ndarray]]]:
            nonlocal count
            for recording in segments(job.source, self.voice.settings, self.request.stereo):
                (sound,) = self.take_apart([recording], count)
                (_, _, sound), *_ = self._versions(job, sound)
                (parts,) = play([sound])
                if self.request.plot and count * hop < SHOWN_S * its_rate:
                    shown.append(sound.recording[:hop, 0])
                yield round(count * hop * rate / its_rate), self._stems(sound, parts)
                count += 1

        take = self._record(job.destination, job.stems, rate, pieces())
        if self.request.plot:
            recorded = np.concatenate(shown)[: round(SHOWN_S * its_rate)]
            take = self._with_inputs(take, [("Input", recorded, its_rate)])
        note = f"made in {count} segments of {SEGMENT_S:g} s, faded into each other."
        return Report(job, (take,), (*self.notes, f"{job.destination}: {note}"))

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
        reports = [Report(job, notes=self.notes) for job, _ in todo]
        products = [
            (index, *product)
            for index, (job, sound) in enumerate(todo)
            for product in self._versions(job, sound)
        ]
        rendered = play([sound for *_, sound in products])
        for (index, path, stems, sound), parts in zip(products, rendered):
            report = reports[index]
            try:
                pieces = [(0, self._stems(sound, parts))]
                take = self._record(path, stems, self._rate(sound), pieces)
                notes = report.notes
                if todo[index][1].is_silent:
                    source = report.job.source
                    notes += (f"{path}: is silent, as {source} never exceeds -60 dB.",)
                if self.request.plot:
                    shown = inputs or [("Input", sound.recording[:, 0], sound.sample_rate)]
                    take = self._with_inputs(take, shown)
                reports[index] = replace(report, takes=(*report.takes, take), notes=notes)
            except DrumblenderError as error:
                reports[index] = report.failed(error)
        return reports

    def _versions(self, job: Job, sound: Sound) -> Iterator[Tuple[Path, Optional[Path], Sound]]:
        """(file, folder of stems, sound): the variations of a sound, or the sound itself."""
        changes, count = self.request.changes, self.request.variations
        sound = changes.apply(sound)
        if not count and not changes.are_random:
            yield job.destination, job.stems, sound
            return
        for number in range(1, max(1, count) + 1):
            seed = derive_seed(self.request.seed, f"{sound.name} variation {number}")
            varied = changes.vary(sound, seed)
            if not changes.are_random:
                varied = sound.with_variation(seed=seed)
            if count:
                name = f"{number:0{len(str(count))}d}"
                yield (*numbered(job.destination, job.stems, name), varied)
            else:
                yield job.destination, job.stems, varied

    def _rate(self, sound: Sound) -> int:
        """The rate at which a sound is written, in Hz."""
        return self.request.sample_rate or sound.sample_rate

    def _stems(self, sound: Sound, stems: Stems) -> Dict[str, np.ndarray]:
        """The signals to write of a sound; only their sum where nobody asks for them."""
        if self.request.stems is None and not self.request.plot:
            stems = {"sum": mix(stems)}  # resampled once, not part by part
        return as_written(sound, stems, self._rate(sound))

    def _record(
        self,
        path: Path,
        folder: Optional[Path],
        rate: int,
        pieces: Iterable[Tuple[int, Dict[str, np.ndarray]]],
    ) -> Take:
        """Record a sound that comes piece by piece, each with its first sample."""
        check_rate(path, rate)
        stems = {} if folder is None else stem_files(folder, path, self.voice.parts)
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
