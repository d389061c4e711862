import numpy as np
import pytest
import torch
from scipy.signal import welch

from drumblender.errors import UsageError
from drumblender.signal.plain import plain_operations
from drumblender.synths import NoiseGenerator
from drumblender.synths.noise import overlap_add


def test_power_spectrum_is_that_of_the_published_generator(reference):
    published = np.load(reference / "noise_psd.npz")
    frames = 8000
    bands = torch.tensor(published["bands"], dtype=torch.float32).expand(1, frames, -1)
    generator = torch.Generator().manual_seed(0)
    noise = NoiseGenerator(256)(bands, frames * 128, generator=generator)[0, 0]
    _, psd = welch(noise.numpy(), nperseg=512)
    # Both are averages over thousands of segments; the median shows a bias, the extremes a shape.
    ratio = psd[1:-1] / published["psd"][1:-1]
    assert abs(np.median(ratio) - 1) < 0.01
    assert 0.85 < ratio.min() < ratio.max() < 1.15


def test_silent_bands_are_silent():
    assert not NoiseGenerator(256)(torch.zeros(2, 10, 128), 1280).any()


def test_noise_is_stronger_where_bands_are_open():
    bands = torch.zeros(1, 400, 65)
    bands[..., 32:] = 1
    generator = torch.Generator().manual_seed(0)
    noise = NoiseGenerator(1024)(bands, 400 * 512, generator=generator)[0, 0]
    frequency, psd = welch(noise.numpy(), fs=48000, nperseg=2048)
    open_, closed = psd[(frequency > 14000) & (frequency < 22000)], psd[frequency < 10000]
    # The published convolution cuts the response's negative times, which leaves a floor.
    assert 10 * np.log10(open_.mean() / closed.mean()) > 7


def test_a_generator_makes_the_noise_repeatable_and_others_differ():
    bands, synth = torch.ones(1, 8, 128), NoiseGenerator(256)

    def draw(seed):
        return synth(bands, 1024, generator=torch.Generator().manual_seed(seed))

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_output_has_the_length_that_is_asked_for():
    synth, bands = NoiseGenerator(256), torch.ones(1, 4, 128)
    assert synth(bands, 300).shape[-1] == 300
    long = synth(bands, 5000)
    assert long.shape[-1] == 5000
    assert not long[..., 640:].any()


def test_overlap_add_of_hann_windows_is_constant():
    y = overlap_add(torch.hann_window(256).expand(1, 20, -1), 128)[0]
    torch.testing.assert_close(y[128:-128], torch.ones(len(y) - 256))


def test_bands_receive_gradients():
    bands = torch.rand(1, 3, 5, dtype=torch.float64, requires_grad=True)

    def synth(b):
        generator = torch.Generator().manual_seed(0)
        return NoiseGenerator(8)(b, 16, generator=generator)

    assert torch.autograd.gradcheck(synth, (bands,))


def test_too_many_bands_for_the_window_are_refused():
    with pytest.raises(UsageError, match="window_size of at least 256"):
        NoiseGenerator(128)(torch.ones(1, 2, 129), 100)
    with pytest.raises(UsageError, match="even"):
        NoiseGenerator(3)


def test_noise_that_is_given_is_filtered_as_noise_that_is_drawn():
    synth, bands = NoiseGenerator(32), torch.rand(2, 9, 17)
    drawn = synth(bands, 160, torch.Generator().manual_seed(0))
    frames = torch.rand(2, 9, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    white = torch.zeros(2, 2, 192)
    for k in range(9):
        white[:, k % 2, 16 * k : 16 * k + 32] = frames[:, k]
    for form in (torch.no_grad, plain_operations):
        with form():
            given = synth(bands, 160, white=white[..., :160])
        torch.testing.assert_close(given, drawn, atol=1e-5, rtol=0)
