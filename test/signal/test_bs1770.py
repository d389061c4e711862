"""Loudness is that of the recommendation where that measures one block, and of the loudest else."""

import math

import numpy as np
import pyloudnorm
import pytest
import torch

from drumblender.signal import loudness


@pytest.mark.parametrize("rate", [22050, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2])
def test_one_block_is_as_loud_as_another_program_says(rate, channels):
    samples = 0.3 * np.random.default_rng(0).standard_normal((round(0.4 * rate), channels))
    meter = pyloudnorm.Meter(rate, block_size=0.4)
    assert loudness(torch.from_numpy(samples.T), rate) == pytest.approx(
        meter.integrated_loudness(samples), abs=1e-6
    )


def test_silence_around_a_sound_changes_nothing_and_a_gain_changes_as_much():
    drum = torch.from_numpy(np.random.default_rng(1).standard_normal((1, 3000)))
    padded = torch.nn.functional.pad(drum, (5000, 90_000))
    loud = loudness(drum, 48000)
    assert loudness(padded, 48000) == pytest.approx(loud, abs=1e-3)
    assert loudness(100 * drum, 48000) == pytest.approx(loud + 40, abs=1e-6)


def test_the_loudest_part_counts():
    random = np.random.default_rng(2).standard_normal((1, 48_000))
    quiet_first = torch.from_numpy(np.concatenate([0.01 * random, random], 1))
    assert loudness(quiet_first, 48000) == pytest.approx(
        loudness(torch.from_numpy(random), 48000), abs=0.1
    )


def test_silence_and_nothing_have_no_loudness():
    assert loudness(torch.zeros(2, 100), 48000) == -math.inf
    assert loudness(torch.zeros(1, 0), 48000) == -math.inf
