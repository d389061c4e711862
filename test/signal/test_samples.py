import numpy as np
import torch

from drumblender.signal import fit_length, sine, trim_leading_silence


def test_a_sine_peaks_in_the_spectrum_at_its_frequency():
    spectrum = np.abs(np.fft.rfft(sine(1500.0, 48000, 48000).numpy()))
    assert spectrum.argmax() == 1500


def test_silence_before_the_sound_is_cut_and_the_sound_kept():
    attack = torch.cat([torch.zeros(10_000), torch.randn(5_000)])
    trimmed = trim_leading_silence(attack, threshold_db=-60)
    assert torch.equal(trimmed[-5000:], attack[-5000:])
    assert 5000 <= len(trimmed) < 5000 + 256


def test_quiet_noise_below_the_threshold_counts_as_silence():
    x = torch.cat([torch.full((1000,), 1e-4), torch.ones(10)])
    assert len(trim_leading_silence(x, -60)) < 300
    assert len(trim_leading_silence(x, -100)) == 1010


def test_silence_alone_and_nothing_at_all_leave_nothing():
    assert len(trim_leading_silence(torch.zeros(1000))) == 0
    assert len(trim_leading_silence(torch.zeros(0))) == 0


def test_a_sound_shorter_than_a_frame_is_kept():
    assert len(trim_leading_silence(torch.ones(5))) == 5


def test_fitting_a_length_cuts_or_pads_the_end():
    x = torch.arange(4.0)
    assert fit_length(x, 2).tolist() == [0, 1]
    assert fit_length(x, 6).tolist() == [0, 1, 2, 3, 0, 0]
