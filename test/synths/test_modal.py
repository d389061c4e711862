import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

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


def running_sum(freqs, amps, num_samples, phase):
    """The formula as it stands: three tensors of (B, M, num_samples)."""
    freqs = F.interpolate(freqs, size=num_samples, mode="linear", align_corners=False)
    amps = F.interpolate(amps, size=num_samples, mode="linear", align_corners=False)
    audible = (freqs.abs() < math.pi).to(amps.dtype)
    return (torch.sin(freqs.cumsum(-1) + phase) * amps * audible).sum(1, keepdim=True)


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


def test_parameters_without_phases_start_at_phase_zero():
    params = torch.rand(2, 3, 4, 9)
    params[:, 2] = 0
    assert torch.equal(ModalSynth()(params[:, :2], 1000), ModalSynth()(params, 1000))
    rounding = ModalSynth()
    rounding.round_phase = True
    assert torch.equal(rounding(params[:, :2], 1000), rounding(params, 1000))


def test_modes_at_or_above_nyquist_are_silent():
    freqs = torch.full((1, 3, 10), math.pi) * torch.tensor([1.0, 1.5, 0.5])[None, :, None]
    y = modal_synth(freqs, torch.ones(1, 3, 10), 2560)
    alone = modal_synth(freqs[:, 2:], torch.ones(1, 1, 10), 2560)
    assert torch.equal(y, alone)
    assert alone.abs().max() > 0.9


@pytest.mark.parametrize(
    ("num_samples", "frames", "highest"),
    [(96000, 376, 0.3), (96000, 376, 3.1), (48000, 188, 5.0), (44100, 101, 3.1), (5, 9, 1.0)],
)
def test_phase_does_not_drift_from_float64(num_samples, frames, highest):
    generator = torch.Generator().manual_seed(0)
    freqs = highest * torch.rand(2, 16, frames, generator=generator)
    amps = torch.rand(2, 16, frames, generator=generator)
    phase = 6 * torch.rand(2, 16, 1, generator=generator)
    truth = running_sum(freqs.double(), amps.double(), num_samples, phase.double())
    error = (modal_synth(freqs, amps, num_samples, phase) - truth).abs().max()
    assert error < 1e-5 * truth.abs().max()


def test_a_single_high_mode_keeps_its_phase_for_a_minute():
    omega = torch.full((1, 1, 11251), 3.1)
    n = torch.arange(1, 60 * 48000 + 1, dtype=torch.float64)
    y = modal_synth(omega, torch.ones_like(omega), len(n))[0, 0]
    assert (y - torch.sin(omega[0, 0, 0].double() * n)).abs().max() < 1e-5


@pytest.mark.parametrize("highest", [1.0, 4.0])
def test_gradients_are_right_in_float64(highest):
    generator = torch.Generator().manual_seed(0)
    freqs = (
        highest * torch.rand(2, 3, 5, dtype=torch.float64, generator=generator)
    ).requires_grad_()
    amps = torch.rand(2, 3, 5, dtype=torch.float64, generator=generator).requires_grad_()
    phase = torch.rand(2, 3, 1, dtype=torch.float64, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(lambda f, a, p: modal_synth(f, a, 43, p), (freqs, amps, phase))


def test_gradients_are_nearer_to_the_truth_than_those_of_a_running_sum():
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.rand(1, 8, 94, generator=generator) for _ in range(2)]
    inputs.append(torch.rand(1, 8, 1, generator=generator))
    cotangent = torch.randn(1, 1, 24000, generator=generator)

    def gradients(synth, dtype):
        freqs, amps, phase = (x.to(dtype).requires_grad_() for x in inputs)
        y = synth(freqs, amps, 24000, phase)
        return torch.autograd.grad(y, (freqs, amps, phase), cotangent.to(dtype))

    truth = gradients(running_sum, torch.float64)
    fast = gradients(modal_synth, torch.float32)
    slow = gradients(running_sum, torch.float32)
    for a, b, c in zip(truth, fast, slow):
        assert (b - a).norm() < (c - a).norm()
        assert (b - a).norm() < 1e-5 * a.norm()


def test_memory_does_not_grow_with_modes_times_samples():
    kept = 0

    def count(tensor):
        nonlocal kept
        kept += tensor.untyped_storage().nbytes()
        return tensor

    freqs = torch.rand(1, 64, 376, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda x: x):
        modal_synth(freqs, torch.rand(1, 64, 376, requires_grad=True), 96000)
    assert kept < 0.3 * 4 * 64 * 96000  # a running sum keeps about five such tensors


def test_silent_stretches_are_left_out_and_cost_no_gradient():
    generator = torch.Generator().manual_seed(0)
    freqs, amps = torch.rand(2, 2, 6, 100, dtype=torch.float64, generator=generator)
    amps[0, :, 30:], amps[1, :4] = 0, 0
    inputs = freqs.requires_grad_(), amps.requires_grad_()
    phase = torch.zeros(2, 6, 1)
    cotangent = torch.randn(2, 1, 25600, dtype=torch.float64, generator=generator)
    fast, slow = modal_synth(*inputs, 25600), running_sum(*inputs, 25600, phase)
    torch.testing.assert_close(fast, slow, atol=1e-8, rtol=0)
    assert not fast[0, :, 8000:].any()
    pairs = zip(*(torch.autograd.grad(y, inputs, cotangent) for y in (fast, slow)))
    for actual, expected in pairs:
        torch.testing.assert_close(actual, expected, atol=1e-6, rtol=1e-8)


def test_training_goes_on_after_validation_in_inference_mode():
    freqs = torch.rand(1, 3, 17)
    with torch.inference_mode():
        modal_synth(freqs, torch.ones(1, 3, 17), 1234)
    freqs.requires_grad_()
    modal_synth(freqs, torch.ones(1, 3, 17), 1234).sum().backward()
    assert freqs.grad.abs().sum() > 0


def test_several_threads_give_what_one_does():
    generator = torch.Generator().manual_seed(0)
    freqs, amps = torch.rand(2, 1, 8, 20, generator=generator)
    threads = torch.get_num_threads()
    results = []
    try:
        for number in (1, 4):
            torch.set_num_threads(number)
            results.append(modal_synth(freqs, amps, 5000))
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(*results, atol=1e-5, rtol=0)


def test_rounded_phase_is_what_published_models_compute():
    generator = torch.Generator().manual_seed(0)
    freqs, amps = torch.rand(2, 1, 8, 20, generator=generator)
    expected = running_sum(freqs, amps, 5000, torch.zeros(1, 8, 1))
    actual = modal_synth(freqs, amps, 5000, round_phase=True)
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)
