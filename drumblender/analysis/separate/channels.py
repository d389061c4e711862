"""Takes the channels of a recording apart together, so that they keep their image.

Modes are found in the loudest channel. In the others they have the same frequencies and envelopes,
with another amplitude and phase: those that explain the channel best (linear least squares). When
the modes are moved, what is between the channels stays.
"""

import math

import torch
from torch import Tensor

from drumblender.analysis.separate.parts import Separated, separate
from drumblender.analysis.separate.rest import divide
from drumblender.analysis.settings import AnalysisSettings
from drumblender.signal import exact_products
from drumblender.synths import modal_synth

# How much of a drum alone is looked at after its onset, in seconds.
_ENOUGH = 2.0
# Samples of all waves of modes together that may be in memory. Fainter modes are left out.
_AT_MOST = 100_000_000
# What the square of an amplitude counts beside what it explains, relative to the energy of a mode.
_RIDGE = 1e-4
# Gain of a mode in another channel at most.
_LOUDEST = 4.0


@exact_products()
def separate_channels(audio: Tensor, settings: AnalysisSettings) -> Separated:
    """Take the channels of one recording apart.

    Shape:
        - audio: (C, N), float32

    >>> time = torch.arange(24000) / 48000
    >>> bell = torch.exp(-time / 0.1) * torch.sin(2 * torch.pi * 440 * time)
    >>> parts = separate_channels(torch.stack([bell, -0.5 * bell]), AnalysisSettings(hop_length=64))
    >>> (parts.modal[1, 1, 0, 100] / parts.modal[0, 1, 0, 100]).round(decimals=3)
    tensor(0.5000)
    """
    with torch.no_grad():
        loudest = int(audio.square().sum(1).argmax())
        parts = separate(audio[loudest : loudest + 1], settings)
        if len(audio) == 1:
            return parts
        modal = parts.modal.expand(len(audio), -1, -1, -1).clone()
        heard = int(parts.modal[0, 1].any(-1).sum())
        heard = min(heard, _AT_MOST // (2 * audio.shape[-1]))
        others = [row for row in range(len(audio)) if row != loudest]
        if heard:
            found = _fit(*_beginning(audio, parts.modal[0, :, :heard], parts.onsets, settings))
            # Where a channel is the loudest one at another level, its modes are, too.
            own = found[loudest]
            gain = (found * own.conj() / own.abs().square().clamp(min=1e-3))[others, :, None]
            modal[others, 1, :heard] *= gain.abs().clamp(max=_LOUDEST).float()
            modal[others, 2, :heard] += gain.angle().float()
        modal[others, 1, heard:] = 0
        tones = parts.tones.expand(len(audio), -1).clone()
        frequency, amplitude, phase = modal[others].unbind(1)
        tones[others] = modal_synth(frequency, amplitude, audio.shape[-1], phase[..., :1])[:, 0]
        rest = audio - tones
        transient, noise = divide(rest, parts.onsets.expand(len(audio), -1), settings.sample_rate)
    return Separated(modal, tones, transient, noise, parts.onsets)


def _beginning(
    audio: Tensor, modal: Tensor, onsets: Tensor, settings: AnalysisSettings
) -> "tuple[Tensor, Tensor]":
    """Cut channels and modes behind what says enough of a drum alone."""
    frames, num_samples = modal.shape[-1], audio.shape[-1]
    until = (float(onsets[0, 0]) + _ENOUGH) * settings.sample_rate
    count = min(frames, math.ceil(until * frames / num_samples))
    if onsets.isfinite().sum() > 1 or count == frames:
        return audio, modal
    return audio[:, : round(count * num_samples / frames)], modal[..., :count]


def _fit(audio: Tensor, modal: Tensor) -> Tensor:
    """Compute the complex gains (C, M) of modes (3, M, F) that explain channels (C, N) best."""
    num_samples = audio.shape[-1]
    frequency, amplitude, phase = modal
    # Each mode as a sound of its own, as it is and a quarter of a turn later.
    phases = torch.cat([phase[:, :1], phase[:, :1] + torch.pi / 2])[:, None]
    twice, envelopes = (x[:, None].repeat(2, 1, 1) for x in (frequency, amplitude))
    waves = modal_synth(twice, envelopes, num_samples, phases)[:, 0]
    gram, product = (waves @ waves.T).double(), (waves @ audio.T).double()
    ridge = _RIDGE * gram.diagonal() + 1e-20
    real, imaginary = torch.linalg.solve(gram + ridge.diag(), product).chunk(2)
    return torch.complex(real, imaginary).T
