import pytest
import torch

from drumblender.controls import (
    attack_time,
    hold_frequencies,
    retime_bands,
    retime_modes,
    shift_bands,
    stretch_after,
    tilt_filter,
)
from drumblender.synths import ModalSynth


def decaying(frames=100, modes=3):
    amplitude = torch.exp(-torch.linspace(0, 5, frames)).expand(modes, frames)
    frequency = torch.linspace(0.05, 0.3, modes)[:, None].expand(modes, frames)
    return torch.stack([frequency, amplitude, torch.ones(modes, frames)])[None]


def test_retiming_to_the_same_length_changes_nothing():
    modal = decaying()
    same = retime_modes(modal, 25600, 25600, lambda t: t)
    torch.testing.assert_close(same, modal, atol=1e-5, rtol=1e-4)
    bands = torch.rand(2, 200, 9)
    same = retime_bands(bands, 128, 25600, 25600, lambda t: t)
    torch.testing.assert_close(same, bands, atol=1e-5, rtol=1e-4)


def test_a_longer_sound_goes_on_in_silence_and_begins_as_it_did():
    modal = decaying()
    longer = retime_modes(modal, 25600, 40000, lambda t: t, 157)
    before, after = ModalSynth()(modal, 25600), ModalSynth()(longer, 40000)
    torch.testing.assert_close(after[..., :25000], before[..., :25000], atol=2e-3, rtol=0)
    assert after[..., 26000:].abs().max() == 0


def test_the_time_of_the_attack_is_that_of_the_peak():
    modal = decaying()
    modal[:, 1, :, :30] = 0
    assert attack_time(modal, None, 25600, 128) == pytest.approx(30 * 256, abs=256)
    bands = torch.zeros(1, 50, 9)
    bands[:, 20] = 1
    assert attack_time(torch.zeros(1, 3, 2, 10), bands, 6400, 128) == 21 * 128
    assert attack_time(torch.zeros(1, 3, 2, 10), None, 6400, 128) == 0


def test_a_stretch_takes_later_samples_from_nearer_the_attack():
    t = torch.tensor([0.0, 10.0, 30.0])
    assert stretch_after(10, 0.5)(t).tolist() == [0, 10, 50]


def test_silent_modes_keep_the_frequency_they_had_last():
    modal = torch.zeros(3, 2, 60)
    modal[0, :, :40], modal[1, :, :40] = 0.2, 0.5
    modal[0, :, 37:40] = 0.1  # the end of a track, which nobody hears
    modal[1, 1] = 0
    held = hold_frequencies(modal)
    assert held[0, 0].tolist() == pytest.approx([0.2] * 60)
    assert torch.equal(held[:, 1], modal[:, 1])
    short = torch.zeros(3, 1, 6)
    short[0, 0], short[1, 0, 1] = torch.arange(6.0), 1
    assert hold_frequencies(short)[0, 0].tolist() == [0, 1, 1, 1, 1, 1]


def test_bands_shifted_up_and_down_come_back():
    bands = torch.exp(-(((torch.arange(128) - 30) / 8.0) ** 2))[None, None]
    back = shift_bands(shift_bands(bands, 1.5), 1 / 1.5)
    torch.testing.assert_close(back, bands, atol=0.02, rtol=0)


def test_a_tilt_and_its_opposite_cancel():
    x = torch.randn(1, 4800) * torch.exp(-torch.arange(4800) / 300)
    back = tilt_filter(tilt_filter(x, 48000, 4.0), 48000, -4.0)
    torch.testing.assert_close(back, x, atol=1e-3, rtol=0)
    assert tilt_filter(x, 48000, 0.0) is x
