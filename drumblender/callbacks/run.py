"""Facts about a run that callbacks need: its folder, its processes, and which sound is whose."""

import os
from pathlib import Path
from typing import Any, List, Mapping, Union

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities.types import STEP_OUTPUT


def run_folder(trainer: pl.Trainer) -> Path:
    """Return where the files of a run go.

    Every process has to ask, because loggers may find the folder together.
    """
    folder = Path(trainer.log_dir or trainer.default_root_dir)
    if isinstance(trainer.logger, WandbLogger):  # whose log folder is that of all runs
        folder = folder / str(trainer.logger.name) / str(trainer.logger.version)
    return folder


def relative(path: Union[str, Path]) -> str:
    """Return a path as a person in the working directory would type it."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # on another drive
        return str(path)
    return str(path) if relative.startswith(os.pardir) else relative


def last_model_path(trainer: pl.Trainer) -> str:
    """Return the path of the run's last checkpoint, empty if none was saved."""
    return getattr(trainer.checkpoint_callback, "last_model_path", "")


def sample_rate_of(trainer: pl.Trainer) -> int:
    """Return the sample rate of the datamodule in Hz, or 48 000 when it does not say."""
    return getattr(getattr(trainer, "datamodule", None), "sample_rate", 48_000)


# Lightning's trainer has callbacks and fast_dev_run, but does not declare them.
def callbacks_of(trainer: pl.Trainer) -> List[pl.Callback]:
    """Return the callbacks of a run."""
    return getattr(trainer, "callbacks", [])


def is_trial(trainer: pl.Trainer) -> bool:
    """Return whether a run takes a few batches only (``fast_dev_run``) and leaves no files."""
    return bool(getattr(trainer, "fast_dev_run", False))


def results(outputs: STEP_OUTPUT) -> Mapping[str, Any]:
    """Return what a step of the task gave: ``{"loss", "target", "resynthesis"}``, maybe more."""
    if not isinstance(outputs, Mapping):
        raise TypeError(
            f"A step of the task has to give a mapping, and gave {type(outputs).__name__}."
        )
    return outputs


def position(trainer: pl.Trainer, count: int) -> int:
    """Return the index in the dataset of the ``count``-th sound that a process gets.

    Processes take turns, so that process r of n gets the sounds r, r + n, r + 2 n, ...
    """
    return trainer.global_rank + count * trainer.world_size


def gathered(trainer: pl.Trainer, thing: Any) -> List[Any]:
    """Collect a value from every process, in the order of their ranks."""
    if trainer.world_size == 1:
        return [thing]
    things: List[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(things, thing)
    return things
