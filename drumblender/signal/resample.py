"""Converts samples from one sample rate to another."""

import math
from fractions import Fraction
from functools import lru_cache
from typing import Optional

import torch
import torchaudio
from torch import Tensor

# Largest numerator and denominator of a ratio of rates for which a bank of filters is made.
_LONGEST_FILTER_BANK = 1_000


def resample(audio: Tensor, rate: int, new_rate: int) -> Tensor:
    """Resample with a long Kaiser-windowed sinc.

    A ratio of rates that is no simple fraction (44 101 to 48 000 Hz) would need gigabytes of
    filters. In that case the spectrum is cut or padded instead.

    Args:
        audio: samples.
        rate: their sample rate, in Hz.
        new_rate: sample rate of the result, in Hz.

    Shape:
        - Input: (..., N)
        - Output: (..., ceil(N * new_rate / rate))

    >>> resample(torch.zeros(441), 44100, 48000).shape
    torch.Size([480])
    >>> resample(torch.zeros(44101), 44101, 48000).shape
    torch.Size([48000])
    """
    ratio = Fraction(new_rate, rate)
    if ratio == 1:
        return audio
    filters = resampler(rate, new_rate)
    if filters is not None:
        return filters(audio)
    # A length that is a whole number of samples at both rates, with zeros against wrapping around.
    periods = -(-(audio.shape[-1] + rate // 100) // ratio.denominator)
    spectrum = torch.fft.rfft(audio.double(), periods * ratio.denominator)
    new_length = periods * ratio.numerator
    kept = min(spectrum.shape[-1], new_length // 2 + 1)
    resampled = torch.fft.irfft(spectrum[..., :kept], new_length) * float(ratio)
    return resampled[..., : math.ceil(audio.shape[-1] * ratio)].float()


def resampler(rate: int, new_rate: int) -> Optional[torchaudio.transforms.Resample]:
    """Return what converts one rate to another, or None if their ratio is no simple fraction."""
    ratio = Fraction(new_rate, rate)
    if max(ratio.numerator, ratio.denominator) > _LONGEST_FILTER_BANK:
        return None
    return _resampler(ratio.denominator, ratio.numerator)


@lru_cache(maxsize=8)
def _resampler(rate: int, new_rate: int) -> torchaudio.transforms.Resample:
    """Make a resampler, or return it if it has been made before.

    Its filters take longer to make than most drum sounds take to resample.
    """
    return torchaudio.transforms.Resample(
        rate,
        new_rate,
        lowpass_filter_width=64,
        rolloff=0.95,
        resampling_method="sinc_interp_kaiser",
        beta=14.77,
        dtype=torch.float32,
    )
