"""A model that learns a gain, and trainers that are over at once."""

import math

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.data import DataLoader, TensorDataset

SAMPLE_RATE = 48_000
NUM_SAMPLES = 6_000


class Gain(pl.LightningModule):
    """Learns a gain; its steps give what the task's steps give."""

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(0.5))

    def step(self, batch, batch_idx):
        (audio,) = batch
        resynthesis = self.gain * audio
        loss = (resynthesis - audio).square().mean()
        return {"loss": loss, "target": audio, "resynthesis": resynthesis.detach()}

    training_step = validation_step = test_step = step

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.0)


def drums(count, level=0.8):
    """Decaying sines of different pitch: (count, 1, NUM_SAMPLES)."""
    time = torch.arange(NUM_SAMPLES) / SAMPLE_RATE
    pitch = torch.arange(1, count + 1).view(-1, 1, 1) * 100.0
    return level * torch.sin(2 * math.pi * pitch * time) * torch.exp(-time / 0.03)


def make_trainer(folder, callbacks, logger=None, **options):
    defaults = {"max_epochs": 1, "enable_checkpointing": False, "log_every_n_steps": 1}
    return pl.Trainer(
        default_root_dir=folder,
        logger=TensorBoardLogger(folder, name="run") if logger is None else logger,
        callbacks=callbacks,
        accelerator="cpu",
        devices=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{**defaults, **options},
    )


def run_all_stages(trainer, batches=3, batch_size=2, level=0.8):
    data = TensorDataset(drums(batches * batch_size, level))
    loader = DataLoader(data, batch_size=batch_size)
    model = Gain()
    trainer.fit(model, loader, loader)
    trainer.test(model, loader, verbose=False)
