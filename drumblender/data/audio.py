"""Datasets of preprocessed one-shots: what is on disk, as tensors.

On disk a dataset is ``<data_dir>/<meta_file>``, a JSON object of key -> {``filename``, ``type``,
``sample_pack_key``, ``instrument``, ``feature_file``}, with paths relative to ``data_dir``; mono
WAV files that all have the same rate and length; and feature files, float32 tensors
(3, modes, frames) written by ``torch.save``. A pack of them (:mod:`.packed`) is read instead where
there is one.
"""

import json
import os
import pickle
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union

import soundfile
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from drumblender.data import packed, splits
from drumblender.errors import DrumblenderError, EmptySplit, UsageError

PathLike = Union[str, Path]

# Soundfile takes no text that holds a name which is no UTF-8, and on Windows nothing but text.
_NAME = os.fspath if os.name == "nt" else os.fsencode
_LABELS = ("type", "sample_pack_key", "instrument", "duplicate_of")


class AudioDataset(Dataset):
    """Preprocessed one-shots.

    Args:
        data_dir: folder of the dataset.
        meta_file: its metadata, relative to ``data_dir``.
        sample_rate: that every file has, in Hz.
        num_samples: that every file has.
        split: ``train``, ``val`` or ``test``; all sounds when None.
        seed: of the split.
        split_strategy: ``random``, or ``sample_pack`` for splits that share no sample pack.
        sample_types: keep only these (``acoustic``, ``electronic``).
        instruments: keep only these (``kick``, ``snare``, ...).

    Attributes:
        pack: that is read; None when there is none that fits, then the files are.

    Shape:
        - Item: (1, num_samples), float32

    Raises:
        DrumblenderError: when a file is missing, broken, or of another rate or length.
        UsageError: when the filters or the split leave nothing.
    """

    def __init__(
        self,
        data_dir: PathLike,
        meta_file: PathLike,
        sample_rate: int,
        num_samples: int,
        split: Optional[str] = None,
        seed: int = 0,
        split_strategy: str = "random",
        sample_types: Optional[List[str]] = None,
        instruments: Optional[List[str]] = None,
    ):
        if split is not None and split not in splits.SPLITS:
            raise UsageError(f"split is {split!r}; choose one of {', '.join(splits.SPLITS)}.")
        self.data_dir = Path(data_dir)
        self.sample_rate = sample_rate
        self.num_samples = num_samples
        self.metadata = read_metadata(self.data_dir / meta_file)
        self.keys = splits.select(self.metadata, sample_types, instruments)
        if split is not None:
            self.keys = splits.split(self.metadata, self.keys, split_strategy, seed)[split]
        if not self.keys:
            raise EmptySplit(
                f"The {split} split of {self.data_dir / meta_file} is empty with "
                f"split_strategy {split_strategy!r}; it takes three or more "
                f"{'sample packs' if split_strategy == 'sample_pack' else 'sounds'}, "
                "so add some, filter less, or use the other strategy."
            )
        self.pack = packed.find(self)
        if self.pack is None:
            self._check_files_exist()
        # What is wrong with one file is mostly wrong with all: say so now and in this process.
        self[0]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> Any:
        return self.audio(index)

    def audio(self, index: int) -> Tensor:
        """The waveform of one sound, (1, num_samples)."""
        return self.read(index, "filename")

    def read(self, index: int, field: str) -> Tensor:
        """What the file of one sound that the metadata names under ``field`` holds."""
        return self.load(index, field) if self.pack is None else self.pack.read(index, field)

    def load(self, index: int, field: str) -> Tensor:
        """As :meth:`read`, of the file itself."""
        return load_audio(self.path(index, field), self.sample_rate, self.num_samples)

    def path(self, index: int, field: str) -> Path:
        """The file that the metadata of one sound names under ``field``."""
        return self.data_dir / self.metadata[self.keys[index]][field]

    def file_fields(self) -> Tuple[str, ...]:
        """The metadata fields that name files which have to be there."""
        return ("filename",)

    def _check_files_exist(self) -> None:
        # One listing per folder: a million calls of stat are slow on a network disk.
        listings: Dict[Path, set] = {}
        for index, key in enumerate(self.keys):
            for field in self.file_fields():
                if not isinstance(self.metadata[key].get(field), str):
                    raise DrumblenderError(
                        f"The metadata of {self.data_dir} names no {field!r} for {key!r}; run "
                        "drumblender-dataset with --preprocess_features to add modal features, "
                        "or prepare the dataset anew."
                    )
                path = self.path(index, field)
                folder = path.parent
                if folder not in listings:
                    listings[folder] = set(os.listdir(folder)) if folder.is_dir() else set()
                if path.name not in listings[folder]:
                    raise DrumblenderError(
                        f"{path} is missing; remove {self.data_dir} and prepare it again with "
                        "drumblender-dataset."
                    )


