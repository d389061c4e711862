"""Modal synthesis: a bank of sinusoids whose frequencies and amplitudes change with time.

This is spectral modeling (Serra and Smith, "Spectral Modeling Synthesis", Computer Music Journal
14(4), 1990) with measured modes instead of harmonics. How it is computed is in
:mod:`drumblender.synths.bank`.
"""

import math
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drumblender.signal import at_least_float32, full_precision
from drumblender.signal.plain import is_plain
from drumblender.synths.bank import bank
from drumblender.synths.bank_plain import plain_bank


def modal_synth(
    freqs: Tensor,
    amps: Tensor,
    num_samples: int,
    phase: Optional[Tensor] = None,
    round_phase: bool = False,
) -> Tensor:
    """Compute a sum of sinusoids, ``y[n] = sum_m a_m[n] sin(phi_m + sum_{k<=n} w_m[k])``.

    Frequencies w and amplitudes a are given at frames and interpolated linearly to samples, with
    frame f centered on sample (f + 1/2) N / F - 1/2. The phase phi is that before sample 0. A mode
    is silent wherever its frequency is at or above Nyquist.

    Args:
        freqs: frequencies, in radians per sample.
        amps: linear amplitudes.
        num_samples: length N of the output.
        phase: phases, in radians. They are zero if they are not given.
        round_phase: whether the running phase is rounded to the type of the inputs, as published
            models do. In float32 that is a jitter of up to 0.008 rad on a 12 kHz mode after two
            seconds. It takes ten times the time, and memory for modes x samples.

    Shape:
        - freqs, amps: (B, M, F)
        - phase: (B, M, 1)
        - Output: (B, 1, N)

    >>> modal_synth(torch.full((2, 8, 10), 0.1), torch.ones(2, 8, 10), 2560).shape
    torch.Size([2, 1, 2560])
    """
    if not freqs.shape[1]:
        return amps.new_zeros(len(amps), 1, num_samples)
    if round_phase:
        with full_precision(freqs):
            return _rounded(freqs, amps, num_samples, phase)
    play = plain_bank if is_plain() else bank
    return play(freqs, amps, phase, num_samples).unsqueeze(1)


def _rounded(freqs: Tensor, amps: Tensor, num_samples: int, phase: Optional[Tensor]) -> Tensor:
    """Compute the formula as it stands, in tensors of modes x samples, as published models do."""
    freqs, amps = (
        F.interpolate(frames, size=num_samples, mode="linear", align_corners=False)
        for frames in (freqs, amps)
    )
    angle = freqs.double().cumsum(-1).to(freqs.dtype)
    if phase is not None:
        angle = angle + phase
    audible = (freqs.abs() < math.pi).to(amps.dtype)
    return (torch.sin(angle) * amps * audible).sum(dim=1, keepdim=True)


class ModalSynth(nn.Module):
    """A player of stacked modal parameters, by :func:`modal_synth`.

    Attributes:
        round_phase: as in :func:`modal_synth`. It is on for models that were trained with it.

    Shape:
        - params: (B, 3, M, F), whose rows are the frequency in rad/sample, the linear amplitude and
          the phase, of which frame 0 counts; or (B, 2, M, F) without phases, which are zero then
        - Output: (B, 1, num_samples)

    >>> ModalSynth()(torch.zeros(2, 3, 8, 10), 2560).shape
    torch.Size([2, 1, 2560])
    """

    round_phase = False

    def forward(self, params: Tensor, num_samples: int) -> Tensor:
        """Play modal parameters (B, 3, M, F) for a number of samples, (B, 1, num_samples)."""
        freqs, amps, *phases = at_least_float32(params).unbind(1)
        phase = phases[0][..., :1] if phases else None
        return modal_synth(freqs, amps, num_samples, phase, self.round_phase)
