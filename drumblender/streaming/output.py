"""Filters of a whole sound, in blocks: the tilt of its spectrum, and other sample rates.

Their results differ from those of :func:`~drumblender.signal.tilt_filter` and
:func:`~drumblender.signal.resample` by rounding.
"""

from typing import List, Optional, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.errors import UsageError
from drumblender.signal.resample import resampler
from drumblender.signal.tilt import tilt_response
from drumblender.streaming.base import PIECE

# What rings on for longer is softer than this, beside the loudest sample of a response.
_INAUDIBLE = 1e-8


class Filter(Protocol):
    """Something that signals go through, (C, n) to (C, m)."""

    def __call__(self, x: Tensor) -> Tensor:
        """Filter the next samples, and return those that are ready."""


class Tilting:
    """The filter of :func:`~drumblender.signal.tilt_filter` in blocks.

    It is a convolution in partitions of equal length, whose spectra are multiplied by those of the
    last blocks (Gardner, "Efficient convolution without input-output delay", J. Audio Eng. Soc.
    43(3), 1995).

    Args:
        num_samples: number of samples of the whole sound.
        sample_rate: in Hz.
        slope: in dB per octave.
        channels: number of channels.
    """

    def __init__(self, num_samples: int, sample_rate: float, slope: float, channels: int):
        response = tilt_response(num_samples, sample_rate, slope)[:num_samples]
        heard = (response.abs() > _INAUDIBLE * response.abs().max()).nonzero()
        response = response[: int(heard[-1]) + 1]
        parts = F.pad(response, (0, -len(response) % PIECE)).view(-1, PIECE)
        self.parts = torch.fft.rfft(parts, 2 * PIECE)
        self.spectra = self.parts.new_zeros(channels, *self.parts.shape)
        self.before = torch.zeros(channels, PIECE, dtype=torch.float64)
        self.waiting = torch.zeros(channels, 0)

    def __call__(self, x: Tensor) -> Tensor:
        """Filter samples (C, n), and return those of all pieces that are full, (C, m)."""
        line = torch.cat([self.waiting, x], dim=1)
        count = line.shape[1] // PIECE * PIECE
        self.waiting = line[:, count:]
        if not count:
            return line[:, :0]
        made = []
        for piece in line[:, :count].double().split(PIECE, dim=1):
            spectrum = torch.fft.rfft(torch.cat([self.before, piece], dim=1))[:, None]
            self.spectra = torch.cat([spectrum, self.spectra[:, :-1]], dim=1)
            y = torch.fft.irfft((self.spectra * self.parts).sum(1), 2 * PIECE)
            made.append(y[:, PIECE:])
            self.before = piece
        return torch.cat(made, dim=1).to(x.dtype)


class Resampling:
    """The conversion of :func:`~drumblender.signal.resample` in blocks.

    Args:
        rate: sample rate of the signal, in Hz.
        new_rate: sample rate of the result, in Hz.
        channels: number of channels.

    Raises:
        UsageError: if the ratio of the rates is no simple fraction.
    """

    def __init__(self, rate: int, new_rate: int, channels: int):
        made = resampler(rate, new_rate)
        if made is None:
            raise UsageError(
                f"A sound of {rate} Hz cannot be streamed at {new_rate} Hz, because their ratio is "
                f"no simple fraction; stream it at {rate} Hz."
            )
        self.kernel = made.kernel[:, 0].t().contiguous()
        self.step = made.orig_freq // made.gcd
        # The kernel reaches as far into what comes as into what was.
        self.waiting = torch.zeros(channels, made.width)

    def __call__(self, x: Tensor) -> Tensor:
        """Convert samples (C, n), and return those that are known, (C, m)."""
        line = torch.cat([self.waiting, x], dim=1)
        count = max(0, (line.shape[1] - len(self.kernel)) // self.step + 1)
        self.waiting = line[:, count * self.step :]
        if not count:
            return line[:, :0]
        return (line.unfold(1, len(self.kernel), self.step)[:, :count] @ self.kernel).flatten(1)


def filters_of(
    num_samples: int, rate: int, new_rate: Optional[int], slope: float, channels: int
) -> List[Filter]:
    """Return the filters that a sound goes through, in their order."""
    made: List[Filter] = []
    if slope:
        made.append(Tilting(num_samples, rate, slope, channels))
    if new_rate is not None and new_rate != rate:
        made.append(Resampling(rate, new_rate, channels))
    return made