class AudioWithParametersDataset(AudioDataset):
    """Preprocessed one-shots with the modal parameters measured from them.

    Args:
        data_dir: and all others as in :class:`AudioDataset`.
        parameter_key: the metadata field that names the feature file.
        expected_num_modes: pad with silent modes, or cut, to this number; as stored when None.

    Shape:
        - Item: audio (1, num_samples) and parameters (3, modes, frames), both float32; the
          rows are frequency (rad/sample), amplitude and phase (rad)
    """

    def __init__(
        self,
        data_dir: PathLike,
        meta_file: PathLike,
        sample_rate: int,
        num_samples: int,
        split: Optional[str] = None,
        seed: int = 0,
        split_strategy: str = "random",
        sample_types: Optional[List[str]] = None,
        instruments: Optional[List[str]] = None,
        parameter_key: str = "feature_file",
        expected_num_modes: Optional[int] = None,
    ):
        self.parameter_key = parameter_key
        self.expected_num_modes = expected_num_modes
        super().__init__(
            data_dir,
            meta_file,
            sample_rate,
            num_samples,
            split=split,
            seed=seed,
            split_strategy=split_strategy,
            sample_types=sample_types,
            instruments=instruments,
        )

    def __getitem__(self, index: int) -> Tuple[Tensor, Tensor]:
        return self.audio(index), self.parameters(index)

    def parameters(self, index: int) -> Tensor:
        """The modal parameters of one sound, (3, modes, frames)."""
        parameters = self.read(index, self.parameter_key)
        if self.expected_num_modes is not None:
            missing = self.expected_num_modes - parameters.shape[1]
            # A negative padding cuts.
            parameters = F.pad(parameters, (0, 0, 0, missing))
        return parameters

    def load(self, index: int, field: str) -> Tensor:
        if field == self.parameter_key:
            return load_features(self.path(index, field))
        return super().load(index, field)

    def file_fields(self) -> Tuple[str, ...]:
        return (*super().file_fields(), self.parameter_key)


def read_metadata(path: Path) -> Dict[str, Dict[str, Any]]:
    """Read the metadata of a preprocessed dataset."""
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
    """Whether JSON has the form of a dataset's metadata, which may be empty.

    >>> is_metadata({"a": {"filename": "a.wav"}}), is_metadata({"a": {"filename": 5}})
    (True, False)
    """
    return isinstance(content, dict) and all(
        isinstance(item, dict)
        and _is_path(item.get("filename"))
        and (item.get("feature_file") is None or _is_path(item["feature_file"]))
        and not any(isinstance(item.get(label), (list, dict)) for label in _LABELS)
        for item in content.values()
    )


def _is_path(name: Any) -> bool:
    try:
        return isinstance(name, str) and b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def load_audio(path: Path, sample_rate: int, num_samples: int) -> Tensor:
    """Read a mono file that has to have the given rate and length.

    Shape:
        - Output: (1, num_samples), float32
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
    """Read modal parameters (3, modes, frames)."""
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
