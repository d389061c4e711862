"""The dataset that a configuration describes, whether it exists yet or not."""

import inspect
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Optional, Type

from drumblender.data.dataset import AudioDataset
from drumblender.data.settings import DatasetSettings, read_settings, refuse_other
from drumblender.data.streams import Stream, reading_from
from drumblender.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class Target:
    """The dataset that a configuration describes.

    Attributes:
        data_dir: folder of the dataset.
        meta_file: name of its metadata, and of the raw metadata, if there is some.
        settings: settings that it has to have.
        dataset_class: class that reads it.
        dataset_kwargs: further arguments of that class.
        raw_dir: raw folder, if the dataset is made of recordings.
        raw_meta_file: raw metadata, if it is not ``meta_file`` in the raw folder.
        address: address of the dataset, if it lies in a bucket. ``data_dir`` is of no use then.
        raw_address: address of the recordings, if they lie in a bucket.
        stream: what the sounds are read from, if only the rest of the dataset is in ``data_dir``.
    """

    data_dir: Path
    meta_file: str
    settings: DatasetSettings
    dataset_class: Type[AudioDataset] = AudioDataset
    dataset_kwargs: Dict[str, Any] = field(default_factory=dict)
    raw_dir: Optional[Path] = None
    raw_meta_file: Optional[Path] = None
    address: Optional[str] = None
    raw_address: Optional[str] = None
    stream: Optional[Stream] = None

    def is_there(self) -> bool:
        """Return whether the dataset exists in ``data_dir``."""
        return (self.data_dir / self.meta_file).is_file()

    def check_settings(self) -> None:
        """Refuse a dataset that was made with other settings.

        Raises:
            UsageError: if a setting differs. The message names it.
        """
        stored = read_settings(self.data_dir)
        if stored is not None:
            folder = Path(self.address or self.data_dir)
            refuse_other(folder, stored, self.settings, any_version=True)

    def open(self, split: Optional[str] = None) -> AudioDataset:
        """Open one split, or all sounds that pass the filters.

        Raises:
            UsageError: if the class has no such argument, or if there are too few sounds.
        """
        known = inspect.signature(self.dataset_class).parameters
        unknown = [name for name in self.dataset_kwargs if name not in known]
        if unknown and not any(p.kind == p.VAR_KEYWORD for p in known.values()):
            raise UsageError(
                f"data.init_args.dataset_kwargs: {self.dataset_class.__name__} has no option "
                f"{unknown[0]}{did_you_mean(unknown[0], known)}"
            )
        return self._open(self.data_dir, split=split, **self.dataset_kwargs)

    def open_whole(self, folder: Optional[Path] = None) -> AudioDataset:
        """Open all sounds, whatever the filters are.

        Args:
            folder: folder of the dataset, if it is not in ``data_dir`` yet.

        Raises:
            DrumblenderError: if the folder does not hold the whole dataset.
        """
        filters = {"sample_types": None, "instruments": None, "sample_packs": None}
        return self._open(folder or self.data_dir, **{**self.dataset_kwargs, **filters})

    def _open(self, folder: Path, **options: Any) -> AudioDataset:
        """Open the dataset in a folder with further arguments of its class."""
        rate, length = self.settings.sample_rate, self.settings.num_samples
        with reading_from(self.stream):
            return self.dataset_class(folder, self.meta_file, rate, length, **options)
