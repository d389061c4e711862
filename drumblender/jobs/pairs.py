"""Jobs that combine several recordings: blends, and parts of others, of files and of folders."""

from dataclasses import replace
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from drumblender.errors import UsageError
from drumblender.jobs.plan import check_output, check_overwriting, numbered, plan, recordings
from drumblender.jobs.request import Job, Request

# The path of a recording relative to the folder that was given, and the name of this folder.
Place = Tuple[Path, str]
# A function that finds the partners of recordings among others: a position or None for each.
Pairing = Callable[[Sequence[Place], Sequence[Place]], List[Optional[int]]]


def plan_blend(
    request: Request, sources: Sequence[Path], output: Path, weights: Sequence[Sequence[float]]
) -> List[Job]:
    """Plan blends of a few recordings.

    Args:
        request: what else shall happen to each blend.
        sources: files of the recordings.
        output: file to write. Several blends add numbers to its name.
        weights: for each blend, the weights of the recordings.

    Raises:
        UsageError: if a source is a folder, if the output has no known format, or if a recording
            would be overwritten.
    """
    for path in sources:
        if path.is_dir():
            raise UsageError(
                f"{path} is a folder, but --blend takes files, or first a folder and then a folder "
                "or a file; give these."
            )
    check_output(output, request)
    jobs = _series(Job(sources[0], output, request.stems), tuple(sources[1:]), weights)
    check_overwriting(jobs, sources)
    return jobs


def plan_blends(
    request: Request,
    folder: Path,
    other: Path,
    output: Path,
    weights: Sequence[Sequence[float]],
    pairing: Pairing,
    suffix: str = "wav",
) -> Tuple[List[Job], List[str]]:
    """Plan blends of all recordings of a folder with those of another one, or with one recording.

    Args:
        request: what else shall happen to each blend.
        folder: folder of the recordings.
        other: folder of their partners, or the partner of all.
        output: folder to write to. Blends have the names of the first recordings.
        weights: weights of both recordings in each blend. Several blends add numbers to the names.
        pairing: function that finds partners.
        suffix: suffix of files in the output, without a dot.

    Returns:
        Jobs, and lines that tell the user what goes with what and what is left out.

    Raises:
        UsageError: as in :func:`~drumblender.jobs.plan.plan`, or if nothing goes together.
        DrumblenderError: as there.
    """
    partner, notes = _partners(request, [folder], other, output, pairing)
    jobs, more = plan([folder], output, request, suffix)
    series = [
        job
        for each in jobs
        if each.source in partner
        for job in _series(each, (partner[each.source],), weights)
    ]
    check_overwriting(series, [path for pair in partner.items() for path in pair])
    return series, [*more, *notes]


def plan_parts(
    request: Request,
    inputs: Sequence[Path],
    folders: Sequence[Tuple[str, Path]],
    output: Path,
    pairing: Pairing,
    suffix: str = "wav",
) -> Tuple[List[Job], List[str]]:
    """Plan jobs whose recordings take parts from their partners in other folders.

    Args:
        request: what else shall happen to each recording.
        inputs: audio files and folders.
        folders: pairs of the name of a part and the folder to take it from.
        output: folder to write to.
        pairing: function that finds partners.
        suffix: suffix of files in the output, without a dot.

    Returns:
        Jobs, and lines that tell the user what goes with what and what is left out.

    Raises:
        UsageError: as in :func:`~drumblender.jobs.plan.plan`, or if nothing goes together.
        DrumblenderError: as there.
    """
    partners, notes = [], []
    for part, folder in folders:
        found, more = _partners(request, inputs, folder, output, pairing)
        partners.append((part, found))
        notes += [line for line in more if line not in notes]
    jobs, more = plan(inputs, output, request, suffix)
    taking = [
        replace(job, parts=tuple((part, found[job.source]) for part, found in partners))
        for job in jobs
        if all(job.source in found for _, found in partners)
    ]
    if not taking:
        raise UsageError(
            "No recording has partners in all of these folders; give folders one at a time to see "
            "what goes with what."
        )
    check_overwriting(taking, [path for _, found in partners for path in found.values()])
    return taking, [*more, *notes]


def _series(job: Job, others: Tuple[Path, ...], weights: Sequence[Sequence[float]]) -> List[Job]:
    """Return a job for each blend of a series, with numbers in their names if there are several."""
    if len(weights) == 1:
        return [replace(job, others=others, weights=tuple(weights[0]))]
    made = []
    for number, each in enumerate(weights, 1):
        name = f"{number:0{len(str(len(weights)))}d}"
        path, stems = numbered(job.destination, job.stems, name)
        made.append(Job(job.source, path, stems, others, tuple(each)))
    return made


def _partners(
    request: Request, inputs: Sequence[Path], other: Path, output: Path, pairing: Pairing
) -> Tuple[Dict[Path, Path], List[str]]:
    """Find the partner of each recording, with lines that say what goes with what."""
    results = [path for path in (output, request.stems) if path is not None]
    found, _ = recordings(inputs, results)
    if not other.is_dir():
        return {path: other for path, _ in found}, []
    others, _ = recordings([other], results)
    mine, its = (
        [(relative, path.parents[len(relative.parts) - 1].name) for path, relative in each]
        for each in (found, others)
    )
    positions = pairing(mine, its)
    partner = {
        path: others[position][0]
        for (path, _), position in zip(found, positions)
        if position is not None
    }
    if not partner:
        raise UsageError(
            f"No recording of {other} has the name or the instrument of an input; rename them, or "
            "name two files."
        )
    notes = [f"{path} goes with {there}." for path, there in partner.items()]
    notes += [
        f"{path} is left out, because nothing in {other} goes with it."
        for path, _ in found
        if path not in partner
    ]
    notes += [
        f"{path} is left out, because it goes with no input."
        for index, (path, _) in enumerate(others)
        if index not in positions
    ]
    return partner, notes
