"""Sounds and pictures in the logger while a model trains.

The steps of the task have to return ``{"loss", "target", "resynthesis"}``.
"""

import math
from typing import Any, Dict, List, Tuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_warn
from pytorch_lightning.utilities.types import STEP_OUTPUT
from torch import Tensor

from drumblender.callbacks.run import is_trial, results
from drumblender.errors import UsageError
from drumblender.plotting import figure_to_image, plot_spectrograms


class LogAudioCallback(pl.Callback):
    """A callback that logs targets and resyntheses as audio, and a picture of their spectrograms.

    Each sound has its target first and its resynthesis behind it. Tags are ``<stage>/audio/<item>``
    and ``<stage>/spectrogram`` with the stages ``train``, ``validation`` and ``test``. TensorBoard
    and Weights & Biases are supported. A run that logs to neither gets a warning and goes on. In a
    distributed run only the first process logs.

    Args:
        on_train: whether to log items of training batches.
        on_val: whether to log items of validation batches.
        on_test: whether to log items of test batches.
        save_audio_sr: sample rate of the audio, in Hz.
        n_batches: number of batches at the start of an epoch that items are taken from. An epoch
            may have fewer.
        log_on_epoch_end: whether to wait for the end of the epoch, instead of logging as soon as
            there are ``n_batches``.
        max_audio_samples: number of items to log at most each time.
        every_n_epochs: log training and validation items of the first epoch, and then of the first
            that is at least this many later. Pictures take seconds and sounds take megabytes.
    """

    def __init__(
        self,
        on_train: bool = True,
        on_val: bool = True,
        on_test: bool = True,
        save_audio_sr: int = 48_000,
        n_batches: int = 1,
        log_on_epoch_end: bool = False,
        max_audio_samples: int = 8,
        every_n_epochs: int = 1,
    ):
        for name, value in (
            ("save_audio_sr", save_audio_sr),
            ("n_batches", n_batches),
            ("max_audio_samples", max_audio_samples),
            ("every_n_epochs", every_n_epochs),
        ):
            if value < 1:
                raise UsageError(f"LogAudioCallback: {name} is {value}; give 1 or more.")
        self.stages = {"train": on_train, "validation": on_val, "test": on_test}
        self.save_audio_sr = save_audio_sr
        self.n_batches = n_batches
        self.log_on_epoch_end = log_on_epoch_end
        self.max_audio_samples = max_audio_samples
        self.every_n_epochs = every_n_epochs
        # Stage -> what its current epoch gave: (target, resynthesis) of shape (N,), on the CPU.
        self._items: Dict[str, List[Tuple[Tensor, Tensor]]] = {}
        self._batches_left: Dict[str, int] = {}
        self._last: Dict[str, int] = {}  # stage -> epoch that was logged

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Find the loggers that take media, and warn if there are none."""
        if is_trial(trainer) or any(map(_can_log_media, trainer.loggers)):
            return
        rank_zero_warn(
            "LogAudioCallback has nothing to log to; set trainer.logger to a TensorBoardLogger or "
            "a WandbLogger, or remove the callback."
        )

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to collect training items."""
        self._start("train", trainer)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: STEP_OUTPUT,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Collect training items."""
        self._collect("train", trainer, outputs)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the training items that are left."""
        self._log("train", trainer)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to collect validation items."""
        if not trainer.sanity_checking:
            self._start("validation", trainer)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: STEP_OUTPUT,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Collect validation items."""
        self._collect("validation", trainer, outputs)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the validation items that are left."""
        self._log("validation", trainer)

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to collect test items."""
        self._start("test", trainer)

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: STEP_OUTPUT,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Collect test items."""
        self._collect("test", trainer, outputs)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the test items that are left."""
        self._log("test", trainer)

    def _start(self, stage: str, trainer: pl.Trainer) -> None:
        """Begin to collect items of a stage, if it is due."""
        listening = any(map(_can_log_media, trainer.loggers))
        epoch = trainer.current_epoch
        due = stage == "test" or epoch - self._last.get(stage, -math.inf) >= self.every_n_epochs
        if self.stages[stage] and trainer.is_global_zero and listening and due:
            self._last[stage] = epoch
            self._items[stage] = []
            self._batches_left[stage] = self.n_batches

    def _collect(self, stage: str, trainer: pl.Trainer, outputs: STEP_OUTPUT) -> None:
        """Keep the items of a batch, and log them once there are enough."""
        if not self._batches_left.get(stage):
            return
        self._batches_left[stage] -= 1
        missing = self.max_audio_samples - len(self._items[stage])
        # To the CPU at once: what waits for the end of an epoch must not hold device memory.
        given = results(outputs)
        targets = given["target"][:missing].detach().float().cpu()
        resyntheses = given["resynthesis"][:missing].detach().float().cpu()
        self._items[stage] += [(x.flatten(), y.flatten()) for x, y in zip(targets, resyntheses)]
        if not self._batches_left[stage] and not self.log_on_epoch_end:
            self._log(stage, trainer)

    def _log(self, stage: str, trainer: pl.Trainer) -> None:
        """Log what was collected."""
        self._batches_left.pop(stage, None)
        items = self._items.pop(stage, [])
        if not items:
            return
        clips = [_listenable(torch.cat(pair)) for pair in items]
        figure = plot_spectrograms(
            [(f"Target {i}", target) for i, (target, _) in enumerate(items)]
            + [(f"Resynthesis {i}", resynthesis) for i, (_, resynthesis) in enumerate(items)],
            self.save_audio_sr,
            title=f"{stage}, step {trainer.global_step}",
            columns=len(items),
        )
        image = figure_to_image(figure)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                writer, step = logger.experiment, trainer.global_step
                for i, clip in enumerate(clips):
                    writer.add_audio(f"{stage}/audio/{i}", clip, step, self.save_audio_sr)
                writer.add_image(f"{stage}/spectrogram", image, step, dataformats="HWC")
            elif isinstance(logger, WandbLogger):
                logger.log_audio(
                    f"{stage}/audio",
                    [clip.numpy() for clip in clips],
                    step=trainer.global_step,
                    sample_rate=[self.save_audio_sr] * len(clips),
                    caption=[f"target {i}, then resynthesis" for i in range(len(clips))],
                )
                logger.log_image(f"{stage}/spectrogram", [image], step=trainer.global_step)


def _can_log_media(logger: Logger) -> bool:
    """Return whether a logger takes audio and pictures."""
    return isinstance(logger, (TensorBoardLogger, WandbLogger))


def _listenable(x: Tensor) -> Tensor:
    """Scale down what exceeds full scale, which loggers would clip."""
    x = x.nan_to_num(posinf=0.0, neginf=0.0)
    return x / x.abs().max().clamp(min=1.0)
