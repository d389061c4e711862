#!/usr/bin/env python3
"""Compare a training step, and the making of a sound, with those of another configuration.

    python scripts/benchmark_laptop.py [CONFIG] [OTHER] [--batch_size 8] [--threads 1] [--steps 5]

CONFIG is cfg/07_laptop.yaml and OTHER is cfg/04_noise_parallel_transient_params.yaml unless they
are given. A step is what `drumblender fit` does with a batch of sounds of two seconds: augmentation
if the configuration has some, forward, loss, backward and the optimizer. Both are accelerated
(drumblender.fast), and their steps alternate, so that other load of the machine slows both. Times
are medians. "CPU" is the time of all threads of this process, and hardly depends on other load.
A sound is one of two seconds, from its samples and modes to the sum of its parts. The table is
Markdown.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import torch
from comparison.building import build
from torch import Tensor

from drumblender.config import load_config
from drumblender.fast import accelerate
from drumblender.tasks import DrumBlender

REPOSITORY = Path(__file__).resolve().parents[1]
NUM_SAMPLES, MODES, FRAMES = 96_000, 64, 376


def drums(count: int) -> Tuple[Tensor, Tensor]:
    """Draw decaying modes in noise, (count, 1, N) and (count, 3, M, F)."""
    generator = torch.Generator().manual_seed(0)
    fall = torch.exp(-torch.linspace(0, 12, FRAMES))
    frequency = 0.005 + 1.5 * torch.rand(count, MODES, 1, generator=generator).expand(
        -1, -1, FRAMES
    )
    amplitude = 0.05 * torch.rand(count, MODES, 1, generator=generator) * fall
    phase = 6 * torch.rand(count, MODES, 1, generator=generator).expand_as(frequency)
    noise = torch.randn(count, 1, NUM_SAMPLES, generator=generator)
    audio = 0.2 * noise * torch.exp(-torch.linspace(0, 12, NUM_SAMPLES))
    return audio, torch.stack([frequency, amplitude, phase], dim=1)


def stepper(model: DrumBlender, batch_size: int) -> Callable[[], None]:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    batch = drums(batch_size)

    def step() -> None:
        audio, params = batch if model.augmentation is None else model.augmentation(*batch)
        optimizer.zero_grad()
        model.loss_of(model(audio, params), audio).backward()
        optimizer.step()

    return step


def alternate(tasks: Dict[str, Callable[[], None]], times: int) -> Dict[str, Tuple[float, float]]:
    """Run tasks in turn, and return the medians of wall time and CPU time of each."""
    measured: Dict[str, List[Tuple[float, float]]] = {name: [] for name in tasks}
    for turn in range(times + 1):
        for name, task in tasks.items():
            start, cpu = time.perf_counter(), time.process_time()
            task()
            if turn:  # the first one allocates
                spent = time.perf_counter() - start, time.process_time() - cpu
                measured[name].append(spent)
    return {
        name: (statistics.median(x[0] for x in each), statistics.median(x[1] for x in each))
        for name, each in measured.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", nargs="?", default=str(REPOSITORY / "cfg/07_laptop.yaml"))
    other = str(REPOSITORY / "cfg/04_noise_parallel_transient_params.yaml")
    parser.add_argument("other", nargs="?", default=other)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    paths = (options.config, options.other)
    models = {Path(path).stem: build(load_config(path)["model"]) for path in paths}
    for model in models.values():
        accelerate(model)
    steps = {name: stepper(model, options.batch_size) for name, model in models.items()}
    trained = alternate(steps, options.steps)
    sounds = {name: player(model) for name, model in models.items()}
    with torch.inference_mode():
        made = alternate(sounds, 3 * options.steps)
    print(
        f"batch of {options.batch_size}, {options.threads} thread(s)\n\n"
        "| configuration | parameters | step, s (CPU) | sound, s (CPU) |\n|---|---|---|---|"
    )
    for name, model in models.items():
        weights = sum(p.numel() for p in model.parameters())
        (step, step_cpu), (sound, sound_cpu) = trained[name], made[name]
        print(
            f"| {name} | {weights / 1e6:.2f} M | {step:.2f} ({step_cpu:.2f}) "
            f"| {sound:.3f} ({sound_cpu:.3f}) |"
        )
    first, second = trained.values()
    print(f"\nsteps: {second[0] / first[0]:.1f} times as fast, by CPU {second[1] / first[1]:.1f}")


def player(model: DrumBlender) -> Callable[[], None]:
    audio, params = drums(1)

    def play() -> None:
        model.eval()(audio, params)

    return play


if __name__ == "__main__":
    main()
