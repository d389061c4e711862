"""The separating analysis as a whole."""

from typing import NamedTuple

import torch
from torch import Tensor

from drumblender.analysis.separate.attack import parameters_of
from drumblender.analysis.separate.damped import Damped
from drumblender.analysis.separate.envelope import factors
from drumblender.analysis.separate.rest import divide
from drumblender.analysis.separate.tones import find_tones
from drumblender.analysis.settings import AnalysisSettings
from drumblender.signal import exact_products


class Separated(NamedTuple):
    """The parts of a batch of sounds; the waveforms add up to the recordings.

    Attributes:
        modal: what :class:`~drumblender.synths.ModalSynth` plays (B, 3, num_modes, F), the most
            energetic mode first; modes that are not there are zero.
        tones: that sound (B, N).
        transient: (B, N).
        noise: (B, N).
        modes: what was found.
    """

    modal: Tensor
    tones: Tensor
    transient: Tensor
    noise: Tensor
    modes: Damped


@exact_products()
def separate(audio: Tensor, settings: AnalysisSettings) -> Separated:
    """Take sounds apart, each as if it were alone, on the device where they are.

    Shape:
        - audio: (B, N), float32

    >>> time = torch.arange(24000) / 48000
    >>> bell = torch.exp(-time / 0.1) * torch.sin(2 * torch.pi * 440 * time)
    >>> parts = separate(bell[None], AnalysisSettings(hop_length=64))
    >>> parts.modal.shape, round(parts.modal[0, 0, 0, 100].item() * 48000 / (2 * torch.pi))
    (torch.Size([1, 3, 64, 376]), 440)
    """
    num_frames = audio.shape[-1] // settings.hop_length + 1
    modal = audio.new_zeros(len(audio), 3, settings.num_modes, num_frames)
    with torch.no_grad():
        modes, curves = find_tones(audio, settings.sample_rate, settings.num_modes)
        found, tones = parameters_of(
            audio, modes, num_frames, settings.sample_rate, factors(curves)
        )
        loud = found[:, 1].amax(-1) > 10 ** (settings.threshold / 20)
        found = found * loud[:, None, :, None]
        energy = found[:, 1].square().sum(-1)
        order = energy.argsort(dim=1, descending=True, stable=True)[:, None, :, None]
        modal[:, :, : found.shape[2]] = found.gather(2, order.expand_as(found))
        transient, noise = divide(audio - tones, modes.onset, settings.sample_rate)
    return Separated(modal, tones, transient, noise, modes)
