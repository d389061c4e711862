"""Signals whose modes are known, analyzed and played by the unchanged synthesizer."""

import numpy as np
import pytest
import torch

from drumblender.analysis import AnalysisSettings, CQTModalAnalysis
from drumblender.synths import ModalSynth

RATE, LENGTH, FRAMES = 48000, 96000, 376
TIME = (np.arange(FRAMES) + 0.5) * LENGTH / FRAMES / RATE  # of frames, in seconds


@pytest.fixture(scope="module")
def analyze():
    return CQTModalAnalysis(AnalysisSettings())


def decaying(hz, amplitude, seconds, onset=0, glide=0.0, glide_seconds=0.1, phase=0.3):
    """Sinusoid that starts at once, decays, and glides down from hz * (1 + glide)."""
    time = (np.arange(LENGTH) - onset) / RATE
    after = np.maximum(time, 0)
    frequency = np.where(time >= 0, hz * (1 + glide * np.exp(-after / glide_seconds)), 0)
    angle = 2 * np.pi * np.cumsum(frequency) / RATE + phase
    return np.where(time >= 0, amplitude * np.exp(-after / seconds) * np.sin(angle), 0)


def noise(amplitude, seed=0):
    return amplitude * np.random.default_rng(seed).standard_normal(LENGTH)


def residual_db(parameters, x):
    y = ModalSynth()(parameters[None], len(x))[0, 0]
    return 10 * torch.log10((y - x).square().sum() / x.square().sum()).item()


def mode_near(parameters, hz, span):
    """Frequency in Hz and amplitude, over the span of frames, of the loudest mode near hz."""
    frequency = parameters[0].numpy() * RATE / (2 * np.pi)
    amplitude = parameters[1].numpy()
    loudness = (amplitude**2)[:, span].sum(1)
    mean = (amplitude**2 * frequency)[:, span].sum(1) / np.maximum(loudness, 1e-12)
    near = np.abs(np.log2(np.maximum(mean, 1) / hz)) < 0.04
    best = np.argmax(np.where(near, loudness, -1))
    return frequency[best, span], amplitude[best, span]


def assert_true(parameters, hz, amplitude, seconds, cents=5.0, decibels=1.0):
    span = (TIME > 0.02) & (TIME < min(2 * seconds, 1.9))
    frequency, level = mode_near(parameters, hz, span)
    expected = amplitude * np.exp(-TIME[span] / seconds)
    assert np.median(np.abs(1200 * np.log2(frequency / hz))) < cents
    assert np.quantile(np.abs(20 * np.log10(level / expected)), 0.9) < decibels


@pytest.mark.parametrize("hz", [25, 41, 60, 110, 330, 1000, 3001, 8017, 15013, 19500])
def test_a_decaying_sinusoid_is_one_mode_that_cancels_it(analyze, hz):
    x = torch.from_numpy(decaying(hz, 0.5, 0.4)).float()
    parameters = analyze(x)
    assert_true(parameters, hz, 0.5, 0.4)
    assert residual_db(parameters, x) < -30
    assert (parameters[1].amax(-1) > 0.05).sum() == 1


def test_a_sum_of_modes_is_taken_apart_in_noise(analyze):
    modes = [(60, 0.5, 0.5), (150, 0.4, 0.4), (431, 0.3, 0.3), (997, 0.2, 0.2)]
    modes += [(3001, 0.1, 0.15), (8017, 0.05, 0.1), (15013, 0.05, 0.1)]
    x = torch.from_numpy(sum(decaying(*m) for m in modes) + noise(0.003)).float()
    parameters = analyze(x)
    for mode in modes:
        assert_true(parameters, *mode)
    assert residual_db(parameters, x) < -28


def test_two_beating_modes_are_two(analyze):
    modes = [(440, 0.4, 0.8), (475, 0.4, 0.8)]
    x = torch.from_numpy(sum(decaying(*m) for m in modes)).float()
    parameters = analyze(x)
    for mode in modes:
        assert_true(parameters, *mode)
    assert residual_db(parameters, x) < -30


def test_modes_too_close_to_resolve_beat_as_one_that_cancels_them(analyze):
    x = torch.from_numpy(decaying(440, 0.4, 0.8) + decaying(446, 0.4, 0.8)).float()
    assert residual_db(analyze(x), x) < -25


