"""A constant-Q transform that costs one FFT per signal instead of one long convolution per bin.

The numbers are those of ``nnAudio.features.CQT`` (complex output, ``normalization_type="wrap"``),
which modal parameters of this method have always been measured with: a bin's kernel is a Hann
window times a complex exponential, centered on the frame, of unit sum; the signal is continued by
reflection [1]. Two exact rearrangements make it fast:

- Long kernels (low bins) are narrow in frequency. Their spectra, known in closed form, multiply the
  few bins of the signal's FFT that they overlap; folding the product to the number of frames is
  decimation by the hop, so a short inverse FFT gives all frames of a bin [2].
- Short kernels (high bins) are wide in frequency but cheap in time: frames times a matrix.

[1] Brown and Puckette, "An efficient algorithm for the calculation of a constant Q transform",
    JASA 92(5), 1992.
[2] Holighaus, Doerfler, Velasco and Grill, "A framework for invertible, real-time constant-Q
    transforms", IEEE TASLP 21(4), 2013.
"""

import math
from collections import OrderedDict
from functools import lru_cache
from typing import List, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor, nn

from drumblender.errors import UsageError
from drumblender.signal import exact_products

# Kernels up to this many samples are applied in time.
SHORT_KERNEL = 1024
# A kernel's spectrum is kept up to this many of its own bins (sample_rate / length) on either side
# of its center. Hann side lobes there are 1 / (pi b^3): below -110 dB, under the error of float32
# sums and far under the -80 dB at which peaks are still looked for.
KEPT_SIDE_LOBES = 56
# Neighboring bins that share one slice of the spectrum.
BINS_PER_GROUP = 12
# Kernel spectra depend on the signal's length; those of the last few lengths are kept.
CACHED_LENGTHS = 4


class _Slice(NamedTuple):
    """Spectra of the kernels of neighboring bins, for the same rows of the folded spectrum."""

    first_row: int
    kernels: Tensor  # (bins, rows, folded length), complex64


