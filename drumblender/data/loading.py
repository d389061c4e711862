"""Loaders, which decide in which order and by how many processes sounds are loaded."""

import os
import signal
from typing import Any, Dict, Iterator, List, Optional

import pytorch_lightning as pl
import torch
from pytorch_lightning.overrides.distributed import UnrepeatedDistributedSampler
from torch.utils.data import DataLoader, DistributedSampler, SequentialSampler

from drumblender.data.dataset import AudioDataset
from drumblender.files.parallel import available_cores

# More loading processes than this never made a batch come faster.
_MOST_LOADERS = 8
# A packed file is read sooner than a batch is handed over by another process, and a processor needs
# its cores for training. Only a GPU shall not wait; four processes hand over thousands of sounds a
# second.
_MOST_LOADERS_OF_PACKED = {True: 4, False: 0}  # with a GPU, without


def _leave_interrupts(worker: int) -> None:
    """Leave Ctrl-C, which reaches a loading process as well, to the process that trains."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Announcing:
    """A sampler that tells the dataset what will be needed, if this process loads the batches."""

    dataset: Any
    announces = False

    def __iter__(self) -> Iterator[Any]:
        return self._announced(list(super().__iter__()))  # type: ignore[misc]

    def _announced(self, order: List[int]) -> Iterator[int]:
        """Tell the dataset of an order, and return it."""
        if self.announces:
            self.dataset.expect(order)
        return iter(order)


class _TrainingSampler(_Announcing, DistributedSampler):
    """A sampler of epochs. A run that goes on in the midst of one skips what it has done.

    Attributes:
        skipped: number of sounds to skip in the next epoch.
    """

    skipped = 0

    def __iter__(self) -> Iterator[int]:
        order = list(super().__iter__())
        start, self.skipped = self.skipped, 0
        return self._announced(order[start:])


class _InOrder(_Announcing, SequentialSampler):
    """A sampler of validation and test in one process."""

    def __init__(self, dataset: AudioDataset):
        super().__init__(dataset)
        self.dataset = dataset


class _UnrepeatedSampler(_Announcing, UnrepeatedDistributedSampler):
    """A sampler of validation and test."""


class _RepeatedSampler(_Announcing, DistributedSampler):
    """A sampler of validation and test, if there are fewer sounds than processes."""


class _TrainingLoader(DataLoader):
    """A loader that can go on in the midst of an epoch. Lightning keeps its state."""

    trainer: Optional[pl.Trainer] = None

    def state_dict(self) -> Dict[str, int]:
        """Return how far the current epoch is."""
        if self.trainer is None or not isinstance(self.sampler, _TrainingSampler):
            return {}
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.state_dict()["processed"]
        begun = done < self.trainer.num_training_batches
        return {"epoch": self.sampler.epoch, "batches": done if begun else 0}

    def load_state_dict(self, state: Dict[str, int]) -> None:
        """Skip what an epoch has done."""
        if state.get("batches") and isinstance(self.sampler, _TrainingSampler):
            self.sampler.set_epoch(state["epoch"])
            self.sampler.skipped = state["batches"] * (self.batch_size or 1)


def loader_of(
    dataset: AudioDataset,
    batch_size: int,
    num_workers: Optional[int],
    trainer: Optional[pl.Trainer],
    shuffle: bool = False,
) -> DataLoader:
    """Make a loader of batches.

    Args:
        dataset: the dataset.
        batch_size: number of sounds in a batch.
        num_workers: number of loading processes. None stands for as many as pay.
        trainer: the trainer, if there is one. It may consist of several processes.
        shuffle: whether the loader is for training, with another order in each epoch.
    """
    sampler = _sampler(dataset, trainer, shuffle)
    on_gpu = torch.cuda.is_available()
    if num_workers is None:
        # One batch is read sooner than a process starts.
        batches = -(-len(sampler) // batch_size)
        sharing = trainer.num_devices if trainer else 1
        most = _MOST_LOADERS if dataset.packed is None else _MOST_LOADERS_OF_PACKED[on_gpu]
        num_workers = max(0, min(max(1, available_cores() // sharing), most, batches - 1))
    sampler.announces = num_workers == 0
    kind = _TrainingLoader if shuffle else DataLoader
    loader = kind(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        pin_memory=on_gpu,
        worker_init_fn=_leave_interrupts,
    )
    if shuffle:
        loader.trainer = trainer
    return loader


def _sampler(dataset: AudioDataset, trainer: Optional[pl.Trainer], shuffle: bool) -> Any:
    """Make the sampler of the sounds that this process gets, in their order.

    The order of an epoch depends only on the seed and the number of the epoch, so that a resumed
    run goes on with it. In validation and test no sound counts twice only because each process
    should get the same number.
    """
    processes, rank = (trainer.world_size, trainer.global_rank) if trainer else (1, 0)
    if shuffle:
        seed = int(os.environ.get("PL_GLOBAL_SEED") or 0)
        return _TrainingSampler(dataset, processes, rank, shuffle=True, seed=seed)
    if processes == 1:
        return _InOrder(dataset)
    if len(dataset) < processes:  # each needs one to take part in the mean
        return _RepeatedSampler(dataset, processes, rank, shuffle=False)
    return _UnrepeatedSampler(dataset, num_replicas=processes, rank=rank, shuffle=False)
