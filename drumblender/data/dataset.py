"""Datasets of preprocessed one-shots, which give what is on disk as tensors.

Files are read one by one (see :mod:`.reader`), or from one packed file if there is one (see
:mod:`.packed`).
"""

import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from drumblender.data import packed, splits, streams
from drumblender.data.reader import REST, load_audio, load_features, load_rest, read_metadata
from drumblender.errors import DrumblenderError, EmptySplit, UsageError
from drumblender.signal import fit_length
from drumblender.signal.auditory import NUM_BANDS, level_hop

PathLike = Union[str, Path]


class AudioDataset(Dataset):
    """Preprocessed one-shots.

    Args:
        data_dir: folder of the dataset.
        meta_file: its metadata, relative to ``data_dir``.
        sample_rate: sample rate that every file has, in Hz.
        num_samples: number of samples that every file has.
        split: ``train``, ``val`` or ``test``. None stands for all sounds.
        seed: seed of the split.
        split_strategy: ``random``, ``sample_pack`` for splits that share no sample pack, or
            ``listed`` for the splits that the metadata names.
        sample_types: types of the sounds to keep (``acoustic``, ``electronic``). None stands for
            all.
        instruments: instruments of the sounds to keep (``kick``, ``snare``, ...). None stands for
            all.
        sample_packs: names of the sample packs to keep. None stands for all.

    Attributes:
        packed: the packed file that is read, or the packs in a bucket. It is None if there is none
            that fits, so that single files are read.

    Shape:
        - Item: (1, num_samples), float32

    Raises:
        DrumblenderError: if a file is missing or broken, or has another rate or length.
        UsageError: if the filters or the split leave nothing.
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
        sample_packs: Optional[List[str]] = None,
    ):
        if split is not None and split not in splits.SPLITS:
            raise UsageError(f"split is {split!r}; choose one of {', '.join(splits.SPLITS)}.")
        self.data_dir = Path(data_dir)
        self.sample_rate = sample_rate
        self.num_samples = num_samples
        self.metadata = read_metadata(self.data_dir / meta_file)
        self.keys = splits.select(self.metadata, sample_types, instruments, sample_packs)
        if split is not None:
            self.keys = splits.split(self.metadata, self.keys, split_strategy, seed)[split]
        if not self.keys:
            takes = "sample packs" if split_strategy == "sample_pack" else "sounds"
            remedy = f"it takes three or more {takes}, so add some, filter less, or use the other"
            if split_strategy == splits.LISTED:
                remedy = "name some sounds for it in the metadata, filter less, or use another"
            raise EmptySplit(
                f"The {split} split of {self.data_dir / meta_file} is empty with "
                f"split_strategy {split_strategy!r}; {remedy} strategy."
            )
        self.packed = streams.find(self) or packed.find(self)
        if self.packed is None:
            self._check_files_exist()
        # What is wrong with one file is mostly wrong with all: say so now and in this process.
        self[0]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> Any:
        return self.audio(index)

    def __getitems__(self, indices: List[int]) -> List[Any]:
        """Return the items of a batch, which is what a loader asks for."""
        if isinstance(self.packed, streams.StreamedSounds):
            self.packed.expect_batch(indices)
        return [self[index] for index in indices]

    def expect(self, indices: Sequence[int]) -> None:
        """Hear which items will be needed, in their order. Those of a bucket are read ahead."""
        if isinstance(self.packed, streams.StreamedSounds):
            self.packed.expect(indices)

    def audio(self, index: int) -> Tensor:
        """Return the waveform of one sound, (1, num_samples)."""
        return self.read(index, "filename")

    def read(self, index: int, field: str) -> Tensor:
        """Read what the metadata of one sound names under ``field``, from its file or the pack."""
        return self.load(index, field) if self.packed is None else self.packed.read(index, field)

    def load(self, index: int, field: str) -> Tensor:
        """Read the file of one sound that the metadata names under ``field``."""
        return load_audio(self.path(index, field), self.sample_rate, self.num_samples)

    def path(self, index: int, field: str) -> Path:
        """Return the file that the metadata of one sound names under ``field``."""
        return self.data_dir / self.metadata[self.keys[index]][field]

    def file_fields(self) -> Tuple[str, ...]:
        """Return the metadata fields that name files which have to be there."""
        return ("filename",)

    def remedy(self, field: str) -> str:
        """Return what to do where the metadata does not name a file under ``field``."""
        return (
            "run drumblender-dataset with --preprocess_features to add modal features, or prepare "
            "the dataset anew"
        )

    def _check_files_exist(self) -> None:
        """Refuse a dataset that lacks a file."""
        # One listing per folder: a million calls of stat are slow on a network disk.
        listings: Dict[Path, set] = {}
        for index, key in enumerate(self.keys):
            for field in self.file_fields():
                if not isinstance(self.metadata[key].get(field), str):
                    raise DrumblenderError(
                        f"The metadata of {self.data_dir} names no {field!r} for {key!r}; "
                        f"{self.remedy(field)}."
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
    """Preprocessed one-shots with the modal parameters that were measured from them.

    Args:
        data_dir: folder of the dataset. Arguments that are not listed here are those of
            :class:`AudioDataset`.
        parameter_key: metadata field that names the feature file.
        expected_num_modes: number of modes that an item has. Silent modes are added, or the last
            ones are cut off. None leaves them as they are stored.

    Shape:
        - Item: audio (1, num_samples) and parameters (3, modes, frames), both float32; the rows are
          frequency (rad/sample), linear amplitude and phase (rad)
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
        sample_packs: Optional[List[str]] = None,
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
            sample_packs=sample_packs,
        )

    def __getitem__(self, index: int) -> Tuple[Tensor, Tensor]:
        return self.audio(index), self.parameters(index)

    def parameters(self, index: int) -> Tensor:
        """Return the modal parameters of one sound, (3, modes, frames)."""
        parameters = self.read(index, self.parameter_key)
        if self.expected_num_modes is not None:
            missing = self.expected_num_modes - parameters.shape[1]
            # A negative padding cuts.
            parameters = F.pad(parameters, (0, 0, 0, missing))
        return parameters

    def load(self, index: int, field: str) -> Tensor:
        """Read the file that the metadata of one sound names under ``field``."""
        if field == self.parameter_key:
            return load_features(self.path(index, field))
        return super().load(index, field)

    def file_fields(self) -> Tuple[str, ...]:
        """Return the metadata fields that name files which have to be there."""
        return (*super().file_fields(), self.parameter_key)


