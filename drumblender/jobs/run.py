"""The running of jobs, from audio files to audio files, in one process or in many.

Sounds are rendered first. They are written when all of them are there, because one gain may hold
for all (:mod:`drumblender.files.takes`). Reading and analysis (:func:`~drumblender.sound.prepare`)
need no model, so that other processes can do them while a GPU works. Without a GPU, every process
has its own model and does whole jobs, because batches are then no faster than single sounds.
"""

import functools
import math
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Iterator, List, Optional, Sequence, Set, Tuple, Union

import torch

from drumblender.analysis import AnalysisSettings
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.parallel import Workers
from drumblender.files.paths import is_drum
from drumblender.files.progress import progress
from drumblender.files.reading import duration
from drumblender.files.takes import scratch_folder
from drumblender.files.text import printable
from drumblender.files.writing import write_all
from drumblender.jobs.pictures import draw
from drumblender.jobs.request import Job, Report, Request
from drumblender.jobs.studio import Studio
from drumblender.sound.controls import KNOWN_PARTS
from drumblender.sound.recording import Recording, TooLong, prepare
from drumblender.sound.storing import seconds_of

PathLike = Union[str, Path]
# Sounds that go through the model together on a GPU.
GPU_BATCH = 16
# Fewer recordings than this do not deserve other processes, which take seconds to start.
_FEW = 64


def resynthesize(
    request: Request,
    jobs: Sequence[Job],
    num_workers: Optional[int] = None,
    batch_size: Optional[int] = None,
) -> None:
    """Do all jobs. A job that fails does not stop the others, and is listed at the end.

    Args:
        request: what shall happen to every recording.
        jobs: jobs from :func:`plan`.
        num_workers: number of processes. None stands for one on each core.
        batch_size: number of recordings that go through the model together. None stands for 16 on a
            GPU, and for one at a time on a CPU.

    Raises:
        UsageError: if the request does not fit the model, so that no job can be done.
        DrumblenderError: if the model cannot be loaded, or if a job failed.
    """
    many = len(jobs) > 1
    # The longest first: neighbors are then of one length, for which the analysis keeps its filters
    # and a GPU its batches, and no long one is left to a single process at the end.
    seconds = {job: _seconds(job.source) if many else 0.0 for job in jobs}
    jobs = sorted(jobs, key=lambda job: -seconds[job])
    reports: List[Report] = []
    said: Set[str] = set()
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
                        if line not in said:
                            bar.write(printable(line), file=sys.stdout)
                            said.add(line)
                    if many and report.error:
                        bar.write(printable(f"failed: {report.error}"), file=sys.stderr)
        except BaseException:
            # What is made shall not be lost; how loud the rest would be nobody knows.
            workers.abandon()
            _write_after_a_stop(request, reports, len(jobs))
            raise
        finally:
            _studio.cache_clear()
        reports = _written(request, reports, workers)
    if not many:
        _print_written(reports[0])
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


def blend_files(request: Request, jobs: Sequence[Job]) -> None:
    """Write blends of a few recordings, one for each job.

    Args:
        request: what else shall happen to each blend.
        jobs: jobs that mix recordings, of :func:`~drumblender.jobs.pairs.plan_blend`.

    Raises:
        UsageError: if the request does not fit the recordings or the model.
        DrumblenderError: if a recording cannot be read, or if a blend cannot be made or written.
    """
    folder = jobs[0].destination.parent
    with scratch_folder(folder, jobs[0].destination) as scratch:
        request = replace(request, scratch=scratch)
        studio = Studio(request)
        reports: List[Report] = []
        try:
            for job in progress("Blends", len(jobs), disable=len(jobs) < 2, iterable=jobs):
                reports.append(studio.do(job))
        except BaseException:
            _write_after_a_stop(request, reports, len(jobs))
            raise
        reports = _written(request, reports, Workers(1))
    for line in dict.fromkeys(line for report in reports for line in report.notes):
        print(printable(line))
    for report in reports:
        _print_written(report)
    for report in reports:
        if report.error:
            raise DrumblenderError(report.error)


