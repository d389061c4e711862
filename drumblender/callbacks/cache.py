"""A callback that keeps the cache of Weights & Biases small."""

import importlib.util
import subprocess
import sys

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_warn

from drumblender.errors import UsageError


class CleanWandbCacheCallback(pl.Callback):
    """A callback that keeps the artifact cache of Weights & Biases small while models are uploaded.

    Without wandb it warns once and does nothing, so that configurations which name it run anywhere.

    Args:
        every_n_epochs: number of training epochs after which to clean up.
        max_size_in_gb: size that the cache may have, in gigabytes.

    Raises:
        UsageError: if a number is too small.
    """

    def __init__(self, every_n_epochs: int = 1, max_size_in_gb: float = 2.0):
        if every_n_epochs < 1:
            raise UsageError(
                f"CleanWandbCacheCallback: every_n_epochs is {every_n_epochs}; give 1 or more."
            )
        if max_size_in_gb < 0:
            raise UsageError(
                f"CleanWandbCacheCallback: max_size_in_gb is {max_size_in_gb}; give 0 or more."
            )
        self.every_n_epochs = every_n_epochs
        self.max_size_in_gb = max_size_in_gb
        self.enabled = True

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Warn if wandb is not installed."""
        if self.enabled and importlib.util.find_spec("wandb") is None:
            self.enabled = False
            rank_zero_warn(
                "CleanWandbCacheCallback does nothing, because wandb is not installed; remove the "
                'callback or pip install "drumblender[wandb]".'
            )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Clean the cache up if it is due."""
        # Each machine has a cache of its own, so this is for the first process of each.
        due = (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if not (self.enabled and due and trainer.local_rank == 0):
            return
        command = [sys.executable, "-m", "wandb", "artifact", "cache", "cleanup"]
        result = subprocess.run(
            [*command, f"{self.max_size_in_gb}GB"], capture_output=True, text=True, check=False
        )
        if result.returncode:
            self.enabled = False  # a full cache is a nuisance; a stopped training is a loss
            reason = " ".join((result.stderr or result.stdout).split())
            rank_zero_warn(f"The cache of wandb could not be cleaned up: {reason}")
