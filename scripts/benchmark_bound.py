#!/usr/bin/env python3
"""Say how close the laptop model could come to sounds if it predicted all levels without error.

    python scripts/benchmark_bound.py [--loss cfg/loss/laptop.yaml] [--sounds 2] [--steps 100]

The levels of the noise in each band and frame, and the gains of the modes, are no predictions here.
Gradient descent fits them to each test sound of the public benchmark itself, by a loss, with other
noise in each step. Metrics are then those of yet other noise. What is missing from there to zero is
what noise of the right level cannot reach, because it is another noise than the recorded one. The
transient network has no levels that could be fitted, and is silent.

--sounds is the number of sounds of each test pack, drawn by chance. The table is Markdown. It takes
about ten seconds of one core for each sound.
"""

import argparse
from pathlib import Path
from typing import Any, Dict, List

import torch
from comparison.building import build
from comparison.rows import datamodule
from torch import Tensor, nn

from drumblender.config import load_config
from drumblender.metrics import (
    LogSpectralDistance,
    MultiResolutionSTFTError,
    SpectralFluxOnsetError,
)
from drumblender.parameters import Modes
from drumblender.signal import mix
from drumblender.tasks import DrumBlender

REPOSITORY = Path(__file__).resolve().parents[1]


class Levels(nn.Module):
    """What a head would predict for each band and frame of each sound, free to be fitted."""

    def __init__(self, shape: tuple):
        super().__init__()
        self.values = nn.Parameter(torch.zeros(shape))

    def forward(self, features: Tensor) -> Tensor:
        return self.values


def fit(model: DrumBlender, audio: Tensor, params: Tensor, steps: int) -> Tensor:
    """Fit levels to sounds (B, 1, N), and return what is heard of them."""
    num_samples = audio.shape[-1]
    frames = -(-num_samples // model.encoder.hop_length)
    shape = (len(audio), model.encoder.num_bands, frames)
    for name in ("noise_autoencoder", "modal_autoencoder"):
        getattr(model, name).head = Levels(shape)
    noise, gains = model.noise_autoencoder.head, model.modal_autoencoder.head
    noise.values.data += 0.9  # from 27 dB above the level at which training starts
    rates = [{"params": noise.parameters(), "lr": 0.04}, {"params": gains.parameters(), "lr": 0.03}]
    optimizer = torch.optim.Adam(rates)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    def play() -> Tensor:
        stems = model.synthesize(model.encode(audio, Modes(params, num_samples)), num_samples)
        return mix(stems)

    for step in range(steps):
        torch.manual_seed(step)
        optimizer.zero_grad()
        model.loss_of(play(), audio).backward()
        optimizer.step()
        schedule.step()
    torch.manual_seed(steps)
    with torch.no_grad():
        return play()


def choose(dataset: Any, count: int) -> List[int]:
    """Draw a number of sounds of each pack."""
    packs: Dict[str, List[int]] = {}
    for index, key in enumerate(dataset.keys):
        packs.setdefault(dataset.metadata[key]["sample_pack_key"], []).append(index)
    generator = torch.Generator().manual_seed(0)
    chosen: List[int] = []
    for indices in packs.values():
        order = torch.randperm(len(indices), generator=generator)[:count]
        chosen += [indices[i] for i in order]
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loss", default=str(REPOSITORY / "cfg/loss/laptop.yaml"))
    parser.add_argument("--sounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = datamodule(load_config(REPOSITORY / "cfg/data/benchmark.yaml"))
    data.prepare_data()
    dataset = data.dataset("test")
    metrics = {
        "MSS": MultiResolutionSTFTError(),
        "LSD (dB)": LogSpectralDistance(),
        "LSD, eps=1e-8 (dB)": LogSpectralDistance(eps=1e-8),
        "onset": SpectralFluxOnsetError(),
    }
    section = load_config(REPOSITORY / "cfg/07_laptop.yaml")["model"]
    section["init_args"]["loss_fn"] = load_config(options.loss)
    chosen = choose(dataset, options.sounds)
    sums = torch.zeros(2, len(metrics))
    for start in range(0, len(chosen), 4):
        items = [dataset[index] for index in chosen[start : start + 4]]
        audio, params = (torch.stack(x) for x in zip(*items))
        model = build(section).requires_grad_(False)
        with torch.no_grad():
            alone = model.modal_synth(params, audio.shape[-1])
        for row, heard in enumerate((alone, fit(model, audio, params, options.steps))):
            for one, target in zip(heard, audio):
                values = [metric(one[None], target[None]) for metric in metrics.values()]
                sums[row] += torch.stack(values)
    alone, fitted = sums / len(chosen)
    print(f"\n{len(chosen)} sounds, {options.steps} steps\n")
    print(f"| | {' | '.join(metrics)} |\n|---|{'---|' * len(metrics)}")
    for name, values in (("sinusoids alone", alone), ("fitted levels", fitted)):
        print(f"| {name} | {' | '.join(f'{value:.3g}' for value in values)} |")
    print(f"| change | {' | '.join(f'{100 * x:+.0f} %' for x in fitted / alone - 1)} |")


if __name__ == "__main__":
    main()