def _reports(
    request: Request, jobs: Sequence[Job], workers: Workers, batch_size: Optional[int]
) -> Iterator[Report]:
    """Do jobs, and report each one as soon as it is done."""
    many = len(jobs) >= _FEW
    cpu = request.device == "cpu" or (request.device == "auto" and not torch.cuda.is_available())
    size = batch_size or (1 if cpu else GPU_BATCH)
    if size == 1 and (cpu or not many):
        # Of one thread each where there are many, for the same bytes from any number of processes.
        do = functools.partial(_do, request)
        yield from workers.map(do, jobs) if many else map(do, jobs)
        return
    studio = _studio(request)
    prepared = functools.partial(
        _prepared, request, studio.voice.settings, studio.voice.engine.is_measured
    )
    ready = workers.map(prepared, jobs) if many and workers.count > 1 else map(prepared, jobs)
    batch: List[Tuple[Job, Recording]] = []
    for job, found in ready:
        if isinstance(found, Report):
            yield found
        elif found is None:
            yield _do(request, job)
        else:
            batch.append((job, found))
        if len(batch) == size:
            yield from _guarded(studio, batch)
            batch = []
    if batch:
        yield from _guarded(studio, batch)


@functools.lru_cache(maxsize=1)
def _studio(request: Request) -> Studio:
    """Return the studio of this process, which loads its model only once."""
    return Studio(request)


def _do(request: Request, job: Job) -> Report:
    """Do one job with the model of this process."""
    studio = _studio(request)  # whatever is wrong with the model is wrong for all jobs
    try:
        return studio.do(job)
    except UsageError:
        raise
    except Exception as error:
        return Report(job).failed(error)


def _prepared(
    request: Request, settings: AnalysisSettings, as_it_is: bool, job: Job
) -> Tuple[Job, Union[Recording, Report, None]]:
    """Read and analyze the recording of a job.

    Returns:
        The job, and its recording. Instead of it there is None if the recording is longer than one
        segment, goes with others or is a file of parts, or a report if it cannot be read.
    """
    if job.others or job.parts or is_drum(job.source):
        return job, None
    try:
        return job, prepare(
            job.source, settings, None, request.stereo, whole=False, as_it_is=as_it_is
        )
    except TooLong:
        return job, None
    except Exception as error:
        return job, Report(job).failed(error)


def _guarded(studio: Studio, batch: Sequence[Tuple[Job, Recording]]) -> List[Report]:
    """Do a batch of jobs. If it fails, do them one by one, so that only the bad ones fail."""
    try:
        jobs, recordings = zip(*batch)
        return studio.do_prepared(jobs, recordings)
    except UsageError:
        raise
    except Exception as error:
        if len(batch) == 1:
            return [Report(batch[0][0]).failed(error)]
        return [report for one in batch for report in _guarded(studio, [one])]


def _written(request: Request, reports: Sequence[Report], workers: Workers) -> List[Report]:
    """Write all sounds, and return the reports with the errors of those that were not written."""
    errors, lines = write_all(
        [report.takes for report in reports],
        request.normalize,
        request.bits,
        workers,
        KNOWN_PARTS,
        draw,
    )
    for line in lines:
        print(printable(line))
    return [
        report if error is None else report.failed(error) for report, error in zip(reports, errors)
    ]


def _write_after_a_stop(request: Request, reports: Sequence[Report], total: int) -> None:
    """Write what was made before the user or an error stopped the run, and say how much it is."""
    if not reports:
        return
    print("Stopped; what is finished is being written ...", file=sys.stderr)
    written = _written(request, reports, Workers(1))
    done = sum(report.error is None for report in written)
    print(f"{done} of {total} recordings are written.", file=sys.stderr)


def _print_written(report: Report) -> None:
    """Print what was written for one job."""
    for take in report.takes if report.error is None else ():
        info = f"{take.length / take.sample_rate:.2f} s at {take.sample_rate} Hz"
        print(printable(f"{take.destination}: {info}"))
    for line in report.saved if report.error is None else ():
        print(printable(line))


def _seconds(path: Path) -> float:
    """Return how long a recording or the sound of a file of parts is, in seconds; 0 if unknown."""
    return seconds_of(path) if is_drum(path) else duration(path)
