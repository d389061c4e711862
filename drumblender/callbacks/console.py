"""What a run prints: its progress, the size of the model, and no advertisements.

The command line adds these callbacks to every run. Configurations do not name them.
"""

import logging
import math
import sys
import time
from typing import Any, Dict

import pytorch_lightning as pl
from pytorch_lightning.callbacks import (
    ModelSummary,
    TQDMProgressBar,
)

_SECONDS_BETWEEN_LINES = 10


class Progress(TQDMProgressBar):
    """Lightning's progress bar in the terminal, or a line now and then in a log file."""

    def __init__(self) -> None:
        super().__init__()
        self._printed_at = -math.inf

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Take the bar away if nobody watches a terminal."""
        super().setup(trainer, pl_module, stage)
        if not sys.stdout.isatty():
            self.disable()

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> Dict[str, Any]:
        """Return the values that the bar shows, as texts."""
        metrics = dict(trainer.progress_bar_metrics)
        # The mean over an epoch says it better than its last step, once there is one.
        for name in [name for name in metrics if name.endswith("_epoch")]:
            mean = metrics.pop(name)
            metrics.pop(f"{name[: -len('_epoch')]}_step", None)
            metrics[name[: -len("_epoch")]] = mean
        return {name: f"{value:.3f}" for name, value in metrics.items()}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write a line about the epoch, if there is no terminal."""
        super().on_train_epoch_end(trainer, pl_module)
        due = time.monotonic() - self._printed_at > _SECONDS_BETWEEN_LINES
        if self.is_disabled and trainer.is_global_zero and due:
            self._printed_at = time.monotonic()
            values = self.get_metrics(trainer, pl_module).items()
            text = ", ".join(f"{name} {value}" for name, value in values)
            print(f"Epoch {trainer.current_epoch}, step {trainer.global_step}: {text}", flush=True)


class Summary(ModelSummary):
    """A list of the parts of a model, with the number of parameters that each has."""

    @staticmethod
    def summarize(
        summary_data: Any, total_parameters: int, trainable_parameters: int, *_: Any, **__: Any
    ) -> None:
        """Print the list."""
        columns = dict(summary_data)
        rows = list(zip(columns["Name"], columns["Type"], columns["Params"]))
        rows = [(name, kind, count) for name, kind, count in rows if count.strip() not in ("0", "")]
        rows = rows or [("nothing to learn", "", "0")]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        print("Parameters to learn")
        for name, kind, count in rows:
            print(f"  {name:{widths[0]}}  {kind:{widths[1]}}  {count.strip():>{widths[2]}}")


class _Quiet(logging.Filter):
    """A filter of the log that leaves out advertisements and what says nothing."""

    NOISE = (
        "💡",
        "litlogger",
        "litmodels",
        "already configured with model summary",
        "TPU available",
        "HPU available",
        "IPU available",
        "Received SIGTERM",
    )

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record stays in the log."""
        text = str(record.msg)
        return not any(noise in text for noise in self.NOISE)


def be_quiet() -> None:
    """Take advertisements out of Lightning's log."""
    for name in (
        "pytorch_lightning.utilities.rank_zero",
        "lightning_fabric.utilities.rank_zero",
        "pytorch_lightning.trainer.connectors.signal_connector",
    ):
        logger = logging.getLogger(name)
        if not any(isinstance(known, _Quiet) for known in logger.filters):
            logger.addFilter(_Quiet())
