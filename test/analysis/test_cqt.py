"""nnAudio in float64 is the reference: its own float32 sums are wrong by up to 2e-5 of the peak."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torchaudio.functional

from drumblender.analysis import CQT
from drumblender.analysis.cqt import _hann_spectrum
from drumblender.errors import UsageError
from drumblender.signal import fit_length, sine

ONE_SHOTS = Path(__file__).parents[2] / "audio" / "one-shots"


def recording(name: str, num_samples: int, sample_rate: int = 48000) -> torch.Tensor:
    x, rate = soundfile.read(ONE_SHOTS / name, dtype="float32", always_2d=True)
    x = torchaudio.functional.resample(torch.from_numpy(x.mean(1)), rate, sample_rate)
    return fit_length(x, num_samples)


def reference(x: torch.Tensor, sample_rate, hop_length, fmin, n_bins, bins_per_octave):
    features = pytest.importorskip("nnAudio.features")
    cqt = features.CQT(
        sr=sample_rate,
        hop_length=hop_length,
        fmin=fmin,
        n_bins=n_bins,
        bins_per_octave=bins_per_octave,
        output_format="Complex",
        verbose=False,
    ).double()
    return torch.view_as_complex(cqt(x.double(), normalization_type="wrap"))


def relative_error(x: torch.Tensor, *settings) -> float:
    expected = reference(x, *settings)
    actual = CQT(*settings)(x)
    assert actual.dtype == torch.complex64
    assert actual.shape == expected.shape
    return ((actual - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize("name", ["bd/kick/bd_808.flac", "drum/cymbals/drum_cymbal_hard.flac"])
def test_it_equals_nnaudio_on_recordings(name):
    x = recording(name, 96000)[None]
    assert relative_error(x, 48000, 256, 20.0, 240, 24) < 1e-5


@pytest.mark.parametrize(
    ("num_samples", "settings"),
    [
        (30000, (22050, 512, 32.7, 84, 12)),
        (12345, (8000, 100, 60.0, 63, 12)),
        (12347, (16000, 101, 40.0, 91, 12)),
        (9001, (22050, 77, 55.0, 23, 3)),
        (5000, (8000, 4000, 55.0, 70, 12)),
        (12000, (48000, 1, 1500.0, 6, 48)),
        (20000, (48000, 64, 4000.0, 20, 24)),
    ],
)
def test_it_equals_nnaudio_for_other_lengths_rates_hops_and_resolutions(num_samples, settings):
    x = torch.randn(1, num_samples, generator=torch.Generator().manual_seed(0))
    assert relative_error(x, *settings) < 2e-5


@pytest.mark.slow
def test_a_quiet_peak_beside_a_loud_tone_does_not_move():
    settings = (48000, 256, 20.0, 240, 24)
    x = (sine(60.0, 96000, 48000) + 1e-4 * sine(5000.0, 96000, 48000))[None]
    expected, actual = reference(x, *settings), CQT(*settings)(x)
    around = (slice(None), slice(190, 194), slice(20, 350))  # 5 kHz lies between bins 191 and 192
    error = (20 * (actual[around].abs() / expected[around].abs()).log10()).abs().amax((0, 2))
    assert error[:3].max() < 0.02
    # Of this bin on the skirt, 94 dB below the loud tone, some processors round 0.05 dB away.
    assert error[3] < 0.1


def test_the_precision_that_training_chooses_changes_nothing():
    x = torch.randn(1, 48000, generator=torch.Generator().manual_seed(0))
    cqt = CQT(48000, 256, 20.0, 240, 24)
    usual, before = cqt(x), torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert torch.equal(cqt(x), usual)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_each_item_of_a_batch_is_transformed_alone():
    x = torch.randn(3, 24000, generator=torch.Generator().manual_seed(0))
    cqt = CQT(48000, 256, 100.0, 150, 24)
    together, alone = cqt(x), torch.cat([cqt(item[None]) for item in x])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


def test_a_unit_sinusoid_has_magnitude_one_in_its_bin():
    cqt = CQT(48000, 256, 20.0, 240, 24)
    for k in (10, 100, 200):
        x = sine(float(cqt.frequencies[k]), 96000, 48000)[None]
        assert abs(cqt(x)[0, k, 188].abs() - 1) < 1e-3


def test_a_signal_shorter_than_the_kernels_is_continued_with_silence():
    cqt = CQT(48000, 256, 20.0, 240, 24)
    x = torch.randn(1, 3000, generator=torch.Generator().manual_seed(0))
    longer = fit_length(x, cqt.reach + 1)
    torch.testing.assert_close(cqt(x), cqt(longer)[..., :12], rtol=0, atol=1e-5)


@pytest.mark.parametrize("length", [3, 64, 1025, 20000])
def test_the_spectrum_of_a_kernel_is_that_of_its_samples(length):
    rng = np.random.default_rng(0)
    side = 2 * np.pi / length * np.array([-1, 0, 1])[:, None]  # where the closed form is 0 / 0
    near = np.array([0, 1e-17, -1e-15, 1e-13, -1e-11, 1e-9, 1e-7, 1e-5])
    theta = (side + near).flatten()
    theta = np.concatenate([theta, rng.uniform(-np.pi, np.pi, 200)])
    theta = theta[np.abs(theta) <= np.pi][None]
    n = np.arange(length)
    window = (1 - np.cos(2 * np.pi * n / length)) / length
    expected = np.exp(1j * theta.T * (n - (length + 1) // 2)) @ window
    actual = _hann_spectrum(theta, np.array([[length]]))[0]
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_kernels_of_many_lengths_are_not_kept():
    cqt = CQT(8000, 100, 55.0, 60, 12)
    for num_samples in range(4000, 40000, 4000):
        cqt(torch.zeros(1, num_samples))
    assert len(cqt._cache) <= 4


def test_bins_above_nyquist_are_refused():
    with pytest.raises(UsageError, match="n_bins"):
        CQT(44100, 256, 20.0, 260, 24)


def test_silence_is_silent():
    assert np.all(CQT(8000, 100, 55.0, 60, 12)(torch.zeros(1, 4000)).numpy() == 0)
