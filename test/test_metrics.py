import importlib.util
import sys
from pathlib import Path
from typing import Dict

import auraloss
import numpy as np
import pytest
import scipy.fft
import scipy.signal
import torch
import torchaudio
import torchmetrics
from pytorch_lightning.cli import LightningArgumentParser

from drumblender.config import load_config
from drumblender.errors import DrumblenderError
from drumblender.metrics import (
    AttackError,
    EnvelopeError,
    LogMelError,
    LogSpectralDistance,
    MFCCError,
    MultiResolutionSTFTError,
    SpectralFluxOnsetError,
    ZimtohrliError,
)
from drumblender.signal import sine
from drumblender.synths import ModalSynth
from drumblender.tasks import DrumBlender

CONFIG = Path(__file__).parents[1] / "cfg" / "metrics" / "drumblender.yaml"
SAMPLE_RATE = 48_000
NUM_SAMPLES = 12_000
# As by default, but with a transform short enough that the test is, too.
METRICS = {
    "lsd": lambda: LogSpectralDistance(n_fft=1012),
    "mfcc": MFCCError,
    "onset": SpectralFluxOnsetError,
    "onset_legacy": lambda: SpectralFluxOnsetError(legacy=True),
    "mss": MultiResolutionSTFTError,
    "mel": LogMelError,
    "envelope": EnvelopeError,
    "attack": AttackError,
}
if importlib.util.find_spec("zimtohrli"):
    METRICS["zimtohrli"] = ZimtohrliError


def drum(seed=0, num_samples=NUM_SAMPLES, batch_size=1):
    """A decaying tone and decaying noise: (batch_size, 1, num_samples)."""
    time = torch.arange(num_samples)
    noise = torch.rand(
        batch_size, 1, num_samples, generator=torch.Generator().manual_seed(seed)
    ).sub(0.5)
    tone = sine(180.0, num_samples, SAMPLE_RATE)
    return 0.5 * tone * torch.exp(-time / 3000) + noise * torch.exp(-time / 800)


def spectrogram(x, n_fft, hop_size):
    """Magnitudes by NumPy and SciPy: (n_fft // 2 + 1, frames)."""
    x = np.pad(x.double().numpy(), n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(x, n_fft)[::hop_size]
    return np.abs(np.fft.rfft(frames * scipy.signal.get_window("hann", n_fft))).T


def reference_lsd(x, y, n_fft, hop_size, eps):
    x, y = (10 * np.log10(spectrogram(z, n_fft, hop_size) ** 2 + eps) for z in (x, y))
    return np.mean(np.sqrt(np.mean((x - y) ** 2, axis=0)))


def reference_mfcc(x, n_mfcc=40, n_mels=128, n_fft=2048, hop_size=256):
    mel_edges = np.linspace(0, 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700), n_mels + 2)
    edges = 700 * (10 ** (mel_edges / 2595) - 1)
    bins = np.fft.rfftfreq(n_fft, 1 / SAMPLE_RATE)
    bands = np.stack([np.interp(bins, edges[i : i + 3], [0, 1, 0]) for i in range(n_mels)])
    level = 10 * np.log10(np.maximum(bands @ spectrogram(x, n_fft, hop_size) ** 2, 1e-10))
    level = np.maximum(level, level.max() - 80)
    return scipy.fft.dct(level, axis=0, norm="ortho")[:n_mfcc]


def reference_onset(x, n_fft, hop_size, legacy):
    magnitude = spectrogram(x, n_fft, hop_size)
    if not legacy:
        magnitude = np.pad(magnitude, ((0, 0), (1, 0)))
    return np.maximum(np.diff(magnitude, axis=0 if legacy else 1), 0).sum(0)


@pytest.mark.parametrize(("n_fft", "hop_size"), [(8092, 64), (512, 100)])
def test_log_spectral_distance_agrees_with_numpy(n_fft, hop_size):
    x, y = drum(seed=1), drum(seed=2)
    expected = reference_lsd(x[0, 0], y[0, 0], n_fft, hop_size, 1e-5)
    assert LogSpectralDistance(n_fft, hop_size)(x, y).item() == pytest.approx(expected, rel=1e-4)


def test_mfcc_error_agrees_with_scipy():
    x, y = drum(seed=1), 0.1 * drum(seed=2)
    expected = np.abs(reference_mfcc(x[0, 0]) - reference_mfcc(y[0, 0])).mean()
    assert MFCCError()(x, y).item() == pytest.approx(expected, rel=1e-4)


