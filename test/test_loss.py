import math
from pathlib import Path

import numpy as np
import pytest
import torch
from auraloss.freq import MultiResolutionSTFTLoss
from jsonargparse import ArgumentParser

from drumblender.config import load_config
from drumblender.errors import UsageError
from drumblender.loss import (
    BeginningLoss,
    FirstOrderDifferenceLoss,
    NoiseLevelLoss,
    SpectralFluxLoss,
    WeightedLoss,
    long_enough,
)
from drumblender.metrics import SpectralFluxOnsetError
from drumblender.signal import sine
from drumblender.signal.auditory import noise_levels

CFG = Path(__file__).parents[1] / "cfg" / "loss"
SAMPLE_RATE = 48_000


def configured_loss(name):
    parser = ArgumentParser()
    parser.add_argument("--loss_fn", type=torch.nn.Module)
    config = parser.parse_object({"loss_fn": load_config(CFG / f"{name}.yaml")})
    return parser.instantiate_classes(config).loss_fn


def decaying_sine(frequency=200.0, num_samples=8192):
    decay = torch.exp(-torch.arange(num_samples) / 1500)
    return (sine(frequency, num_samples, SAMPLE_RATE) * decay).view(1, 1, -1)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_first_order_difference_agrees_with_numpy(reduction):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 3, 1, 100))
    expected = np.abs(np.diff(x) - np.diff(y))
    if reduction != "none":
        expected = getattr(expected, reduction)()
    loss = FirstOrderDifferenceLoss(reduction)(torch.tensor(x), torch.tensor(y))
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-12)


def test_first_order_difference_ignores_a_constant_offset():
    x = decaying_sine()
    assert FirstOrderDifferenceLoss()(x + 0.5, x) == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("frequency", [100.0, 5_000.0, 20_000.0])
def test_first_order_difference_weighs_a_tone_by_the_gain_of_the_difference_filter(frequency):
    # The filter x[n] - x[n - 1] has the gain 2 sin(w / 2); the mean modulus of a sine is 2 / pi.
    tone = sine(frequency, SAMPLE_RATE, SAMPLE_RATE).view(1, 1, -1)
    gain = 2 * math.sin(math.pi * frequency / SAMPLE_RATE)
    loss = FirstOrderDifferenceLoss()(tone, torch.zeros_like(tone))
    assert loss.item() == pytest.approx(gain * 2 / math.pi, rel=0.05)


def test_first_order_difference_has_the_gradient_of_its_formula():
    x = torch.randn(2, 1, 16, dtype=torch.float64, requires_grad=True)
    y = torch.randn(2, 1, 16, dtype=torch.float64)
    assert torch.autograd.gradcheck(FirstOrderDifferenceLoss(), (x, y))


def test_an_unknown_reduction_is_refused():
    with pytest.raises(ValueError, match="median"):
        FirstOrderDifferenceLoss("median")


def test_weighted_loss_is_the_weighted_sum_of_its_parts():
    x, y = torch.randn(2, 3, 1, 50)
    parts = [torch.nn.L1Loss(), FirstOrderDifferenceLoss()]
    expected = 0.25 * parts[0](x, y) + 3.0 * parts[1](x, y)
    torch.testing.assert_close(WeightedLoss(parts, [0.25, 3.0])(x, y), expected)


def test_weights_are_one_when_not_given():
    x, y = torch.randn(2, 3, 1, 50)
    parts = [torch.nn.L1Loss(), torch.nn.MSELoss()]
    torch.testing.assert_close(WeightedLoss(parts)(x, y), parts[0](x, y) + parts[1](x, y))


def test_parameters_of_the_parts_are_registered_and_weights_stay_out_of_checkpoints():
    part = torch.nn.L1Loss()
    part.scale = torch.nn.Parameter(torch.ones(()))
    assert list(WeightedLoss([part], [2.0]).state_dict()) == ["loss_fns.0.scale"]


@pytest.mark.parametrize(("loss_fns", "weights"), [([], None), ([torch.nn.L1Loss()], [1.0, 2.0])])
def test_weights_that_do_not_match_the_losses_are_refused(loss_fns, weights):
    with pytest.raises(ValueError, match="give"):
        WeightedLoss(loss_fns, weights)


