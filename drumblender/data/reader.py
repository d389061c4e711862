"""Readers of the files of a dataset: metadata, audio and features.

A dataset is a folder with ``meta_file``, a JSON object that maps keys to {``filename``, ``type``,
``sample_pack_key``, ``instrument``, ``feature_file``}, with paths relative to the folder. Audio
files are mono WAV files of the same rate and length. Feature files are float32 tensors (3, modes,
frames) that ``torch.save`` wrote. Where a separating analysis measured the features, ``rest_file``
names what it left without the modes: {``noise``, ``transient``}, tensors in float16.
"""

import json
import os
import pickle
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple

import soundfile
import torch
from torch import Tensor

from drumblender.errors import DrumblenderError
from drumblender.files.paths import leads_outside
from drumblender.files.text import printable
from drumblender.signal.auditory import NUM_BANDS, level_hop

Metadata = Dict[str, Dict[str, Any]]

_LABELS = ("type", "sample_pack_key", "instrument", "duplicate_of")
REST = "rest_file"  # metadata field of what is left without the modes
_FILE_FIELDS = ("filename", "feature_file", REST)
# Soundfile takes no text that holds a name which is no UTF-8, and on Windows nothing but text.
_NAME = os.fspath if os.name == "nt" else os.fsencode


def read_metadata(path: Path) -> Metadata:
    """Read the metadata of a preprocessed dataset.

    Raises:
        DrumblenderError: if there is no metadata, if it has another form, or if it names no sound.
    """
    if not path.is_file():
        raise DrumblenderError(
            f"There is no dataset at {path}; prepare it with drumblender-dataset CONFIG."
        )
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DrumblenderError(
            f"{path} is not valid JSON ({error}); prepare the dataset again."
        ) from error
    if not is_metadata(metadata):
        raise DrumblenderError(
            f"{path} is not the metadata of a dataset, an object of key -> "
            "{filename, type, sample_pack_key, instrument, feature_file}; "
            "if it is raw metadata, preprocess it with drumblender-dataset CONFIG --preprocess."
        )
    if not metadata:
        raise DrumblenderError(f"{path} lists no sound at all; prepare the dataset again.")
    return metadata


def is_metadata(content: Any) -> bool:
    """Return whether JSON has the form of a dataset's metadata, which may be empty.

    >>> is_metadata({"a": {"filename": "a.wav"}}), is_metadata({"a": {"filename": 5}})
    (True, False)
    """
    return isinstance(content, dict) and all(
        isinstance(item, dict)
        and _is_path(item.get("filename"))
        and all(item.get(field) is None or _is_path(item[field]) for field in _FILE_FIELDS[1:])
        and not any(isinstance(item.get(label), (list, dict)) for label in _LABELS)
        for item in content.values()
    )


def _is_path(name: Any) -> bool:
    """Return whether a value can be the path of a file."""
    try:
        return isinstance(name, str) and b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def load_audio(path: Path, sample_rate: int, num_samples: int) -> Tensor:
    """Read a mono file that has to have a given rate and length.

    Args:
        path: the file.
        sample_rate: in Hz.
        num_samples: number of samples.

    Shape:
        - Output: (1, num_samples), float32

    Raises:
        DrumblenderError: if the file is missing or broken, or has another form.
    """
    try:
        samples, rate = soundfile.read(_NAME(path), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        raise DrumblenderError(
            f"{path} is missing or broken ({error}); prepare the dataset again."
        ) from error
    if samples.shape[1] != 1:
        raise DrumblenderError(
            f"{path} has {samples.shape[1]} channels; prepare the dataset again, as mono."
        )
    for name, found, expected in (
        ("sample_rate", rate, sample_rate),
        ("num_samples", len(samples), num_samples),
    ):
        if found != expected:
            raise DrumblenderError(
                f"{path} has {name} {found} but the configuration says {expected}; "
                f"set {name} to {found}, or prepare the dataset again in another data_dir."
            )
    return torch.from_numpy(samples.T.copy())


def load_features(path: Path) -> Tensor:
    """Read modal parameters (3, modes, frames).

    Raises:
        DrumblenderError: if the file is missing or broken, or holds no such tensor.
    """
    try:
        parameters = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise DrumblenderError(
            f"{path} is missing or broken ({str(error).splitlines()[0] if str(error) else 'empty'})"
            "; compute it again with drumblender-dataset CONFIG --preprocess_features."
        ) from error
    if not isinstance(parameters, Tensor) or parameters.dim() != 3 or parameters.shape[0] != 3:
        raise DrumblenderError(
            f"{path} holds no tensor (3, modes, frames); compute it again with "
            "drumblender-dataset CONFIG --preprocess_features."
        )
    return parameters.float()


class StoredRest(NamedTuple):
    """What a separating analysis left of a sound without its modes, as a dataset keeps it.

    Attributes:
        noise: levels of the noise, as :func:`~drumblender.signal.auditory.noise_levels` measures
            them (bands, frames).
        transient: waveform up to its last sample that is not silent (n,).
    """

    noise: Tensor
    transient: Tensor


def load_rest(path: Path, sample_rate: int, num_samples: int) -> StoredRest:
    """Read what is left of a sound without its modes.

    Args:
        path: the file.
        sample_rate: in Hz.
        num_samples: number of samples of the sound.

    Raises:
        DrumblenderError: if the file is missing or broken, or if its form is another.
    """
    remedy = "compute it again with drumblender-dataset CONFIG --preprocess_features"
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        rest = StoredRest(stored["noise"].float(), stored["transient"].float())
    except (
        OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, AttributeError,
        pickle.UnpicklingError,
    ) as error:  # fmt: skip
        reason = str(error).splitlines()[0] if str(error) else "empty"
        raise DrumblenderError(f"{path} is missing or broken ({reason}); {remedy}.") from error
    levels = NUM_BANDS, num_samples // level_hop(sample_rate) + 1
    if rest.noise.shape != levels or rest.transient.dim() != 1 or len(rest[1]) > num_samples:
        raise DrumblenderError(
            f"{path} holds no noise {levels} and transient (up to {num_samples}); {remedy}."
        )
    return rest


def files_of(item: Mapping[str, Any]) -> List[str]:
    """List the files that the metadata of one sound names."""
    return [item[name] for name in _FILE_FIELDS if item.get(name) is not None]


def refuse_outside(path: Path, metadata: Metadata) -> None:
    """Refuse metadata that names files outside of the dataset, which would be written to.

    Args:
        path: the metadata's file, for the message.
        metadata: the metadata.

    Raises:
        DrumblenderError: if it names such a file.
    """
    for item in metadata.values():
        for name in files_of(item):
            if leads_outside(name):
                raise DrumblenderError(
                    f"{path} names {printable(name)}, which lies outside of the dataset; do "
                    "not use this dataset, or move that file into it."
                )
