#!/usr/bin/env python3
"""Say what each choice of the laptop configuration is worth, by leaving it out.

    python scripts/ablation.py [VARIANT ...] [--config cfg/07_laptop.yaml] [--steps 250]

Each variant is trained for the same number of steps, with the same sounds in the same order, on the
training split of the public benchmark, and measured on 40 sounds of its validation split. The test
split is not touched. The table is Markdown, and shows changes relative to the sinusoids alone.
Without VARIANT, all are trained; --list names them. A variant takes about four minutes of one core
with 250 steps. Results are differences of short trainings, which is enough to see what helps
learning, and not enough to see what a long training would make of it.
"""

import argparse
import copy
import random
from pathlib import Path
from typing import Any, Callable, Dict, List

import torch
from comparison.building import build
from comparison.rows import datamodule
from torch import Tensor

from drumblender.config import load_config
from drumblender.data import AudioDataset
from drumblender.fast import accelerate
from drumblender.metrics import (
    LogSpectralDistance,
    MultiResolutionSTFTError,
    SpectralFluxOnsetError,
)
from drumblender.tasks import DrumBlender
from drumblender.tasks.schedule import WarmupCosine

REPOSITORY = Path(__file__).resolve().parents[1]
BATCH, VALIDATED, WARMUP = 8, 40, 50
Section = Dict[str, Any]


def without(*names: str) -> Callable[[Section], None]:
    """Leave arguments of the model out."""

    def change(model: Section) -> None:
        for name in names:
            del model[name]

    return change


def onset_weight(weight: float) -> Callable[[Section], None]:
    """Let the onset strength count more or less in the loss."""

    def change(model: Section) -> None:
        model["loss_fn"]["init_args"]["weights"][2] = weight

    return change


def spectra_only(model: Section) -> None:
    """Take the loss of the configurations 01 to 06."""
    model["loss_fn"] = load_config(REPOSITORY / "cfg/loss/mss.yaml")


def plain_batches(model: Section) -> None:
    """Cut batches, and change neither pitch nor level."""
    model["augmentation"]["init_args"].update(semitones=0.0, gain_db=0.0)


def transient_of_the_rest(model: Section) -> None:
    """Let the transient network learn what the sinusoids leave of the first 85 ms."""
    short = {
        "class_path": "auraloss.freq.MultiResolutionSTFTLoss",
        "init_args": {
            "fft_sizes": [256, 512, 1024],
            "hop_sizes": [32, 64, 128],
            "win_lengths": [128, 256, 600],
        },
    }
    beginning = {
        "class_path": "drumblender.loss.BeginningLoss",
        "init_args": {"loss_fn": short, "num_samples": 4096},
    }
    model["part_losses"] = {"transient": {"loss_fn": beginning, "weight": 0.3, "target": "rest"}}


VARIANTS: Dict[str, Callable[[Section], None]] = {
    "as it is": lambda model: None,
    "no transient network": without(
        "transient_synth", "transient_autoencoder", "transient_parallel"
    ),
    "no gains of modes": without("modal_autoencoder"),
    "no augmentation": plain_batches,
    "loss of 01 to 06": spectra_only,
    "onset strength counts a quarter": onset_weight(0.5),
    "transient learns the rest": transient_of_the_rest,
}


def train(model: DrumBlender, dataset: AudioDataset, steps: int) -> None:
    accelerate(model)
    optimizer = torch.optim.AdamW(model.parameters(), 0.002)
    schedule = WarmupCosine(optimizer, min(WARMUP, steps // 2), steps)
    chance, order = random.Random(0), []  # type: ignore[var-annotated]
    model.log = model.log_dict = lambda *args, **kwargs: None  # type: ignore[method-assign]
    model.train()
    for step in range(steps):
        if len(order) < BATCH:
            order = list(range(len(dataset)))
            chance.shuffle(order)
        batch = (torch.stack(x) for x in zip(*(dataset[order.pop()] for _ in range(BATCH))))
        torch.manual_seed(step)
        loss = model._step(model.augmentation(*batch), "train")["loss"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()


@torch.no_grad()
def measured(metrics: Section, heard: Tensor, audio: Tensor) -> Tensor:
    """Return the mean of each metric over sounds (B, 1, N)."""
    pairs = list(zip(heard.unsqueeze(1), audio.unsqueeze(1)))
    return torch.stack([torch.stack([m(*pair) for pair in pairs]).mean() for m in metrics.values()])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("variants", nargs="*", metavar="VARIANT")
    parser.add_argument("--config", default=str(REPOSITORY / "cfg/07_laptop.yaml"))
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        return print("\n".join(VARIANTS))
    chosen: List[str] = options.variants or list(VARIANTS)
    for name in set(chosen) - set(VARIANTS):
        parser.error(f"there is no variant {name!r}; see --list")
    torch.set_num_threads(1)
    data = datamodule(load_config(REPOSITORY / "cfg/data/benchmark.yaml"))
    data.prepare_data()
    validation = data.dataset("val")
    indices = random.Random(5).sample(range(len(validation)), VALIDATED)
    audio, params = (torch.stack(x) for x in zip(*(validation[index] for index in indices)))
    metrics = {
        "MSS": MultiResolutionSTFTError(),
        "LSD": LogSpectralDistance(hop_size=512),
        "LSD, eps=1e-8": LogSpectralDistance(hop_size=512, eps=1e-8),
        "onset": SpectralFluxOnsetError(),
    }
    section = load_config(options.config)["model"]
    alone = build(section).modal_synth
    with torch.no_grad():
        heard = torch.cat([alone(each, audio.shape[-1]) for each in params.split(1)])
    start = measured(metrics, heard, audio)
    print(f"| {options.steps} steps | {' | '.join(metrics)} |\n|---|{'---|' * len(metrics)}")
    for name in chosen:
        changed = copy.deepcopy(section)
        VARIANTS[name](changed["init_args"])
        model = build(changed)
        train(model, data.dataset("train"), options.steps)
        model.eval()
        torch.manual_seed(3)
        with torch.no_grad():
            heard = torch.cat([model(*each) for each in zip(audio.split(4), params.split(4))])
        changes = 100 * (measured(metrics, heard, audio) / start - 1)
        print(f"| {name} | {' | '.join(f'{x:+.1f} %' for x in changes)} |", flush=True)


if __name__ == "__main__":
    main()
