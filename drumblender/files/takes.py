"""Rendered sounds that wait for their common gain.

What one command writes keeps its balance: drums of a kit, round robins and stems are scaled
together or not at all. Which sound is the loudest is known only when all of them are made. So each
is first recorded as floats in a hidden folder, and is written under its name afterwards. A
recording of any length passes through piece by piece.
"""

import contextlib
import os
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Dict, Iterable, Iterator, Mapping, Optional, Tuple

import numpy as np

from drumblender.files import locks
from drumblender.files.atomic import disk_errors
from drumblender.files.audio import check_samples

WHOLE = ""  # among the signals of a take, the sum of the others
BLOCK = 1 << 16  # samples of each channel
_SCRATCH = ".drumblender-synth-"

Signals = Dict[str, np.ndarray]


@dataclass(frozen=True)
class Take:
    """A sound that was rendered and is not written yet.

    Attributes:
        destination: file to write.
        stems: maps the name of a part to the file to write it to.
        sample_rate: in Hz.
        channels: number of channels of each signal.
        recorded: maps names to files of raw float32 samples, with channels side by side. ``WHOLE``
            is the sum.
        peaks: maps names to peaks of signals.
        length: number of samples of each channel.
        inputs: what a picture shows above the sound, each a label, a file of raw float32 samples
            and a sample rate.
    """

    destination: Path
    stems: Mapping[str, Path]
    sample_rate: int
    channels: int
    recorded: Mapping[str, Path]
    peaks: Mapping[str, float]
    length: int
    inputs: Tuple[Tuple[str, Path, int], ...] = ()

    @property
    def peak(self) -> float:
        """The peak of the sum."""
        return self.peaks[WHOLE]

    @property
    def loudest(self) -> float:
        """The highest peak of what has to be within full scale.

        That is the sum, and stems whose format holds no floats.
        """
        stems = (self.peaks[name] for name in self.stems if not self.stem_may_exceed(name))
        return max(self.peak, *stems, 0.0)

    def stem_may_exceed(self, name: str) -> bool:
        """Return whether a stem can be written as floats if it exceeds full scale."""
        return self.stems[name].suffix.lower() == ".wav"

    def blocks(self, name: str = WHOLE, full_scale: float = 1.0) -> Iterator[np.ndarray]:
        """Read one signal from the disk, block by block.

        Args:
            name: name of the signal.
            full_scale: value that becomes 1.

        Shape:
            - Output: (n,) or (n, channels)
        """
        with open(self.recorded[name], "rb") as file:
            while True:
                block = np.fromfile(file, np.float32, BLOCK * self.channels)
                if not len(block):
                    return
                block = block if self.channels == 1 else block.reshape(-1, self.channels)
                yield block if full_scale == 1 else block / full_scale

    def is_float(self, bits: int) -> bool:
        """Return whether the files of this take hold floats, which may exceed full scale."""
        return bits == 32 and self.destination.suffix.lower() == ".wav"


@contextlib.contextmanager
def scratch_folder(folder: Path, destination: Path) -> Iterator[Path]:
    """Give a hidden folder for what waits to be written, and remove it in the end.

    Folders of programs that were killed are removed as well, and so are folders that stay empty.

    Args:
        folder: folder to make it in. It is made itself if needed.
        destination: file that is to be written, which an error names.

    Raises:
        DrumblenderError: if the disk refuses the folder.
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
    """Record a sound that comes in pieces. Each is faded into the one before where they overlap.

    Args:
        pieces: the first sample of each piece, and its signals by name, in order. The sum of the
            signals is the sound.
        destination: file to write in the end.
        stems: maps the name of a signal to the file to write it to, or to None if it is only
            recorded.
        sample_rate: in Hz.
        prefix: beginning of the names of temporary files.

    Shape:
        - signals: (n,) or (n, channels)

    Raises:
        DrumblenderError: if samples are not numbers, or if the disk is full.
    """
    names = [WHOLE, *stems]
    recorded = {name: Path(f"{prefix}-{index}.f32") for index, name in enumerate(names)}
    peaks = dict.fromkeys(names, 0.0)
    channels, length = 1, 0
    try:
        with disk_errors(destination), contextlib.ExitStack() as stack:
            files = {n: stack.enter_context(path.open("wb")) for n, path in recorded.items()}
            for signals in _faded(pieces):
                whole = reduce(np.add, signals.values())
                channels = 1 if whole.ndim == 1 else whole.shape[1]
                length += len(whole)
                check_samples(destination, whole)
                for name in names:
                    samples = np.ascontiguousarray(signals[name] if name else whole, np.float32)
                    peaks[name] = max(peaks[name], float(np.abs(samples).max(initial=0.0)))
                    files[name].write(samples.data)
    except BaseException:
        remove(recorded.values())  # others may need the room
        raise
    written = {name: path for name, path in stems.items() if path is not None}
    return Take(destination, written, sample_rate, channels, recorded, peaks, length)


def _faded(pieces: Iterable[Tuple[int, Signals]]) -> Iterable[Signals]:
    """Yield pieces that follow each other, made of pieces that overlap. One is held back."""
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
    """Fade the end of one signal into the beginning of the next one."""
    # Rounded to samples, the last piece may end one before the piece that it continues.
    shared = min(len(before), len(after))
    fade = np.linspace(0, 1, shared, dtype=np.float32).reshape(-1, *[1] * (after.ndim - 1))
    return np.concatenate([before[:shared] * (1 - fade) + after[:shared] * fade, after[shared:]])


def forget(take: Take) -> None:
    """Remove what was recorded of a take."""
    remove([*take.recorded.values(), *(path for _, path, _ in take.inputs)])


def remove(paths: Iterable[Path]) -> None:
    """Remove files, and leave what cannot be removed."""
    for path in paths:
        with contextlib.suppress(OSError):
            os.unlink(path)