class AudioWithPartsDataset(AudioWithParametersDataset):
    """Preprocessed one-shots with modal parameters, and with the parts that were measured as well.

    The dataset has to be made with ``method: separating``. Its arguments are those of
    :class:`AudioWithParametersDataset`.

    Shape:
        - Item: audio (1, num_samples), parameters (3, modes, frames), and by the name of the part
          ``noise``, levels (bands, num_samples // level_hop + 1) as of
          :func:`~drumblender.signal.auditory.noise_levels`, and ``transient``, a waveform
          (1, num_samples); all float32
    """

    def __getitem__(self, index: int) -> Any:
        return self.audio(index), self.parameters(index), self.measured(index)

    def measured(self, index: int) -> Dict[str, Tensor]:
        """Return what was measured of the parts of one sound, by their names."""
        values = self.read(index, REST)
        frames = self.num_samples // level_hop(self.sample_rate) + 1
        noise, transient = values.tensor_split([NUM_BANDS * frames])
        return {
            "noise": noise.reshape(NUM_BANDS, frames),
            "transient": fit_length(transient[None], self.num_samples),
        }

    def load(self, index: int, field: str) -> Tensor:
        """Read the file of one sound that the metadata names under ``field``, as one tensor."""
        if field != REST:
            return super().load(index, field)
        rest = load_rest(self.path(index, field), self.sample_rate, self.num_samples)
        return torch.cat([rest.noise.flatten(), rest.transient])  # a pack holds one for each field

    def file_fields(self) -> Tuple[str, ...]:
        """Return the metadata fields that name files which have to be there."""
        return (*super().file_fields(), REST)

    def remedy(self, field: str) -> str:
        """Return what to do where the metadata does not name a file under ``field``."""
        if field != REST:
            return super().remedy(field)
        return (
            "set method: separating in its configuration, and run drumblender-dataset with "
            "--preprocess_features to measure noise and transient"
        )
