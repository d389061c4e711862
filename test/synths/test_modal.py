import math

import numpy as np
import pytest
import torch

from drumblender.signal import hz_to_rad
from drumblender.synths import ModalSynth, modal_synth


def numpy_modal_synth(freqs, amps, num_samples, phase):
    """Independent float64 reference: half-pixel linear interpolation by np.interp."""
    frames = freqs.shape[-1]
    position = (np.arange(num_samples) + 0.5) * frames / num_samples - 0.5
    total = np.zeros(num_samples)
    for w, a, p in zip(freqs, amps, phase):
        w = np.interp(position, np.arange(frames), w)
        a = np.interp(position, np.arange(frames), a)
        total += a * np.sin(p + np.cumsum(w))
    return total


@pytest.mark.parametrize(("num_samples", "frames"), [(4800, 19), (1000, 7), (512, 512), (300, 1)])
def test_agrees_with_an_independent_float64_reference(num_samples, frames):
    rng = np.random.default_rng(0)
    freqs, amps = rng.uniform(0.01, 2.0, (5, frames)), rng.uniform(0, 1, (5, frames))
    phase = rng.uniform(-np.pi, np.pi, 5)
    expected = numpy_modal_synth(freqs, amps, num_samples, phase)
    actual = modal_synth(
        torch.tensor(freqs)[None],
        torch.tensor(amps)[None],
        num_samples,
        torch.tensor(phase)[None, :, None],
    )
    np.testing.assert_allclose(actual[0, 0].numpy(), expected, atol=1e-10)


def test_a_steady_mode_is_a_sine_of_its_frequency_amplitude_and_phase():
    sample_rate, n = 48000, 4800
    omega = hz_to_rad(440.0, sample_rate)
    params = torch.zeros(1, 3, 1, 20)
    params[:, 0], params[:, 1], params[:, 2] = omega, 0.5, 1.0
    y = ModalSynth()(params, n)[0, 0]
    # The running sum includes the first sample's frequency.
    expected = 0.5 * torch.sin(omega * torch.arange(1, n + 1, dtype=torch.float64) + 1.0)
    torch.testing.assert_close(y.double(), expected, atol=1e-4, rtol=0)


def test_modes_at_or_above_nyquist_are_silent():
    freqs = torch.full((1, 3, 10), math.pi) * torch.tensor([1.0, 1.5, 0.5])[None, :, None]
    y = modal_synth(freqs, torch.ones(1, 3, 10), 2560)
    alone = modal_synth(freqs[:, 2:], torch.ones(1, 1, 10), 2560)
    assert torch.equal(y, alone)
    assert alone.abs().max() > 0.9


def test_gradients_are_right_in_float64():
    generator = torch.Generator().manual_seed(0)
    freqs = torch.rand(1, 2, 4, dtype=torch.float64, generator=generator).requires_grad_()
    amps = torch.rand(1, 2, 4, dtype=torch.float64, generator=generator).requires_grad_()
    phase = torch.rand(1, 2, 1, dtype=torch.float64, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(lambda f, a, p: modal_synth(f, a, 20, p), (freqs, amps, phase))
