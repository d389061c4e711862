"""Short spectra, and their plain forms."""

import numpy as np
import pytest
import torch
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from drumblender.signal.plain import plain_operations
from drumblender.signal.spectra import filter_spectra, short_spectra


@pytest.mark.parametrize(("size", "hop", "window"), [(64, 16, 64), (256, 32, 64), (30, 7, 30)])
def test_short_spectra_are_those_of_scipy_in_both_forms(size, hop, window):
    x = torch.randn(2, 500, generator=torch.Generator().manual_seed(0))
    expected = ShortTimeFFT(hann(window, sym=False), hop, fs=1, mfft=size, phase_shift=None).stft(
        x.numpy(), p0=0, p1=500 // hop + 1
    )
    # SciPy counts the phase from the beginning of the window, and torch from that of the transform.
    shift = np.exp(-2j * np.pi * np.arange(size // 2 + 1) * ((size - window) // 2) / size)
    expected = expected * shift[:, None]
    for form in (torch.no_grad, plain_operations):
        with form():
            real, imaginary = short_spectra(x, size, hop, window)
        assert np.abs(real.numpy() - expected.real).max() < 1e-4
        assert np.abs(imaginary.numpy() - expected.imag).max() < 1e-4


def test_filters_are_the_same_in_both_forms_and_open_ones_change_nothing():
    generator = torch.Generator().manual_seed(0)
    x, gains = torch.randn(2, 777, generator=generator), torch.rand(2, 33, 49, generator=generator)
    usual = filter_spectra(x, gains, 64, 16)
    with plain_operations():
        plain = filter_spectra(x, gains, 64, 16)
        unchanged = filter_spectra(x, torch.ones_like(gains), 64, 16)
    torch.testing.assert_close(plain, usual, atol=1e-5, rtol=0)
    torch.testing.assert_close(unchanged, x, atol=1e-5, rtol=0)
