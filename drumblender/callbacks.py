"""Lightning callbacks that let people hear and see what a model has learned.

Training and validation losses say little about a drum sound. These callbacks put recordings and
their resyntheses, as audio and as pictures, into the logger while a model trains and into a folder
when it is done. They rely on the steps of the task giving ``{"loss", "target", "resynthesis"}``.
"""

import csv
import importlib.util
import io
import math
import os
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union

import pytorch_lightning as pl
import torch
from auraloss.freq import MultiResolutionSTFTLoss
from pytorch_lightning.callbacks import BasePredictionWriter
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor

from drumblender.checkpoint import read_checkpoint
from drumblender.data import AudioDataset
from drumblender.errors import UsageError
from drumblender.files import atomic
from drumblender.files.audio import check_samples, write_audio, write_samples
from drumblender.plotting import figure_to_image, plot_resynthesis, plot_spectrograms, save_figure
from drumblender.synths import modal_synth


class LogAudioCallback(pl.Callback):
    """Log audio, target and then resynthesis, and a picture of their spectrograms.

    Tags are ``<stage>/audio/<item>`` and ``<stage>/spectrogram`` with the stages ``train``,
    ``validation`` and ``test``. TensorBoard and Weights & Biases are known; a run that logs to
    neither gets a warning and goes on. In a distributed run only the first process logs.

    Args:
        on_train: log items of training batches.
        on_val: log items of validation batches.
        on_test: log items of test batches.
        save_audio_sr: sample rate of the audio, in Hz.
        n_batches: take items from this many batches at the start of an epoch, or from all batches
            of an epoch that has fewer.
        log_on_epoch_end: wait for the end of the epoch, instead of logging as soon as there are
            ``n_batches``.
        max_audio_samples: log at most this many items each time.
        every_n_epochs: log training and validation items of the first epoch and then of the first
            that is at least this many later: pictures take seconds and sounds megabytes.
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
        if trainer.fast_dev_run or any(map(_can_log_media, trainer.loggers)):
            return
        rank_zero_warn(
            "LogAudioCallback has nothing to log to; set trainer.logger to a TensorBoardLogger or "
            "a WandbLogger, or remove the callback."
        )

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start("train", trainer)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self._collect("train", trainer, outputs)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._log("train", trainer)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            self._start("validation", trainer)

    def on_validation_batch_end(
        self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0
    ) -> None:
        self._collect("validation", trainer, outputs)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._log("validation", trainer)

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start("test", trainer)

    def on_test_batch_end(
        self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0
    ) -> None:
        self._collect("test", trainer, outputs)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._log("test", trainer)

    def _start(self, stage: str, trainer: pl.Trainer) -> None:
        listening = any(map(_can_log_media, trainer.loggers))
        epoch = trainer.current_epoch
        due = stage == "test" or epoch - self._last.get(stage, -math.inf) >= self.every_n_epochs
        if self.stages[stage] and trainer.is_global_zero and listening and due:
            self._last[stage] = epoch
            self._items[stage] = []
            self._batches_left[stage] = self.n_batches

    def _collect(self, stage: str, trainer: pl.Trainer, outputs: Any) -> None:
        if not self._batches_left.get(stage):
            return
        self._batches_left[stage] -= 1
        missing = self.max_audio_samples - len(self._items[stage])
        # To the CPU at once: what waits for the end of an epoch must not hold device memory.
        targets = outputs["target"][:missing].detach().float().cpu()
        resyntheses = outputs["resynthesis"][:missing].detach().float().cpu()
        self._items[stage] += [(x.flatten(), y.flatten()) for x, y in zip(targets, resyntheses)]
        if not self._batches_left[stage] and not self.log_on_epoch_end:
            self._log(stage, trainer)

    def _log(self, stage: str, trainer: pl.Trainer) -> None:
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


class CleanWandbCacheCallback(pl.Callback):
    """Keep the artifact cache of Weights & Biases small while models are uploaded.

    Without wandb it warns once and does nothing, so that configurations which name it run anywhere.

    Args:
        every_n_epochs: clean up after every n-th training epoch.
        max_size_in_gb: what the cache may hold, in gigabytes.
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
        if self.enabled and importlib.util.find_spec("wandb") is None:
            self.enabled = False
            rank_zero_warn(
                "CleanWandbCacheCallback does nothing, because wandb is not installed; remove the "
                'callback or pip install "drumblender[wandb]".'
            )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
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


