"""Short spectra of signals, and signals whose short spectra are multiplied by gains.

Spectra are those of ``torch.stft`` with Hann windows: frame k is centered on sample k
``hop_length``, and silence surrounds the signal. Signals are put together again by weighted
overlap-add (Allen, "Short term spectral analysis, synthesis, and modification by discrete Fourier
transform", IEEE Trans. ASSP 25(3), 1977).

The plain forms (:mod:`drumblender.signal.plain`) are convolutions with the sinusoids of a discrete
Fourier transform.
"""

from functools import lru_cache
from typing import Optional, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.signal.plain import is_plain


def short_spectra(
    x: Tensor, size: int, hop_length: int, window_size: Optional[int] = None
) -> Tuple[Tensor, Tensor]:
    """Compute short spectra of signals.

    Args:
        x: the signals.
        size: length of the discrete Fourier transform, in samples.
        hop_length: distance between frames, in samples.
        window_size: length of the Hann window, which is in the middle. None stands for ``size``.

    Shape:
        - x: (B, N)
        - Output: real and imaginary parts, (B, size // 2 + 1, N // hop_length + 1) both

    >>> real, imaginary = short_spectra(torch.ones(1, 1024), 256, 128)
    >>> real.shape, round(real[0, 0, 4].item())  # the sum of the window
    (torch.Size([1, 129, 9]), 128)
    """
    length = window_size or size
    if is_plain():
        kernels = _kernels(size, length, False, x.dtype).to(x.device)
        both = F.conv1d(F.pad(x[:, None], (length // 2, length // 2)), kernels, stride=hop_length)
        real, imaginary = both.chunk(2, dim=1)
        return real, imaginary
    window = hann_window(length, x)
    spectrum = torch.stft(
        x, size, hop_length, length, window, pad_mode="constant", return_complex=True
    )
    return spectrum.real, spectrum.imag


def filter_spectra(x: Tensor, gains: Tensor, size: int, hop_length: int) -> Tensor:
    """Multiply the short spectra of signals by gains, and put the signals together again.

    Args:
        x: the signals.
        gains: linear gains at frequencies that are evenly spaced from 0 to Nyquist.
        size: length of the window, in samples.
        hop_length: distance between frames, in samples.

    Shape:
        - x: (B, N)
        - gains: (B, size // 2 + 1, N // hop_length + 1)
        - Output: (B, N)

    >>> x = torch.rand(1, 1000)
    >>> torch.allclose(filter_spectra(x, torch.full((1, 33, 63), 2.0), 64, 16), 2 * x, atol=1e-5)
    True
    """
    num_samples = x.shape[-1]
    if is_plain():
        real, imaginary = short_spectra(x, size, hop_length)
        both = torch.cat([real * gains, imaginary * gains], dim=1)
        y = F.conv_transpose1d(
            both, _kernels(size, size, True, x.dtype).to(x.device), stride=hop_length
        )
        weight = hann_window(size, x).square()
        ones = torch.ones_like(both[:1, :1])
        weights = F.conv_transpose1d(ones, weight[None, None], stride=hop_length)
        y, weights = (z[..., size // 2 : size // 2 + num_samples] for z in (y, weights))
        return (y / weights)[:, 0]
    window = hann_window(size, x)
    spectrum = torch.stft(
        x, size, hop_length, window=window, pad_mode="constant", return_complex=True
    )
    return torch.istft(spectrum * gains, size, hop_length, window=window, length=num_samples)


def hann_window(size: int, like: Tensor, periodic: bool = True) -> Tensor:
    """Return a Hann window of the type of a tensor, and on its device. Do not change it.

    >>> hann_window(4, torch.zeros(1)).tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    return _hann_window(size, like.device, like.dtype, periodic)


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # What validation asks for first, training uses, too.
def _hann_window(size: int, device: torch.device, dtype: torch.dtype, periodic: bool) -> Tensor:
    """Make a window. The last ones are kept, because exporters know no such operation."""
    return torch.hann_window(size, periodic=periodic, device=device, dtype=dtype)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _kernels(size: int, window_size: int, inverse: bool, dtype: torch.dtype) -> Tensor:
    """Make windowed cosines, and behind them windowed sines, of a discrete Fourier transform.

    Args:
        size: length of the transform.
        window_size: length of the Hann window, in the middle of ``size`` samples.
        inverse: whether to make those of the inverse transform.
        dtype: type of the result, which is computed in float64.

    Shape:
        - Output: (2 (size // 2 + 1), 1, window_size)
    """
    sample = np.arange(window_size) + (size - window_size) // 2
    bins = np.arange(size // 2 + 1)[:, None]
    angle = 2 * np.pi / size * (bins * sample % size)
    window = 0.5 - 0.5 * np.cos(2 * np.pi / window_size * np.arange(window_size))
    scale = np.where((bins == 0) | (2 * bins == size), 1, 2) / size if inverse else 1.0
    waves = np.concatenate([scale * np.cos(angle), -scale * np.sin(angle)]) * window
    return torch.from_numpy(waves[:, None]).to(dtype)
