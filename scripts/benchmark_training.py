#!/usr/bin/env python3
"""Compare training with the plain version of the same mathematics, part by part and as a whole.

    python scripts/benchmark_training.py [CONFIG] [--device cuda] [--batch_size 4] [--threads 1]
    python scripts/benchmark_training.py [CONFIG] --curve 200 [--num_samples 24000]

Plain is a model that is not accelerated (drumblender.fast): nn.Conv1d with dilation, batch norm,
FiLM, activation and residual one after the other, and the phase as a running sum of interpolated
frequencies.
Each has a process of its own; they run in turn. Times are medians of forward and backward after a
warm-up, "kept" is what autograd keeps for the backward, "peak" what a step adds to the memory of a
process that did none before. Like `drumblender fit`, fast processes keep freed memory; what that
alone does for plain is in the tables, too. Inputs are bundled recordings and their modal
parameters. The tables are Markdown.

--curve trains on the bundled recordings instead: plain with two seeds, and fast with the first.
"""

import argparse
import contextlib
import multiprocessing
import statistics
import sys
import time
from dataclasses import dataclass
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Callable, Dict, Optional

import soundfile
import torch
from jsonargparse import ArgumentParser

from drumblender.analysis import AnalysisSettings, CQTModalAnalysis
from drumblender.config import load_config
from drumblender.fast import accelerate
from drumblender.files.memory import keep_memory
from drumblender.parameters import Modes
from drumblender.signal import fit_length, resample
from drumblender.tasks import DrumBlender

REPOSITORY = Path(__file__).resolve().parents[1]
MIB = 2**20
STEP = "whole step"


@dataclass(frozen=True)
class Variant:
    """A way to compute a step.

    Attributes:
        is_plain: by PyTorch's own modules.
        keeps_memory: see :mod:`drumblender.files.memory`.
        options: of the model.
        dtype: of autocast.
    """

    is_plain: bool = False
    keeps_memory: bool = True
    options: tuple = ()
    dtype: Optional[torch.dtype] = None


VARIANTS = {
    "plain": Variant(is_plain=True, keeps_memory=False),
    "plain, memory kept": Variant(is_plain=True),
    "fast": Variant(),
    "fast, activation checkpointing": Variant(options=("activation_checkpointing",)),
}
CUDA_VARIANTS = {
    "fast, float16": Variant(dtype=torch.float16),
    "fast, bfloat16": Variant(dtype=torch.bfloat16),
    "fast, compiled": Variant(options=("compile",)),
    "fast, compiled, float16": Variant(options=("compile",), dtype=torch.float16),
    "fast, compiled, bfloat16": Variant(options=("compile",), dtype=torch.bfloat16),
}


def build(config: str, device: str, variant: Variant) -> DrumBlender:
    torch.manual_seed(0)
    section = load_config(config)["model"]
    section["init_args"].update({name: True for name in variant.options})
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(DrumBlender, "model", required=True)
    model = parser.instantiate_classes(parser.parse_object({"model": section})).model
    if variant.is_plain:
        model.modal_synth.round_phase = True  # a running sum
    return accelerate(model.to(device).train(), not variant.is_plain)


