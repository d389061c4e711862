"""Parts that are measured instead of predicted: they need no training.

They are what the separating analysis leaves without the tones
(:mod:`drumblender.analysis.separate`). Unchanged, they are the recording.
"""

from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drumblender.errors import UsageError
from drumblender.parameters import RecordedNoise, Rest
from drumblender.parameters.time_maps import TimeMap
from drumblender.signal import fit_length, resample
from drumblender.synths import ModalSynth
from drumblender.tasks.heard import Heard
from drumblender.tasks.parts import Generators, ModalPart, Part


class MeasuredModal(ModalPart):
    """The modes that the analysis measured, played by a bank of sinusoids.

    Args:
        synth: as of :class:`~drumblender.tasks.parts.ModalPart`; a bank of sinusoids by default.
    """

    is_measured = True

    def __init__(self, synth: Optional[nn.Module] = None):
        super().__init__(ModalSynth() if synth is None else synth)


class MeasuredNoise(Part):
    """The noise of the recording. Edits make it louder and softer in bands that change with time.

    Its parameters are :class:`~drumblender.parameters.RecordedNoise`.
    """

    name = "noise"
    is_measured = True

    def encode(self, heard: Heard) -> RecordedNoise:
        return RecordedNoise(_rest_of(heard).noise, int(heard.modes.sample_rate))

    def play(
        self,
        parameters: RecordedNoise,
        num_samples: int,
        generator: Generators = None,
        signal: Optional[Tensor] = None,
    ) -> Tensor:
        if generator is None or isinstance(generator, torch.Generator):
            noise = parameters.play(generator)
        else:
            rows = range(len(parameters.waveform))
            noise = torch.cat([parameters.row(i).play(own) for i, own in zip(rows, generator)])
        return fit_length(noise, num_samples)[:, None]

    def peak(self, parameters: RecordedNoise) -> Optional[float]:
        return parameters.peak()

    def transpose(
        self, parameters: RecordedNoise, ratio: float, moment: float = 0.0
    ) -> RecordedNoise:
        return parameters.transpose(ratio)

    def retime(
        self, parameters: RecordedNoise, num_samples: int, time_map: TimeMap
    ) -> RecordedNoise:
        return parameters.retime(num_samples, time_map)

    def delay(self, parameters: RecordedNoise, num_samples: int) -> RecordedNoise:
        return parameters.delay(num_samples)

    def resample(self, parameters: RecordedNoise, old: int, new: int) -> RecordedNoise:
        return parameters.resample(new)

    def align(self, a: RecordedNoise, b: RecordedNoise) -> Tuple[RecordedNoise, RecordedNoise]:
        length = max(a.num_samples, b.num_samples)
        return a.lengthen(length), b.lengthen(length)

    def blend(
        self,
        a: RecordedNoise,
        b: RecordedNoise,
        amount: float,
        ends: Tuple[int, int],
        moment: float = 0.0,
    ) -> RecordedNoise:
        return a.blend(b, amount)


class MeasuredTransient(Part):
    """The transient of the recording, which no edit of time or pitch changes.

    Its parameters are samples (B, N). Those of two sounds are cross-faded in a blend.
    """

    name = "transient"
    is_measured = True

    def encode(self, heard: Heard) -> Tensor:
        return _rest_of(heard).transient

    def play(
        self,
        parameters: Tensor,
        num_samples: int,
        generator: Generators = None,
        signal: Optional[Tensor] = None,
    ) -> Tensor:
        return fit_length(parameters, num_samples)[:, None]

    def retime(self, parameters: Tensor, num_samples: int, time_map: TimeMap) -> Tensor:
        return fit_length(parameters, num_samples)

    def delay(self, parameters: Tensor, num_samples: int) -> Tensor:
        return F.pad(parameters, (num_samples, 0))

    def resample(self, parameters: Tensor, old: int, new: int) -> Tensor:
        return resample(parameters, old, new)

    def align(self, a: Tensor, b: Tensor) -> Tuple[Tensor, Tensor]:
        length = max(a.shape[-1], b.shape[-1])
        return fit_length(a, length), fit_length(b, length)


def _rest_of(heard: Heard) -> Rest:
    """What the analysis measured beside modes."""
    if heard.rest is None:
        raise UsageError(
            "Model: parts that are measured need an analysis that separates noise and transient; "
            "set `method: separating` in the data section."
        )
    return heard.rest