class SaveExamplesCallback(pl.Callback):
    """At the end of training, write recordings and their resyntheses to files and say where.

    The first items of the validation set (of the training set, without one) are resynthesized with
    the weights of the best checkpoint, and their multi-resolution STFT loss (MSS) is printed beside
    that of the measured sinusoids alone. The model keeps the weights and the mode that it had.

    Args:
        output_dir: folder of the files; ``examples`` in the log folder when not given.
        max_examples: how many items.
        sample_rate: of the audio, in Hz; that of the datamodule when not given, or else 48 000.
    """

    def __init__(
        self,
        output_dir: Optional[str] = None,
        max_examples: int = 4,
        sample_rate: Optional[int] = None,
    ):
        if max_examples < 1:
            raise UsageError(
                f"SaveExamplesCallback: max_examples is {max_examples}; give 1 or more."
            )
        self.output_dir = output_dir
        self.max_examples = max_examples
        self.sample_rate = sample_rate
        self._folder: Optional[Path] = None
        self._rate = 48_000

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Every process takes part in finding the log folder, so not at the end on one alone.
        self._folder = Path(self.output_dir or run_folder(trainer) / "examples")
        self._rate = self.sample_rate or sample_rate_of(trainer)

    @torch.no_grad()
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero or trainer.fast_dev_run:
            return
        checkpoint = getattr(trainer.checkpoint_callback, "best_model_path", "")
        before = {name: value.clone() for name, value in pl_module.state_dict().items()}
        training = {module: module.training for module in pl_module.modules()}
        pl_module.eval()
        try:
            if checkpoint:
                pl_module.load_state_dict(read_checkpoint(checkpoint)["state_dict"])
            rows = [
                (name, *self._save(pl_module, name, audio, params))
                for name, audio, params in self._examples(trainer)
            ]
        finally:
            pl_module.load_state_dict(before)
            for module, mode in training.items():
                module.training = mode
        self._summarize(rows, checkpoint or last_model_path(trainer))

    def _examples(self, trainer: pl.Trainer) -> List[Tuple[str, Tensor, Tensor]]:
        """(name, audio (1, 1, N), params (1, 3, M, F)) of the first items, in the set's order."""
        loaders = trainer.val_dataloaders
        if loaders is None or loaders == []:
            loaders = trainer.train_dataloader
        if isinstance(loaders, dict):
            loaders = list(loaders.values())
        dataset = (loaders[0] if isinstance(loaders, (list, tuple)) else loaders).dataset
        examples, names = [], set()
        for index in range(min(self.max_examples, len(dataset))):
            name = f"example_{index}"
            if isinstance(dataset, AudioDataset):
                name = dataset.path(index, "filename").stem
            name = f"{name}_{index}" if name in names else name
            names.add(name)
            audio, params = dataset[index]
            examples.append((name, audio.unsqueeze(0), params.unsqueeze(0)))
        return examples

    def _save(
        self, pl_module: pl.LightningModule, name: str, audio: Tensor, params: Tensor
    ) -> Tuple[float, float]:
        """Write the files of one item; MSS of the sinusoids alone and of the model."""
        audio, params = audio.to(pl_module.device), params.to(pl_module.device)
        num_samples = audio.shape[-1]
        frequencies, amplitudes, phases = params.unbind(1)
        sinusoids = modal_synth(frequencies, amplitudes, num_samples, phases[..., :1])
        resynthesis = pl_module.synthesize(pl_module.encode(audio, params), num_samples).sum
        target, resynthesis, sinusoids = (x.cpu() for x in (audio, resynthesis, sinusoids))

        for kind, sound in (("target", target), ("resynthesis", resynthesis)):
            write_audio(self._folder / f"{name}_{kind}.wav", sound.flatten(), self._rate)
        figure = plot_resynthesis(target, resynthesis, self._rate, title=name)
        save_figure(figure, self._folder / f"{name}.png")
        mss = MultiResolutionSTFTLoss()
        return mss(sinusoids, target).item(), mss(resynthesis, target).item()

    def _summarize(self, rows: List[Tuple[str, float, float]], checkpoint: str) -> None:
        if len(rows) > 1:
            means = torch.tensor([row[1:] for row in rows]).mean(0).tolist()
            rows = [*rows, ("mean", *means)]
        width = max(len(row[0]) for row in rows)
        print("\nMulti-resolution STFT loss (MSS), lower is closer to the recording")
        print(f"  {'':{width}}  sinusoids alone  trained model")
        for name, sinusoids, model in rows:
            print(f"  {name:{width}}  {sinusoids:15.3f}  {model:13.3f}")
        folder = relative(self._folder)
        print(f"Checkpoint:  {relative(checkpoint) if checkpoint else 'none was saved'}")
        print(f"Targets:     {folder}{os.sep}*_target.wav")
        print(f"Resyntheses: {folder}{os.sep}*_resynthesis.wav")
        print(f"Pictures:    {folder}{os.sep}*.png")


