"""Write takes to files under their names, all with one gain."""

import contextlib
import functools
import io
import math
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import soundfile

from drumblender.files.atomic import in_one_step
from drumblender.files.audio import encode, rounded
from drumblender.files.parallel import Workers
from drumblender.files.takes import BLOCK, WHOLE, Take, forget

_AUDIBLE = 1.005  # a change of level that is less cannot be heard
_ROUNDED = 2.0**-13  # what rounding to 16 bits may make of three stems and their sum, and more
_ENCODED = 0.05  # the part of its energy by which Vorbis differs when what it encodes is rounded
_COMPARED = 1 << 20  # samples of Vorbis that are encoded to compare them

# Draws a take whose full scale is given.
Draw = Callable[[Take, float], None]


def write_all(
    groups: Sequence[Sequence[Take]],
    normalize: str,
    bits: int,
    workers: Workers,
    parts: Sequence[str],
    draw: Optional[Draw] = None,
) -> Tuple[List[Optional[Exception]], List[str]]:
    """Write groups of takes, all with one gain. A take that fails does not stop the others.

    Args:
        groups: takes that succeed or fail together.
        normalize: "no", "all" or "each", as in :func:`full_scales`.
        bits: number of bits of a sample in the files.
        workers: processes that write.
        parts: names of the parts whose stems an earlier sound of the same name may have left.
        draw: function that makes a picture of each take that has inputs.

    Returns:
        For each group, what went wrong with it or None; and sentences about levels.
    """
    takes = [take for group in groups for take in group]
    scales = full_scales(takes, normalize, bits)
    scale_of = iter(scales)
    tasks = [(group, [next(scale_of) for _ in group]) for group in groups]
    errors = list(workers.map(functools.partial(_write_group, bits, parts, draw), tasks))
    return errors, describe_scales(takes, scales, normalize, bits)


def _write_group(
    bits: int,
    parts: Sequence[str],
    draw: Optional[Draw],
    task: Tuple[Sequence[Take], Sequence[float]],
) -> Optional[Exception]:
    """Write takes that belong together, and return what went wrong last."""
    failure: Optional[Exception] = None
    for take, scale in zip(*task):
        try:
            write_take(take, scale, bits)
            for folder in {path.parent for path in take.stems.values()}:
                # Parts of an earlier sound of this name that this one does not have.
                known = set(stem_files(folder, take.destination, parts).values())
                for path in known - set(take.stems.values()):
                    path.unlink(missing_ok=True)
            if take.inputs and draw is not None:
                draw(take, scale)
        except Exception as error:
            failure = error
        finally:
            forget(take)
    return failure


def stem_files(folder: Path, output: Path, parts: Sequence[str]) -> Dict[str, Path]:
    """Return where the parts of an output go, by name.

    Their format is that of the output. For a lossy one it is WAV, because parts shall add up.
    """
    suffix = ".wav" if output.suffix.lower() == ".ogg" else output.suffix
    return {name: folder / f"{name}{suffix}" for name in parts}


def full_scales(takes: Sequence[Take], normalize: str, bits: int) -> List[float]:
    """Choose the value that becomes full scale in each take.

    It is the same for all takes, except with "each".

    Args:
        takes: all takes that one command writes.
        normalize: "no" only scales down what integers cannot hold, "all" brings the loudest take to
            full scale, and "each" brings every take to full scale.
        bits: number of bits of a sample in the files. Samples of 32 bits are floats, which hold any
            value.
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
    """Say what a person should know about the level of what is written, in sentences."""
    if not takes:
        return []
    lines = [
        f"{path}: holds 32-bit floats, because it exceeds full scale by "
        f"{20 * math.log10(take.peaks[name] / scale):.1f} dB."
        for take, scale in zip(takes, scales)
        for name, path in take.stems.items()
        if bits != 32 and path in exceeding_stems(take, scale)
    ]
    return lines + _describe_gain(takes, normalize, bits)


def _describe_gain(takes: Sequence[Take], normalize: str, bits: int) -> List[str]:
    """Say what a person should know about the common gain."""
    if normalize != "no":
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
    """Write a take and its stems under their names, together or not at all.

    Rounded to integers, too, the stems add up to the sum.
    """
    floats = exceeding_stems(take, full_scale)
    depths = {name: 32 if path in floats else bits for name, path in take.stems.items()}
    depths[WHOLE] = bits
    last = None
    if take.destination.suffix.lower() != ".ogg" and set(depths) == set(take.recorded):
        last = next((name for name in reversed(list(take.stems)) if depths[name] < 32), None)
    names = {take.destination: WHOLE, **{path: name for name, path in take.stems.items()}}
    shape = take.length, take.channels
    with contextlib.ExitStack() as stack:
        for path, name in names.items():
            temporary = stack.enter_context(in_one_step(path))
            blocks = take.blocks(name, full_scale)
            if name == last:
                blocks = _remainders(take, name, full_scale, depths)
            encode(temporary, path, blocks, shape, take.sample_rate, depths[name])


def _remainders(
    take: Take, name: str, full_scale: float, depths: Mapping[str, int]
) -> Iterator[np.ndarray]:
    """Yield blocks of what one stem has to be, so that all stems as written add up to the sum."""

    def written(other: str) -> Iterator[np.ndarray]:
        """Yield blocks of a signal as its file holds them."""
        bits = depths[other]
        for block in take.blocks(other, full_scale):
            yield block.astype(np.float64) if bits == 32 else rounded(block, bits)

    others = [other for other in take.stems if other != name]
    for whole, *parts in zip(written(WHOLE), *map(written, others)):
        yield functools.reduce(np.subtract, parts, whole)


def exceeding_stems(take: Take, full_scale: float) -> List[Path]:
    """List the stems that are written as 32-bit floats, because they exceed full scale and may."""
    return [
        path
        for name, path in take.stems.items()
        if take.stem_may_exceed(name) and take.peaks[name] > full_scale * (1 + 1e-6)
    ]


def add_up(stems: Sequence[Path], output: Path) -> bool:
    """Return whether stems in files add up to an output, as far as can be heard."""
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
            for _ in range(0, files[0].frames, BLOCK):
                whole, *parts = (file.read(BLOCK) for file in files)
                if np.abs(whole - sum(parts)).max() > _ROUNDED:
                    return False
            return True
    except (soundfile.SoundFileError, OSError):
        return False


def _encoded_alike(sample_rate: int, whole: np.ndarray, *parts: np.ndarray) -> bool:
    """Return whether parts add up to what a Vorbis file holds.

    Vorbis replaces noise by other noise, but it makes the same noise of the same samples.
    """
    total = functools.reduce(np.add, parts)
    channels = 1 if total.ndim == 1 else total.shape[1]
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", sample_rate, channels, "VORBIS", format="OGG") as sound:
        for start in range(0, len(total), BLOCK):
            sound.write(total[start : start + BLOCK])
    file.seek(0)
    again = soundfile.read(file)[0]
    middle = slice(0, -BLOCK if len(whole) == _COMPARED else None)
    energy, error = (np.var(x[middle]) for x in (whole, whole - again))
    return bool(error <= _ENCODED * energy + _ROUNDED**2)
