"""From a raw folder of recordings to a dataset: WAV files, modal features and metadata.

Two passes, audio and analysis, each over all sounds in parallel; any number of processes gives the
same bytes. A large library is made in shards, and merged.
"""

import functools
import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Dict, Optional, Set, Tuple, Union

import torch

from drumblender.data import raw
from drumblender.data.audio import is_metadata, read_metadata
from drumblender.data.build import (
    CUT,
    FILES,
    JOURNAL_FILE,
    LEFT_OUT,
    SETTINGS_FILE,
    Build,
    DatasetSettings,
    Journal,
    Made,
    Metadata,
    Report,
    Skipped,
    Stamp,
    Task,
    analyzer,
    cached_analysis,
    files_of,
    make_audio,
    read_journal,
    read_settings,
    refuse_other,
    refuse_outside,
    take_over,
)
from drumblender.data.storage import UNFINISHED, is_unfinished
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files import atomic
from drumblender.files.parallel import Workers
from drumblender.files.text import printable

PathLike = Union[str, Path]


def preprocess(
    raw_dir: Path,
    data_dir: Path,
    meta_file: str,
    settings: DatasetSettings,
    num_workers: Optional[int] = None,
    device: str = "cpu",
    shard: Optional[Tuple[int, int]] = None,
    raw_meta_file: Optional[PathLike] = None,
) -> Report:
    """Make a dataset of a raw folder, or bring one up to date.

    Args:
        raw_dir: folder of recordings, see :mod:`drumblender.data.raw`.
        data_dir: the dataset; what is there and still fits is reused.
        meta_file: metadata, in the raw folder (where there is some) and in the dataset.
        settings: of the dataset.
        num_workers: processes; all cores when None.
        device: where the analysis runs; anything but ``cpu`` does it in batches.
        shard: (k, n) for the k-th of n parts, which goes to ``<data_dir>.shard-k-of-n``.
        raw_meta_file: raw metadata, where it is not ``meta_file`` in the raw folder.

    Raises:
        UsageError: when the dataset is there with other settings.
        DrumblenderError: when no recording can be used.
    """
    _check_analysis(settings, device)
    if raw_dir.resolve() in (data_dir.resolve(), *data_dir.resolve().parents):
        raise UsageError(
            f"data_dir {data_dir} lies inside the raw folder {raw_dir}, whose files it would "
            "become; set another data_dir."
        )
    if is_unfinished(raw_dir):
        raise DrumblenderError(
            f"{raw_dir} is a download that was stopped; set url, bucket and prefix to finish it, "
            f"or remove {raw_dir / UNFINISHED} to use what is there."
        )
    found = raw.read_library(raw_dir, raw_meta_file or meta_file)
    sounds = {sound.key: sound for sound in found.sounds}
    library = {"sounds": len(sounds), "digest": raw.fingerprint(sounds)}
    if shard is not None:
        k, n = shard
        data_dir = data_dir.with_name(f"{data_dir.name}.shard-{k}-of-{n}")
        sounds = {key: sound for key, sound in sounds.items() if _shard_of(key, n) == k}
    with atomic.exclusive(data_dir), Workers(num_workers) as workers:
        build = Build(data_dir, settings, _reusable(data_dir, settings))
        unpacked = data_dir.with_name(data_dir.name + ".kits")
        try:
            sources, damaged = raw.unpack_archives(raw_dir, sounds.values(), unpacked)
            tasks = []
            for key, sound in sounds.items():
                problem = sound.problem or damaged.get(key)
                if problem:
                    build.failures[key] = problem
                    continue
                source = sources.get(key, raw_dir / sound.name)
                tasks.append(build.task(key, f"{FILES}/{key}.wav", source, _state(source)))
            audio = build.run(functools.partial(workers.map, make_audio), tasks, "Audio")
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)
        features = audio
        if settings.analysis is not None:
            tasks = [
                build.task(key, f"{FILES}/{key}.pt", build.folder / made.task.name, made.stamp)
                for key, made in audio.items()
            ]
            features = build.run(analyzer(workers, device), tasks, "Modal analysis")
        metadata: Metadata = {}
        for key in sorted(features):
            metadata[key] = {"filename": audio[key].task.name, **sounds[key].metadata()}
            if settings.analysis is not None:
                metadata[key]["feature_file"] = features[key].task.name
        skipped = {key: (sounds[key].name, reason) for key, reason in build.failures.items()}
        if sounds and not metadata:
            shutil.rmtree(build.folder)
            raise _nothing_left(raw_dir, skipped)
        build.mark_duplicates(metadata)
        build.remove_strays(metadata)
        reused = sum(audio[key].reused and features[key].reused for key in metadata)
        return build.finish(meta_file, metadata, skipped, library, reused, found.left_out)


