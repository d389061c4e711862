"""A callback that writes sounds and pictures to a folder when a model is trained."""

import os
from pathlib import Path
from typing import Any, List, Optional, Tuple

import pytorch_lightning as pl
import torch
from auraloss.freq import MultiResolutionSTFTLoss
from torch import Tensor

from drumblender.callbacks.run import (
    is_trial,
    last_model_path,
    relative,
    run_folder,
    sample_rate_of,
)
from drumblender.data import AudioDataset
from drumblender.errors import UsageError
from drumblender.files.audio import write_audio
from drumblender.plotting import plot_resynthesis, save_figure
from drumblender.synths import modal_synth
from drumblender.tasks.checkpoint import read_checkpoint


class SaveExamplesCallback(pl.Callback):
    """A callback that writes recordings and their resyntheses to files when training ends.

    The first items of the validation set (or of the training set, if there is no other) are
    resynthesized with the weights of the best checkpoint. Their multi-resolution STFT loss (MSS) is
    printed beside that of the measured sinusoids alone. The model keeps the weights and the mode
    that it had.

    Args:
        output_dir: folder of the files. By default it is ``examples`` in the log folder.
        max_examples: number of items at most.
        sample_rate: sample rate of the audio, in Hz. By default it is that of the datamodule, or
            else 48 000.

    Raises:
        UsageError: if ``max_examples`` is not positive.
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
        self._folder: Path  # known when the run begins
        self._rate = 48_000

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find the folder of the files, in which every process takes part."""
        # Every process takes part in finding the log folder, so not at the end on one alone.
        self._folder = Path(self.output_dir or run_folder(trainer) / "examples")
        self._rate = self.sample_rate or sample_rate_of(trainer)

    @torch.no_grad()
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the files and print where they are."""
        if not trainer.is_global_zero or is_trial(trainer):
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
        """List the first items: names, audio (1, 1, N) and modal parameters (1, 3, M, F)."""
        loaders: Any = trainer.val_dataloaders
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
            audio, params, *_ = dataset[index]
            examples.append((name, audio.unsqueeze(0), params.unsqueeze(0)))
        return examples

    def _save(
        self, pl_module: pl.LightningModule, name: str, audio: Tensor, params: Tensor
    ) -> Tuple[float, float]:
        """Write the files of one item. Return the MSS of the sinusoids alone and of the model."""
        audio, params = audio.to(pl_module.device), params.to(pl_module.device)
        num_samples = audio.shape[-1]
        frequencies, amplitudes, phases = params.unbind(1)
        sinusoids = modal_synth(frequencies, amplitudes, num_samples, phases[..., :1])
        resynthesis = pl_module(audio, params)
        target, resynthesis, sinusoids = (x.cpu() for x in (audio, resynthesis, sinusoids))

        for kind, sound in (("target", target), ("resynthesis", resynthesis)):
            write_audio(self._folder / f"{name}_{kind}.wav", sound.flatten(), self._rate)
        figure = plot_resynthesis(target, resynthesis, self._rate, title=name)
        save_figure(figure, self._folder / f"{name}.png")
        mss = MultiResolutionSTFTLoss()
        return mss(sinusoids, target).item(), mss(resynthesis, target).item()

    def _summarize(self, rows: List[Tuple[str, float, float]], checkpoint: str) -> None:
        """Print the losses and where the files are."""
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
