#!/usr/bin/env python3
"""Measure whether sounds begin and end as their recordings do.

    python scripts/benchmark_starts.py [FOLDER] [--checkpoint model.ckpt] [--limit 100]
        [--only coverage measured] [--list] [--output table.md]

Every sound of FOLDER (the bundled recordings by default) is taken apart and put together again, by
sinusoids alone that cover all of it, by a trained model (that of --checkpoint, or else
configuration 04 with weights drawn by chance), and by the voice that needs no training, changed in
several ways. Each is measured as its parts come, and as it is played, held below the outline of the
recording. The table is Markdown. Its columns are

- onset: sounds that first reach -20 dB of the recording's peak more than 0.25 ms too early, or too
  late, and the median of the distance;
- step: sounds whose first sample is above -20 dB of the peak, and 6 dB above the recording's;
- before: sounds that are, at any time before the onset, 6 dB louder than the recording has been
  until 0.25 ms later;
- end: sounds whose last 0.5 ms are 6 dB louder than the recording's.

What is below -60 dB of the peak counts as that. A blend is compared with the louder one of its two
recordings at each moment, both with their onset where that of the blend has to be. Both are then
relative to their own peaks, and so is what a model makes.
"""

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
import torch

from drumblender.config import load_config
from drumblender.errors import DrumblenderError
from drumblender.files.paths import SUFFIXES
from drumblender.sound import Sound, Voice, blend, load
from drumblender.synths import ModalSynth
from drumblender.tasks import Blender
from drumblender.tasks.checkpoint import TrainedModel, build_model

ROOT = Path(__file__).resolve().parents[1]
NEAR = 0.00025  # seconds
LOUDER = 6.0  # dB
ONSET, FLOOR = -20.0, -60.0  # dB of the peak
END = 0.0005  # seconds

Edit = Callable[[Sound, Sound], Sound]
EDITS: Dict[str, Edit] = {
    "unchanged": lambda sound, other: sound,
    "pitch +3": lambda sound, other: sound.with_pitch(3),
    "decay 2": lambda sound, other: sound.with_decay(2),
    "decay 0.5": lambda sound, other: sound.with_decay(0.5),
    "blend 0.5": lambda sound, other: blend(sound, other, 0.5),
}
PLAYED = ("as it comes", "held")


class Measured(NamedTuple):
    """How a sound begins and ends: seconds, and dB of the peak or above the recording."""

    onset: float
    step: float
    step_above: float
    before: float
    end: float


def decibels(x: float) -> float:
    return max(FLOOR, 20 * np.log10(max(x, 1e-9)))


def onset_of(x: np.ndarray, level: float) -> int:
    """The first sample that is as loud as a level; the length where there is none."""
    loud = np.abs(x) >= level
    return int(loud.argmax()) if loud.any() else len(x)


def measure(y: np.ndarray, x: np.ndarray, rate: int, own_peak: bool) -> Measured:
    """Compare a sound (N,) with a recording (M,), relative to the recording's peak, or its own."""
    peak = float(np.abs(x).max())
    y, x = y / (float(np.abs(y).max()) if own_peak else peak), x / peak
    level = 10 ** (ONSET / 20)
    onset, later = onset_of(x, level), round(NEAR * rate)
    step, own = (decibels(abs(float(signal[0]))) for signal in (y, x))
    made, recorded = (np.maximum.accumulate(np.abs(z)) for z in (y, x))
    times = np.arange(min(max(onset, 1), len(y)))
    above = [decibels(made[t]) - decibels(recorded[min(t + later, len(x) - 1)]) for t in times]
    last = max(1, round(END * rate))
    ends = [decibels(float(np.abs(z[-last:]).max())) for z in (y, x)]
    return Measured(
        (onset_of(y, level) - onset) / rate, step, step - own, max(above), ends[0] - ends[1]
    )


def reference(name: str, sound: Sound, other: Sound) -> np.ndarray:
    """What the beginning and the end of a sound is compared with, (N,)."""
    one = sound.recording[:, 0]
    if not name.startswith("blend"):
        return one
    its = other.recording[:, 0]
    rate = sound.sample_rate
    its = np.interp(np.arange(0, len(its), other.sample_rate / rate), np.arange(len(its)), its)
    onsets = [onset_of(x, 0.05 * np.abs(x).max()) for x in (one, its)]
    between = round(sum(onsets) / 2)
    padded = []
    for x, onset in zip((one, its), onsets):
        moved = np.concatenate([np.zeros(max(0, between - onset)), x[max(0, onset - between) :]])
        padded.append(np.abs(moved))
    length = max(map(len, padded))
    return np.maximum(*(np.pad(x, (0, length - len(x))) for x in padded))


