"""Verification of a dataset: every file is read and compared with what it has to be."""

import functools
import math
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import torch
from torch import Tensor

from drumblender.analysis.modal import AnalysisSettings
from drumblender.data.build.journal import Journal, file_stamp, joint_stamp, read_journal
from drumblender.data.reader import REST, load_audio, load_features, load_rest, read_metadata
from drumblender.data.settings import DatasetSettings, read_settings, refuse_other
from drumblender.errors import DrumblenderError
from drumblender.files.parallel import Workers
from drumblender.files.progress import progress
from drumblender.signal import trim_leading_silence


def verify(
    data_dir: Path,
    meta_file: str,
    settings: DatasetSettings,
    num_workers: Optional[int] = None,
    parameter_key: str = "feature_file",
) -> List[str]:
    """Check every sound of a dataset.

    Args:
        data_dir: the dataset.
        meta_file: name of its metadata.
        settings: settings that it has to have. Without those of the analysis, features are not
            checked.
        num_workers: number of processes. None stands for all cores.
        parameter_key: metadata field that names the feature files.

    Returns:
        A sentence for each thing that is wrong.

    Raises:
        DrumblenderError: if there is no dataset.
    """
    metadata = read_metadata(data_dir / meta_file)
    stored = read_settings(data_dir)
    problems = []
    if stored is not None:
        try:
            refuse_other(data_dir, stored, settings, any_version=True)
        except DrumblenderError as error:
            problems.append(str(error))
    # Datasets made elsewhere may keep only the modes that were found.
    check = functools.partial(
        _check, data_dir, settings, read_journal(data_dir), parameter_key, stored is not None
    )
    with Workers(num_workers) as workers, progress("Verify", len(metadata)) as bar:
        for found in workers.map(check, list(metadata.items())):
            problems += found
            bar.update()
    problems += [
        f"The metadata of {key} says duplicate_of {item['duplicate_of']}, which is no sound."
        for key, item in metadata.items()
        if item.get("duplicate_of", key) not in metadata
    ]
    return sorted(problems)


def _check(
    data_dir: Path,
    settings: DatasetSettings,
    journal: Journal,
    parameter_key: str,
    all_modes: bool,
    entry: Tuple[str, Dict[str, Any]],
) -> List[str]:
    """Return what is wrong with one sound.

    Args:
        data_dir: the dataset.
        settings: the settings that it has to have.
        journal: how its files were made.
        parameter_key: the metadata field that names the feature files.
        all_modes: whether features have to hold all modes, and not only those that were found.
        entry: key of the sound, and its metadata.
    """
    key, item = entry
    missing = sorted({"type", "sample_pack_key", "instrument"} - item.keys())
    problems = [f"The metadata of {key} has no {name}." for name in missing]
    names = [item["filename"]]
    problems += _attempt(_check_audio(data_dir / item["filename"], settings))
    if settings.analysis is not None:
        if isinstance(item.get(parameter_key), str):
            names.append(item[parameter_key])
            path = data_dir / names[-1]
            problems += _attempt(
                _check_features(path, settings.num_samples, settings.analysis, all_modes)
            )
        else:
            problems.append(f"The metadata of {key} has no {parameter_key}.")
    if item.get(REST) is not None:
        names.append(item[REST])
        problems += _attempt(_check_rest(data_dir / names[-1], settings))
    if not problems:
        problems += [
            f"{data_dir / name} has changed since it was made."
            for name in names
            if name in journal and file_stamp(data_dir / name) != journal[name].stamp
        ]
    made = [*(journal.get(name) for name in names), None, None]
    audio, feature, rest = made[:3]
    if not problems and audio and feature and feature.of != audio.stamp:
        problems.append(f"{data_dir / names[1]} was measured on another sound than {names[0]}.")
    elif not problems and feature and rest and rest.of != joint_stamp(feature.of, feature.stamp):
        problems.append(f"{data_dir / names[2]} is not what {names[1]} leaves of {names[0]}.")
    return problems


def _attempt(check: Iterator[str]) -> List[str]:
    """Return what a check finds, or the error that ends it."""
    try:
        return list(check)
    except DrumblenderError as error:
        return [str(error)]


def _check_audio(path: Path, settings: DatasetSettings) -> Iterator[str]:
    """Yield what is wrong with a WAV file."""
    audio = load_audio(path, settings.sample_rate, settings.num_samples)
    if not torch.isfinite(audio).all():
        yield f"{path} holds samples that are not numbers."
    elif not len(trim_leading_silence(audio[0], settings.silence_db)):
        yield f"{path} is silent."


def _check_rest(path: Path, settings: DatasetSettings) -> Iterator[str]:
    """Yield what is wrong with a file of noise and transient."""
    rest = load_rest(path, settings.sample_rate, settings.num_samples)
    if not all(torch.isfinite(x).all() for x in rest):
        yield f"{path} holds values that are not numbers."
    elif rest.noise.numel() and rest.noise.min() < 0:
        yield f"{path} holds levels below 0."


def _check_features(
    path: Path, num_samples: int, analysis: AnalysisSettings, all_modes: bool
) -> Iterator[str]:
    """Yield what is wrong with a feature file."""
    parameters: Tensor = load_features(path)
    _, modes, frames = parameters.shape
    expected = num_samples // analysis.hop_length + 1
    if frames != expected:
        yield f"{path} has {frames} frames but its audio has {expected}."
    if modes > analysis.num_modes or (all_modes and modes != analysis.num_modes):
        yield f"{path} has {modes} modes but the configuration says {analysis.num_modes}."
    if not torch.isfinite(parameters).all():
        yield f"{path} holds parameters that are not numbers."
    elif parameters[0].min() < 0 or parameters[0].max() > math.pi:
        yield f"{path} has frequencies outside 0 to pi rad/sample."
