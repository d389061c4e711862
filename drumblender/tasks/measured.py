"""Parts that are measured instead of predicted, and hence need no training.

The separating analysis (:mod:`drumblender.analysis.separate`) measures modes and leaves the rest:
noise and transient. Unchanged, all three are the recording.
"""

from typing import Optional, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drumblender.errors import UsageError
from drumblender.parameters import RecordedNoise, Rest, mix_noise, weighted_sum
from drumblender.parameters.time_maps import TimeMap
from drumblender.signal import fit_length, resample
from drumblender.synths import ModalSynth
from drumblender.synths.white import WhiteNoise
from drumblender.tasks.heard import Heard
from drumblender.tasks.parts import Generators, ModalPart, Part

# Transients that cancel each other are made louder by this factor at most.
_LOUDER = 2.0


class MeasuredModal(ModalPart):
    """The modes that the analysis measured, played by a bank of sinusoids.

    Args:
        synth: synthesizer as in :class:`~drumblender.tasks.parts.ModalPart`. By default it is a
            bank of sinusoids.
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
    white = WhiteNoise()

    def encode(self, heard: Heard) -> RecordedNoise:
        """Take the noise that the analysis measured.

        Raises:
            UsageError: if the analysis does not separate noise.
        """
        return RecordedNoise(_rest_of(heard).noise, int(heard.modes.sample_rate))

    def play(
        self,
        parameters: RecordedNoise,
        num_samples: int,
        generator: Generators = None,
        signal: Optional[Tensor] = None,
    ) -> Tensor:
        """Play noise for a number of samples, (B, 1, num_samples)."""
        if isinstance(generator, Tensor):
            noise = parameters.play(white=generator[:, 0])
        elif generator is None or isinstance(generator, torch.Generator):
            noise = parameters.play(generator)
        else:
            rows = range(len(parameters.waveform))
            noise = torch.cat([parameters.row(i).play(own) for i, own in zip(rows, generator)])
        return fit_length(noise, num_samples)[:, None]

    def peak(self, parameters: RecordedNoise) -> Optional[float]:
        """Find the sample at which the energy peaks."""
        return parameters.peak()

    def transpose(
        self, parameters: RecordedNoise, ratio: float, moment: float = 0.0
    ) -> RecordedNoise:
        """Move the levels of the bands along frequency."""
        return parameters.transpose(ratio)

    def retime(
        self, parameters: RecordedNoise, num_samples: int, time_map: TimeMap
    ) -> RecordedNoise:
        """Move the levels of the bands in time."""
        return parameters.retime(num_samples, time_map)

    def delay(self, parameters: RecordedNoise, num_samples: int) -> RecordedNoise:
        """Put a number of silent samples in front."""
        return parameters.delay(num_samples)

    def resample(self, parameters: RecordedNoise, old: int, new: int) -> RecordedNoise:
        """Describe the same noise at another sample rate, in Hz."""
        return parameters.resample(new)

    def align(self, values: Sequence[RecordedNoise]) -> Sequence[RecordedNoise]:
        """Let noises last as long as the longest one."""
        length = max(x.num_samples for x in values)
        return [x.lengthen(length) for x in values]

    def mix(
        self,
        values: Sequence[RecordedNoise],
        weights: Sequence[float],
        ends: Sequence[int],
        moment: float = 0.0,
    ) -> RecordedNoise:
        """Compute noise between others, as :func:`~drumblender.parameters.mix_noise` does."""
        return mix_noise(values, weights, ends, moment)


class MeasuredTransient(Part):
    """The transient of the recording, which no edit of time or pitch changes.

    Its parameters are samples (B, N). Those of several sounds are cross-faded in a blend.
    """

    name = "transient"
    is_measured = True

    def encode(self, heard: Heard) -> Tensor:
        """Take the transient that the analysis measured.

        Raises:
            UsageError: if the analysis does not separate a transient.
        """
        return _rest_of(heard).transient

    def play(
        self,
        parameters: Tensor,
        num_samples: int,
        generator: Generators = None,
        signal: Optional[Tensor] = None,
    ) -> Tensor:
        """Play a transient for a number of samples, (B, 1, num_samples)."""
        return fit_length(parameters, num_samples)[:, None]

    def retime(self, parameters: Tensor, num_samples: int, time_map: TimeMap) -> Tensor:
        """Give a transient another length, and nothing else."""
        return fit_length(parameters, num_samples)

    def delay(self, parameters: Tensor, num_samples: int) -> Tensor:
        """Put a number of silent samples in front."""
        return F.pad(parameters, (num_samples, 0))

    def resample(self, parameters: Tensor, old: int, new: int) -> Tensor:
        """Resample a transient from one sample rate to another, both in Hz."""
        return resample(parameters, old, new)

    def align(self, values: Sequence[Tensor]) -> Sequence[Tensor]:
        """Let transients last as long as the longest one."""
        length = max(x.shape[-1] for x in values)
        return [fit_length(x, length) for x in values]

    def mix(
        self,
        values: Sequence[Tensor],
        weights: Sequence[float],
        ends: Sequence[int],
        moment: float = 0.0,
    ) -> Tensor:
        """Cross-fade transients, so that the energy of the result lies between theirs."""
        mixed = weighted_sum(values, weights)
        energies = [x.square().sum(-1, keepdim=True) for x in values]
        made = mixed.square().sum(-1, keepdim=True)
        gain = (weighted_sum(energies, weights) / made.clamp(min=1e-30)).sqrt()
        return mixed * gain.clamp(max=_LOUDER)


def _rest_of(heard: Heard) -> Rest:
    """Return what the analysis measured beside modes, or refuse if it measured nothing."""
    if heard.rest is None:
        raise UsageError(
            "Model: parts that are measured go with other measured parts only, because the rest of "
            "a recording is not known here; give MeasuredModal, MeasuredNoise and "
            "MeasuredTransient, or parts that are predicted."
        )
    return heard.rest
