"""Rendered sounds that wait for their common gain.

What one command writes keeps its balance: drums of a kit, round robins and stems are scaled
together or not at all. How loud the loudest is shows only when all are made, so each is first
recorded as floats in a hidden folder and written under its name afterwards. A recording of any
length passes through piece by piece.
"""

import contextlib
import io
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import soundfile

from drumblender.files import locks
from drumblender.files.atomic import disk_errors, in_one_step
from drumblender.files.audio import check_samples, encode

WHOLE = ""  # among the signals of a take, the sum of the others
_AUDIBLE = 1.005  # a change of level that is less cannot be heard
_BLOCK = 1 << 16  # samples of each channel
_SCRATCH = ".drumblender-synth-"
_ROUNDED = 2.0**-13  # what rounding to 16 bits may make of three stems and their sum, and more
_ENCODED = 0.05  # the part of its energy by which Vorbis differs when what it encodes is rounded
_COMPARED = 1 << 20  # samples of Vorbis that are encoded to compare them

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
        inputs: what a picture shows above it: (label, raw float32 samples, sample rate).
    """

    destination: Path
    stems: Mapping[str, Path]
    sample_rate: int
    channels: int
    recorded: Mapping[str, Path]
    peak: float
    loudest: float
    length: int
    inputs: Tuple[Tuple[str, Path, int], ...] = ()

    def blocks(self, name: str = WHOLE, full_scale: float = 1.0) -> Iterator[np.ndarray]:
        """One signal, read from the disk block by block.

        Args:
            name: of the signal.
            full_scale: the value that becomes 1.

        Shape:
            - Output: (n,) or (n, channels)
        """
        with open(self.recorded[name], "rb") as file:
            while True:
                block = np.fromfile(file, np.float32, _BLOCK * self.channels)
                if not len(block):
                    return
                block = block if self.channels == 1 else block.reshape(-1, self.channels)
                yield block if full_scale == 1 else block / full_scale

    def is_float(self, bits: int) -> bool:
        """Whether its files hold floats, which may exceed full scale."""
        return bits == 32 and self.destination.suffix.lower() == ".wav"


@contextlib.contextmanager
def scratch_folder(folder: Path, destination: Path) -> Iterator[Path]:
    """A hidden folder for what waits to be written, which is removed in the end.

    Those of programs that were killed are removed as well, and folders that stay empty.

    Args:
        folder: where to make it; it is made itself if needed.
        destination: of what is to be written, to name where that is impossible.
    """
    with contextlib.ExitStack() as stack:
        with disk_errors(destination):
            new = [path for path in (folder, *folder.parents) if not path.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            stack.callback(_remove_empty, new)
            scratch = stack.enter_context(locks.scratch_folder(folder, _SCRATCH))
        yield scratch


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders, the innermost first, if nothing is in them."""
    for path in folders:
        with contextlib.suppress(OSError):
            path.rmdir()


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
    try:
        with disk_errors(destination), contextlib.ExitStack() as stack:
            files = {n: stack.enter_context(path.open("wb")) for n, path in recorded.items()}
            for signals in _faded(pieces):
                whole = sum(signals.values())
                channels = 1 if whole.ndim == 1 else whole.shape[1]
                length += len(whole)
                check_samples(destination, whole)
                for name in names:
                    samples = np.ascontiguousarray(signals[name] if name else whole, np.float32)
                    peaks[name] = max(peaks[name], float(np.abs(samples).max(initial=0.0)))
                    files[name].write(samples.data)
    except BaseException:
        _remove(recorded.values())  # others may need the room
        raise
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
    # Rounded to samples, the last piece may end one before the piece that it continues.
    shared = min(len(before), len(after))
    fade = np.linspace(0, 1, shared, dtype=np.float32).reshape(-1, *[1] * (after.ndim - 1))
    return np.concatenate([before[:shared] * (1 - fade) + after[:shared] * fade, after[shared:]])


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
    scaled = loudest > 0
    if normalize != "all":
        scaled = any(take.loudest > 1 and not take.is_float(bits) for take in takes)
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
    if worst.is_float(bits):
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
    """Write a take and its stems under their names, together or not at all."""
    names = {take.destination: WHOLE, **{path: name for name, path in take.stems.items()}}
    shape = take.length, take.channels
    with contextlib.ExitStack() as stack:
        for path, name in names.items():
            temporary = stack.enter_context(in_one_step(path))
            blocks = take.blocks(name, full_scale)
            encode(temporary, path, blocks, shape, take.sample_rate, bits)


def forget(take: Take) -> None:
    """Remove what was recorded of a take."""
    _remove([*take.recorded.values(), *(path for _, path, _ in take.inputs)])


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            os.unlink(path)


def add_up(stems: Sequence[Path], output: Path) -> bool:
    """Whether the stems that lie somewhere are those of an output, as far as can be heard."""
    try:
        with contextlib.ExitStack() as stack:
            files = [
                stack.enter_context(soundfile.SoundFile(stack.enter_context(path.open("rb"))))
                for path in (output, *stems)
                if path.is_file()
            ]
            form = {(file.samplerate, file.channels, file.frames) for file in files}
            if len(files) <= len(stems) or len(form) > 1:
                return False
            if output.suffix.lower() == ".ogg":
                return _encoded_alike(
                    files[0].samplerate, *(file.read(_COMPARED) for file in files)
                )
            for _ in range(0, files[0].frames, _BLOCK):
                whole, *parts = (file.read(_BLOCK) for file in files)
                if np.abs(whole - sum(parts)).max() > _ROUNDED:
                    return False
            return True
    except (soundfile.SoundFileError, OSError):
        return False


def _encoded_alike(sample_rate: int, whole: np.ndarray, *parts: np.ndarray) -> bool:
    """Whether parts add up to what a Vorbis file holds, which is other noise where there is noise.

    The same noise comes of the same samples, though.
    """
    total = sum(parts)
    channels = 1 if total.ndim == 1 else total.shape[1]
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", sample_rate, channels, "VORBIS", format="OGG") as sound:
        for start in range(0, len(total), _BLOCK):
            sound.write(total[start : start + _BLOCK])
    file.seek(0)
    again = soundfile.read(file)[0]
    middle = slice(0, -_BLOCK if len(whole) == _COMPARED else None)
    energy, error = (np.var(x[middle]) for x in (whole, whole - again))
    return bool(error <= _ENCODED * energy + _ROUNDED**2)