def preprocess_features(
    data_dir: Path,
    meta_file: str,
    settings: DatasetSettings,
    num_workers: Optional[int] = None,
    device: str = "cpu",
) -> Report:
    """Measure the modal features of a dataset again; its audio stays as it is.

    Works on datasets that were made elsewhere, too.

    Args:
        data_dir: the dataset.
        meta_file: its metadata.
        settings: of the dataset; those of the analysis may be new.
        num_workers: processes; all cores when None.
        device: where the analysis runs; anything but ``cpu`` does it in batches.
    """
    if settings.analysis is None:
        raise UsageError(
            "--preprocess_features needs a configuration of drumblender.data.ModalDataModule; "
            "this one knows no modal features."
        )
    _check_analysis(settings, device)
    with atomic.exclusive(data_dir), Workers(num_workers) as workers:
        before = read_metadata(data_dir / meta_file)
        refuse_outside(data_dir / meta_file, before)
        stored = read_settings(data_dir)
        if stored is not None:
            refuse_other(data_dir, stored, replace(settings, analysis=None))
        journal = read_journal(data_dir)
        build = Build(data_dir, settings, suffix=".features.partial")
        tasks = []
        for key, item in before.items():
            name = item["filename"]
            origin = journal[name].stamp if name in journal else _state(data_dir / name)
            feature = item.get("feature_file") or str(PurePosixPath(name).with_suffix(".pt"))
            tasks.append(build.task(key, feature, data_dir / name, origin))
        features = build.run(analyzer(workers, device), tasks, "Modal analysis")
        build.journal = {**journal, **build.journal}
        # Everything else in the folder comes along, whoever put it there.
        ours = {task.name for task in tasks} | {meta_file, SETTINGS_FILE, JOURNAL_FILE}
        for path in sorted(data_dir.rglob("*")):
            name = path.relative_to(data_dir).as_posix()
            if path.is_file() and name not in ours:
                atomic.link(path, build.folder / name)
        metadata = {
            key: {**before[key], "feature_file": features[key].task.name}
            for key in before
            if key in features
        }
        skipped = {key: (before[key]["filename"], why) for key, why in build.failures.items()}
        if not metadata:
            raise _nothing_left(data_dir, skipped)
        stored = stored or {}
        skipped.update({key: tuple(entry) for key, entry in stored.get("skipped", {}).items()})
        left_out = [tuple(entry) for entry in stored.get(LEFT_OUT, ())]
        cut = {key: seconds for key, seconds in stored.get(CUT, {}).items() if key in metadata}
        library = stored.get("library")
        reused = sum(made.reused for made in features.values())
        return build.finish(meta_file, metadata, skipped, library, reused, left_out, cut)


def merge(data_dir: Path, meta_file: str, settings: DatasetSettings) -> Report:
    """Make one dataset of the shards that lie beside ``data_dir``, and remove them.

    Raises:
        DrumblenderError: when a shard, a sound or a file is missing.
    """
    with atomic.exclusive(data_dir), Workers() as workers:
        if data_dir.exists():
            raise UsageError(f"{data_dir} is there already; remove it to merge shards anew.")
        shards, library = _read_shards(data_dir, settings)
        build = Build(data_dir, settings)
        metadata: Metadata = {}
        skipped: Skipped = {}
        left_out: Set[Tuple[str, str]] = set()  # of the whole library, in each shard
        tasks = []
        for folder, stored in shards.items():
            items = _read_shard_metadata(folder / meta_file)
            journal = read_journal(folder)
            metadata.update(items)
            skipped.update({key: tuple(entry) for key, entry in stored["skipped"].items()})
            left_out.update(tuple(entry) for entry in stored.get(LEFT_OUT, ()))
            for key, item in items.items():
                for name in files_of(item):
                    made = journal.get(name, Made((0, 0), (0, 0)))
                    task = Task(key, folder / name, made.of, build.folder, name, settings)
                    tasks.append(replace(task, before=(folder, made)))
        found = metadata.keys() | skipped.keys()
        if raw.fingerprint(found) != library["digest"]:
            raise DrumblenderError(
                f"The shards of {data_dir} hold {len(found)} of {library['sounds']} sounds; "
                "make them all again from the same raw folder."
            )
        build.run(functools.partial(workers.map, take_over), tasks, "Merge")
        if build.failures:
            key = min(build.failures)
            raise DrumblenderError(
                f"Files of the shards of {data_dir} are missing or damaged, those of {key} for "
                "one; copy or make the shards again."
            )
        metadata = dict(sorted(metadata.items()))
        build.mark_duplicates(metadata)
        reused = len(metadata)
        report = build.finish(meta_file, metadata, skipped, library, reused, sorted(left_out))
        for folder in shards:
            shutil.rmtree(folder)
        return report