def test_mfcc_is_that_of_the_transform_of_torchaudio():
    x = drum()[0]
    melkwargs = {"n_fft": 2048, "hop_length": 256, "n_mels": 128, "pad_mode": "constant"}
    expected = torchaudio.transforms.MFCC(SAMPLE_RATE, n_mfcc=40, melkwargs=melkwargs)(x)
    torch.testing.assert_close(MFCCError().mfcc(x[0]).T, expected[0], atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("legacy", [False, True])
def test_onset_error_agrees_with_numpy(legacy):
    x, y = drum(seed=1), 0.5 * drum(seed=2).roll(500)
    difference = reference_onset(x[0, 0], 1024, 64, legacy) - reference_onset(
        y[0, 0], 1024, 64, legacy
    )
    error = SpectralFluxOnsetError(legacy=legacy)(x, y).item()
    assert error == pytest.approx(np.abs(difference).mean(), rel=1e-4)


def reference_stft_distance(x, y, n_fft, hop_size, window_size):
    """By NumPy, with the windows and the reflection of torch.stft."""
    window = np.pad(scipy.signal.get_window("hann", window_size), (n_fft - window_size) // 2)
    magnitudes = []
    for z in (x, y):
        z = np.pad(z.double().numpy(), n_fft // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(z, n_fft)[::hop_size]
        magnitudes.append(np.maximum(np.abs(np.fft.rfft(frames * window)), 1e-4))
    x, y = magnitudes
    return np.linalg.norm(y - x) / np.linalg.norm(y) + np.abs(np.log(x) - np.log(y)).mean()


def test_multi_resolution_stft_distance_agrees_with_numpy():
    x, y = drum(seed=1)[0, 0], 0.5 * drum(seed=2)[0, 0]
    resolutions = [(1024, 120, 600), (2048, 240, 1200), (512, 50, 240)]
    expected = np.mean([reference_stft_distance(x, y, *sizes) for sizes in resolutions])
    assert MultiResolutionSTFTError()(x, y).item() == pytest.approx(expected, rel=1e-4)


def test_multi_resolution_stft_distance_is_that_of_auraloss_for_each_item():
    x, y = drum(seed=1, batch_size=3), 0.5 * drum(seed=2, batch_size=3)
    loss = auraloss.freq.MultiResolutionSTFTLoss()
    expected = np.mean([loss(x[i : i + 1], y[i : i + 1]).item() for i in range(3)])
    assert MultiResolutionSTFTError()(x, y).item() == pytest.approx(expected, rel=1e-6)


def test_log_mel_error_is_that_of_the_transform_of_torchaudio():
    x, y = drum(seed=1)[0], 0.3 * drum(seed=2)[0]
    mel = torchaudio.transforms.MelSpectrogram(
        SAMPLE_RATE, n_fft=2048, hop_length=256, n_mels=80, pad_mode="constant"
    )
    levels = [10 * torch.log10(mel(z) + 1e-5) for z in (x, y)]
    expected = (levels[0] - levels[1]).abs().mean().item()
    assert LogMelError()(x, y).item() == pytest.approx(expected, rel=1e-4)


def test_envelope_error_agrees_with_numpy():
    def levels(x):
        x = np.pad(x.double().numpy(), 240)
        frames = np.lib.stride_tricks.sliding_window_view(x, 480)[::120]
        return 10 * np.log10(np.mean(frames**2, axis=1) + 1e-8)

    x, y = drum(seed=1)[0, 0], 0.3 * drum(seed=2)[0, 0].roll(300)
    expected = np.abs(levels(x) - levels(y)).mean()
    assert EnvelopeError()(x, y).item() == pytest.approx(expected, rel=1e-5)


def test_envelope_error_sees_no_spectrum_but_levels():
    tone = sine(1000.0, NUM_SAMPLES, SAMPLE_RATE)
    other = sine(3000.0, NUM_SAMPLES, SAMPLE_RATE)
    assert EnvelopeError()(tone, other).item() < 0.1
    assert EnvelopeError()(tone, tone / 10).item() == pytest.approx(20, abs=0.01)


def test_attack_error_is_the_log_spectral_distance_of_the_first_50_ms():
    x, y = drum(seed=1)[0, 0], drum(seed=2)[0, 0]
    expected = reference_lsd(x[:2400], y[:2400], 256, 32, 1e-5)
    assert AttackError()(x, y).item() == pytest.approx(expected, rel=1e-4)
    later = torch.cat([x[:2400], y[2400:]])
    assert AttackError()(later, x).item() == 0


@pytest.mark.skipif(sys.version_info < (3, 10), reason="platform: zimtohrli takes Python 3.10")
def test_zimtohrli_is_5_less_the_score_and_hears_what_is_further_off():
    zimtohrli = pytest.importorskip("zimtohrli")
    x = 0.3 * sine(440.0, 48_000, SAMPLE_RATE).view(1, 1, -1)
    noise = drum(seed=3, num_samples=48_000)
    near, far = x + 0.01 * noise, x + noise
    errors = [ZimtohrliError()(y, x).item() for y in (x, near, far)]
    assert errors[0] == 0
    assert 0 < errors[1] < errors[2] < 4
    score = zimtohrli.mos_from_signals(far[0, 0].numpy(), x[0, 0].numpy())
    assert errors[2] == pytest.approx(5 - score, rel=1e-6)


def test_without_zimtohrli_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "zimtohrli", None)
    with pytest.raises(DrumblenderError, match=r"pip install .*zimtohrli"):
        ZimtohrliError()


@pytest.mark.parametrize("gain", [0.1, 0.5, 3.0])
def test_a_gain_changes_log_spectral_distance_by_its_decibels(gain):
    x = torch.rand(1, 1, NUM_SAMPLES) - 0.5  # sound in every bin: where there is none, no gain
    error = LogSpectralDistance(n_fft=1012)(gain * x, x).item()
    assert error == pytest.approx(abs(20 * np.log10(gain)), rel=0.02)


def test_a_gain_changes_the_zeroth_mfcc_only():
    x, gain = drum(), 0.5
    difference = MFCCError().mfcc(gain * x[0, 0]) - MFCCError().mfcc(x[0, 0])
    level = 20 * np.log10(gain) * np.sqrt(128)  # the orthonormal DCT of 128 equal values
    torch.testing.assert_close(difference[:, 0], torch.full((47,), level), rtol=1e-4, atol=0)
    assert difference[:, 1:].abs().max() < 1e-3


def test_a_mistuned_copy_has_a_larger_mfcc_error_the_further_it_is_mistuned():
    tones = [sine(f, NUM_SAMPLES, SAMPLE_RATE).view(1, 1, -1) for f in (500, 550, 1000)]
    near, far = (MFCCError()(tone, tones[0]).item() for tone in tones[1:])
    assert 0 < near < far


def test_a_later_onset_has_a_larger_onset_error():
    x = torch.cat([torch.zeros(1, 1, 2000), drum(), torch.zeros(1, 1, 4000)], -1)
    errors = [SpectralFluxOnsetError()(x.roll(delay), x).item() for delay in (0, 100, 400)]
    assert errors[0] == 0
    assert errors[1] > 0
    assert errors[2] > errors[1]


def test_onset_strength_is_zero_while_a_tone_lasts_and_while_it_falls():
    tone = sine(1000.0, NUM_SAMPLES, SAMPLE_RATE)
    strength = SpectralFluxOnsetError().onset_strength(
        tone * torch.exp(-torch.arange(NUM_SAMPLES) / 5000)
    )
    # Beyond the frames that overlap the attack, of half a window.
    assert strength[16:-16].max() < 0.01 * strength.max()


def test_an_attack_on_the_first_sample_counts():
    strength = SpectralFluxOnsetError().onset_strength(drum()[0, 0])
    assert strength[:9].sum() > 0.5 * strength.sum()


def test_legacy_onset_error_does_not_see_the_order_of_frames():
    # Two bursts apart, or the second first: along frequency every frame is the same as before.
    burst, other = torch.zeros(2, 8192)
    burst[2048:2060] = 1.0
    other[2048 + 2048 : 2060 + 2048] = 1.0
    legacy = SpectralFluxOnsetError(legacy=True)
    assert legacy.onset_strength(burst).sum().item() == pytest.approx(
        legacy.onset_strength(other).sum().item(), rel=1e-4
    )
    click = torch.zeros(8192)
    click[4096] = 1.0  # a flat spectrum: jagged nowhere along frequency, an onset along time
    assert legacy.onset_strength(click).max() < 1e-3
    assert SpectralFluxOnsetError().onset_strength(click).max() > 1


@pytest.mark.parametrize("name", METRICS)
def test_identical_signals_have_no_error(name):
    x = drum(batch_size=2)
    assert METRICS[name]()(x, x).item() == 0


@pytest.mark.parametrize("name", METRICS)
def test_silence_gives_a_finite_error(name):
    x, silence = drum(), torch.zeros(1, 1, NUM_SAMPLES)
    metric = METRICS[name]()
    assert metric(silence, silence).item() == 0
    for pair in ((x, silence), (silence, x)):
        error = metric(*pair)
        assert error.isfinite()
        assert error > 0


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("num_samples", [1, 100])
def test_signals_shorter_than_the_window_are_measured(name, num_samples):
    x = torch.rand(1, 1, num_samples)
    assert METRICS[name]()(x, torch.zeros_like(x)).isfinite()


@pytest.mark.parametrize("name", METRICS)
def test_the_mean_is_over_items_however_they_are_batched(name):
    x, y = drum(seed=1, batch_size=3), drum(seed=2, batch_size=3)
    whole, parts = METRICS[name](), METRICS[name]()
    whole.update(x, y)
    parts.update(x[:2], y[:2])
    parts.update(x[2:], y[2:])
    single = [METRICS[name]()(x[i : i + 1], y[i : i + 1]).item() for i in range(3)]
    assert whole.compute().item() == pytest.approx(np.mean(single), rel=1e-5)
    assert parts.compute().item() == pytest.approx(np.mean(single), rel=1e-5)


@pytest.mark.parametrize("name", METRICS)
def test_sums_of_several_processes_reduce_to_the_mean_over_all_items(name):
    # What each process holds goes through the reduction that torchmetrics applies to it.
    x, y = drum(seed=1, batch_size=3), drum(seed=2, batch_size=3)
    ranks = [METRICS[name](), METRICS[name]()]
    ranks[0].update(x[:2], y[:2])
    ranks[1].update(x[2:], y[2:])
    merged = METRICS[name]()
    for state, reduce in merged._reductions.items():
        setattr(merged, state, reduce(torch.stack([getattr(rank, state) for rank in ranks])))
    merged._update_count = 1
    whole = METRICS[name]()
    assert merged.compute().item() == pytest.approx(whole(x, y).item(), rel=1e-5)


@pytest.mark.parametrize("name", METRICS)
def test_metrics_leave_nothing_in_a_checkpoint(name):
    metric = METRICS[name]()
    metric.update(drum(), drum())
    assert not metric.state_dict()
    metric.load_state_dict({})


def test_signals_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="shapes"):
        SpectralFluxOnsetError()(drum(), drum()[..., :-1])


def test_the_command_line_builds_the_configured_metrics():
    parser = LightningArgumentParser()
    parser.add_argument("--test_metrics", type=Dict[str, torchmetrics.Metric])
    config = parser.parse_object({"test_metrics": load_config(CONFIG)})
    metrics = parser.instantiate_classes(config).test_metrics
    loss = torch.nn.L1Loss()
    metrics = DrumBlender(ModalSynth(), loss, test_metrics=metrics).test_metrics
    assert set(metrics) == {"lsd", "mfcc", "onset", "onset_legacy"}
    assert metrics["onset_legacy"].legacy
    assert metrics["lsd"].n_fft == 8092
    # A first batch on which all agree must not make them one.
    silence = torch.zeros(1, 1, 4096)
    metrics.update(silence, silence)
    metrics.update(drum(num_samples=4096), silence)
    assert len({round(value.item(), 6) for value in metrics.compute().values()}) == 4


def test_the_metrics_of_the_benchmark_are_built_from_their_configuration():
    parser = LightningArgumentParser()
    parser.add_argument("--test_metrics", type=Dict[str, torchmetrics.Metric])
    config = parser.parse_object({"test_metrics": load_config(CONFIG.with_name("benchmark.yaml"))})
    metrics = parser.instantiate_classes(config).test_metrics
    assert set(metrics) == set(METRICS) - {"zimtohrli"}
    x, y = drum(num_samples=4096), drum(1, 4096)
    assert len({round(metric(x, y).item(), 6) for metric in metrics.values()}) == len(metrics)