def first_channel(x: np.ndarray) -> np.ndarray:
    return x if x.ndim == 1 else x[:, 0]


def voices(checkpoint: Optional[Path]) -> Dict[str, Tuple[Callable[[], Voice], List[str], bool]]:
    """What is measured: a voice, which edits of its sounds, and whether by their own peaks."""

    def model() -> Voice:
        if checkpoint is not None:
            return load(checkpoint, device="cpu")
        path = ROOT / "cfg/04_noise_parallel_transient_params.yaml"
        config = json.loads(json.dumps(load_config(path)))
        torch.manual_seed(0)
        network = build_model(config, "configuration 04")
        with tempfile.TemporaryDirectory() as folder:
            state = {"state_dict": network.state_dict(), "configuration": config}
            torch.save(state, Path(folder) / "model.ckpt")
            return load(Path(folder) / "model.ckpt", device="cpu")

    return {
        "coverage": (lambda: Voice(TrainedModel(Blender(ModalSynth()).eval())), list(EDITS), False),
        "model": (model, ["unchanged", "blend 0.5"], True),
        "measured": (lambda: load(device="cpu"), list(EDITS), False),
    }


def measure_all(
    voice: Voice, edits: List[str], own_peak: bool, files: List[Path]
) -> Iterator[Tuple[str, str, Path, Measured]]:
    """Measure all sounds by a voice: edit, how it is played, file, values."""
    sounds = []
    for path in files:
        try:
            sound = voice.decompose(path, seed=0)
        except DrumblenderError as error:
            print(error, file=sys.stderr)
            continue
        if not sound.is_silent:
            sounds.append((path, sound))
    for (path, sound), (_, other) in zip(sounds, [*sounds[1:], *sounds[:1]]):
        for edit in edits:
            changed = EDITS[edit](sound, other)
            expected = reference(edit, sound, other)
            free = replace(changed, timeline=replace(changed.timeline, outline=None))
            for played, take in zip(PLAYED, (free, changed)):
                samples = first_channel(take.render(sound.sample_rate))
                own = own_peak or edit.startswith("blend")
                yield edit, played, path, measure(samples, expected, sound.sample_rate, own)


def table(rows: Dict[Tuple[str, str, str], List[Measured]]) -> str:
    """All figures in Markdown."""
    lines = [
        "| | played | sounds | onset: early / late, median ms | step | before, worst dB | end |",
        "|---|---|---|---|---|---|---|",
    ]
    for (name, edit, played), values in rows.items():
        early = sum(v.onset < -NEAR for v in values)
        late = sum(v.onset > NEAR for v in values)
        median = 1000 * statistics.median(abs(v.onset) for v in values)
        steps = sum(v.step > ONSET and v.step_above > LOUDER for v in values)
        before = sum(v.before > LOUDER for v in values)
        worst = max(v.before for v in values)
        ends = sum(v.end > LOUDER for v in values)
        lines.append(
            f"| {name}, {edit} | {played} | {len(values)} | {early} / {late}, {median:.2f} "
            f"| {steps} | {before}, {worst:.0f} | {ends} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "audio/one-shots")
    parser.add_argument("--checkpoint", type=Path, help="of a trained model")
    parser.add_argument("--limit", type=int, help="so many sounds, evenly spread")
    parser.add_argument("--only", nargs="+", default=["coverage", "model", "measured"])
    parser.add_argument("--list", action="store_true", help="print every sound that is amiss")
    parser.add_argument("--output", type=Path, help="write the table to this file, too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    files = sorted(p for p in options.folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if options.limit and len(files) > options.limit:
        files = [files[round(i)] for i in np.linspace(0, len(files) - 1, options.limit)]
    rows: Dict[Tuple[str, str, str], List[Measured]] = {}
    for name, (make, edits, own_peak) in voices(options.checkpoint).items():
        if name not in options.only:
            continue
        for edit, played, path, value in measure_all(make(), edits, own_peak, files):
            rows.setdefault((name, edit, played), []).append(value)
            amiss = abs(value.onset) > NEAR or max(value.before, value.end) > LOUDER
            if options.list and played == "held" and amiss:
                print(
                    f"{name}, {edit}: {path.stem}: onset {1000 * value.onset:+.2f} ms, step "
                    f"{value.step:.0f} dB ({value.step_above:+.0f}), before {value.before:+.0f} "
                    f"dB, end {value.end:+.0f} dB"
                )
    made = table(rows)
    print(made)
    if options.output:
        options.output.write_text(made + "\n")


if __name__ == "__main__":
    main()
