"""A callback that writes the sounds of ``drumblender predict`` to files."""

import os
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any, List, Optional, Sequence

import pytorch_lightning as pl
from pytorch_lightning.callbacks import BasePredictionWriter

from drumblender.callbacks.run import gathered, position, relative, run_folder, sample_rate_of
from drumblender.data import AudioDataset
from drumblender.files.audio import check_samples, write_samples


class PredictionWriter(BasePredictionWriter):
    """A callback that writes the resyntheses of ``drumblender predict`` to WAV files.

    The files hold 32-bit floats, which are the exact values.

    Args:
        output_dir: folder of the files. By default it is ``predictions`` in the log folder.
        targets: whether to write the recordings as well, as ``NAME_target.wav``.
        stems: whether to write the parts of each sound as well, as ``NAME_modal.wav``,
            ``NAME_noise.wav`` and ``NAME_transient.wav``. They add up to the resynthesis.
    """

    def __init__(
        self, output_dir: Optional[str] = None, targets: bool = False, stems: bool = False
    ):
        super().__init__("batch")
        self.output_dir = output_dir
        self.targets = targets
        self.stems = stems
        self._folder: Path  # known when the run begins
        self._names: List[str] = []
        self._rate = 48_000
        self._written = 0

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find the folder and the names of the files."""
        self._folder = Path(self.output_dir or run_folder(trainer) / "predictions")
        self._rate = sample_rate_of(trainer)
        loader: Any = trainer.predict_dataloaders
        self._names = unique_names(loader.dataset)
        self._written = 0

    def write_on_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        prediction: Any,
        batch_indices: Optional[Sequence[int]],
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Write the sounds of a batch."""
        if trainer.global_rank >= len(self._names):
            return  # this process got a sound of another one, to have something to do
        for i in range(len(prediction["resynthesis"])):
            index = position(trainer, self._written)
            self._written += 1
            sounds = {"": prediction["resynthesis"]}
            if self.targets:
                sounds["_target"] = prediction["target"]
            if self.stems:
                sounds.update({f"_{name}": part for name, part in prediction["stems"].items()})
            for kind, sound in sounds.items():
                path = self._folder / f"{self._names[index]}{kind}.wav"
                samples = sound[i].flatten().float().cpu().numpy()
                check_samples(path, samples)
                write_samples(path, samples, self._rate, bits=32)

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print how many sounds were written, and where."""
        total = sum(gathered(trainer, self._written))
        if trainer.is_global_zero:
            kinds = [name for name in ("targets", "stems") if getattr(self, name)]
            beside = f" (with {' and '.join(kinds)})" if kinds else ""
            what = "resynthesis" if total == 1 else "resyntheses"
            print(f"{relative(self._folder)}: {total} {what}{beside}.")


def unique_names(dataset: Any) -> List[str]:
    """Make a name for the files of each sound, in the order of the set."""
    names = [f"sound_{index}" for index in range(len(dataset))]
    if isinstance(dataset, AudioDataset):
        names = [dataset.path(index, "filename").stem for index in range(len(dataset))]
    # Some file systems take names for the same that differ only in case or in how accents are
    # written; and what is appended has to fit as well.
    names = [_shortened(name) for name in names]
    counts = Counter(map(_folded, names))
    return [f"{n}_{i}" if counts[_folded(n)] > 1 else n for i, n in enumerate(names)]


def _folded(name: str) -> str:
    """Return a name in the form in which file systems compare names."""
    return unicodedata.normalize("NFC", name).casefold()


def _shortened(name: str) -> str:
    """Cut a name so that an ending fits behind it."""
    while len(os.fsencode(name)) > 200:
        name = name[:-1]
    return name
