import math

import numpy as np
import pytest
import torch
from scipy.signal import welch

from drumblender.errors import UsageError
from drumblender.synths import ShapedNoise
from drumblender.synths.shaped import shaped_noise


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("decibels", [0.0, -20.0, -60.0])
@pytest.mark.parametrize("bands", [257, 33])
def test_flat_bands_give_white_noise_of_that_level(decibels, bands):
    gains = torch.full((1, 1500, bands), 10 ** (decibels / 20))
    noise = ShapedNoise(512, 128)(gains, 192_000, generator=seeded())[0, 0].double()
    assert 10 * math.log10(noise.square().mean()) == pytest.approx(decibels, abs=0.1)
    _, psd = welch(noise.numpy(), nperseg=256)
    assert 10 * np.log10(psd[2:-2].max() / psd[2:-2].min()) < 1.5


def test_a_closed_band_is_silent():
    gains = torch.zeros(1, 750, 257)
    gains[..., 128:] = 1
    noise = ShapedNoise(512, 128)(gains, 96_000, generator=seeded())[0, 0]
    frequency, psd = welch(noise.numpy(), fs=48_000, nperseg=2048)
    closed, open_ = psd[(frequency > 500) & (frequency < 11_000)], psd[frequency > 13_000]
    assert 10 * np.log10(open_.mean() / closed.mean()) > 60


def test_silent_bands_are_silent_and_so_is_what_has_no_frame():
    synth = ShapedNoise(512, 128)
    assert not synth(torch.zeros(2, 10, 257), 1280).any()
    assert not synth(torch.ones(1, 10, 257), 6400)[..., 10 * 128 + 512 :].any()


def test_noise_begins_at_once_and_follows_its_frames():
    gains = torch.zeros(64, 40, 33)
    gains[:, 20:] = 0.5
    gains[:, 0] = 1
    level = shaped_noise(gains, 5120, 64, 32, seeded()).square().mean(0).sqrt()
    assert level[:24].mean() == pytest.approx(1, abs=0.1)
    # Frame k is centered on sample 32 (k + 1).
    assert not level[128:600].any()
    assert level[21 * 32 + 32 : 40 * 32].mean() == pytest.approx(0.5, abs=0.03)


def test_the_same_seed_gives_the_same_noise():
    synth, bands = ShapedNoise(64, 16), torch.ones(1, 8, 33)
    assert torch.equal(synth(bands, 128, seeded(1)), synth(bands, 128, seeded(1)))
    assert not torch.equal(synth(bands, 128, seeded(1)), synth(bands, 128, seeded(2)))


@pytest.mark.parametrize("length", [1, 100, 300, 5000])
def test_output_has_the_length_that_is_asked_for(length):
    assert ShapedNoise(256, 64)(torch.ones(1, 4, 129), length).shape == (1, 1, length)


def test_bands_receive_gradients():
    bands = torch.rand(1, 3, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda b: shaped_noise(b, 24, 16, 8, seeded()), (bands,))


@pytest.mark.parametrize("hop", [0, 129])
def test_windows_that_do_not_overlap_are_refused(hop):
    with pytest.raises(UsageError, match="at most 128"):
        ShapedNoise(256, hop)
