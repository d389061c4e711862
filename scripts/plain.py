"""Plain versions of what Drumblender computes in its own ways: the text-book modules and formulas.

Tests compare with them, and benchmarks measure against them.
"""

import contextlib
import math
from typing import Iterator
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.models.soundstream import ResidualUnit
from drumblender.models.tcn import TCNBlock
from drumblender.synths import ModalSynth


def modal_synth(freqs: Tensor, amps: Tensor, num_samples: int, phase: Tensor) -> Tensor:
    """A running sum of interpolated frequencies: three tensors of (B, M, num_samples)."""
    freqs = F.interpolate(freqs, size=num_samples, mode="linear", align_corners=False)
    amps = F.interpolate(amps, size=num_samples, mode="linear", align_corners=False)
    audible = (freqs.abs() < math.pi).to(amps.dtype)
    return (torch.sin(freqs.cumsum(-1) + phase) * amps * audible).sum(1, keepdim=True)


def _modal_forward(self, params, num_samples):
    freqs, amps, phases = params.unbind(1)
    return modal_synth(freqs, amps, num_samples, phases[..., :1])


def _tcn_forward(self, x, embedding=None):
    y = self.net(x)
    if self.film is not None:
        y = self.film(y, embedding)
    return self.activation(y) + self.residual(x)


def _residual_forward(self, x, embedding=None):
    y = self.net(x)
    if self.film is not None:
        y = self.film(y, embedding)
    return self.activation(y) + x


@contextlib.contextmanager
def plain() -> Iterator[None]:
    """Models compute as PyTorch's own modules do, as long as this lasts."""
    with (
        mock.patch.object(ModalSynth, "forward", _modal_forward),
        mock.patch.object(TCNBlock, "forward", _tcn_forward),
        mock.patch.object(ResidualUnit, "forward", _residual_forward),
    ):
        yield
