"""Modes that cannot be told apart become one, and others stay."""

import math

import numpy as np
import pytest
import torch

from drumblender.analysis.separate.beating import rise_after
from drumblender.analysis.separate.merge import merge_modes
from drumblender.synths import modal_synth

RATE, FRAME, COUNT = 48000, 64.0, 750


def modes(*described):
    """Modes of (Hz, decay in 1/s, amplitude, phase), damped from the first frame on."""
    time = (torch.arange(COUNT, dtype=torch.float64) + 0.5) * FRAME / RATE
    hz, decay, amplitude, phase = torch.tensor(described, dtype=torch.float64).T[..., None]
    omega = (2 * math.pi * hz / RATE).expand(-1, COUNT).clone()
    return omega, amplitude * torch.exp(-decay * time), phase


def play(omega, amplitude, phase):
    """The sound of modes, in float32."""
    length = int(COUNT * FRAME)
    values = (x.float()[None] for x in (omega, amplitude, phase[..., :1]))
    frequency, size, start = values
    return modal_synth(frequency, size, length, start)[0, 0]


@pytest.mark.parametrize("phase", [0.0, 1.0, math.pi])
def test_two_modes_that_drift_apart_by_less_than_half_a_turn_become_one(phase):
    two = modes((100.0, 20.0, 0.5, 0.0), (104.0, 40.0, 0.4, phase))
    merged = merge_modes(*two, FRAME, RATE)
    assert merged[1].any(1).sum() == 1
    before, after = play(*two), play(*merged)
    assert (before - after).square().sum() < 1e-4 * before.square().sum()


def test_two_modes_that_cancel_each_other_become_the_little_that_is_heard():
    two = modes((179.5, 30.0, 3.3, 0.0), (180.0, 30.5, 3.2, math.pi))
    merged = merge_modes(*two, FRAME, RATE)
    assert merged[1].max() < 0.5
    before, after = play(*two), play(*merged)
    assert (before - after).square().sum() < 1e-3 * before.square().sum()


def test_partials_and_tones_that_beat_stay_apart():
    three = modes((100.0, 5.0, 0.5, 0.0), (104.0, 5.0, 0.4, 0.0), (160.0, 30.0, 0.3, 0.0))
    merged = merge_modes(*three, FRAME, RATE)
    for made, given in zip(merged, (*three[:2], three[2].expand(-1, COUNT))):
        assert torch.equal(made, given)


def test_two_modes_that_wander_without_beating_become_one():
    # Their phases drift apart by more than half a turn while both sound.
    two = modes((60.0, 8.0, 1.0, 0.0), (54.0, 4.0, 0.03, 1.0))
    merged = merge_modes(*two, FRAME, RATE)
    assert merged[1].any(1).sum() == 1
    before, after = play(*two), play(*merged)
    assert (before - after).square().sum() < 1e-2 * before.square().sum()


def test_two_modes_that_only_a_longer_decay_lets_beat_become_one():
    # A drum that ends suddenly, which a mode that does not decay helps to describe.
    omega, amplitude, phase = modes((50.0, 16.0, 1.0, 0.0), (40.0, 0.5, 0.05, 4.0))
    two = omega[:, :150], amplitude[:, :150], phase
    together = torch.stack([two[0], two[1], phase.expand(-1, 150)])
    merged = merge_modes(*two, FRAME, RATE)
    assert merged[1].any(1).sum() == 1
    before, after = (rise_after(x.numpy(), FRAME, RATE, 3.0) for x in (together, merged))
    assert before > 6
    assert after < rise_after(together.numpy(), FRAME, RATE, 1.0) + 1


def test_the_rise_after_a_longer_decay_is_that_of_modes_that_decay_for_longer():
    short, long = (
        np.stack([x.expand(-1, COUNT) for x in modes((60, high, 1, 0), (48, low, 0.2, 1))])
        for high, low in ((9.0, 5.0), (3.0, 5.0 / 3))
    )
    expected = rise_after(long, FRAME, RATE, 1.0)
    assert expected > 3
    assert rise_after(short, FRAME, RATE, 3.0) == pytest.approx(expected, abs=0.5)


def test_a_partial_that_is_little_higher_stays_apart():
    two = modes((60.0, 12.0, 1.0, 0.0), (95.0, 20.0, 0.3, 0.5))
    merged = merge_modes(*two, FRAME, RATE)
    assert merged[1].any(1).all()


def test_silence_stays_silent():
    merged = merge_modes(*modes((100.0, 5.0, 0.0, 0.0), (101.0, 5.0, 0.0, 0.0)), FRAME, RATE)
    assert not merged[1].any()


def test_what_passes_zero_together_does_not_become_a_mode_that_turns_back():
    two = modes((100.0, 10.0, 0.5, 0.0), (101.0, 30.0, 1.5, 0.9 * math.pi))
    merged = merge_modes(*two, FRAME, RATE)
    assert (merged[0] > 0).all()
    before, after = play(*two), play(*merged)
    assert (before - after).square().sum() < 1e-3 * before.square().sum()
