"""A filter that tilts spectra."""

import torch
from torch import Tensor


def tilt_filter(audio: Tensor, sample_rate: float, slope: float) -> Tensor:
    """Tilt a spectrum by a number of dB per octave about 1 kHz, which stays as it is.

    The filter has minimum phase, so that an attack stays an attack. Its gain is constant below
    20 Hz and above 20 kHz (or Nyquist, if that is lower).

    Args:
        audio: samples.
        sample_rate: in Hz.
        slope: in dB per octave. A positive slope makes the sound brighter.

    Shape:
        - audio: (..., N)
        - Output: (..., N)

    >>> tilt_filter(torch.zeros(2, 100), 48_000, 3.0).shape
    torch.Size([2, 100])
    """
    if slope == 0:
        return audio
    size = _size(audio.shape[-1])
    response = _spectrum(size, sample_rate, slope).to(audio.device)
    spectrum = torch.fft.rfft(audio.double(), size) * response
    return torch.fft.irfft(spectrum, size)[..., : audio.shape[-1]].to(audio.dtype)


def tilt_response(num_samples: int, sample_rate: float, slope: float) -> Tensor:
    """Return the impulse response with which :func:`tilt_filter` filters so many samples, float64.

    >>> tilt_response(100, 48_000, 0.0)[:2].abs().round(decimals=6).tolist()
    [1.0, 0.0]
    """
    size = _size(num_samples)
    return torch.fft.irfft(_spectrum(size, sample_rate, slope), size)


def _size(num_samples: int) -> int:
    """Return twice the length and some: a falling slope rings long, and must not wrap around."""
    return int(2 ** (2 * num_samples + 8192).bit_length())


def _spectrum(size: int, sample_rate: float, slope: float) -> Tensor:
    """Return the spectrum of the filter on ``size // 2 + 1`` frequencies."""
    frequency = torch.fft.rfftfreq(size, 1 / sample_rate, dtype=torch.float64)
    octaves = torch.log2(frequency.clamp(20.0, min(20_000.0, sample_rate / 2)) / 1000)
    log_gain = octaves * (slope * torch.log(torch.tensor(10.0, dtype=torch.float64)) / 20)
    # Minimum phase: fold the cepstrum, of which only times from zero on remain.
    cepstrum = torch.fft.irfft(log_gain, size)
    cepstrum[1 : size // 2] *= 2
    cepstrum[size // 2 + 1 :] = 0
    return torch.exp(torch.fft.rfft(cepstrum))
