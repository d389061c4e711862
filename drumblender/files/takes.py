"""Rendered sounds that wait for their common gain.

What one command writes keeps its balance: drums of a kit, round robins and stems are scaled
together or not at all. How loud the loudest is shows only when all are made, so each is first
recorded as floats beside its destination and written under its name afterwards. A recording of any
length passes through piece by piece.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from drumblender.files.atomic import disk_errors
from drumblender.files.audio import check_samples, write_samples

WHOLE = ""  # among the signals of a take, the sum of the others
_AUDIBLE = 1.005  # a change of level that is less cannot be heard

Signals = Dict[str, np.ndarray]


@dataclass(frozen=True)
class Take:
    """A sound that was rendered and is not written yet.

    Attributes:
        destination: the file to write.
        stems: name of a part -> the file to write it to.
        sample_rate: in Hz.
        channels: of each signal.
        recorded: name -> raw float32 samples, channels side by side; the sum is ``WHOLE``.
        peak: of the sum.
        loudest: the highest peak of the sum and of the stems that are written.
        length: in samples.
    """

    destination: Path
    stems: Mapping[str, Path]
    sample_rate: int
    channels: int
    recorded: Mapping[str, Path]
    peak: float
    loudest: float
    length: int

    def samples(self, name: str = WHOLE) -> np.ndarray:
        """One signal, (N,) or (N, channels), read from the disk as it is used."""
        samples = np.memmap(self.recorded[name], np.float32, "r")
        return samples if self.channels == 1 else samples.reshape(-1, self.channels)


def record(
    pieces: Iterable[Tuple[int, Signals]],
    destination: Path,
    stems: Mapping[str, Optional[Path]],
    sample_rate: int,
    prefix: Path,
) -> Take:
    """Record a sound that comes in pieces, each faded into the one before where they overlap.

    Args:
        pieces: (first sample, the signals by name), in order; their sum is the sound.
        destination: the file to write in the end.
        stems: name of a signal -> file to write it to, or None only to record it.
        sample_rate: in Hz.
        prefix: of the names of temporary files.

    Shape:
        - signals: (n,) or (n, channels)

    Raises:
        DrumblenderError: when samples are not numbers, or the disk is full.
    """
    names = [WHOLE, *stems]
    recorded = {name: Path(f"{prefix}-{index}.f32") for index, name in enumerate(names)}
    peaks = dict.fromkeys(names, 0.0)
    channels, length = 1, 0
    with disk_errors(destination, " and run the command again"):
        for path in recorded.values():
            path.write_bytes(b"")
        for signals in _faded(pieces):
            whole = sum(signals.values())
            channels = 1 if whole.ndim == 1 else whole.shape[1]
            length += len(whole)
            check_samples(destination, whole)
            for name in names:
                samples = np.ascontiguousarray(signals[name] if name else whole, np.float32)
                peaks[name] = max(peaks[name], float(np.abs(samples).max(initial=0.0)))
                with recorded[name].open("ab") as file:
                    file.write(samples.tobytes())
    written = {name: path for name, path in stems.items() if path is not None}
    loudest = max(peaks[name] for name in (WHOLE, *written))
    return Take(
        destination, written, sample_rate, channels, recorded, peaks[WHOLE], loudest, length
    )


def _faded(pieces: Iterable[Tuple[int, Signals]]) -> Iterable[Signals]:
    """Pieces that follow each other, of pieces that overlap; one is held back at a time."""
    held: Optional[Tuple[int, Signals]] = None
    for start, signals in pieces:
        if held is not None:
            before_start, before = held
            cut = start - before_start
            yield {name: x[:cut] for name, x in before.items()}
            signals = {name: _fade(before[name][cut:], x) for name, x in signals.items()}
        held = start, signals
    if held is not None:
        yield held[1]


def _fade(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    shared = len(before)
    fade = np.linspace(0, 1, shared, dtype=np.float32).reshape(-1, *[1] * (after.ndim - 1))
    return np.concatenate([before * (1 - fade) + after[:shared] * fade, after[shared:]])


def full_scales(takes: Sequence[Take], normalize: str, bits: int) -> List[float]:
    """The value that becomes full scale in each take: the same in all, but for "each".

    Args:
        takes: all that one command writes.
        normalize: "no" scales down what integers cannot hold, "all" the loudest to full scale,
            "each" every take to full scale.
        bits: of the files; 32 are floats, which hold anything.
    """
    if normalize == "each":
        return [take.loudest or 1.0 for take in takes]
    loudest = max((take.loudest for take in takes), default=0.0)
    scaled = loudest > 0 if normalize == "all" else loudest > 1 and bits != 32
    return [loudest if scaled else 1.0] * len(takes)


def describe_scales(
    takes: Sequence[Take], scales: Sequence[float], normalize: str, bits: int
) -> List[str]:
    """What a person should know about the level of what is written."""
    if normalize != "no" or not takes:
        return []
    worst = max(takes, key=lambda take: take.loudest)
    if worst.loudest <= _AUDIBLE:
        return []
    level = 20 * math.log10(worst.loudest)
    if bits == 32:
        loud = [take for take in takes if take.loudest > _AUDIBLE]
        return [
            f"{take.destination}: exceeds full scale by {20 * math.log10(take.loudest):.1f} dB."
            for take in loud
        ]
    what = "it" if worst.loudest == worst.peak else "a stem of it"
    if len(takes) == 1:
        return [f"{worst.destination}: scaled by {-level:.1f} dB, as {what} exceeded full scale."]
    return [
        f"All {len(takes)} sounds were scaled by {-level:.1f} dB together, because "
        f"{worst.destination}{'' if what == 'it' else ' (a stem of it)'} exceeded full scale."
    ]


def write_take(take: Take, full_scale: float, bits: int) -> None:
    """Write a take under its name, each file in one step, and remove what was recorded of it."""
    write_samples(take.destination, take.samples(), take.sample_rate, bits, full_scale)
    for name, path in take.stems.items():
        write_samples(path, take.samples(name), take.sample_rate, bits, full_scale)
    for path in take.recorded.values():
        os.unlink(path)
