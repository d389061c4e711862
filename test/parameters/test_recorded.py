import math

import pytest
import torch

from drumblender.parameters import RecordedNoise, mix_noise
from drumblender.parameters.time_maps import stretch_after
from drumblender.signal.auditory import noise_levels

RATE = 48000


def decaying(t60, seconds=0.6, seed=0, rate=RATE):
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(int(seconds * rate)) / rate
    return torch.randn(1, len(time), generator=generator) * 10 ** (-3 * time / t60)


def level(x, begin, end, rate=RATE):
    """Level of noise between two times, in dB."""
    part = x[0, int(begin * rate) : int(end * rate)]
    return float(10 * part.square().mean().log10())


def drawn(noise, seed=0):
    return noise.play(torch.Generator().manual_seed(seed))


def test_noise_without_wanted_levels_is_the_waveform():
    x = decaying(0.3)
    assert RecordedNoise(x, RATE).play() is x


def test_the_levels_that_it_has_leave_it_as_it_is():
    noise = RecordedNoise(decaying(0.3), RATE)
    same = noise.retime(noise.num_samples, stretch_after(0.0, 1.0))
    assert same.levels is not None
    assert torch.allclose(same.play(), noise.waveform, atol=1e-4)


@pytest.mark.parametrize("factor", [0.5, 2.0, 4.0])
def test_noise_decays_as_long_as_asked_for(factor):
    t60, length = 0.3, int(RATE * 0.6 * factor)
    y = drawn(RecordedNoise(decaying(t60), RATE).retime(length, stretch_after(0.0, factor)))
    for time in (0.05, 0.15, 0.3):
        wanted = -60 * time / t60
        assert level(y, time * factor - 0.01, time * factor + 0.01) == pytest.approx(
            wanted, abs=3.5
        )


def test_shorter_noise_is_the_recorded_one_and_nothing_is_drawn():
    noise = RecordedNoise(decaying(0.4), RATE)
    short = noise.retime(RATE // 4, stretch_after(0.0, 0.5))
    one, other = drawn(short, 1), drawn(short, 2)
    assert torch.equal(one, other)
    alike = torch.nn.functional.cosine_similarity(one, noise.waveform[:, : RATE // 4])
    assert alike > 0.9


def test_what_lasts_longer_than_the_recording_is_drawn():
    noise = RecordedNoise(decaying(0.4, 0.1), RATE)
    longer = noise.retime(RATE // 2, stretch_after(0.0, 5.0))
    y = drawn(longer)
    for time in (0.08, 0.1, 0.12, 0.2, 0.42):
        assert level(y, time - 0.01, time + 0.01) == pytest.approx(-60 * time / 2.0, abs=3)


def test_moved_bands_hold_what_the_old_ones_held():
    x = torch.fft.rfft(decaying(1.0, 1.0))
    x[:, 3000:] = 0  # Hz
    noise = RecordedNoise(torch.fft.irfft(x, RATE), RATE)
    levels = noise_levels(drawn(noise.transpose(2.0)), RATE)[0].mean(-1)
    edge = int((levels > 0.1 * levels.max()).nonzero().max())
    own = noise_levels(noise.waveform, RATE)[0].mean(-1)
    assert edge - int((own > 0.1 * own.max()).nonzero().max()) in (4, 5, 6)  # an octave


def test_between_two_noises_levels_are_the_mean_in_decibels_and_decay_longer_than_its_mean():
    long = 2.0
    a = RecordedNoise(decaying(0.3, long), RATE)
    b = RecordedNoise(0.01 * decaying(0.9, long, seed=1), RATE)
    y = drawn(mix_noise([a, b], [0.5, 0.5]))
    for time in (0.05, 0.1):
        wanted = -20 - 60 * time / math.sqrt(0.3 * 0.9)
        assert level(y, time - 0.02, time + 0.02) == pytest.approx(wanted, abs=2)
    # With the mean of both slopes, it would be softer later on.
    straight = -20 - 60 * 0.2 * 0.5 * (1 / 0.3 + 1 / 0.9)
    assert level(y, 0.18, 0.22) > straight + 0.7


@pytest.mark.parametrize("amount", [0.25, 0.5, 0.75])
def test_between_noises_of_other_bands_the_energy_is_the_mean_in_decibels(amount):
    """The mean of each band alone would be 4 to 8 dB softer."""

    def noise(hz, gain, seed):
        x = torch.fft.rfft(decaying(0.5, seed=seed))
        x *= gain / (1 + (torch.log2(torch.arange(x.shape[-1]) + 1.0) - math.log2(hz)) ** 2)
        return RecordedNoise(torch.fft.irfft(x, RATE), RATE)

    a, b = noise(400, 1.0, 0), noise(6000, 0.5, 1)
    energies = [10 * x.square().sum().log10() for x in (a.waveform, b.waveform)]
    made = 10 * drawn(mix_noise([a, b], [1 - amount, amount])).square().sum().log10()
    assert made == pytest.approx((1 - amount) * energies[0] + amount * energies[1], abs=1)


def test_the_ends_of_a_blend_are_the_two_noises():
    a, b = RecordedNoise(decaying(0.3), RATE), RecordedNoise(decaying(0.5, seed=1), RATE)
    assert torch.allclose(drawn(mix_noise([a, b], [1.0, 0.0])), a.waveform, atol=2e-4)
    assert torch.allclose(drawn(mix_noise([a, b], [0.0, 1.0])), b.waveform, atol=2e-4)


@pytest.mark.parametrize("edited", [False, True])
def test_silence_in_front_delays_it(edited):
    noise = RecordedNoise(decaying(0.3), RATE)
    if edited:
        noise = noise.retime(noise.num_samples, stretch_after(0.0, 0.7))
    later = drawn(noise.delay(512))
    assert not later[:, :256].abs().gt(1e-3).any()
    error = (later[:, 512:] - drawn(noise)).square().sum()
    assert error < 1e-3 * drawn(noise).square().sum()


@pytest.mark.parametrize("edited", [False, True])
def test_another_rate_keeps_spectrum_and_levels(edited):
    x = torch.fft.rfft(decaying(0.5, 1.0))
    x[:, 6000:] = 0
    noise = RecordedNoise(torch.fft.irfft(x, RATE), RATE)
    if edited:
        noise = noise.retime(RATE, stretch_after(0.0, 1.5))
    there = drawn(noise.resample(24000))
    assert there.shape[-1] == 24000
    for time in (0.1, 0.3):
        wanted = level(drawn(noise), time - 0.03, time + 0.03)
        assert level(there, time - 0.03, time + 0.03, 24000) == pytest.approx(wanted, abs=1.5)


def test_the_peak_is_where_the_energy_is():
    x = torch.zeros(1, RATE)
    x[:, 20000:22000] = decaying(9.0)[:, :2000]
    assert RecordedNoise(x, RATE).peak() == pytest.approx(21000, abs=600)
    assert RecordedNoise(torch.zeros(1, 1000), RATE).peak() is None
