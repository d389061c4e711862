"""Datamodules, which say which dataset is loaded, where it comes from, and in batches of what size.

They only wire other modules together.
"""

import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Type, Union

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_warn
from torch.utils.data import DataLoader

from drumblender.analysis.modal import AnalysisSettings
from drumblender.data.bucket.addresses import is_address
from drumblender.data.dataset import AudioDataset, AudioWithParametersDataset
from drumblender.data.keywords import takes_keywords_of
from drumblender.data.loading import loader_of
from drumblender.data.settings import DatasetSettings
from drumblender.data.sources.base import Source, prepare
from drumblender.data.sources.known import known_sources
from drumblender.data.sources.places import Places
from drumblender.data.streaming import Streaming, streaming_of
from drumblender.data.target import Target
from drumblender.errors import DrumblenderError, EmptySplit, UsageError


class AudioDataModule(pl.LightningDataModule):
    """Batches of preprocessed one-shots.

    ``prepare_data`` uses the first of these that exists: the dataset in ``data_dir``, its archive
    in the working directory, the raw folder (which is preprocessed), the archive on the network,
    and the recordings in the object store. A ``source`` takes the place of all but the first.

    Args:
        data_dir: folder of the dataset, or its address in a bucket, ``s3://bucket/prefix``, from
            which it is read during training.
        meta_file: name of the metadata in ``data_dir``, and of the raw metadata in
            ``data_dir_unprocessed``, if there is some.
        sample_rate: sample rate of the audio, in Hz.
        num_samples: length of every sound, in samples.
        batch_size: number of sounds in a batch.
        num_workers: number of processes that load batches. None stands for as many as pay.
        dataset_class: class that reads the dataset.
        dataset_kwargs: further arguments of that class (seed, split_strategy, sample_types,
            instruments, sample_packs).
        data_dir_unprocessed: raw folder, or the address of recordings in a bucket.
        url: endpoint of an S3-compatible object store.
        bucket: name of the bucket in that store.
        archive: name of the preprocessed dataset's archive, in the working directory and in the
            bucket.
        archive_url: address of the archive that needs no credentials.
        region: region of the store, if it has several.
        prefix: beginning of the keys of the recordings in the bucket, which become the raw folder.
        sha256: checksum of the archive.
        raw_meta_file: raw metadata, if it is not ``meta_file`` in the raw folder.
        source: source of the dataset or of its recordings, in place of all the above.
        cache_dir: folder where sounds of a bucket are kept. None stands for one in the user's
            folder for caches.
        cache_gb: most that the sounds in that folder may take, in GB.

    Attributes:
        train_dataset: split to train on. ``setup`` opens the splits that a stage needs.
        val_dataset: split to validate on, or None if it is empty.
        test_dataset: split to test on.
        version: what tells the version of a dataset in a bucket apart from others.
    """

    train_dataset: AudioDataset
    val_dataset: Optional[AudioDataset]
    test_dataset: AudioDataset

    def __init__(
        self,
        data_dir: str,
        meta_file: str = "metadata.json",
        sample_rate: int = 48000,
        num_samples: int = 96000,
        batch_size: int = 12,
        num_workers: Optional[int] = None,
        dataset_class: Type[AudioDataset] = AudioDataset,
        dataset_kwargs: Optional[Dict[str, Any]] = None,
        data_dir_unprocessed: Optional[str] = None,
        url: Optional[str] = None,
        bucket: Optional[str] = None,
        archive: Optional[str] = None,
        archive_url: Optional[str] = None,
        region: Optional[str] = None,
        prefix: Optional[str] = None,
        sha256: Optional[str] = None,
        raw_meta_file: Optional[str] = None,
        source: Optional[Source] = None,
        cache_dir: Optional[str] = None,
        cache_gb: float = 50.0,
    ):
        super().__init__()
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.places = Places(url, bucket, region, prefix, archive, archive_url, sha256)
        self.source = source
        self.target = Target(
            Path(data_dir),
            meta_file,
            self._settings(sample_rate, num_samples),
            dataset_class,
            dict(dataset_kwargs or {}),
            Path(os.path.normpath(data_dir_unprocessed)) if data_dir_unprocessed else None,
            Path(raw_meta_file).absolute() if raw_meta_file else None,
            data_dir if is_address(data_dir) else None,
            data_dir_unprocessed if is_address(data_dir_unprocessed) else None,
        )
        self.cache_dir = cache_dir
        self.cache_gb = cache_gb
        self.version: Optional[str] = None

    def _settings(self, sample_rate: int, num_samples: int) -> DatasetSettings:
        """Return the settings of the dataset."""
        return DatasetSettings(sample_rate, num_samples)

    @property
    def sample_rate(self) -> int:
        """Sample rate of the audio, in Hz."""
        return self.target.settings.sample_rate

    @property
    def sources(self) -> List[Source]:
        """What the dataset may be made of; the first that applies is taken."""
        return known_sources(self.places) if self.source is None else [self.source]

    def check_options(self) -> None:
        """Refuse impossible numbers; not in the constructor, whose errors jsonargparse rewords."""
        for name, value, least in (
            ("batch_size", self.batch_size, 1),
            ("sample_rate", self.target.settings.sample_rate, 1),
            ("num_samples", self.target.settings.num_samples, 1),
            ("num_workers", self.num_workers, 0),
            ("cache_gb", self.cache_gb, 0),
        ):
            if value is not None and value < least:
                raise UsageError(f"data: {name} is {value}; set it to {least} or more.")

    def prepare_data(self) -> None:
        """Make the dataset of whatever there is, unless it is there."""
        self.check_options()
        streaming = self._streaming()
        if streaming is None:
            prepare(self.target, self.sources)
        else:
            streaming.prepare()

    def setup(self, stage: Optional[str] = None) -> None:
        """Open the splits that a stage needs."""
        self.check_options()
        self._read_from_bucket()
        self.target.check_settings()
        splits = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}
        for split in splits.get(stage or "", ("test",) if stage else ("train", "val", "test")):
            try:
                setattr(self, f"{split}_dataset", self.dataset(split))
            except EmptySplit as error:
                if (stage, split) != ("fit", "val"):
                    raise
                self.val_dataset = None
                rank_zero_warn(f"{error} Training goes on without validation.")

    def _streaming(self) -> Optional[Streaming]:
        """Return how the dataset is read if it lies in a bucket."""
        where = (self.places.url, self.places.region, self.cache_dir, self.cache_gb)
        return streaming_of(self.target, *where)

    def _read_from_bucket(self) -> None:
        """Let the dataset be read from the bucket, if it lies in one."""
        streaming = self._streaming()
        if streaming is None:
            return
        self.target = streaming.on_disk(self.target)
        self.version = streaming.version
        if self.trainer is not None and self.trainer.world_size > 1:
            if self.trainer.strategy.broadcast(self.version) != self.version:
                raise DrumblenderError(
                    f"{self.target.address} was replaced while the training began, so that its "
                    "machines have different versions; start it again."
                )

    def state_dict(self) -> Dict[str, Any]:
        """Return which version of a dataset in a bucket this is."""
        return {} if self.version is None else {"version": self.version}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Warn if the dataset in the bucket is not what a checkpoint was made with."""
        if self.version not in (None, state.get("version", self.version)):
            rank_zero_warn(
                f"{self.target.address} has changed since the checkpoint was saved, so that its "
                "epoch goes on with other sounds."
            )

    def dataset(self, split: Optional[str] = None) -> AudioDataset:
        """Return the dataset of one split, or of all sounds that pass the filters."""
        return self.target.open(split)

    def train_dataloader(self) -> DataLoader:
        """Make the loader of training batches."""
        return self._loader(self.train_dataset, shuffle=True)

    def val_dataloader(self) -> Union[DataLoader, List[DataLoader]]:
        """Make the loader of validation batches. It is empty if there are no such sounds."""
        return [] if self.val_dataset is None else self._loader(self.val_dataset)

    def test_dataloader(self) -> DataLoader:
        """Make the loader of test batches."""
        return self._loader(self.test_dataset)

    def predict_dataloader(self) -> DataLoader:
        """Make the loader of the batches to predict, which are those of the test."""
        return self._loader(self.test_dataset)

    def _loader(self, dataset: AudioDataset, shuffle: bool = False) -> DataLoader:
        """Make the loader of a split."""
        return loader_of(dataset, self.batch_size, self.num_workers, self.trainer, shuffle)


class ModalDataModule(AudioDataModule):
    """Batches of preprocessed one-shots and their modal parameters.

    It takes the keywords of :class:`AudioDataModule`, and those of
    :class:`~drumblender.analysis.modal.AnalysisSettings` (hop_length, fmin, n_bins, ...).

    Args:
        data_dir: folder of the dataset.
        dataset_class: class that reads the dataset.
        save_modal_audio: accepted because published configurations say it; true only gives the
            advice to use drumblender-analyze.
    """

    @takes_keywords_of(AudioDataModule, AnalysisSettings)
    def __init__(
        self,
        data_dir: str,
        dataset_class: Type[AudioDataset] = AudioWithParametersDataset,
        save_modal_audio: bool = False,
        **kwargs: Any,
    ):
        if save_modal_audio:
            rank_zero_warn(
                "data: save_modal_audio writes nothing here; `drumblender-analyze FILES` writes "
                "the sinusoids of recordings."
            )
        fields = AnalysisSettings.__dataclass_fields__.keys() - {"sample_rate"}
        self._analysis = {name: kwargs.pop(name) for name in fields & kwargs.keys()}
        super().__init__(data_dir, dataset_class=dataset_class, **kwargs)

    def _settings(self, sample_rate: int, num_samples: int) -> DatasetSettings:
        """Return the settings of the dataset, with those of the analysis."""
        analysis = AnalysisSettings(sample_rate=sample_rate, **self._analysis)
        return DatasetSettings(sample_rate, num_samples, analysis)
