import math

import numpy as np
import pytest
import soundfile
import torch

from drumblender.plotting import (
    DYNAMIC_RANGE,
    figure_to_image,
    log_frequency_spectrogram,
    plot_parts,
    plot_resynthesis,
    plot_spectrograms,
    plot_waveforms,
    save_figure,
)
from drumblender.signal import sine

SAMPLE_RATE = 48_000


@pytest.fixture(scope="module")
def kick(repository):
    audio, rate = soundfile.read(
        repository / "audio/one-shots/drum/kick/drum_bass_hard.flac", always_2d=True
    )
    return torch.tensor(audio[:, 0]).float(), rate


def band_of(frequency, num_bands=240):
    octaves = math.log2(SAMPLE_RATE / 2 / 20.0)
    return num_bands * math.log2(frequency / 20.0) / octaves - 0.5


@pytest.mark.parametrize("frequency", [60.0, 440.0, 3_000.0, 15_000.0])
def test_a_tone_stands_at_its_frequency(frequency):
    level = log_frequency_spectrogram(sine(frequency, 24_000, SAMPLE_RATE), SAMPLE_RATE)
    assert level[:, 40].argmax().item() == pytest.approx(band_of(frequency), abs=2)


def test_half_the_amplitude_is_six_decibels_less():
    x = sine(440.0, 24_000, SAMPLE_RATE)
    level, half = (log_frequency_spectrogram(g * x, SAMPLE_RATE).amax() for g in (1.0, 0.5))
    assert (level - half).item() == pytest.approx(20 * math.log10(2), abs=1e-3)


def test_a_low_tone_of_full_scale_peaks_at_zero_decibels():
    level = log_frequency_spectrogram(sine(200.0, 24_000, SAMPLE_RATE), SAMPLE_RATE)
    assert level[:, 40].max().item() == pytest.approx(0.0, abs=0.5)


def test_bands_hold_the_mean_power_of_the_spectrum_in_them():
    x = torch.rand(24_000, generator=torch.Generator().manual_seed(0)) - 0.5
    power = 10 ** (log_frequency_spectrogram(x, SAMPLE_RATE).double() / 10)
    edges = 20.0 * (SAMPLE_RATE / 2 / 20.0) ** (np.arange(241) / 240)
    frame = np.zeros(8192)
    frame[:2048] = x.numpy()[40 * 256 - 1024 : 40 * 256 + 1024] * np.hanning(2049)[:-1]
    spectrum = np.abs(np.fft.rfft(frame)) ** 2 / 512**2
    bins = np.fft.rfftfreq(8192, 1 / SAMPLE_RATE)
    for band in (180, 200, 220):  # wide enough that partial bins at the edges count little
        inside = (bins >= edges[band]) & (bins < edges[band + 1])
        assert power[band, 40].item() == pytest.approx(spectrum[inside].mean(), rel=0.1)


def test_resynthesis_stands_below_the_target_on_the_same_axes_and_colors(kick):
    audio, rate = kick
    figure = plot_resynthesis(audio, 0.5 * audio, rate, title="kick")
    top_wave, top_spectrum, low_wave, low_spectrum = figure.axes[:4]
    assert top_wave.get_title("left") == "Target"
    assert low_wave.get_title("left") == "Resynthesis"
    assert top_wave.get_xlim() == low_wave.get_xlim() == low_spectrum.get_xlim()
    assert top_wave.get_ylim() == low_wave.get_ylim()
    images = [axis.collections[0] for axis in (top_spectrum, low_spectrum)]
    assert images[0].get_clim() == images[1].get_clim() == (-DYNAMIC_RANGE, 0)
    assert images[0].get_array().max() == pytest.approx(0.0, abs=1e-4)
    assert images[1].get_array().max() == pytest.approx(-6.02, abs=0.1)
    labels = [tick.get_text() for tick in low_spectrum.get_yticklabels()]
    assert {"20", "100", "1k", "10k"} <= set(labels)
    assert low_spectrum.get_xlabel() == "Time (s)"


def test_a_tone_is_drawn_at_its_frequency_on_a_logarithmic_axis():
    figure = plot_spectrograms([("tone", sine(440.0, 24_000, SAMPLE_RATE))], SAMPLE_RATE)
    axis = figure.axes[0]
    assert axis.get_yscale() == "log"
    assert axis.get_ylim() == (20, SAMPLE_RATE / 2)
    (mesh,) = axis.collections
    corners, levels = mesh.get_coordinates(), mesh.get_array()
    band = int(levels[:, levels.shape[1] // 2].argmax())
    assert corners[band - 2, 0, 1] < 440 < corners[band + 3, 0, 1]
    assert corners[0, -1, 0] == pytest.approx(0.5)


@pytest.mark.parametrize("seconds", [0.001, 0.2, 30])
def test_pictures_have_about_as_many_columns_whatever_the_length(seconds):
    x = torch.ones(int(seconds * 8000))
    (mesh,) = plot_spectrograms([("a", x)], 8000).axes[0].collections
    assert min(len(x), 230) <= mesh.get_array().shape[1] <= 2 * 480


def test_silence_at_the_end_is_not_shown():
    x = torch.cat([sine(200.0, 4_800, SAMPLE_RATE), torch.zeros(91_200)])
    figure = plot_waveforms([("a", x), ("b", x[:9_600])], SAMPLE_RATE)
    assert figure.axes[0].get_xlim()[1] == pytest.approx(0.105, abs=0.001)


def test_spectrograms_stand_in_columns():
    x = sine(200.0, 4_800, SAMPLE_RATE)
    figure = plot_spectrograms([(str(i), x) for i in range(3)], SAMPLE_RATE, columns=2)
    visible = [axis for axis in figure.axes if axis.get_title("left")]
    assert [axis.get_title("left") for axis in visible] == ["0", "1", "2"]


@pytest.mark.parametrize("samples", [torch.zeros(4_800), torch.full((4_800,), float("nan"))])
def test_silence_and_broken_samples_are_drawn(samples):
    image = figure_to_image(plot_resynthesis(samples, samples.view(1, 1, -1), SAMPLE_RATE))
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    assert image.std() > 0


def test_a_figure_is_saved_whole_in_a_new_folder(tmp_path):
    figure = plot_waveforms([("tone", sine(200.0, 4_800, SAMPLE_RATE))], SAMPLE_RATE)
    path = tmp_path / "new" / "tone.png"
    save_figure(figure, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(path.parent.iterdir()) == [path]


def test_a_format_that_does_not_exist_leaves_nothing_behind(tmp_path):
    figure = plot_waveforms([("tone", sine(200.0, 4_800, SAMPLE_RATE))], SAMPLE_RATE)
    with pytest.raises(ValueError, match="xyz"):
        save_figure(figure, tmp_path / "tone.xyz")
    assert not list(tmp_path.iterdir())


def test_parts_stand_below_each_other_on_shared_axes():
    signals = [(name, torch.randn(4800)) for name in ("Input", "Output", "Modal")]
    figure = plot_parts(signals, 48000, "A sound")
    axes = [axis for axis in figure.axes if axis.get_title(loc="left")]
    assert [axis.get_title(loc="left") for axis in axes] == [n for n, _ in signals for _ in "ab"]
    assert len({axis.get_xlim() for axis in axes}) == 1
    assert len({axis.get_ylim() for axis in axes[1::2]}) == 1
