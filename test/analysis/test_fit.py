import numpy as np
import pytest
import torch

from drumblender.analysis.fit import fit_modes
from drumblender.analysis.subbands import split
from drumblender.synths import modal_synth


def test_bands_hold_a_tone_at_its_amplitude_and_offset():
    num_samples, omega = 48000, 2 * np.pi * 5000 / 48000
    x = 0.7 * np.cos(omega * np.arange(num_samples) + 0.4)
    bands = split(torch.from_numpy(x).float()[None], 188, torch.arange(17))
    band = int(np.rint(omega / bands.width))
    flat = bands.samples[0, band].reshape(-1)[8:-8].numpy()
    time = (np.arange(len(flat)) + 0.5) * num_samples / len(flat) - 0.5
    expected = 0.7 * np.exp(1j * ((omega - band * bands.width) * time + 0.4))
    inner = slice(300, -300)
    np.testing.assert_allclose(flat[inner], expected[inner], atol=2e-3)
    np.testing.assert_allclose(bands.power[0, :, 20:-20].sum(0), 0.49, rtol=0.01)


def test_bands_are_the_same_whichever_are_wanted():
    x = torch.randn(2, 9999, generator=torch.Generator().manual_seed(0))
    every, some = (split(x, 40, number) for number in (torch.arange(17), torch.tensor([0, 5, 16])))
    torch.testing.assert_close(some.samples, every.samples[:, some.number])
    torch.testing.assert_close(some.power, every.power[:, some.number])
    assert some.places(torch.tensor([16, 5])).tolist() == [2, 1]


@pytest.mark.parametrize("num_samples", [24000, 23987])
def test_what_the_synthesizer_played_is_found_again(num_samples):
    """Frequencies 10 Hz off, the other parameters unknown: the fit finds them all."""
    frames = num_samples // 256 + 1
    time = np.linspace(0, 1, frames)
    omega = 2 * np.pi / 48000 * np.stack([300 + 40 * time, 1600 - 60 * time, 7000 + 0 * time])
    amplitude = np.stack([0.5 * np.exp(-2 * time), 0.3 - 0.2 * time, 0.2 * np.exp(-4 * time)])
    phase = np.array([0.1, 2.0, -1.0])
    omega, amplitude, phase = (torch.from_numpy(p)[None] for p in (omega, amplitude, phase))
    x = modal_synth(omega, amplitude, num_samples, phase[..., None])[:, 0].float()
    off, level = omega + 2 * np.pi * 10 / 48000, torch.ones(1, 3).double()
    modes = fit_modes(x, off, level, torch.tensor([0]), torch.tensor([frames]))
    # The beginning rings around into the last frames of a band, where this signal stops at once.
    inner = slice(4, -8)
    np.testing.assert_allclose(modes.omega[..., inner], omega[..., inner], atol=2e-4)
    np.testing.assert_allclose(modes.amplitude[..., inner], amplitude[..., inner], rtol=0.06)
    y = modal_synth(modes.omega, modes.amplitude, num_samples, modes.phase[..., None])[:, 0]
    assert 10 * torch.log10((y - x).square().sum() / x.square().sum()) < -30
