"""Parameters of parts and outlines as tensors and entries of ``.drum`` files, and back.

What takes room and holds nothing is not stored: rows of modes that are silent, zeros at the end of
waveforms, and levels of an outline that stay as they are. All of it comes back exactly.
"""

import math
from typing import Any, Callable, Dict, Mapping, NamedTuple, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.errors import UsageError
from drumblender.parameters import Bands, Modes, RecordedNoise
from drumblender.parameters.outline import Outline
from drumblender.signal.auditory import level_hop
from drumblender.sound.drum_file import LONGEST, RATES, Content, Damaged, Entries

Arrays = Dict[str, np.ndarray]
Facts = Dict[str, Any]
_MOST_MODES, _MOST_BANDS = 2**16, 2**12
# Silent rows of modes that a file may speak of without holding them.
_MOST_SILENT = 2**10


def _tensor_of(array: np.ndarray) -> Tensor:
    """Copy an array to where PyTorch itself would put it, so that sums are rounded alike."""
    return torch.from_numpy(array).clone()


def stored_outline(outline: Outline) -> Tuple[Facts, Arrays]:
    """Describe an outline by the samples at which its levels change."""
    levels = outline.levels.numpy()
    changes = (levels[:, 1:] != levels[:, :-1]).any(0)
    begin = np.concatenate([[0], np.flatnonzero(changes) + 1])[: levels.shape[1]]
    arrays = {
        "begin": begin.astype(np.int32),
        "level": levels[:, begin],
        "end": outline.end[:, 0].numpy(),
    }
    return {"num_samples": outline.num_samples}, arrays


def opened_outline(content: Content, entries: Entries, channels: int, rate: int) -> Outline:
    """Read how loud a recording is."""
    count = entries.integer("num_samples", 1, LONGEST)
    content.check_room(channels * count)
    end = content.tensor("outline.end", (None,))
    begin = content.tensor("outline.begin", (None,), np.int32)
    level = content.tensor("outline.level", (len(end), len(begin)))
    lengths: np.ndarray = np.diff(np.append(begin.astype(np.int64), count))
    if len(end) not in (1, channels) or (lengths <= 0).any() or lengths.sum() != count:
        raise Damaged(content.path, "has an outline that does not fit its length")
    levels = _tensor_of(np.repeat(level, lengths, axis=1))
    return Outline(levels, _tensor_of(end)[:, None], rate)


class _Kind(NamedTuple):
    """A kind of parameters: its class, and how it is stored and opened."""

    cls: type
    store: Callable[[Any], Tuple[Facts, Arrays]]
    open: Callable[[Content, str, Entries, int], Any]


def stored_part(name: str, value: Any) -> Tuple[Facts, Arrays]:
    """Describe the parameters of a part."""
    for kind, known in _KINDS.items():
        if isinstance(value, known.cls):
            facts, arrays = known.store(value)
            return {"kind": kind, **facts}, arrays
    raise UsageError(
        f"The parameters of the part {name} are of the class {type(value).__name__}, which .drum "
        "files do not hold; give it Modes, Bands, RecordedNoise, a tensor or None, or write a WAV "
        "file."
    )


def opened_part(content: Content, name: str, channels: int) -> Any:
    """Read the parameters of a part.

    Args:
        content: what the file holds.
        name: name of the part.
        channels: number of channels of the sound.
    """
    entries = content.facts.inside("parts").inside(name)
    kind = _KINDS.get(entries.text("kind"))
    if kind is None:
        raise Damaged(content.path, f"has a {name} part of an unknown kind")
    return kind.open(content, name, entries, channels)


def _stored_modes(modes: Modes) -> Tuple[Facts, Arrays]:
    """Describe modes, without the rows at the end that hold nothing."""
    values = modes.values.numpy()
    heard = np.flatnonzero(values.any((0, 1, 3)))
    rows = int(heard[-1]) + 1 if len(heard) else 0
    kept = values[:, :, :rows]
    arrays = {"frequency": kept[:, 0], "amplitude": kept[:, 1]}
    if values.shape[1] > 2:
        phase = kept[:, 2]
        # It counts before the first sample only, and mostly frames agree.
        arrays["phase"] = phase[..., :1] if (phase == phase[..., :1]).all() else phase
    facts = {
        "num_samples": modes.num_samples,
        "sample_rate": modes.sample_rate,
        "num_modes": values.shape[2],
    }
    return facts, arrays