@pytest.mark.parametrize("name", ["mss", "kick"])
def test_configured_losses_fall_as_the_prediction_approaches_the_target(name):
    loss_fn = configured_loss(name)
    target = decaying_sine()
    losses = [loss_fn(gain * target, target).item() for gain in (0.25, 0.5, 0.9, 1.0)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == pytest.approx(0.0, abs=1e-6)


def test_the_configured_mss_is_that_of_the_published_configuration():
    # auraloss's defaults are the published hyper-parameters; reported figures rest on that.
    x, y = decaying_sine(200.0), decaying_sine(210.0)
    torch.testing.assert_close(configured_loss("mss")(x, y), MultiResolutionSTFTLoss()(x, y))


@pytest.mark.parametrize("name", ["mss", "kick"])
@pytest.mark.parametrize(
    ("prediction_level", "target_level"), [(0, 0), (0, 1), (1, 0), (1e-30, 0), (1e-6, 1e-30)]
)
def test_silence_gives_finite_losses_and_gradients(name, prediction_level, target_level):
    prediction = (prediction_level * decaying_sine()).requires_grad_()
    loss = configured_loss(name)(prediction, target_level * decaying_sine(300.0))
    loss.backward()
    assert loss.isfinite()
    assert prediction.grad.isfinite().all()
    # A step of an optimizer without any normalization stays in range.
    assert prediction.grad.norm() < 1e6


def white(level, seed=0, num_samples=24_000):
    generator = torch.Generator().manual_seed(seed)
    return level * torch.randn(1, 1, num_samples, generator=generator)


@pytest.mark.parametrize("gain", [0.5, 2.0, 10.0])
def test_noise_is_as_far_off_as_its_level_in_decibels(gain):
    noise = white(0.1)
    levels = noise_levels(noise[:, 0], SAMPLE_RATE)
    distance = NoiseLevelLoss(floor=-140)(gain * noise, levels)
    assert distance.item() == pytest.approx(abs(20 * math.log10(gain)), abs=0.01)


def test_another_noise_of_the_same_levels_is_near_and_another_color_is_far():
    levels = noise_levels(white(0.1)[:, 0], SAMPLE_RATE)
    assert NoiseLevelLoss()(white(0.1, seed=1), levels) < 2
    assert NoiseLevelLoss()(white(0.1, seed=1).cumsum(-1), levels) > 6


def test_noise_may_be_silent_and_still_learn():
    target = noise_levels(white(0.1)[:, 0], SAMPLE_RATE)
    for scale in (0.0, 1e-6):
        gain = torch.tensor(scale, requires_grad=True)
        NoiseLevelLoss()(gain * white(1.0), target).backward()
        assert torch.isfinite(gain.grad)
    assert NoiseLevelLoss()(torch.zeros(1, 1, 24_000), torch.zeros_like(target)) == 0


def test_levels_of_another_rate_are_refused():
    noise = white(0.1)
    with pytest.raises(UsageError, match=r"sample_rate of 16000 Hz; set it"):
        NoiseLevelLoss(16_000)(noise, noise_levels(noise[:, 0], SAMPLE_RATE))


def test_flux_loss_is_the_onset_error_relative_to_the_onset_strength():
    target, other = decaying_sine(), 0.5 * decaying_sine(300.0)
    error = SpectralFluxOnsetError(n_fft=1024, hop_size=128)
    wanted = error(other, target) / error(torch.zeros_like(target), target)
    assert SpectralFluxLoss()(other, target).item() == pytest.approx(wanted.item(), rel=1e-3)
    both = SpectralFluxLoss()(torch.cat([other, target]), torch.cat([target, target]))
    assert both.item() == pytest.approx(wanted.item() / 2, rel=1e-3)


def test_flux_loss_is_finite_at_silence_and_has_a_derivative_there():
    silence = torch.zeros(1, 1, 4096, requires_grad=True)
    SpectralFluxLoss()(silence, decaying_sine(num_samples=4096)).backward()
    assert torch.isfinite(silence.grad).all()
    assert SpectralFluxLoss()(silence, torch.zeros(1, 1, 4096)).item() == 0


def test_loss_of_the_beginning_hears_nothing_else():
    target = decaying_sine()
    late = target.clone()
    late[..., 1000:] += 1
    loss = BeginningLoss(torch.nn.MSELoss(), 1000)
    assert loss(late, target) == 0
    late[..., 999] += 1
    assert loss(late, target).item() == pytest.approx(1 / 1000)


def test_the_loss_of_the_laptop_configuration_lowers_towards_the_target():
    loss, target = configured_loss("laptop"), decaying_sine(num_samples=24_000)
    losses = [loss(gain * target, target).item() for gain in (0.1, 0.5, 1.0)]
    assert losses[0] > losses[1] > losses[2] == pytest.approx(0, abs=1e-4)


def test_windows_that_are_too_long_for_a_sound_are_named_in_a_sentence():
    loss, target = configured_loss("laptop"), decaying_sine(num_samples=4000)
    with pytest.raises(UsageError, match="windows that are too long for sounds of 4000 samples"):
        with long_enough(4000):
            loss(target, target)
    with pytest.raises(RuntimeError, match="other"), long_enough(4000):
        raise RuntimeError("other")
