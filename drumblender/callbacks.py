"""Lightning callbacks: hear and see what a model does while it learns and when it is done."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from torch import Tensor

from drumblender.inference import write_audio
from drumblender.plotting import (
    figure_to_image,
    plot_resynthesis,
    plot_spectrograms,
    save_figure,
)
from drumblender.synths import modal_synth

log = logging.getLogger(__name__)


class LogAudioCallback(Callback):
    """Log sounds, and a picture of their spectrograms, to TensorBoard or Weights & Biases.

    Each sound is the target followed by its resynthesis. They come from the first batches of an
    epoch, as the step returned them under ``target`` and ``resynthesis``; an epoch with fewer
    batches logs those it has.

    Args:
        on_train: log in training.
        on_val: log in validation.
        on_test: log in testing.
        save_audio_sr: sample rate of the audio in Hz.
        n_batches: batches per epoch to log.
        log_on_epoch_end: log when the epoch ends instead of as soon as the batches are there.
        max_audio_samples: sounds per epoch at most.
    """

    def __init__(
        self,
        on_train: bool = True,
        on_val: bool = True,
        on_test: bool = True,
        save_audio_sr: int = 48000,
        n_batches: int = 1,
        log_on_epoch_end: bool = False,
        max_audio_samples: int = 8,
    ):
        self.stages = {"train": on_train, "validation": on_val, "test": on_test}
        self.save_audio_sr = save_audio_sr
        self.n_batches = n_batches
        self.log_on_epoch_end = log_on_epoch_end
        self.max_audio_samples = max_audio_samples
        self._collected: List[Tuple[Tensor, Tensor]] = []

    def _start(self) -> None:
        self._collected = []

    def _collect(self, stage: str, trainer: pl.Trainer, outputs: Any, batch_idx: int) -> None:
        wanted = self.stages[stage] and batch_idx < self.n_batches
        if not wanted or trainer.sanity_checking or not trainer.is_global_zero:
            return
        if not trainer.loggers or not outputs:
            return
        room = self.max_audio_samples - sum(len(target) for target, _ in self._collected)
        if room > 0:
            # On the CPU, so that nothing of the step stays in the accelerator's memory.
            pair = (outputs[key][:room].detach().float().cpu() for key in ("target", "resynthesis"))
            self._collected.append(tuple(pair))
        if batch_idx + 1 == self.n_batches and not self.log_on_epoch_end:
            self._log(stage, trainer)

    def _log(self, stage: str, trainer: pl.Trainer) -> None:
        if not self._collected:
            return
        targets, resyntheses = (torch.cat(x).flatten(1) for x in zip(*self._collected))
        self._collected = []
        sounds = torch.cat([targets, resyntheses], dim=1)
        labels = ["target", "resynthesis"]
        pairs = [
            (f"{label} {i}", x)
            for i, pair in enumerate(zip(targets, resyntheses))
            for label, x in zip(labels, pair)
        ]
        figure = plot_spectrograms(pairs[:8], self.save_audio_sr, columns=2)
        for logger in trainer.loggers:
            _send(logger, stage, trainer.global_step, sounds, self.save_audio_sr, figure)

    def on_train_epoch_start(self, trainer, pl_module) -> None:
        self._start()

    def on_validation_epoch_start(self, trainer, pl_module) -> None:
        # Validation runs within a training epoch, whose sounds come first.
        self._log("train", trainer)
        self._start()

    def on_test_epoch_start(self, trainer, pl_module) -> None:
        self._start()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self._collect("train", trainer, outputs, batch_idx)

    def on_validation_batch_end(
        self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0
    ) -> None:
        self._collect("validation", trainer, outputs, batch_idx)

    def on_test_batch_end(
        self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0
    ) -> None:
        self._collect("test", trainer, outputs, batch_idx)

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        self._log("train", trainer)

    def on_validation_epoch_end(self, trainer, pl_module) -> None:
        self._log("validation", trainer)

    def on_test_epoch_end(self, trainer, pl_module) -> None:
        self._log("test", trainer)


def _send(
    logger: Logger, stage: str, step: int, sounds: Tensor, sample_rate: int, figure: Any
) -> None:
    """Give sounds (n, samples) and a picture to one logger; loggers without media get nothing."""
    if isinstance(logger, TensorBoardLogger):
        for i, sound in enumerate(sounds):
            logger.experiment.add_audio(
                f"{stage}/audio_{i}", sound.clamp(-1, 1), step, sample_rate=sample_rate
            )
        image = torch.from_numpy(figure_to_image(figure))
        logger.experiment.add_image(f"{stage}/spectrogram", image, step, dataformats="HWC")
    elif type(logger).__name__ == "WandbLogger":
        import wandb

        audio = [wandb.Audio(s.clamp(-1, 1).numpy(), sample_rate=sample_rate) for s in sounds]
        picture = wandb.Image(figure_to_image(figure))
        logger.experiment.log({f"{stage}/audio": audio, f"{stage}/spectrogram": picture})


class CleanWandbCacheCallback(Callback):
    """Keep the cache of Weights & Biases artifacts on this disk small.

    Args:
        every_n_epochs: how often to clean.
        max_size_in_gb: what may remain.
    """

    def __init__(self, every_n_epochs: int = 1, max_size_in_gb: float = 1.0):
        self.every_n_epochs = every_n_epochs
        self.max_size_in_gb = max_size_in_gb

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        uses_wandb = any(type(logger).__name__ == "WandbLogger" for logger in trainer.loggers)
        due = (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if not (uses_wandb and due and trainer.is_global_zero):
            return
        size = f"{self.max_size_in_gb}GB"
        command = [sys.executable, "-m", "wandb", "artifact", "cache", "cleanup", size]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            log.warning("The W&B cache was not cleaned: %s", result.stderr.strip())


class SaveExamplesCallback(Callback):
    """When training ends, write what the best model makes of some sounds, and say where.

    For the first sounds of the validation set: target and resynthesis as WAV (24 bits) and a picture
    of both, in ``examples`` beside the checkpoints.

    Args:
        max_examples: how many sounds.
        output_dir: where to write; None for ``examples`` in the run's log folder.
        sample_rate: of the audio in Hz; None for that of the datamodule.
    """

    def __init__(
        self,
        max_examples: int = 4,
        output_dir: Optional[str] = None,
        sample_rate: Optional[int] = None,
    ):
        self.max_examples = max_examples
        self.output_dir = output_dir
        self.sample_rate = sample_rate

    def on_fit_end(self, trainer, pl_module) -> None:
        if trainer.fast_dev_run or not trainer.is_global_zero or trainer.global_step == 0:
            return
        checkpoint = getattr(trainer.checkpoint_callback, "best_model_path", "")
        trained = {k: v.detach().clone() for k, v in pl_module.state_dict().items()}
        was_training = pl_module.training
        try:
            if checkpoint and Path(checkpoint).is_file():
                state = torch.load(checkpoint, map_location=pl_module.device, weights_only=True)
                pl_module.load_state_dict(state["state_dict"])
            pl_module.eval()
            with torch.inference_mode():
                self._write(trainer, pl_module, checkpoint)
        finally:
            pl_module.load_state_dict(trained)
            pl_module.train(was_training)

    def _write(self, trainer: pl.Trainer, model: pl.LightningModule, checkpoint: str) -> None:
        folder = Path(self.output_dir or Path(trainer.log_dir or ".") / "examples")
        rate = self.sample_rate or getattr(trainer.datamodule, "sample_rate", 48000)
        scores: Dict[str, List[float]] = {"sinusoids": [], "trained": []}
        for i, (audio, params) in enumerate(self._examples(trainer, model)):
            n = audio.shape[-1]
            frequency, amplitude, phase = params.unbind(1)
            sinusoids = modal_synth(frequency, amplitude, n, phase[..., :1])
            resynthesis = model.synthesize(model.encode(audio, params), n).sum
            for name, sound in (("sinusoids", sinusoids), ("trained", resynthesis)):
                scores[name].append(mss(sound, audio))
            for name, sound in (("target", audio), ("resynthesis", resynthesis)):
                write_audio(folder / f"{i}_{name}.wav", sound.flatten().float().cpu(), rate)
            figure = plot_resynthesis(audio.cpu(), resynthesis.float().cpu(), rate)
            save_figure(figure, folder / f"{i}.png")
        if not scores["trained"]:
            return
        count = len(scores["trained"])
        means = {name: sum(values) / count for name, values in scores.items()}
        print(
            f"\nMean MSS of {count} sound{'s' if count > 1 else ''} of the validation set:"
            f"\n  sinusoids alone   {means['sinusoids']:.3f}"
            f"\n  trained model     {means['trained']:.3f}"
            f"\nCheckpoint:         {_relative(checkpoint) if checkpoint else 'none was saved'}"
            f"\nTargets:            {_relative(folder)}/*_target.wav"
            f"\nResyntheses:        {_relative(folder)}/*_resynthesis.wav"
            f"\nPictures:           {_relative(folder)}/*.png"
        )

    def _examples(self, trainer, model):
        """Single sounds (audio (1, 1, N), params (1, 3, M, F)) on the model's device."""
        loaders = trainer.val_dataloaders
        count = 0
        for audio, params in loaders or []:
            for pair in zip(audio, params):
                if count == self.max_examples:
                    return
                count += 1
                yield tuple(x[None].to(model.device) for x in pair)


def mss(resynthesis: Tensor, target: Tensor) -> float:
    """Multi-resolution STFT distance as published: auraloss with its default resolutions."""
    from auraloss.freq import MultiResolutionSTFTLoss

    return MultiResolutionSTFTLoss()(resynthesis.float().cpu(), target.float().cpu()).item()


def _relative(path: Any) -> str:
    """A path as a person in the working directory would type it."""
    shown = os.path.relpath(path)
    return str(path) if shown.startswith("..") else shown