def recordings(count: int, num_samples: int, device: str):
    """Audio (count, 1, N) and modal parameters of bundled recordings, of all kinds."""
    analysis = CQTModalAnalysis(AnalysisSettings())
    paths = sorted((REPOSITORY / "audio/one-shots").rglob("*.flac"))
    paths = [paths[(i * len(paths)) // count] for i in range(count)]
    sounds = []
    for path in paths:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        sound = resample(torch.from_numpy(samples[:, 0].copy()), rate, 48000)
        sounds.append(fit_length(sound, num_samples))
    audio, params = torch.stack(sounds), torch.stack([analysis(sound) for sound in sounds])
    return audio.unsqueeze(1).to(device), params.to(device)


@contextlib.contextmanager
def computing(variant: Variant, device: str):
    with torch.autocast(device, variant.dtype, enabled=variant.dtype is not None):
        yield


def parts_of(model: DrumBlender, batch) -> Dict[str, Callable[[], torch.Tensor]]:
    """What a step consists of, each from its inputs to a scalar."""
    audio, params = batch
    length = audio.shape[-1]
    params = params.clone()
    learned = params.clone().requires_grad_()
    with torch.no_grad():
        controls = model.encode(audio, Modes(params, length))
        modal = model.modal_synth(params, length)
    sound = modal.clone().requires_grad_()
    parts = {
        "modal synth, forward": lambda: model.modal_synth(params, length),
        "modal synth": lambda: model.modal_synth(learned, length).square().sum(),
    }
    if model.noise_synth is not None:
        bands = controls["noise"].amplitudes.clone().requires_grad_()
        net = model.noise_autoencoder
        parts["noise encoder"] = lambda: net(audio).float().square().sum()
        parts["noise synth"] = lambda: model.noise_synth(bands, length).square().sum()
    if model.transient_autoencoder is not None:
        other = model.transient_autoencoder
        parts["transient encoder"] = lambda: other(audio).float().square().sum()
    if model.transient_synth is not None:
        embedding = controls["transient"]
        parts["TCN"] = lambda: model.transient_synth(modal, embedding).square().sum()
    parts["loss"] = lambda: model.loss_fn(sound, audio)
    return parts


def run(part: Callable[[], torch.Tensor]) -> None:
    result = part()
    if result.requires_grad:
        result.backward()


def seconds(function: Callable[[], None], device: str) -> float:
    if device == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        function()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1000
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def in_turn(pools: Dict[str, Pool], part: str, repeats: int) -> Dict[str, float]:
    """Median seconds of a part in each process, one after the other again and again."""
    times = {name: [] for name in pools}
    for repeat in range(repeats + 1):
        for name, pool in pools.items():
            value = pool.apply(measure, (part,))
            if repeat:
                times[name].append(value)
    return {name: statistics.median(values) for name, values in times.items()}


def kept(part: Callable[[], torch.Tensor]) -> int:
    """Bytes that autograd keeps for the backward."""
    storages = {}

    def keep(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        result = part()
    del result
    return sum(storages.values())


def step_of(model: DrumBlender, batch, variant: Variant, device: str) -> Callable[[], None]:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    scaler = torch.amp.GradScaler(device, enabled=variant.dtype == torch.float16)

    def step():
        with computing(variant, device):
            loss = model.loss_of(model(*batch), batch[0])
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()

    return step


def resident(field: str) -> int:
    """Bytes of this process that are in memory (VmRSS), or were at most (VmHWM); on Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(field))
    return 1024 * int(line.split()[1])


class Bench:
    """A variant at work in a process of its own."""

    def __init__(self, options: argparse.Namespace, variant: Variant):
        torch.set_num_threads(options.threads)
        if variant.keeps_memory:
            keep_memory()
        self.variant, self.device = variant, options.device
        self.batch = recordings(options.batch_size, options.num_samples, options.device)
        self.model = build(options.config, options.device, variant)
        self.step = step_of(self.model, self.batch, variant, options.device)
        self.parts: Dict[str, Callable[[], torch.Tensor]] = {}

    def measure(self, part: str) -> float:
        """Seconds of a part, or of the whole step."""
        if part == STEP:
            return seconds(self.step, self.device)
        self.parts = self.parts or parts_of(self.model, self.batch)
        with computing(self.variant, self.device):
            return seconds(lambda: run(self.parts[part]), self.device)

    def kept(self, part: str) -> int:
        with computing(self.variant, self.device):
            return kept(self.parts[part])

    def peak(self) -> int:
        """Bytes that a training step adds at its peak."""
        if self.device == "cuda":
            self.step()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            self.step()
            return torch.cuda.max_memory_allocated() - before
        Path("/proc/self/clear_refs").write_text("5")  # lets the peak start from here
        before = resident("VmRSS")
        self.step()
        return resident("VmHWM") - before


def start(options: argparse.Namespace, variant: Variant) -> None:
    global bench
    bench = Bench(options, variant)


def measure(part: str) -> float:
    return bench.measure(part)


def kept_by(part: str) -> int:
    return bench.kept(part)


def peak() -> int:
    return bench.peak()


def compare(options: argparse.Namespace) -> None:
    print(
        f"batch {options.batch_size}, {options.num_samples} samples, {options.device}, "
        f"{options.threads} thread(s), torch {torch.__version__}\n"
    )
    if not options.skip_parts:
        compare_parts(options)
    variants = {**VARIANTS, **(CUDA_VARIANTS if options.device == "cuda" else {})}
    reference = variants.pop("plain")
    print("| whole step | plain | this | times as fast | peak memory, plain | this | of plain |")
    print("|---|---|---|---|---|---|---|")
    for name, variant in variants.items():  # in pairs, which fit into memory
        with processes(options, {"plain": reference, "this": variant}) as pools:
            peaks = {key: pool.apply(peak) / MIB for key, pool in pools.items()}
            times = in_turn(pools, STEP, options.repeats)
        print(
            f"| {name} | {1000 * times['plain']:.4g} ms | {1000 * times['this']:.4g} ms "
            f"| {times['plain'] / times['this']:.2f} "
            f"| {peaks['plain']:.0f} MiB | {peaks['this']:.0f} MiB "
            f"| {100 * peaks['this'] / peaks['plain']:.0f} % |",
            flush=True,
        )


def compare_parts(options: argparse.Namespace) -> None:
    variants = {name: VARIANTS[name] for name in ("plain", "plain, memory kept", "fast")}
    names = parts_of(build(options.config, "cpu", Variant()), recordings(1, 24000, "cpu"))
    print("| part | plain | plain, memory kept | fast | times as fast | kept for backward |")
    print("|---|---|---|---|---|---|")
    with processes(options, variants) as pools:
        for part in names:
            times = in_turn(pools, part, options.repeats)
            plain_bytes, _, fast_bytes = (pool.apply(kept_by, (part,)) for pool in pools.values())
            print(
                f"| {part} | {' | '.join(f'{1000 * value:.4g} ms' for value in times.values())} "
                f"| {times['plain'] / times['fast']:.2f} "
                f"| {plain_bytes / MIB:.0f} -> {fast_bytes / MIB:.0f} MiB |",
                flush=True,
            )
    print()


@contextlib.contextmanager
def processes(options: argparse.Namespace, variants: Dict[str, Variant]):
    """One process for each variant."""
    context = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(context.Pool(1, start, (options, variant)))
            for name, variant in variants.items()
        }


def curve(options: argparse.Namespace) -> None:
    """Losses of the first steps: do they differ by more than by the seed?"""
    audio, params = recordings(64, options.num_samples, options.device)

    def losses(variant: Variant, seed: int):
        model = build(options.config, options.device, variant)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        torch.manual_seed(seed)
        values = []
        for _ in range(options.curve):
            index = torch.randint(len(audio), (options.batch_size,), device=options.device)
            with computing(variant, options.device):
                loss = model.loss_of(model(audio[index], params[index]), audio[index])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            values.append(loss.item())
        return values

    runs = {
        "plain": losses(VARIANTS["plain"], 1),
        "fast": losses(VARIANTS["fast"], 1),
        "plain, other seed": losses(VARIANTS["plain"], 2),
    }
    print(f"| mean loss of steps | {' | '.join(runs)} |")
    print(f"|---|{'---|' * len(runs)}")
    block = max(1, options.curve // 8)
    for first in range(0, options.curve, block):
        means = [statistics.mean(values[first : first + block]) for values in runs.values()]
        print(f"| {first + 1} to {first + block} | {' | '.join(f'{m:.4f}' for m in means)} |")
    plain_losses, fast_losses, other = runs.values()

    def distance(a, b):
        return statistics.mean(abs(x - y) for x, y in zip(a, b))

    print(
        f"\nmean distance to plain, step by step: fast {distance(plain_losses, fast_losses):.4f}, "
        f"other seed {distance(plain_losses, other):.4f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = REPOSITORY / "cfg/04_noise_parallel_transient_params.yaml"
    parser.add_argument("config", nargs="?", default=str(default))
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--num_samples", type=int, default=96000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--skip_parts", action="store_true", help="the whole step only")
    parser.add_argument("--curve", type=int, help="train for so many steps instead")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: --device cuda: PyTorch sees no GPU here.")
    torch.set_num_threads(options.threads)
    (curve if options.curve else compare)(options)


if __name__ == "__main__":
    main()