# --- Shards --------------------------------------------------------------------------------------


def _shard_of(key: str, n: int) -> int:
    """Which of shards 1 to n a sound belongs to, whatever else is in the raw folder."""
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % n + 1


def _read_shards(
    data_dir: Path, settings: DatasetSettings
) -> Tuple[Dict[Path, Dict[str, Any]], Dict[str, Any]]:
    """All shards of a dataset with what is stored about them, and about the library."""
    pattern = re.compile(re.escape(data_dir.name) + r"\.shard-(\d+)-of-(\d+)")
    found = {}
    for path in data_dir.parent.iterdir():
        match = pattern.fullmatch(path.name)
        if match:
            found[int(match[1]), int(match[2])] = path
    counts = {n for _, n in found}
    if len(counts) != 1:
        raise UsageError(
            f"Beside {data_dir} there are shards of {len(counts)} divisions"
            f" ({', '.join(f'--shard K/{n}' for n in sorted(counts)) or 'none'}); "
            "make all the shards of one, and remove others."
        )
    (n,) = counts
    missing = [k for k in range(1, n + 1) if (k, n) not in found]
    if missing:
        raise DrumblenderError(
            f"{data_dir} lacks {len(missing)} of {n} shards; "
            f"make them with --shard {missing[0]}/{n}"
            + (f", {', '.join(f'{k}/{n}' for k in missing[1:])}." if missing[1:] else ".")
        )
    shards = {}
    for _, folder in sorted(found.items()):
        stored = read_settings(folder)
        if stored is None or not stored.get("library") or "skipped" not in stored:
            raise DrumblenderError(f"{folder} is no whole shard; make it again.")
        refuse_other(folder, stored, settings)
        shards[folder] = stored
    libraries = [stored["library"] for stored in shards.values()]
    if any(library != libraries[0] for library in libraries):
        raise DrumblenderError(
            f"The shards of {data_dir} were made of different raw folders; "
            "make them all again from the same one."
        )
    return shards, libraries[0]


def _read_shard_metadata(path: Path) -> Metadata:
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
        whole = is_metadata(metadata)  # a shard may hold no sound at all
    except (OSError, ValueError, RecursionError):
        whole = False
    if not whole:
        raise DrumblenderError(f"{path} is missing or broken; make that shard again.")
    refuse_outside(path, metadata)
    return metadata


def _reusable(data_dir: Path, settings: DatasetSettings) -> Journal:
    """The journal of the dataset that is there, provided that it may be brought up to date."""
    if not data_dir.exists() or (data_dir.is_dir() and not any(data_dir.iterdir())):
        return {}
    stored = read_settings(data_dir)
    if stored is None:
        raise UsageError(
            f"{data_dir} holds files that were not made here, which preprocessing would replace; "
            "set another data_dir, or remove that folder."
        )
    refuse_other(data_dir, stored, settings)
    if settings.analysis is None and stored["analysis"] is not None:
        raise UsageError(
            f"{data_dir} has modal features, which this configuration would remove; "
            "set another data_dir."
        )
    return read_journal(data_dir)


def _check_analysis(settings: DatasetSettings, device: str) -> None:
    """Let what is impossible fail here and not in a worker."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"--device {device} is not on this machine; leave it out to use the processor."
        ) from error
    if settings.analysis is not None:
        cached_analysis(settings.analysis)


def _state(path: Path) -> Stamp:
    """What tells, without reading it, that a file has changed."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _nothing_left(folder: Path, skipped: Skipped) -> DrumblenderError:
    first = "; ".join(printable(" ".join(entry)) for entry in sorted(skipped.values())[:3])
    more = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    return DrumblenderError(
        f"None of the {len(skipped)} files in {folder} can be used ({first}{more}); "
        "put recordings of drums there."
    )
