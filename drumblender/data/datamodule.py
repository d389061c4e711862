"""Datamodules: which dataset, from where, in batches of what size. Wiring only."""

import contextlib
import inspect
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Optional, Type, Union

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_warn
from torch.utils.data import DataLoader

from drumblender.analysis.modal import AnalysisSettings
from drumblender.data.build.journal import JOURNAL_FILE, read_journal
from drumblender.data.build.preprocess import preprocess
from drumblender.data.build.verify import verify
from drumblender.data.dataset import AudioDataset, AudioWithParametersDataset
from drumblender.data.library.folder import is_there
from drumblender.data.loading import loader_of
from drumblender.data.packed import PACKED_FILE
from drumblender.data.packed import verify as verify_packed
from drumblender.data.packed import write as write_packed
from drumblender.data.settings import DatasetSettings, read_settings, refuse_other
from drumblender.data.sources.archive import unpack
from drumblender.data.sources.checksums import check_sha256
from drumblender.data.sources.store import Store
from drumblender.data.sources.web import download_public
from drumblender.data.splits import SPLITS
from drumblender.errors import DrumblenderError, EmptySplit, UsageError, did_you_mean
from drumblender.files import archives, atomic


class AudioDataModule(pl.LightningDataModule):
    """Batches of preprocessed one-shots.

    ``prepare_data`` uses the first of these that there is: the dataset in ``data_dir``, its archive
    in the working directory, the raw folder (which is preprocessed), the archive on the network.

    Args:
        data_dir: folder of the dataset.
        meta_file: metadata, in ``data_dir`` and (raw metadata, optional) in
            ``data_dir_unprocessed``.
        sample_rate: of the audio, in Hz.
        num_samples: of every sound.
        batch_size: sounds in a batch.
        num_workers: processes that load batches; suited to machine and dataset when None.
        dataset_class: what reads the dataset.
        dataset_kwargs: further arguments of it (seed, split_strategy, sample_types, instruments).
        data_dir_unprocessed: raw folder.
        url: endpoint of an S3-compatible object store.
        bucket: in that store.
        archive: of the preprocessed dataset, in the working directory and in the bucket.
        archive_url: address of the archive that needs no credentials.
        region: of the store, where it has several.
        prefix: of the recordings in the bucket, which become the raw folder.
        sha256: of the archive, to check it by.
        raw_meta_file: raw metadata, where it is not ``meta_file`` in the raw folder.
    """

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
    ):
        super().__init__()
        self.data_dir = Path(data_dir)
        self.meta_file = meta_file
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.dataset_class = dataset_class
        self.dataset_kwargs = dict(dataset_kwargs or {})
        self.raw_dir = (
            Path(os.path.normpath(data_dir_unprocessed)) if data_dir_unprocessed else None
        )
        self.url = url
        self.bucket = bucket
        self.archive = archive
        self.archive_url = archive_url
        self.region = region
        self.prefix = prefix
        self.sha256 = sha256
        self.raw_meta_file = Path(raw_meta_file).absolute() if raw_meta_file else None
        self.settings = DatasetSettings(sample_rate, num_samples)

    def check_options(self) -> None:
        """Refuse impossible numbers; not in the constructor, whose errors jsonargparse rewords."""
        for name, value, least in (
            ("batch_size", self.batch_size, 1),
            ("sample_rate", self.settings.sample_rate, 1),
            ("num_samples", self.settings.num_samples, 1),
            ("num_workers", self.num_workers, 0),
        ):
            if value is not None and value < least:
                raise UsageError(f"data: {name} is {value}; set it to {least} or more.")

    def prepare_data(self) -> None:
        """Make ``data_dir`` of whatever there is, unless it is there."""
        self.check_options()
        if not self.is_prepared():
            archive = self.archive_path()
            in_store = bool(self.url and self.bucket)
            if archive and archive.is_file():
                self.unpack()
            elif self.raw_dir and is_there(self.raw_dir):
                self.preprocess(list_left_out=False)
            elif self.archive_url or (in_store and self.archive):
                self.unpack()
            elif self.raw_dir and in_store and self.prefix:
                self.preprocess(list_left_out=False)
            else:
                raise DrumblenderError(self._nothing_there())
        self.check_settings()

    def preprocess(self, *options, list_left_out: bool = True) -> None:
        """Make the dataset of the raw folder, which is downloaded if it is not there.

        Args:
            options: of :func:`~drumblender.data.build.preprocess.preprocess`.
            list_left_out: tell what the raw metadata does not name. Who trains chose a dataset
                that may be a selection; who makes one wants to know.
        """
        raw_dir = self.raw_folder()
        where = (self.data_dir, self.meta_file, self.settings)
        report = preprocess(raw_dir, *where, *options, raw_meta_file=self.raw_meta_file)
        print(report if list_left_out else replace(report, left_out=()))

    def is_prepared(self) -> bool:
        """Whether the dataset stands in ``data_dir``."""
        return (self.data_dir / self.meta_file).is_file()

    def archive_path(self) -> Optional[Path]:
        """Where the archive lies in the working directory, or would."""
        name = self.archive or (self.archive_url and Path(self.archive_url).name)
        return Path(name) if name else None

    def unpack(self) -> None:
        """Make ``data_dir`` of the archive, downloaded if it is not in the working directory."""
        archive = self.archive_path()
        with atomic.exclusive(self.data_dir):
            if self.is_prepared():  # by the process that this one waited for
                return
            downloaded = not archive.is_file()
            if not downloaded:
                check_sha256(archive, self.sha256)
            elif self.archive_url:
                download_public(self.archive_url, archive, self.sha256)
            else:
                self.object_store().download(self.archive, archive, self.sha256)
            try:
                unpack(archive, self.data_dir, self.meta_file, self._check_whole)
            except archives.DamagedArchive:
                if downloaded:
                    archive.unlink()  # so that the next run gets what is there by then
                raise

    def check_settings(self) -> None:
        """Refuse a dataset that was made with other settings than the configuration's."""
        stored = read_settings(self.data_dir)
        if stored is not None:
            refuse_other(self.data_dir, stored, self.settings, any_version=True)

    def raw_folder(self) -> Path:
        """The folder to preprocess, downloaded if it has a prefix and is not there as a whole."""
        if self.raw_dir is None:
            raise UsageError(
                "The configuration names no raw folder; set data_dir_unprocessed to the folder "
                "of your recordings."
            )
        if self.prefix and not is_there(self.raw_dir):
            self.object_store().download_folder(self.prefix, self.raw_dir)
        return self.raw_dir

    def object_store(self) -> Store:
        """The bucket that the configuration names."""
        if not (self.url and self.bucket):
            raise UsageError("The configuration names no object store; set url and bucket.")
        return Store(self.url, self.bucket, self.region)

    def write_archive(self, path: Path) -> int:
        """Write the dataset to an archive; gives the number of files."""
        # The folder's name is not among the bytes, nor is what tells of this machine's raw files,
        # nor the pack, which holds everything again.
        top = Path(self.meta_file).stem
        return archives.create_archive(
            self.data_dir, path, top, leave_out=(JOURNAL_FILE, PACKED_FILE, f"{PACKED_FILE}.tmp")
        )

    def verify(self, num_workers: Optional[int] = None) -> List[str]:
        """What is wrong with the dataset, one sentence each."""
        parameter_key = self.dataset_kwargs.get("parameter_key", "feature_file")
        problems = verify(self.data_dir, self.meta_file, self.settings, num_workers, parameter_key)
        return problems or verify_packed(self._whole(self.data_dir))

    def pack(self) -> str:
        """Put the dataset into one file, which training reads instead; says what was done."""
        self.check_settings()
        with atomic.exclusive(self.data_dir):
            path = self.data_dir / PACKED_FILE
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a pack that does not fit is what this is for
                dataset = self._whole(self.data_dir)
            if dataset.packed is not None:
                return f"{path} holds the dataset as it is."
            known = {name: made.stamp for name, made in read_journal(self.data_dir).items()}
            write_packed(dataset, known)
        return f"{path}: {len(dataset)} sounds, {path.stat().st_size / 2**20:.0f} MiB."

    def describe(self) -> str:
        """How many sounds there are, and how many in each split."""
        total = len(self.dataset())
        sizes = dict.fromkeys(SPLITS, 0)
        for split in SPLITS:
            with contextlib.suppress(UsageError):  # too few sounds for this split
                sizes[split] = len(self.dataset(split))
        parts = ", ".join(f"{name} {size}" for name, size in sizes.items())
        return f"{self.data_dir}: {total} sounds ({parts})."

    def setup(self, stage: Optional[str] = None) -> None:
        """Open the splits that a stage needs."""
        self.check_options()
        self.check_settings()
        splits = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}
        for split in splits.get(stage or "", ("test",) if stage else ("train", "val", "test")):
            try:
                setattr(self, f"{split}_dataset", self.dataset(split))
            except EmptySplit as error:
                if (stage, split) != ("fit", "val"):
                    raise
                self.val_dataset = None
                rank_zero_warn(f"{error} Training goes on without validation.")

    def dataset(self, split: Optional[str] = None, data_dir: Optional[Path] = None) -> AudioDataset:
        """The dataset of one split, or of all sounds."""
        known = inspect.signature(self.dataset_class).parameters
        unknown = [name for name in self.dataset_kwargs if name not in known]
        if unknown and not any(p.kind == p.VAR_KEYWORD for p in known.values()):
            raise UsageError(
                f"data.init_args.dataset_kwargs: {self.dataset_class.__name__} has no option "
                f"{unknown[0]}{did_you_mean(unknown[0], known)}"
            )
        return self.dataset_class(
            data_dir or self.data_dir,
            self.meta_file,
            self.settings.sample_rate,
            self.settings.num_samples,
            split=split,
            **self.dataset_kwargs,
        )

    def train_dataloader(self) -> DataLoader:
        return self._loader(self.train_dataset, shuffle=True)

    def val_dataloader(self) -> Union[DataLoader, List[DataLoader]]:
        return [] if self.val_dataset is None else self._loader(self.val_dataset)

    def test_dataloader(self) -> DataLoader:
        return self._loader(self.test_dataset)

    def predict_dataloader(self) -> DataLoader:
        return self._loader(self.test_dataset)

    def _loader(self, dataset: AudioDataset, shuffle: bool = False) -> DataLoader:
        return loader_of(dataset, self.batch_size, self.num_workers, self.trainer, shuffle)

    def _check_whole(self, folder: Path) -> None:
        """Raise unless a folder is the whole dataset."""
        self._whole(folder)

    def _whole(self, folder: Path) -> AudioDataset:
        """All sounds of a folder, filters aside."""
        filters = {"sample_types": None, "instruments": None}
        return self.dataset_class(
            folder,
            self.meta_file,
            self.settings.sample_rate,
            self.settings.num_samples,
            **{**self.dataset_kwargs, **filters},
        )

    def _nothing_there(self) -> str:
        places = [f"the archive {self.archive} in the working directory"] if self.archive else []
        places += [f"recordings in {self.raw_dir}"] if self.raw_dir else []
        remedy = f"put {' or '.join(places)}" if places else "set data_dir_unprocessed"
        return f"There is no dataset in {self.data_dir} and nothing to make it of; {remedy}."


