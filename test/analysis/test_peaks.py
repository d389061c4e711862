import numpy as np
import pytest
import torch

from drumblender.analysis import CQT
from drumblender.analysis.peaks import pick_peaks
from drumblender.signal import sine

SETTINGS = (48000, 256, 20.0, 240, 24)


def peaks_of(x: torch.Tensor):
    """Peaks of one sound (N,) or of several (B, N)."""
    return pick_peaks(CQT(*SETTINGS)(x.reshape(-1, x.shape[-1])), 20.0, 24, -80.0)


@pytest.mark.parametrize("hz", [211.3, 1234.5, 9876.5, 18500.0])
def test_a_sinusoid_between_bins_is_found_within_cents_and_half_a_decibel(hz):
    peaks = peaks_of(0.5 * sine(hz, 96000, 48000))
    middle = (peaks.frame == 188) & (peaks.amplitude > 0.1)
    assert middle.sum() == 1
    assert abs(1200 * np.log2(peaks.frequency[middle][0] / hz)) < 4
    assert abs(20 * np.log10(peaks.amplitude[middle][0] / 0.5)) < 0.5


def test_a_peak_below_the_threshold_is_left_out():
    level = 10 ** (-81 / 20)
    assert not len(peaks_of(level * sine(1000.0, 96000, 48000)).frame)
    assert len(peaks_of(2 * level * sine(1000.0, 96000, 48000)).frame)


def test_a_peak_at_minus_80_db_has_its_true_frequency_beside_a_loud_one():
    x = sine(60.0, 96000, 48000) + 3e-4 * sine(5000.0, 96000, 48000)
    peaks = peaks_of(x)
    near = (np.abs(peaks.frequency / 5000 - 1) < 0.02) & (peaks.frame == 188)
    assert abs(1200 * np.log2(peaks.frequency[near][0] / 5000)) < 4


def test_silence_has_no_peaks():
    assert not len(peaks_of(torch.zeros(96000)).frame)


def test_peaks_are_ordered_by_sound_frame_and_frequency():
    peaks = peaks_of(torch.randn(2, 24000, generator=torch.Generator().manual_seed(0)))
    order = np.lexsort((peaks.frequency, peaks.frame, peaks.sound))
    assert np.array_equal(order, np.arange(len(order)))
    assert len(peaks.sound.unique()) == 2


def test_the_phase_of_a_peak_is_that_of_a_cosine_at_the_center_of_its_frame():
    time = torch.arange(96000, dtype=torch.float64) / 48000
    peaks = peaks_of(0.5 * torch.cos(2 * torch.pi * 1234.5 * (time - 1) + 0.7).float())
    middle = (peaks.frame == 188) & (peaks.amplitude > 0.1)
    at = peaks.frame[middle].double() * 256 / 48000
    expected = 2 * torch.pi * 1234.5 * (at - 1) + 0.7
    assert torch.remainder(peaks.phase[middle] - expected + 0.1, 2 * torch.pi).sub(0.1).abs() < 0.02
