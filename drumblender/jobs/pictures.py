"""Pictures of the sounds that are written."""

from dataclasses import replace
from pathlib import Path
from typing import Sequence, Tuple

import numpy as np
import torch

from drumblender.files.atomic import disk_errors
from drumblender.files.takes import Take
from drumblender.signal import resample
from drumblender.sound.sound import Sound

# A signal with a label and its sample rate, to be drawn above what is written.
Input = Tuple[str, np.ndarray, int]

# A picture shows no more than this much of a recording.
SHOWN_S = 60.0


def draw(take: Take, full_scale: float) -> None:
    """Write a picture of a take as a PNG file beside its sound. It shows the first 60 s at most.

    Args:
        take: the take.
        full_scale: value that became 1 in the files.
    """
    from drumblender.plotting import plot_parts, save_figure

    path, rate = take.destination, take.sample_rate
    length = round(SHOWN_S * rate)
    signals = []
    for label, file, its_rate in take.inputs:
        samples = torch.from_numpy(np.fromfile(file, np.float32))
        signals.append((label, resample(samples, its_rate, rate)[:length]))
    for name in take.recorded:
        blocks, shown = [], 0
        for block in take.blocks(name, full_scale):
            blocks.append(block if block.ndim == 1 else block[:, 0])
            shown += len(block)
            if shown >= length:
                break
        beginning = torch.from_numpy(np.concatenate(blocks)[:length])
        signals.append((name.capitalize() or "Output", beginning))
    title = path.name
    if take.length > length:
        title += f", the first {SHOWN_S:g} s"
    save_figure(plot_parts(signals, rate, title), path.with_suffix(".png"))


def first_channel(sound: Sound) -> np.ndarray:
    """Return the first channel (N,) of what a sound was made from, or of itself."""
    samples = sound.render() if sound.recording is None else sound.recording
    return samples if samples.ndim == 1 else samples[:, 0]


def with_inputs(take: Take, inputs: Sequence[Input], prefix: Path) -> Take:
    """Give a take signals that its picture shows above it, in temporary files."""
    kept = []
    with disk_errors(take.destination):
        for index, (label, samples, rate) in enumerate(inputs):
            path = Path(f"{prefix}-input-{index}.f32")
            np.ascontiguousarray(samples, np.float32).tofile(path)
            kept.append((label, path, rate))
    return replace(take, inputs=tuple(kept))
