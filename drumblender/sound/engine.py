"""A model at work: batches of sounds through its networks and synthesizers."""

import functools
import itertools
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import torch
from torch import Tensor

from drumblender.analysis import AnalysisSettings
from drumblender.errors import UsageError
from drumblender.parameters import map_tensors, signature_of, tensors_of
from drumblender.sound.recording import Recording
from drumblender.tasks.blender import Stems
from drumblender.tasks.checkpoint import TrainedModel
from drumblender.tasks.parts import Part

PRECISIONS = ("32-true", "bf16-mixed")

Parameters = Mapping[str, Any]


class Engine:
    """Puts recordings through a model, and parameters through its synthesizers.

    Args:
        model: with what it was trained on.
        device: where the model is.
        precision: "32-true" or "bf16-mixed".

    Attributes:
        parts: the parts of the model by name, in order.
        sample_rate: in Hz.
        analysis: settings of the analysis.
        is_measured: whether all parts are measured, so that recordings are taken as they are.
    """

    def __init__(self, model: TrainedModel, device: str = "cpu", precision: str = PRECISIONS[0]):
        if precision not in PRECISIONS:
            raise UsageError(f"Precision {precision} is none; take {' or '.join(PRECISIONS)}.")
        self.model = model
        self.device = device
        self.precision = precision
        self.analysis: AnalysisSettings = model.analysis
        self.is_measured: bool = model.network.is_measured
        self.sample_rate: int = model.analysis.sample_rate
        self.parts: Dict[str, Part] = {part.name: part for part in model.network.parts}
        # Samples that go through the model at once: on a CPU, more only take memory.
        self._limit = self.sample_rate * (4 if device == "cpu" else 60)

    def encode(self, recordings: Sequence[Recording]) -> List[Dict[str, Any]]:
        """The parameters of recordings, on the CPU; what is of one length goes together."""
        made: List[Dict[str, Any]] = [{} for _ in recordings]
        keys = [
            (r.audio.shape[-1], signature_of(r.modes), signature_of(r.rest)) for r in recordings
        ]
        sizes = [r.audio.numel() for r in recordings]
        for group in _groups(keys, sizes, self._limit):
            audio = torch.cat([recordings[i].audio for i in group]).to(self.device)
            modes = self._together([recordings[i].modes for i in group])
            rest = self._together([recordings[i].rest for i in group])
            rows_of = _rows(group, [len(recordings[i].audio) for i in group])
            precision = self._autocast()
            with torch.inference_mode(), precision:
                found = self.model.network.encode(
                    audio[:, None], modes, self.model.num_samples, rest
                )
            for i, rows in rows_of.items():
                take = functools.partial(_take, rows)
                made[i] = {name: map_tensors(take, value) for name, value in found.items()}
        return made

    def synthesize(
        self, parameters: Sequence[Parameters], lengths: Sequence[int], seeds: Sequence[int]
    ) -> List[Stems]:
        """What the parts contribute to sounds, (C, 1, N) each, on the CPU.

        Args:
            parameters: of each sound.
            lengths: number of samples N of each.
            seeds: of the noise. Every channel of a sound draws the same noise.
        """
        made: List[Stems] = [{} for _ in parameters]
        keys = [
            (length, *(signature_of(value) for value in each.values()))
            for each, length in zip(parameters, lengths)
        ]
        channels = [channels_of(each) for each in parameters]
        sizes = [length * count for length, count in zip(lengths, channels)]
        for group in _groups(keys, sizes, self._limit):
            counts = [channels[i] for i in group]
            # No sound draws from another's generator.
            drawn = [seeds[i] for i, count in zip(group, counts) for _ in range(count)]
            generators = [torch.Generator().manual_seed(seed) for seed in drawn]
            together = {
                name: self._together([parameters[i][name] for i in group]) for name in self.parts
            }
            rows_of = _rows(group, counts)
            precision = self._autocast()
            with torch.inference_mode(), precision:
                stems = self.model.network.synthesize(together, lengths[group[0]], generators)
            for i, rows in rows_of.items():
                made[i] = {name: _take(rows, stem) for name, stem in stems.items()}
        return made

    def _together(self, values: Sequence[Any]) -> Any:
        """Parameters of several sounds as one batch, on the device."""
        return map_tensors(lambda *x: torch.cat(x).to(self.device), *values)

    def _autocast(self) -> torch.autocast:
        """The precision that was asked for, as a context."""
        kind, is_mixed = torch.device(self.device).type, self.precision == "bf16-mixed"
        return torch.autocast(kind, torch.bfloat16, enabled=is_mixed)


def channels_of(parameters: Parameters) -> int:
    """Number of channels that parameters describe."""
    return next((len(x) for value in parameters.values() for x in tensors_of(value)), 1)


def _take(rows: slice, x: Tensor) -> Tensor:
    """Rows of a batch, in float32 on the CPU."""
    return x[rows].float().cpu()


def _rows(group: Sequence[int], counts: Sequence[int]) -> Dict[int, slice]:
    """Where in a batch the channels of each of its sounds are."""
    ends = list(itertools.accumulate(counts))
    return {i: slice(end - count, end) for i, end, count in zip(group, ends, counts)}


def _groups(keys: Sequence[Any], sizes: Sequence[int], limit: int) -> List[List[int]]:
    """Indices of equal keys together, as long as their sizes do not exceed a limit together."""
    groups: List[List[int]] = []
    filled: Dict[Any, Tuple[List[int], int]] = {}
    for index, (key, size) in enumerate(zip(keys, sizes)):
        group, total = filled.get(key, ([], 0))
        if not group or total + size > limit:
            group, total = [], 0
            groups.append(group)
        group.append(index)
        filled[key] = (group, total + size)
    return groups