class CQT(nn.Module):
    """Constant-Q transform with the values of ``nnAudio.features.CQT``.

    A sinusoid of amplitude 1 at a bin's frequency has magnitude 1 in that bin. Frame f is centered
    on sample f * hop_length. A signal that is shorter than half the longest kernel, which nnAudio
    refuses, is continued with zeros up to that length and reflected there.

    Args:
        sample_rate: in Hz.
        hop_length: distance between frames, in samples.
        fmin: frequency of the lowest bin, in Hz.
        n_bins: number of bins.
        bins_per_octave: number of bins per octave. The quality factor follows from it as
            1 / (2^(1/bins_per_octave) - 1).

    Shape:
        - Input: (B, N), real
        - Output: (B, n_bins, N // hop_length + 1), complex64, on the input's device

    Raises:
        UsageError: when the top bin lies above half the sample rate.

    >>> CQT(8000, 100, 55.0, 60, 12)(torch.zeros(2, 4000)).shape
    torch.Size([2, 60, 41])
    """

    def __init__(
        self,
        sample_rate: float,
        hop_length: int,
        fmin: float,
        n_bins: int,
        bins_per_octave: int,
    ):
        super().__init__()
        self.sample_rate = sample_rate
        self.hop_length = hop_length
        quality = 1.0 / (2.0 ** (1.0 / bins_per_octave) - 1.0)
        self.frequencies = fmin * 2.0 ** (np.arange(n_bins) / bins_per_octave)
        if not 0 < fmin or self.frequencies[-1] > sample_rate / 2:
            raise UsageError(
                f"The CQT's bins reach from {fmin:g} to {self.frequencies[-1]:.0f} Hz, outside 0 to"
                f" {sample_rate / 2:g} Hz: change fmin, n_bins or the sample rate."
            )
        self.lengths = np.ceil(quality * sample_rate / self.frequencies).astype(int)
        self.reach = int(self.lengths[0] + 1) // 2 + 1
        # Kernels get shorter with frequency: bins below num_long go through the spectrum.
        self.num_long = int((self.lengths > SHORT_KERNEL).sum())
        self._short_groups = []
        for first in range(self.num_long, n_bins, 2 * BINS_PER_GROUP):
            name = f"_short{first}"
            self.register_buffer(name, self._time_kernels(first), persistent=False)
            self._short_groups.append(name)
        self._cache: OrderedDict[tuple, List[_Slice]] = OrderedDict()

    def forward(self, x: Tensor) -> Tensor:
        """Compute the transform, (B, N) to (B, bins, frames), complex."""
        num_frames = x.shape[-1] // self.hop_length + 1
        x = x.float()
        if x.shape[-1] <= self.reach:
            x = F.pad(x, (0, self.reach + 1 - x.shape[-1]))
        after = x[:, -self.reach - 1 : -1].flip(-1)
        before = x[:, 1 : self.reach + 1].flip(-1)
        bins = []
        if self.num_long:
            bins += self._through_spectrum(x, before, after, num_frames)
        if self._short_groups:
            with exact_products():
                bins += self._through_time(torch.cat([before, x, after], -1), num_frames)
        return torch.cat(bins, dim=1)

    def _through_spectrum(self, x: Tensor, before: Tensor, after: Tensor, num_frames: int) -> list:
        """Compute the bins of long kernels, as products with the spectrum."""
        needed = x.shape[-1] + 2 * self.reach
        folded = next_fast_len(math.ceil(needed / self.hop_length), real=True)
        total = folded * self.hop_length
        # Circular: what lies before the first sample stands at the end, so frame 0 is output 0.
        circular = torch.cat([x, x.new_zeros(len(x), total - needed + self.reach), before], -1)
        circular[:, x.shape[-1] : x.shape[-1] + self.reach] += after
        slices = self._slices(folded, x.device)
        first_row = min(s.first_row for s in slices)
        last_row = max(s.first_row + s.kernels.shape[1] for s in slices)
        spectrum = _rows_of_spectrum(circular, first_row, last_row, folded)
        bins = []
        for part in slices:
            count, rows, _ = part.kernels.shape
            start = part.first_row - first_row
            rows_of = spectrum[:, None, start : start + rows]
            if len(x) == 1:  # at once, which is twice as fast; of many, it would take much memory
                out = (rows_of * part.kernels).sum(2)
            else:
                out = x.new_empty(len(x), count, folded, dtype=torch.complex64)
                torch.mul(rows_of[:, :, 0], part.kernels[:, 0], out=out)
                for row in range(1, rows):
                    out.addcmul_(rows_of[:, :, row], part.kernels[:, row])
            bins.append(torch.fft.ifft(out)[..., :num_frames])
        return bins

    def _through_time(self, padded: Tensor, num_frames: int) -> list:
        """Compute the bins of short kernels, as products of frames with a matrix."""
        bins = []
        for name in self._short_groups:
            kernels = getattr(self, name)
            taps = len(kernels)
            frames = padded[:, self.reach - taps // 2 :].unfold(-1, taps, self.hop_length)
            out = torch.matmul(frames[:, :num_frames], kernels)
            out = out.view(len(padded), num_frames, -1, 2).transpose(1, 2)
            bins.append(torch.view_as_complex(out.contiguous()))
        return bins

    def _time_kernels(self, first: int) -> Tensor:
        """Make the matrix (taps, 2 * bins) of a group of bins.

        Its columns are the real and imaginary part of each conjugate kernel.
        """
        last = min(first + 2 * BINS_PER_GROUP, len(self.frequencies))
        before = int(self.lengths[first] + 1) // 2
        matrix = np.zeros((2 * before, last - first, 2))
        for column, k in enumerate(range(first, last)):
            length = int(self.lengths[k])
            offset = np.arange(length) - (length + 1) // 2
            window = (
                1.0 - np.cos(2 * np.pi * np.arange(length) / length) if length > 1 else np.ones(1)
            )
            phase = 2 * np.pi * self.frequencies[k] / self.sample_rate * offset
            kernel = 2.0 * window / window.sum() * np.exp(-1j * phase)
            matrix[before + offset, column] = np.stack([kernel.real, kernel.imag], -1)
        return torch.from_numpy(matrix.reshape(2 * before, -1)).float()

    def _slices(self, folded: int, device: torch.device) -> List[_Slice]:
        """Return the spectra of long kernels for a length of signals, made or kept."""
        key = (folded, str(device))
        if key in self._cache:
            self._cache.move_to_end(key)
        else:
            self._cache[key] = [
                self._spectral_kernels(first, folded, device)
                for first in range(0, self.num_long, BINS_PER_GROUP)
            ]
            if len(self._cache) > CACHED_LENGTHS:
                self._cache.popitem(last=False)
        return self._cache[key]

    def _spectral_kernels(self, first: int, folded: int, device: torch.device) -> _Slice:
        """Make the spectra of the kernels of one group of bins."""
        total = folded * self.hop_length
        bins = slice(first, min(first + BINS_PER_GROUP, self.num_long))
        frequencies, lengths = self.frequencies[bins, None], self.lengths[bins, None]
        kept = KEPT_SIDE_LOBES * self.sample_rate / lengths
        low, high = (frequencies - kept).min(), (frequencies + kept).max()
        first_row = math.floor(low * total / self.sample_rate / folded)
        last_row = math.ceil(high * total / self.sample_rate / folded)
        # No more than one turn around the unit circle.
        last_row = min(last_row, first_row + self.hop_length)
        index = np.arange(first_row * folded, last_row * folded)
        turns = index / total - frequencies / self.sample_rate
        kernels = _hann_spectrum(2 * np.pi * (turns - np.rint(turns)), lengths)
        kernels *= 2.0 / self.hop_length
        kernels = kernels.reshape(len(frequencies), -1, folded)
        return _Slice(first_row, torch.from_numpy(kernels.astype(np.complex64)).to(device))


def _rows_of_spectrum(x: Tensor, first_row: int, last_row: int, folded: int) -> Tensor:
    """Compute FFT bins of real x, from first_row * folded up to last_row * folded.

    They are returned in the shape (B, rows, folded).
    """
    total = x.shape[-1]
    if 2 * last_row * folded <= total and total % 2 == 0:
        below = max(0, -first_row) * folded
        spectrum = _half_spectrum(x, max(last_row * folded, below + 1))
        negative = spectrum[:, 1 : 1 + below].conj().flip(-1)
        spectrum = spectrum[:, max(0, first_row) * folded : last_row * folded]
        spectrum = torch.cat([negative, spectrum], dim=-1)
    else:
        index = torch.arange(first_row * folded, last_row * folded, device=x.device)
        spectrum = torch.fft.fft(x)[:, index % total]
    return spectrum.view(len(x), -1, folded)


def _half_spectrum(x: Tensor, count: int) -> Tensor:
    """Compute the first ``count`` <= N / 2 bins of the FFT of real x (B, N), where N is even.

    Even and odd samples go through one complex FFT of half the length; for the long signals here
    that takes a fraction of the time of the libraries' real FFT.
    """
    half = x.shape[-1] // 2
    packed = torch.fft.fft(torch.view_as_complex(x.view(len(x), half, 2)))
    mirrored = torch.cat([packed[:, :1], packed[:, half - count + 1 :].flip(-1)], -1).conj()
    packed = packed[:, :count]
    return 0.5 * (packed + mirrored) + _half_turns(half, count, x.device) * (packed - mirrored)


@lru_cache(maxsize=CACHED_LENGTHS)
def _half_turns(half: int, count: int, device: torch.device) -> Tensor:
    """Return the factors that put the spectra of even and odd samples together."""
    angle = torch.arange(count, dtype=torch.float64) * (-math.pi / half) - math.pi / 2
    return torch.polar(torch.full_like(angle, 0.5), angle).to(torch.complex64).to(device)


def _hann_spectrum(theta: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Evaluate the spectrum of a Hann window of unit sum in closed form.

    It is the sum over n of ``w[n] exp(i theta (n - c))`` with c = (L + 1) // 2.

    With h = theta / 2 and a = pi / L, the three Dirichlet kernels of such a window add up to
    ``sin(L h) cos(h) sin(a)^2 / (L sin(h) sin(a - h) sin(a + h))``, which the delay c leaves real
    for even lengths L, and turns by exp(-i h) for odd ones.

    Args:
        theta: between -pi and pi, in rad/sample.
        length: L > 2 of the windows, in samples.
    """
    half, a = np.abs(theta / 2), np.pi / length
    sin, cos = np.sin(half), np.cos(half)
    # sin(L h) is zero where the denominator is, at h = 0 and h = a. Both are counted from the
    # nearer of the two, which leaves sin(L x) / sin(x), exact for any small x.
    near_zero = half < a / 2
    x = np.where(near_zero, half, half - a)
    x[x == 0] = 1e-99
    dirichlet = np.sin(length * x) / (length * np.sin(x))
    other = np.where(near_zero, np.sin(a) * cos - np.cos(a) * sin, sin)
    spectrum = dirichlet * cos * np.sin(a) ** 2 / (other * (np.sin(a) * cos + np.cos(a) * sin))
    return spectrum * np.where(length % 2, cos - 1j * np.sign(theta) * sin, 1)
