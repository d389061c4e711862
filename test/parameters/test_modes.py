import pytest
import torch

from drumblender.parameters import Bands, Modes
from drumblender.parameters.modes import align_modes, hold_frequencies
from drumblender.parameters.time_maps import stretch_after
from drumblender.synths import ModalSynth


def decaying(frames=100, modes=3):
    amplitude = torch.exp(-torch.linspace(0, 5, frames)).expand(modes, frames)
    frequency = torch.linspace(0.05, 0.3, modes)[:, None].expand(modes, frames)
    return torch.stack([frequency, amplitude, torch.ones(modes, frames)])[None]


def test_retiming_to_the_same_length_changes_nothing():
    modal = decaying()
    same = Modes(modal, 25600).retime(25600)
    torch.testing.assert_close(same.values, modal, atol=1e-5, rtol=1e-4)
    bands = torch.rand(2, 200, 9)
    same = Bands(bands, 25600, 128).retime(25600)
    torch.testing.assert_close(same.amplitudes, bands, atol=1e-5, rtol=1e-4)


def test_a_longer_sound_goes_on_in_silence_and_begins_as_it_did():
    modal = decaying()
    longer = Modes(modal, 25600).retime(40000, num_frames=157)
    before, after = ModalSynth()(modal, 25600), ModalSynth()(longer.values, longer.num_samples)
    torch.testing.assert_close(after[..., :25000], before[..., :25000], atol=2e-3, rtol=0)
    assert after[..., 26000:].abs().max() == 0


def test_the_time_of_the_attack_is_that_of_the_peak():
    modal = decaying()
    modal[:, 1, :, :30] = 0
    assert Modes(modal, 25600).peak() == pytest.approx(30 * 256, abs=256)
    bands = torch.zeros(1, 50, 9)
    bands[:, 20] = 1
    assert Bands(bands, 6400, 128).peak() == 21 * 128
    assert Modes(torch.zeros(1, 3, 2, 10), 6400).peak() is None
    assert Bands(torch.zeros(1, 50, 9), 6400, 128).peak() is None


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


def test_a_value_says_its_frequencies_in_hertz_and_its_times_in_seconds():
    modes = Modes(torch.full((3, 1, 10), 0.1), num_samples=480, sample_rate=48000)
    assert modes.frequency[0, 0] == pytest.approx(0.1 * 48000 / 2 / torch.pi)
    assert modes.times[0] == pytest.approx((0.5 * 48 - 0.5) / 48000)
    assert modes.seconds == pytest.approx(0.01)


def test_modes_are_aligned_to_the_grid_of_the_longest_unless_another_is_much_denser():
    def flat(frames, num_samples):
        return Modes(torch.ones(3, 2, frames), num_samples)

    one, other = align_modes([flat(101, 10_000), flat(51, 5_000)])
    assert (one.num_frames, other.num_frames, other.num_samples) == (101, 101, 10_000)
    one, other = align_modes([flat(100, 10_000), flat(150, 5_000)])
    assert (one.num_frames, other.num_frames, other.num_samples) == (300, 300, 10_000)