class MetricsWriter(pl.Callback):
    """Write what ``drumblender test`` and ``validate`` measure to files, sound by sound.

    ``metrics.csv`` has a row for each sound, ``metrics.json`` the ``mean`` of each column, the
    number ``n`` of sounds behind it, and what was ``logged`` and printed. These two agree but for a
    loss that is not linear over batches, as the multi-resolution STFT loss is (its spectral
    convergence divides by the norm of the whole batch): logged is the mean over batches, while a
    row is the loss of a sound alone.

    Args:
        output_dir: folder of the files; the log folder when not given.
    """

    def __init__(self, output_dir: Optional[str] = None):
        self.output_dir = output_dir
        self._folder: Optional[Path] = None
        self._rows: List[Tuple[int, Dict[str, float]]] = []

    def _begin(self, trainer: pl.Trainer) -> None:
        self._folder = Path(self.output_dir or run_folder(trainer))
        self._rows = []

    def _take(self, trainer: pl.Trainer, outputs: Dict[str, Any]) -> None:
        items = {name: values.tolist() for name, values in outputs.get("items", {}).items()}
        for i in range(len(outputs["target"])):
            index = position(trainer, len(self._rows))
            self._rows.append((index, {name: values[i] for name, values in items.items()}))

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._begin(trainer)

    def on_test_batch_end(
        self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0
    ) -> None:
        self._take(trainer, outputs)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._write(trainer, "test", trainer.test_dataloaders)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == "validate":
            self._begin(trainer)

    def on_validation_batch_end(
        self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0
    ) -> None:
        if trainer.state.fn == "validate":
            self._take(trainer, outputs)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == "validate":
            self._write(trainer, "validation", trainer.val_dataloaders)

    def _write(self, trainer: pl.Trainer, stage: str, loader: Any) -> None:
        rows = dict(sorted(row for part in _gathered(trainer, self._rows) for row in part))
        if not trainer.is_global_zero or trainer.fast_dev_run or not rows:
            return
        dataset = loader.dataset
        names = list(next(iter(rows.values())))
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["key", "filename", *names])
        for index, values in rows.items():
            what = [index, ""]
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


