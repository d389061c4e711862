"""From a raw folder of recordings to a dataset: WAV files, modal features and metadata.

There are two passes over all sounds, one for audio and one for features. Any number of processes
gives the same bytes. A large library is made in shards (see :mod:`~.shards`).
"""

import functools
import shutil
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Optional, Tuple, Union

import torch

from drumblender.data.build.batches import feature_maker
from drumblender.data.build.growing import FILES, GrowingDataset, Skipped
from drumblender.data.build.journal import JOURNAL_FILE, Journal, read_journal, state_of
from drumblender.data.build.recipe import cached_analysis, make_audio
from drumblender.data.build.report import BuildReport
from drumblender.data.build.rest import measure_rest
from drumblender.data.build.shards import shard_of
from drumblender.data.library.folder import UNFINISHED, is_unfinished
from drumblender.data.library.scan import read_library
from drumblender.data.library.sounds import fingerprint
from drumblender.data.library.unpack import unpack_archives
from drumblender.data.reader import REST, Metadata, read_metadata, refuse_outside
from drumblender.data.settings import (
    CUT,
    LEFT_OUT,
    SETTINGS_FILE,
    DatasetSettings,
    read_settings,
    refuse_other,
)
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
) -> BuildReport:
    """Make a dataset of a raw folder, or bring one up to date.

    Args:
        raw_dir: the raw folder (see :mod:`drumblender.data.library.scan`).
        data_dir: the dataset. Files that it has already, and that still fit, are reused.
        meta_file: name of the metadata of the dataset, and of the raw metadata, if there is some.
        settings: settings of the dataset.
        num_workers: number of processes. None stands for all cores.
        device: name of the device that measures features, in batches unless it is ``cpu``.
        shard: (k, n) for the k-th of n parts, which goes to ``<data_dir>.shard-k-of-n``.
        raw_meta_file: raw metadata, if it is not ``meta_file`` in the raw folder.

    Raises:
        UsageError: if the dataset exists with other settings.
        DrumblenderError: if no recording can be used.
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
    found = read_library(raw_dir, raw_meta_file or meta_file)
    sounds = {sound.key: sound for sound in found.sounds}
    library = {"sounds": len(sounds), "digest": fingerprint(sounds)}
    if shard is not None:
        k, n = shard
        data_dir = data_dir.with_name(f"{data_dir.name}.shard-{k}-of-{n}")
        sounds = {key: sound for key, sound in sounds.items() if shard_of(key, n) == k}
    with atomic.exclusive(data_dir), Workers(num_workers) as workers:
        growing = GrowingDataset(data_dir, settings, _reusable(data_dir, settings))
        unpacked = data_dir.with_name(data_dir.name + ".kits")
        try:
            sources, damaged = unpack_archives(raw_dir, sounds.values(), unpacked)
            recipes = []
            for key, sound in sounds.items():
                problem = sound.problem or damaged.get(key)
                if problem:
                    growing.failures[key] = problem
                    continue
                source = sources.get(key, raw_dir / sound.name)
                recipes.append(growing.recipe(key, f"{FILES}/{key}.wav", source, state_of(source)))
            audio = growing.run(functools.partial(workers.map, make_audio), recipes, "Audio")
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)
        features = audio
        if settings.analysis is not None:
            recipes = [
                growing.recipe(
                    key, f"{FILES}/{key}.pt", growing.folder / name, growing.journal[name].stamp
                )
                for key, name in ((key, made.recipe.name) for key, made in audio.items())
            ]
            features = growing.run(feature_maker(workers, device), recipes, "Modal analysis")
        last = measure_rest(growing, features, workers) if settings.keeps_rest else features
        metadata: Metadata = {}
        for key in sorted(last):
            metadata[key] = {"filename": audio[key].recipe.name, **sounds[key].metadata()}
            if settings.analysis is not None:
                metadata[key]["feature_file"] = features[key].recipe.name
            if settings.keeps_rest:
                metadata[key][REST] = last[key].recipe.name
        skipped = {key: (sounds[key].name, reason) for key, reason in growing.failures.items()}
        if sounds and not metadata:
            shutil.rmtree(growing.folder)
            raise _nothing_left(raw_dir, skipped)
        growing.mark_duplicates(metadata)
        growing.remove_strays(metadata)
        made = (audio, features, last)
        reused = sum(all(outcomes[key].reused for outcomes in made) for key in metadata)
        return growing.finish(meta_file, metadata, skipped, library, reused, found.left_out)


def preprocess_features(
    data_dir: Path,
    meta_file: str,
    settings: DatasetSettings,
    num_workers: Optional[int] = None,
    device: str = "cpu",
) -> BuildReport:
    """Measure the modal features of a dataset again. Its audio stays as it is.

    The dataset may have been made elsewhere.

    Args:
        data_dir: the dataset.
        meta_file: name of its metadata.
        settings: settings of the dataset. Those of the analysis may be new.
        num_workers: number of processes. None stands for all cores.
        device: name of the device that measures features, in batches unless it is ``cpu``.

    Raises:
        UsageError: if other settings than those of the analysis differ.
        DrumblenderError: if there is no dataset.
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
        growing = GrowingDataset(data_dir, settings, suffix=".features.partial")
        recipes = []
        for key, item in before.items():
            name = item["filename"]
            origin = journal[name].stamp if name in journal else state_of(data_dir / name)
            feature = item.get("feature_file") or str(PurePosixPath(name).with_suffix(".pt"))
            recipes.append(growing.recipe(key, feature, data_dir / name, origin))
        features = growing.run(feature_maker(workers, device), recipes, "Modal analysis")
        last = measure_rest(growing, features, workers) if settings.keeps_rest else features
        growing.journal = {**journal, **growing.journal}
        # Everything else in the folder comes along, whoever put it there.
        ours = {recipe.name for recipe in recipes} | {meta_file, SETTINGS_FILE, JOURNAL_FILE}
        # What was left without other modes is of no use.
        ours |= {str(item.pop(REST)) for item in before.values() if REST in item}
        for path in sorted(data_dir.rglob("*")):
            name = path.relative_to(data_dir).as_posix()
            if path.is_file() and name not in ours:
                atomic.link(path, growing.folder / name)
        metadata = {
            key: {**before[key], "feature_file": features[key].recipe.name}
            for key in before
            if key in last
        }
        for key in metadata if settings.keeps_rest else ():
            metadata[key][REST] = last[key].recipe.name
        skipped = {key: (before[key]["filename"], why) for key, why in growing.failures.items()}
        if not metadata:
            raise _nothing_left(data_dir, skipped)
        stored = stored or {}
        skipped.update({key: tuple(entry) for key, entry in stored.get("skipped", {}).items()})
        left_out = [tuple(entry) for entry in stored.get(LEFT_OUT, ())]
        cut = {key: seconds for key, seconds in stored.get(CUT, {}).items() if key in metadata}
        library = stored.get("library")
        reused = sum(features[key].reused and last[key].reused for key in metadata)
        return growing.finish(meta_file, metadata, skipped, library, reused, left_out, cut)


def _reusable(data_dir: Path, settings: DatasetSettings) -> Journal:
    """Return the journal of the dataset in ``data_dir``, or refuse where it may not be changed."""
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
    """Let impossible settings fail in this process and not in a worker."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"--device {device} is not on this machine; leave it out to use the processor."
        ) from error
    if settings.analysis is not None:
        cached_analysis(settings.analysis)


def _nothing_left(folder: Path, skipped: Skipped) -> DrumblenderError:
    """Return the error that tells why no file of a folder can be used."""
    first = "; ".join(printable(" ".join(entry)) for entry in sorted(skipped.values())[:3])
    more = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    return DrumblenderError(
        f"None of the {len(skipped)} files in {folder} can be used ({first}{more}); "
        "put recordings of drums there."
    )
