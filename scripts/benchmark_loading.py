#!/usr/bin/env python3
"""Compare loading a dataset from its pack with loading it from a file per sound.

    python scripts/benchmark_loading.py CONFIG [--batch_size 12] [--num_workers 0 1 2]

CONFIG describes a dataset that drumblender-dataset has made and packed (--pack). Items are read in
random order by one thread; batches come through the same loader as in training. "cold" is after the
files were dropped from the system's cache (Linux): the first epoch of a dataset that was not just
made.
"""

import argparse
import os
import random
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from drumblender.commands.dataset import _datamodule


def forget(paths) -> None:
    """Drop files from the system's cache."""
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def item_ms(dataset, order) -> float:
    start = time.perf_counter()
    for index in order:
        dataset[index]
    return 1000 * (time.perf_counter() - start) / len(order)


def batch_ms(dataset, batch_size: int, num_workers: int) -> float:
    """Milliseconds per item of an epoch, workers already running."""
    loader = DataLoader(
        dataset,
        batch_size=batch_size,
        shuffle=True,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
    for _ in loader:  # starts the workers
        pass
    start = time.perf_counter()
    for _ in loader:
        pass
    return 1000 * (time.perf_counter() - start) / len(dataset)


def measure(packed, files, batch_size: int, workers) -> str:
    """A table in Markdown of milliseconds per item, medians of three rounds in turn."""
    order = list(range(len(packed)))
    random.Random(0).shuffle(order)
    rows = {"one item": [[item_ms(d, order) for d in (files, packed)] for _ in range(3)]}
    for count in workers:
        name = f"batches of {batch_size}, {count or 'no'} worker{'s' if count != 1 else ''}"
        rows[name] = [[batch_ms(d, batch_size, count) for d in (files, packed)] for _ in range(3)]
    if hasattr(os, "posix_fadvise"):
        fields = files.file_fields()
        forget([files.path(index, field) for index in order for field in fields])
        forget([packed.packed.path])
        rows["one item, cold"] = [[item_ms(d, order) for d in (files, packed)]]
    lines = [f"{len(packed)} sounds; ms per item, and items per s.", ""]
    lines += ["| | a file per sound | packed | ratio |", "|---|---|---|---|"]
    for name, rounds in rows.items():
        slow, fast = torch.tensor(rounds).median(0).values.tolist()
        cells = [f"{ms:.3f} ({1000 / ms:.0f}/s)" for ms in (slow, fast)]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} | {slow / fast:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("config", type=Path, help="YAML of a dataset")
    parser.add_argument("--batch_size", type=int, default=12)
    parser.add_argument("--num_workers", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = _datamodule(str(args.config))
    packed, files = data.dataset(), data.dataset()
    if packed.packed is None:
        parser.error(f"{args.config} needs --pack first, of drumblender-dataset")
    files.packed = None
    print(measure(packed, files, args.batch_size, args.num_workers))


if __name__ == "__main__":
    main()