class PredictionWriter(BasePredictionWriter):
    """Write the resyntheses of ``drumblender predict`` to WAV files (32 bits, exact values).

    Args:
        output_dir: folder of the files; ``predictions`` in the log folder when not given.
        targets: write the recordings as well, as ``NAME_target.wav``.
        stems: write the parts of each sound as well, as ``NAME_modal.wav``, ``NAME_noise.wav`` and
            ``NAME_transient.wav``; they add up to the resynthesis.
    """

    def __init__(
        self, output_dir: Optional[str] = None, targets: bool = False, stems: bool = False
    ):
        super().__init__("batch")
        self.output_dir = output_dir
        self.targets = targets
        self.stems = stems
        self._folder: Optional[Path] = None
        self._names: List[str] = []
        self._rate = 48_000
        self._written = 0

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._folder = Path(self.output_dir or run_folder(trainer) / "predictions")
        self._rate = sample_rate_of(trainer)
        self._names = unique_names(trainer.predict_dataloaders.dataset)
        self._written = 0

    def write_on_batch_end(
        self, trainer, pl_module, prediction, batch_indices, batch, batch_idx, dataloader_idx
    ) -> None:
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
        total = sum(_gathered(trainer, self._written))
        if trainer.is_global_zero:
            kinds = [name for name in ("targets", "stems") if getattr(self, name)]
            beside = f" (with {' and '.join(kinds)})" if kinds else ""
            what = "resynthesis" if total == 1 else "resyntheses"
            print(f"{relative(self._folder)}: {total} {what}{beside}.")


def position(trainer: pl.Trainer, count: int) -> int:
    """Which sound of the dataset a process gets as its ``count``-th: processes take turns."""
    return trainer.global_rank + count * trainer.world_size


def unique_names(dataset: Any) -> List[str]:
    """A name for the files of each sound, in the set's order."""
    names = [f"sound_{index}" for index in range(len(dataset))]
    if isinstance(dataset, AudioDataset):
        names = [dataset.path(index, "filename").stem for index in range(len(dataset))]
    # Some file systems take names for the same that differ only in case or in how accents are
    # written; and what is appended has to fit as well.
    names = [_shortened(name) for name in names]
    counts = Counter(map(_folded, names))
    return [f"{n}_{i}" if counts[_folded(n)] > 1 else n for i, n in enumerate(names)]


def sample_rate_of(trainer: pl.Trainer) -> int:
    """Of the datamodule, in Hz."""
    return getattr(getattr(trainer.datamodule, "settings", None), "sample_rate", 48_000)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _shortened(name: str) -> str:
    while len(os.fsencode(name)) > 200:
        name = name[:-1]
    return name


def _gathered(trainer: pl.Trainer, thing: Any) -> List[Any]:
    """What every process has."""
    if trainer.world_size == 1:
        return [thing]
    things: List[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(things, thing)
    return things


def _number(value: float) -> Optional[float]:
    """As JSON knows numbers, of which infinity is none."""
    return value if math.isfinite(value) else None


def _can_log_media(logger: Logger) -> bool:
    return isinstance(logger, (TensorBoardLogger, WandbLogger))


def _listenable(x: Tensor) -> Tensor:
    """Scale down what exceeds full scale, which loggers would clip."""
    x = x.nan_to_num(posinf=0.0, neginf=0.0)
    return x / x.abs().max().clamp(min=1.0)


def last_model_path(trainer: pl.Trainer) -> str:
    return getattr(trainer.checkpoint_callback, "last_model_path", "")


def run_folder(trainer: pl.Trainer) -> Path:
    """Where the files of a run go; every process has to ask."""
    folder = Path(trainer.log_dir or trainer.default_root_dir)
    if isinstance(trainer.logger, WandbLogger):  # whose log folder is that of all runs
        folder = folder / str(trainer.logger.name) / str(trainer.logger.version)
    return folder


def relative(path: Union[str, Path]) -> str:
    """A path as a person in the working directory would type it."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # on another drive
        return str(path)
    return str(path) if relative.startswith(os.pardir) else relative