class ModalDataModule(AudioDataModule):
    """Batches of preprocessed one-shots and their modal parameters.

    Args:
        data_dir: and others as in :class:`AudioDataModule`.
        dataset_class: what reads the dataset.
        save_modal_audio: accepted because published configurations say it; true only gives the
            advice to use drumblender-analyze.
        analysis: any field of :class:`~drumblender.analysis.modal.AnalysisSettings` (hop_length,
            fmin, n_bins, ...), which is where their meaning and defaults are.
    """

    def __init__(
        self,
        data_dir: str,
        meta_file: str = "metadata.json",
        sample_rate: int = 48000,
        num_samples: int = 96000,
        batch_size: int = 12,
        num_workers: Optional[int] = None,
        dataset_class: Type[AudioDataset] = AudioWithParametersDataset,
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
        save_modal_audio: bool = False,
        **analysis,
    ):
        super().__init__(
            data_dir,
            meta_file,
            sample_rate,
            num_samples,
            batch_size=batch_size,
            num_workers=num_workers,
            dataset_class=dataset_class,
            dataset_kwargs=dataset_kwargs,
            data_dir_unprocessed=data_dir_unprocessed,
            url=url,
            bucket=bucket,
            archive=archive,
            archive_url=archive_url,
            region=region,
            prefix=prefix,
            sha256=sha256,
            raw_meta_file=raw_meta_file,
        )
        if save_modal_audio:
            rank_zero_warn(
                "data: save_modal_audio writes nothing here; `drumblender-analyze FILES` writes "
                "the sinusoids of recordings."
            )
        settings = AnalysisSettings(sample_rate=sample_rate, **analysis)
        self.settings = DatasetSettings(sample_rate, num_samples, settings)
