import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfilt

from drumblender.signal.auditory import (
    band_positions,
    band_shares,
    level_hop,
    noise_levels,
    noise_of_levels,
    shape_noise,
)

RATES = (8000, 44100, 48000, 96000)


def white(rate, seconds=1.0):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, int(rate * seconds), generator=generator)


@pytest.mark.parametrize("rate", RATES)
def test_levels_of_all_bands_together_are_the_power_of_the_signal(rate):
    levels = noise_levels(white(rate), rate)
    power = levels.square().sum(1)[:, 4:-4].mean(1)
    assert torch.allclose(power, white(rate).square().mean(1), rtol=0.03)


@pytest.mark.parametrize("rate", RATES)
def test_gains_of_one_change_nothing(rate):
    x = white(rate, 0.3)
    gains = torch.ones(2, 32, x.shape[-1] // level_hop(rate) + 1)
    assert torch.allclose(shape_noise(x, gains, rate), x, atol=1e-5)


def test_a_gain_acts_on_its_band_and_its_time():
    rate, x = 48000, white(48000)
    gains = torch.ones(2, 32, x.shape[-1] // level_hop(rate) + 1)
    gains[:, 20:, 90:] = 0.1
    y = shape_noise(x, gains, rate)
    before, after = slice(0, 85), slice(95, None)
    change = 20 * (noise_levels(y, rate) / noise_levels(x, rate)).log10()
    assert change[:, :, before].abs().mean() < 0.1
    assert change[:, 22:, after].mean() == pytest.approx(-20, abs=0.7)
    assert change[:, :18, after].abs().mean() < 0.2


@pytest.mark.parametrize("rate", RATES)
def test_noise_of_levels_has_the_spectrum_of_filtered_noise(rate):
    """Compared with a Butterworth band-pass of SciPy."""
    sos = butter(4, [0.2 * rate / 2, 0.4 * rate / 2], "bandpass", fs=rate, output="sos")
    x = torch.from_numpy(sosfilt(sos, white(rate, 2.0).numpy())).float()
    made = noise_of_levels(
        noise_levels(x, rate, smooth=4), x.shape[-1], rate, torch.Generator().manual_seed(3)
    )

    def octaves(y):
        power = np.square(np.abs(np.fft.rfft(y[0].numpy())))
        edges = (np.array([0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.6]) * len(power)).astype(int)
        return 10 * np.log10([power[a:b].sum() for a, b in zip(edges, edges[1:])])

    wanted, found = octaves(x), octaves(made)
    loud = wanted > wanted.max() - 20
    assert np.abs(wanted - found)[loud].max() < 2.5


def test_positions_say_which_frequencies_move_to_a_band():
    hz = 10.0
    shares = band_shares(4801, 48000, 32)
    centers = (shares * torch.arange(4801) * hz / 2).sum(1) / shares.sum(1)
    position = band_positions(48000, 2.0)
    inside = (position > 1) & (position < 29)
    below = position[inside].long()
    low = centers[below] + (position[inside] - below) * (centers[below + 1] - centers[below])
    assert torch.allclose(low * 2, centers[inside], rtol=0.06)


def test_bands_that_validation_asked_for_first_serve_training():
    with torch.inference_mode():
        band_shares(77, 48_000, 11)
    x = torch.rand(11, 3, requires_grad=True)
    (band_shares(77, 48_000, 11).T @ x).sum().backward()
    torch.testing.assert_close(x.grad.sum(), torch.tensor(3 * 77.0))