def test_a_gliding_mode_is_followed(analyze):
    x = torch.from_numpy(decaying(400, 0.5, 0.6, glide=0.5, glide_seconds=0.2)).float()
    parameters = analyze(x)
    span = (TIME > 0.02) & (TIME < 1.2)
    frequency, level = mode_near(parameters, 420, span)
    expected = 400 * (1 + 0.5 * np.exp(-TIME[span] / 0.2))
    assert np.quantile(np.abs(1200 * np.log2(frequency / expected)), 0.9) < 4
    assert np.abs(20 * np.log10(level / (0.5 * np.exp(-TIME[span] / 0.6)))).max() < 1
    assert residual_db(parameters, x) < -28


def test_an_attack_is_within_a_frame_of_its_time(analyze):
    onset = 24000
    x = torch.from_numpy(decaying(300, 0.5, 0.3, onset) + decaying(2000, 0.3, 0.2, onset)).float()
    frame = onset / (LENGTH / FRAMES) - 0.5
    parameters = analyze(x)
    for hz, amplitude in ((300, 0.5), (2000, 0.3)):
        _, level = mode_near(parameters, hz, slice(None))
        assert abs(np.argmax(level > 0.5 * amplitude) - frame) <= 1
        assert level[: int(frame) - 1].max() < 0.02 * amplitude


def test_a_clipped_attack_is_there_on_the_first_sample(analyze):
    x = torch.from_numpy(np.clip(3 * decaying(80, 0.5, 0.2), -0.8, 0.8)).float()
    y = ModalSynth()(analyze(x)[None], LENGTH)[0, 0]
    assert residual_db(analyze(x), x) < -18
    first = slice(0, 480)
    assert (y[first] - x[first]).square().mean().sqrt() < 0.25 * x[first].square().mean().sqrt()


def test_silence_has_no_modes(analyze):
    assert not analyze(torch.zeros(LENGTH)).any()


def test_white_noise_has_no_loud_mode(analyze):
    parameters = analyze(torch.from_numpy(noise(0.1)).float())
    assert parameters[1].max() < 0.15
    assert parameters[1].square().mean(-1).sqrt().max() < 0.03


@pytest.mark.parametrize("num_samples", [1, 200, 1000, 7777, 48000, 100001])
@pytest.mark.parametrize("fit", [True, False])
def test_parameters_are_what_the_synthesizer_can_play_for_any_length(num_samples, fit):
    generator = torch.Generator().manual_seed(num_samples)
    parameters = CQTModalAnalysis(AnalysisSettings(fit=fit))(
        torch.randn(num_samples, generator=generator)
    )
    assert parameters.shape == (3, 64, num_samples // 256 + 1)
    assert parameters.dtype == torch.float32
    assert parameters.isfinite().all()
    assert parameters[0].min() >= 0
    assert parameters[0].max() < torch.pi
    assert parameters[1].min() >= 0


def test_the_same_sound_gives_the_same_bytes_in_any_batch(analyze):
    x = torch.from_numpy(np.stack([noise(0.1, seed) for seed in range(3)])).float()
    together = analyze(x)
    assert together.shape == (3, 3, 64, FRAMES)
    assert torch.equal(together[1], analyze(x[1]))
    assert torch.equal(together[1], CQTModalAnalysis(AnalysisSettings())(x[1]))


def test_the_number_of_threads_changes_nothing(analyze):
    x = torch.from_numpy(noise(0.1)).float()
    expected, threads = analyze(x), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert torch.equal(analyze(x), expected)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_other_settings_are_honored():
    settings = AnalysisSettings(
        sample_rate=16000, hop_length=64, fmin=40.0, n_bins=90, bins_per_octave=12, num_modes=8
    )
    x = 0.5 * np.sin(2 * np.pi * 500 * np.arange(16000) / 16000)
    parameters = CQTModalAnalysis(settings)(torch.from_numpy(x).float())
    assert parameters.shape == (3, 8, 251)
    assert abs(parameters[0, 0, 125].item() * 16000 / (2 * np.pi) - 500) < 1
    assert abs(parameters[1, 0, 125].item() - 0.5) < 0.02


def test_plain_parameters_are_those_of_the_peaks():
    plain = CQTModalAnalysis(AnalysisSettings(fit=False))
    parameters = plain(torch.from_numpy(decaying(1000, 0.5, 0.4)).float())
    assert_true(parameters, 1000, 0.5, 0.4)
