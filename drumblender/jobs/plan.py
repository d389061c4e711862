"""The plan of which recording goes where, which is made before anything is done."""

import os
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple, Union

from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.audio import check_name
from drumblender.files.listing import files_below
from drumblender.files.paths import DRUM, SUFFIXES, is_drum
from drumblender.files.writing import add_up, stem_files
from drumblender.jobs.request import Job, Request
from drumblender.sound.controls import KNOWN_PARTS

PathLike = Union[str, Path]


def plan(
    inputs: Sequence[PathLike], output: PathLike, request: Request, suffix: str = "wav"
) -> Tuple[List[Job], List[str]]:
    """Decide which recording goes where, and make the folder that is needed.

    One file goes to a file, unless ``output`` is a folder. Several files and the files of folders
    go to a folder. They keep their names and their sub-folders. If two of them would get the same
    name, one of them gets a number.

    Args:
        inputs: audio files, files of parts and folders.
        output: a file or a folder.
        request: what shall happen to the recordings.
        suffix: suffix of files in a folder, without a dot.

    Returns:
        Jobs, and lines that tell the user what is left out or gets another name.

    Raises:
        UsageError: if a recording or the stem of another sound would be overwritten, if a file to
            write has no known format, or if the output names a file where a folder is needed.
        DrumblenderError: if a folder holds no audio files, or if the output cannot be written to.
    """
    sources, target, stems = [Path(x) for x in inputs], Path(output), request.stems
    others = [path for _, path in request.parts]
    if len(sources) == 1 and not sources[0].is_dir() and not target.is_dir():
        check_output(target, request)
        jobs = [Job(sources[0], target, stems)]
        check_overwriting(jobs, [*sources, *others], request.variations)
        return jobs, []
    names_file = target.suffix.lower() in (*SUFFIXES, DRUM) and not target.exists()
    if target.is_file() or names_file:
        raise UsageError(f"{target} names a file, but several recordings need a folder; name one.")
    found, notes = recordings(sources, [path for path in (target, stems) if path is not None])
    check_output(Path(f"sound.{suffix}"), request)
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


def check_output(path: Path, request: Request) -> None:
    """Check that a file to write has a known format, which can hold what is asked for.

    Raises:
        UsageError: if it has none, or if the format cannot hold it.
    """
    if not is_drum(path):
        return check_name(path, request.bits)
    options = {
        "--stems": request.stems is not None,
        "--plot": request.plot,
        "--normalize": request.normalize != "no",
    }
    for option, is_given in options.items():
        if is_given:
            raise UsageError(
                f"{option} is of sounds that are played, and {DRUM} files hold parts; leave it "
                "out, or write a WAV file."
            )


def recordings(
    sources: Sequence[Path], results: Sequence[Path] = ()
) -> Tuple[List[Tuple[Path, Path]], List[str]]:
    """List the recordings of files and folders.

    Args:
        sources: audio files and folders.
        results: folders of results, which are no recordings where they lie in others.

    Returns:
        The path of each recording, and that relative to the folder it was found in. Then lines that
        tell the user what is left out.

    Raises:
        DrumblenderError: if a folder holds no audio files.
    """
    apart = [path.resolve() for path in results]
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
        sound = [path for path in files if path.suffix.lower() in (*SUFFIXES, DRUM)]
        if not sound:
            raise DrumblenderError(
                f"There are no audio files in {source}; give a folder of WAV, FLAC or OGG files."
            )
        if len(sound) < len(files):
            notes.append(f"{source}: {len(files) - len(sound)} files that are no audio left out.")
        sound, twice = _without_doubles(sound)
        notes += twice
        found += [(path, path.relative_to(source)) for path in sound]
    return found, notes


def _without_doubles(files: Sequence[Path]) -> Tuple[List[Path], List[str]]:
    """Leave out files of parts beside the recordings that they were made of, by their names."""
    recorded = {path.with_suffix(""): path for path in files if not is_drum(path)}
    doubles = {
        path: recorded[path.with_suffix("")]
        for path in files
        if is_drum(path) and path.with_suffix("") in recorded
    }
    notes = [f"{path} is left out, because {other} is there." for path, other in doubles.items()]
    return [path for path in files if path not in doubles], notes


def check_overwriting(jobs: Sequence[Job], sources: Sequence[Path], variations: int = 0) -> None:
    """Check that neither a recording nor the stem of another sound would be overwritten.

    Args:
        jobs: jobs to be done.
        sources: all files that are read.
        variations: number of variations of each recording. 0 stands for the sound itself.

    Raises:
        UsageError: if one would be.
    """
    read = {path.resolve() for path in sources}
    for job in jobs:
        products = [(job.destination, job.stems)]
        if variations:
            numbers = range(1, variations + 1)
            names = [f"{number:0{len(str(variations))}d}" for number in numbers]
            products = [numbered(job.destination, job.stems, name) for name in names]
        for output, folder in products:
            stems = (
                list(stem_files(folder, output, KNOWN_PARTS).values()) if folder is not None else []
            )
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


def numbered(path: Path, stems: Optional[Path], name: str) -> Tuple[Path, Optional[Path]]:
    """Add a name to a file and to the folder of its stems, for one of several sounds of a job.

    >>> numbered(Path("kick.wav"), None, "02")[0].name
    'kick_02.wav'
    """
    return path.with_name(f"{path.stem}_{name}{path.suffix}"), stems and stems / name