def _opened_modes(content: Content, name: str, entries: Entries, channels: int) -> Modes:
    """Read modes."""
    samples = entries.integer("num_samples", 1, LONGEST)
    rows = entries.integer("num_modes", 0, _MOST_MODES)
    frequency = content.tensor(f"{name}.frequency", (channels, None, None))
    stored, frames = frequency.shape[1:]
    if not frames or not stored <= rows <= stored + _MOST_SILENT:
        raise Damaged(content.path, f"has an impossible number of modes or frames in {name}")
    # Playing takes blocks of samples, for each mode.
    content.check_room(channels * rows * max(3 * frames, samples / 64))
    shape = (channels, stored, frames)
    values = [frequency, content.tensor(f"{name}.amplitude", shape)]
    if f"{name}.phase" in content.tensors:
        length = 1 if content.tensors[f"{name}.phase"].shape[-1:] == (1,) else frames
        phase = content.tensor(f"{name}.phase", (channels, stored, length))
        values.append(np.broadcast_to(phase, shape))
    whole = _tensor_of(np.stack(values, 1))
    whole = F.pad(whole, (0, 0, 0, rows - stored))
    return Modes(whole, samples, entries.number("sample_rate", 1e-3, 1e9))


def _stored_bands(bands: Bands) -> Tuple[Facts, Arrays]:
    """Describe bands of noise."""
    facts = {
        "num_samples": bands.num_samples,
        "hop_length": bands.hop_length,
        "sample_rate": bands.sample_rate,
    }
    return facts, {"amplitudes": bands.amplitudes.numpy()}


def _opened_bands(content: Content, name: str, entries: Entries, channels: int) -> Bands:
    """Read bands of noise."""
    hop = entries.content.get("hop_length")
    return Bands(
        _tensor_of(content.tensor(f"{name}.amplitudes", (channels, None, None))),
        entries.integer("num_samples", 1, LONGEST),
        None if hop is None else entries.integer("hop_length", 1, 2**20),
        entries.number("sample_rate", 1e-3, 1e9),
    )


def _stored_noise(noise: RecordedNoise) -> Tuple[Facts, Arrays]:
    """Describe recorded noise, without the silence at its end."""
    facts, arrays = _stored_tensor(noise.waveform)
    arrays = {"waveform": arrays["values"]}
    if noise.levels is not None:
        arrays["levels"] = noise.levels.numpy()
    return {"num_samples": facts["shape"][-1], "sample_rate": noise.sample_rate}, arrays


def _opened_noise(content: Content, name: str, entries: Entries, channels: int) -> RecordedNoise:
    """Read recorded noise."""
    count = entries.integer("num_samples", 0, LONGEST)
    rate = entries.integer("sample_rate", *RATES)
    waveform = _lengthened(content, f"{name}.waveform", (channels, count))
    if f"{name}.levels" not in content.tensors:
        return RecordedNoise(waveform, rate)
    levels = content.tensor(f"{name}.levels", (channels, None, count // level_hop(rate) + 1))
    if not 1 < levels.shape[1] <= _MOST_BANDS:
        raise Damaged(content.path, f"has an impossible number of bands in {name}")
    return RecordedNoise(waveform, rate, _tensor_of(levels))


def _stored_tensor(value: Tensor) -> Tuple[Facts, Arrays]:
    """Describe a tensor, without the zeros at the end of its last axis."""
    array = value.numpy()
    heard = np.flatnonzero(array.any(tuple(range(array.ndim - 1))))
    end = int(heard[-1]) + 1 if len(heard) else 0
    return {"shape": list(array.shape)}, {"values": array[..., :end]}


def _opened_tensor(content: Content, name: str, entries: Entries, channels: int) -> Tensor:
    """Read a tensor."""
    shape = entries.listed("shape", 8)
    if not shape or not all(type(x) is int and 0 <= x <= LONGEST for x in shape):
        raise Damaged(content.path, f"has an impossible {entries.where}shape in its description")
    if shape[0] != channels:
        raise Damaged(content.path, f"has not {channels} channels in {name}, as it says")
    return _lengthened(content, f"{name}.values", shape)


def _lengthened(content: Content, name: str, shape: Sequence[int]) -> Tensor:
    """Read a tensor whose last axis may have lost zeros at its end."""
    content.check_room(math.prod(shape))
    array = content.tensor(name, (*shape[:-1], None))
    missing = shape[-1] - array.shape[-1]
    if missing < 0:
        raise Damaged(content.path, f"holds more of {name} than it says")
    return F.pad(_tensor_of(array), (0, missing))


def _opened_nothing(content: Content, name: str, entries: Entries, channels: int) -> None:
    """Read the parameters of a part that has none."""
    return None


_KINDS: Mapping[str, _Kind] = {
    "modes": _Kind(Modes, _stored_modes, _opened_modes),
    "bands": _Kind(Bands, _stored_bands, _opened_bands),
    "recorded_noise": _Kind(RecordedNoise, _stored_noise, _opened_noise),
    "tensor": _Kind(Tensor, _stored_tensor, _opened_tensor),
    "nothing": _Kind(type(None), lambda value: ({}, {}), _opened_nothing),
}
