"""The engine that runs a model's networks and synthesizers on batches of sounds."""

import functools
import hashlib
import itertools
import json
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import torch
from torch import Tensor

from drumblender.analysis import AnalysisSettings
from drumblender.errors import UsageError
from drumblender.parameters import map_tensors, signature_of, tensors_of
from drumblender.pretrained.names import name_of
from drumblender.sound.recording import Recording
from drumblender.tasks.blender import MEASURES, Stems
from drumblender.tasks.checkpoint import TrainedModel
from drumblender.tasks.parts import Part

PRECISIONS = ("32-true", "bf16-mixed")

Parameters = Mapping[str, Any]


class Engine:
    """A model on a device, which describes recordings and plays parameters in batches.

    Args:
        model: the model, with what is known of its training.
        device: name of the device that the model is on.
        precision: "32-true", or "bf16-mixed" for convolutions in 16 bits.

    Attributes:
        parts: parts of the model by name, in their order.
        sample_rate: sample rate of the model, in Hz. It does not count if parts are measured.
        analysis: settings of the analysis.
        is_measured: whether all parts are measured, so that recordings are taken as they are.

    Raises:
        UsageError: if there is no such precision.
    """

    def __init__(self, model: TrainedModel, device: str = "cpu", precision: str = PRECISIONS[0]):
        if precision not in PRECISIONS:
            raise UsageError(f"Precision {precision} is none; take {' or '.join(PRECISIONS)}.")
        if model.network.is_measured and model.analysis.method != "separating":
            raise UsageError(
                f"Model: measured parts need `method: separating` in the data section, not "
                f"{model.analysis.method}; change it."
            )
        self.model = model
        self.device = device
        self.precision = precision
        self.analysis: AnalysisSettings = model.analysis
        self.is_measured: bool = model.network.is_measured
        self.sample_rate: int = model.analysis.sample_rate
        self.parts: Dict[str, Part] = {part.name: part for part in model.network.parts}
        # Samples that go through the model at once: on a CPU, more only take memory.
        self._limit = self.sample_rate * (4 if device == "cpu" else 60)

    @functools.cached_property
    def identity(self) -> Dict[str, str]:
        """What tells the model of this engine apart, as files of sounds keep it.

        ``kind`` is "measured" where all parts are measured, and "model" otherwise. A model also has
        its ``name``, and the ``sha256`` of the names, types, shapes and bytes of its weights.
        """
        if self.is_measured:
            return {"kind": "measured"}
        digest = hashlib.sha256()
        for name, weight in sorted(self.model.network.state_dict().items()):
            if not name.startswith(MEASURES):
                array = weight.detach().cpu().contiguous()
                described = [name, str(array.dtype), list(array.shape)]
                digest.update(json.dumps(described).encode())
                digest.update(array.flatten().view(torch.uint8).numpy().tobytes())
        name = "" if self.model.asked_for is None else name_of(self.model.asked_for)
        return {"kind": "model", "name": name, "sha256": digest.hexdigest()}

    def encode(self, recordings: Sequence[Recording]) -> List[Dict[str, Any]]:
        """Compute the parameters of recordings. Those of one length go through the model together.

        Returns:
            For each recording, the parameters of each part by name, on the CPU. The first axis of
            each tensor is the channel.
        """
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
        """Play sounds. Those that are alike in length and structure are played together.

        Args:
            parameters: for each sound, the parameters of each part by name.
            lengths: number of samples N of each sound.
            seeds: seed of each sound's noise. All channels of a sound have the same noise.

        Returns:
            For each sound, what each part contributes by name, in float32 on the CPU.

        Shape:
            - each output: (C, 1, N)
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
        """Put parameters of several sounds into one batch on the device."""
        return map_tensors(lambda *x: torch.cat(x).to(self.device), *values)

    def _autocast(self) -> torch.autocast:
        """Make a context in which the model computes with the precision that was asked for."""
        kind, is_mixed = torch.device(self.device).type, self.precision == "bf16-mixed"
        return torch.autocast(kind, torch.bfloat16, enabled=is_mixed)


def channels_of(parameters: Parameters) -> int:
    """Count the channels that parameters describe. It is 1 if they hold no tensor."""
    return next((len(x) for value in parameters.values() for x in tensors_of(value)), 1)


def _take(rows: slice, x: Tensor) -> Tensor:
    """Copy rows of a batch to the CPU, in float32."""
    return x[rows].float().cpu()


def _rows(group: Sequence[int], counts: Sequence[int]) -> Dict[int, slice]:
    """Find the rows of a batch that are the channels of each of its sounds."""
    ends = list(itertools.accumulate(counts))
    return {i: slice(end - count, end) for i, end, count in zip(group, ends, counts)}


def _groups(keys: Sequence[Any], sizes: Sequence[int], limit: int) -> List[List[int]]:
    """Group the indices of equal keys, so that no group of several exceeds a limit of size."""
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
