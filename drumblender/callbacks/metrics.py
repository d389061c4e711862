"""What test and validate measure, in files."""

import csv
import io
import math
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytorch_lightning as pl
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.utilities.types import STEP_OUTPUT

from drumblender.callbacks.run import (
    gathered,
    is_trial,
    position,
    relative,
    results,
    run_folder,
)
from drumblender.data import AudioDataset
from drumblender.files import atomic


class MetricsWriter(pl.Callback):
    """A callback that writes what ``drumblender test`` and ``validate`` measure to files.

    ``metrics.csv`` has a row for each sound. ``metrics.json`` has the ``mean`` of each column, the
    number ``n`` of sounds behind it, and the values that were ``logged`` and printed. Means and
    logged values agree, except for a loss that is not linear over batches. The multi-resolution
    STFT loss is such a loss, because its spectral convergence divides by the norm of the whole
    batch: the logged value is the mean over batches, while a row is the loss of one sound.

    Args:
        output_dir: folder of the files. By default it is the log folder.
    """

    def __init__(self, output_dir: Optional[str] = None):
        self.output_dir = output_dir
        self._folder: Path  # known when the run begins
        self._rows: List[Tuple[int, Dict[str, float]]] = []

    def _begin(self, trainer: pl.Trainer) -> None:
        """Find the folder and forget earlier rows."""
        self._folder = Path(self.output_dir or run_folder(trainer))
        self._rows = []

    def _take(self, trainer: pl.Trainer, outputs: STEP_OUTPUT) -> None:
        """Keep the values of the items of a batch."""
        given = results(outputs)
        items = {name: values.tolist() for name, values in given.get("items", {}).items()}
        for i in range(len(given["target"])):
            index = position(trainer, len(self._rows))
            self._rows.append((index, {name: values[i] for name, values in items.items()}))

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin with a test."""
        self._begin(trainer)

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: STEP_OUTPUT,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the values of a test batch."""
        self._take(trainer, outputs)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the files of a test."""
        self._write(trainer, "test", trainer.test_dataloaders)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin with a validation, if it is the whole run."""
        if trainer.state.fn == "validate":
            self._begin(trainer)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: STEP_OUTPUT,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the values of a validation batch."""
        if trainer.state.fn == "validate":
            self._take(trainer, outputs)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the files of a validation."""
        if trainer.state.fn == "validate":
            self._write(trainer, "validation", trainer.val_dataloaders)

    def _write(self, trainer: pl.Trainer, stage: str, loader: Any) -> None:
        """Write the files, in the first of several processes."""
        rows = dict(sorted(row for part in gathered(trainer, self._rows) for row in part))
        if not trainer.is_global_zero or is_trial(trainer) or not rows:
            return
        dataset = loader.dataset
        names = list(next(iter(rows.values())))
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["key", "filename", *names])
        for index, values in rows.items():
            what = [str(index), ""]
            if isinstance(dataset, AudioDataset):
                key = dataset.keys[index]
                what = [key, dataset.metadata[key]["filename"]]
            writer.writerow([*what, *(values[name] for name in names)])
        summary: Dict[str, Any] = {"command": trainer.state.fn, "checkpoint": trainer.ckpt_path}
        for name in names:
            column = [values[name] for values in rows.values()]
            logged = trainer.callback_metrics.get(f"{stage}/{name}")
            summary[name] = {
                "mean": _number(math.fsum(column) / len(column)),
                "n": len(column),
                "logged": None if logged is None else _number(float(logged)),
            }
        # A CSVLogger has a metrics.csv of its own.
        taken = any(isinstance(logger, CSVLogger) for logger in trainer.loggers)
        stem = "sounds" if taken else "metrics"
        atomic.write(
            self._folder / f"{stem}.csv", table.getvalue().encode(errors="surrogateescape")
        )
        atomic.write_json(self._folder / "metrics.json", summary)
        print(f"Means:       {relative(self._folder / 'metrics.json')}")
        print(f"Each sound:  {relative(self._folder / f'{stem}.csv')}")


def _number(value: float) -> Optional[float]:
    """Return a number as JSON has it, or None for infinity and NaN, which it does not have."""
    return value if math.isfinite(value) else None
