#!/usr/bin/env python3
"""Measure whether recorded drums beat once their decay is made longer.

    python scripts/benchmark_decay.py [FILE OR FOLDER ...] [--decay 3] [--workers 2] [--output FILE]

Each recording of one stroke is taken apart by the voice that needs no training, and its decay is
multiplied. The level is smoothed twice over 30 ms. By how many dB it rises again after its peak,
down to 45 dB below that, says how deep it beats. The table (Markdown) shows this of the recording,
of its modal part unchanged and with the longer decay, and of the whole sound with the longer decay.
Without a file or folder, the bundled kicks, toms and tablas are measured. A drum that beats as it
was recorded goes on beating, so the last line counts by how much the rise exceeds the recorded one.
"""

import argparse
import functools
import multiprocessing
import sys
from pathlib import Path
from typing import List, NamedTuple, Optional

import numpy as np
import scipy.signal
import soundfile

import drumblender
from drumblender import Voice

SMOOTHED, FAINT, FLOOR = 0.03, -45.0, 1e-14
SUFFIXES = (".wav", ".flac", ".aif", ".aiff", ".ogg")
SHORTEST, LONGEST = 0.2, 6.0  # seconds
BUNDLED = Path(__file__).resolve().parents[1] / "audio" / "one-shots"
NAMES = ("bd_", "kick", "bass", "tom", "ghe")


class Rises(NamedTuple):
    """By how many dB levels rise again after their peaks."""

    name: str
    recorded: float
    modal: float
    longer: float
    whole: float


def rise(x: np.ndarray, rate: int) -> float:
    window = np.hanning(int(SMOOTHED * rate))
    window /= window.sum()
    power = np.square(x.astype(float))
    for _ in range(2):
        power = scipy.signal.fftconvolve(power, window, "same").clip(min=0)
    level = 10 * np.log10(power + FLOOR)
    level = level[level.argmax() :] - level.max()
    below = np.nonzero(level < FAINT)[0]
    level = level[: below[0]] if len(below) else level
    return float((level - np.minimum.accumulate(level)).max())


def measure(path: Path, decay: float) -> Optional[Rises]:
    """Measure a recording, or return None for one that is short, long, silent or a loop."""
    x, rate = soundfile.read(path, always_2d=True)
    channel = int(np.square(x).sum(0).argmax())
    x = x[:, channel]
    if not SHORTEST * rate < len(x) < LONGEST * rate or not x.any():
        return None
    sound = voice().decompose(x, rate, seed=1)
    longer = sound.with_decay(decay)
    modal = sound.stems()["modal"]
    if len(sound.timeline.onsets) > 1 or not modal.any():
        return None
    played = (x, modal, longer.stems()["modal"], longer.render())
    return Rises(path.stem, *(rise(y, rate) for y in played))


@functools.cache
def voice() -> Voice:
    return drumblender.load(device="cpu")


def work(task) -> Optional[Rises]:
    import torch

    torch.set_num_threads(1)
    return measure(*task)


def files_of(places: List[Path]) -> List[Path]:
    if not places:
        found = sorted(BUNDLED.rglob("*.flac"))
        return [path for path in found if any(name in path.stem for name in NAMES)]
    files: List[Path] = []
    for place in places:
        found = sorted(place.rglob("*")) if place.is_dir() else [place]
        files += [path for path in found if path.suffix.lower() in SUFFIXES]
    return files


def table(rows: List[Rises], decay: float) -> str:
    lines = [f"| | recorded | modal | modal, decay {decay:g} | whole, decay {decay:g} |"]
    lines += ["|---|---|---|---|---|"]
    rows = sorted(rows, key=lambda row: row.recorded - row.longer)
    lines += [f"| {row.name} | " + " | ".join(f"{x:.1f}" for x in row[1:]) + " |" for row in rows]
    recorded = np.array([row.recorded for row in rows])
    for name in ("longer", "whole"):
        more = np.array([getattr(row, name) for row in rows]) - recorded
        lines.append(
            f"\n{'Modal part' if name == 'longer' else name.capitalize()}: more than recorded by "
            f"{more.clip(min=0).mean():.2f} dB in the mean, by over 3 dB for {(more > 3).sum()} of "
            f"{len(rows)}."
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("places", nargs="*", type=Path, help="recordings, or folders of them")
    parser.add_argument("--decay", type=float, default=3.0, help="factor of the decay")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--output", type=Path, help="file for the table, else standard output")
    args = parser.parse_args()
    tasks = [(path, args.decay) for path in files_of(args.places)]
    rows: List[Rises] = []
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        for row in pool.imap(work, tasks):
            rows += [row] if row is not None else []
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if not rows:
        sys.exit("There is no recording of one stroke of 0.2 to 6 s; give other files or folders.")
    text = table(rows, args.decay)
    if args.output:
        args.output.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
