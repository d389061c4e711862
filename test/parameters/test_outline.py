import math

import numpy as np
import pytest
import torch

from drumblender.parameters.outline import Outline, _highest, mix_outlines
from drumblender.parameters.time_maps import stretch_after, unchanged

RATE = 48_000


def burst(onset=1000, length=9600, t60=0.2, level=1.0):
    """Noise that begins at a sample and decays (1, N)."""
    t = np.arange(length) - onset
    noise = np.random.default_rng(0).choice([-1.0, 1.0], length)
    x = level * noise * np.where(t >= 0, 10 ** (-3 * np.maximum(t, 0) / RATE / t60), 0)
    return torch.from_numpy(x).float()[None]


def between(a, b, amount):
    return mix_outlines([a, b], [1 - amount, amount])


@pytest.mark.parametrize(("before", "after"), [(0, 0), (1, 0), (0, 5), (7, 2), (40, 1000)])
def test_the_highest_of_neighbors_is_that_of_a_sliding_window(before, after):
    x = np.random.default_rng(0).standard_normal((2, 500))
    padded = np.pad(x, ((0, 0), (before, after)), constant_values=-np.inf)
    expected = np.lib.stride_tricks.sliding_window_view(padded, before + after + 1, 1).max(-1)
    np.testing.assert_array_equal(_highest(torch.from_numpy(x), before, after), expected)


def test_a_recording_is_left_alone_by_its_own_outline():
    x = burst()
    outline = Outline.of(x, RATE)
    assert torch.equal(outline.fade(x), torch.ones(1, 1))
    for sound in (x, -0.8 * x, x * (1 + 1e-6)):
        assert torch.equal(sound * outline.gain(sound), sound)


def test_what_sounds_early_is_silent_up_to_the_onset_and_stays_from_there_on():
    x, early = burst(1000), burst(900)
    held = early * Outline.of(x, RATE).gain(early)
    assert not held[:, :1000].any()
    assert torch.equal(held[:, 1000:], early[:, 1000:])


def test_a_step_rises_as_slowly_as_the_recording():
    t = torch.arange(9600) / RATE
    slow = (torch.sin(2 * torch.pi * 50 * t) * torch.exp(-t / 0.1))[None]  # 5 ms to its peak
    step = (torch.cos(2 * torch.pi * 50 * t) * torch.exp(-t / 0.1))[None]
    held = step * Outline.of(slow, RATE).gain(step)
    rising = slice(0, 80)  # up to half of the peak
    assert (held[:, rising].abs() <= 1.13 * slow[:, rising].abs() + 1e-6).all()
    assert torch.equal(held[:, 400:], step[:, 400:])


def test_an_early_second_stroke_is_held_no_louder_than_what_still_rings():
    x = burst(1000, t60=0.3) + burst(5000, level=0.8)
    early = burst(1000, t60=0.3) + burst(4800, level=0.8)
    outline = Outline.of(x, RATE)
    held = early * outline.gain(early)
    ringing = x[:, 3840:4800].abs().amax()
    assert early[:, 4800:5000].abs().amax() > 3 * ringing
    assert held[:, 4800:5000].abs().amax() < 1.13 * ringing
    assert torch.equal(held[:, 5100:], early[:, 5100:])


def test_channels_begin_by_themselves():
    x = torch.cat([burst(1000), burst(1500)])
    early = torch.cat([burst(800), burst(800)])
    held = early * Outline.of(x, RATE).gain(early)
    first = [int(torch.nonzero(channel)[0]) for channel in held]
    assert first == [1000, 1500]


def test_a_sound_that_is_softer_throughout_is_softer_before_the_attack():
    x = burst(1000) + 0.05 * burst(0)
    early = 0.05 * burst(500)
    held = early * Outline.of(x, RATE).gain(early)
    assert held[:, :1000].abs().amax() < 0.1 * early.abs().amax()


def test_an_end_falls_to_the_level_of_the_recording_and_no_further():
    t = torch.arange(4800) / RATE
    tone = torch.sin(2 * torch.pi * 2000 * t)[None]
    for level, expected in [(1.0, 1.0), (0.1, 0.112), (0.0, 0.0)]:
        end = torch.ones(4800)
        end[-240:] = torch.linspace(1, level, 240)
        end[-24:] = level
        gain = Outline.of(tone * end, RATE).fade(tone).expand(1, 4800)
        assert gain[0, -1] == pytest.approx(expected, abs=0.02)
        assert (gain[:, :-240] == 1).all()
        assert (gain.diff() <= 0).all()
    # A hard end of the recording is its own.
    assert torch.equal(Outline.of(tone, RATE).fade(tone), torch.ones(1, 1))


def test_what_becomes_longer_ends_softly_and_by_a_hair_differs_by_a_hair():
    x = torch.ones(1, 4800)
    outline = Outline.of(x, RATE)
    map_of = stretch_after(0.0, 2.0)
    longer = outline.retime(9600, map_of, 0.1)
    assert longer.fade(torch.ones(1, 9600))[0, -1] < 1e-4
    nearly = outline.retime(4800, unchanged, 0.0025)
    assert nearly.fade(x).min() == pytest.approx(0.5 * 10 ** (1 / 20), abs=1e-3)
    assert torch.equal(outline.retime(4800, unchanged, 1e-6).fade(x), torch.ones(1, 1))


def test_an_outline_moves_with_its_sound():
    outline = Outline.of(burst(1000), RATE)
    onsets = {
        "delayed": (outline.delay(300), 1300),
        "at another rate": (outline.resample(2 * RATE), 2000),
        "stretched after its onset": (outline.retime(9600, stretch_after(1000.0, 2.0), 0.1), 1000),
        "halfway to another": (between(outline, Outline.of(burst(1100), RATE), 0.5), 1050),
        "of the earlier one": (outline.loudest(Outline.of(burst(900), RATE)), 900),
    }
    for name, (moved, expected) in onsets.items():
        onset = int(torch.nonzero(moved.levels[0] > 0.05)[0])
        assert onset == pytest.approx(expected, abs=1), name
    far = between(outline, Outline.of(burst(5000), RATE), 0.5)
    assert int(torch.nonzero(far.levels[0])[0]) == 1000
    ends = [between(outline, Outline.of(burst(1100), RATE), amount) for amount in (0.0, 1.0)]
    assert torch.equal(ends[0].levels, outline.levels)
    assert torch.equal(ends[1].levels, Outline.of(burst(1100), RATE).levels)


def test_a_segment_neither_begins_nor_ends():
    x = burst(0).flip(1)
    later = Outline.of(x, RATE, begins=False, ends=False)
    early = torch.full_like(x, 0.5)
    assert torch.equal(later.gain(early)[:, :1200], torch.ones(1, 1200))
    assert torch.equal(later.fade(early), torch.ones(1, 1))


@pytest.mark.parametrize("length", [1, 2, 37, 500])
@pytest.mark.parametrize("rate", [1000, 8000, 192_000])
def test_short_recordings_of_any_rate_have_outlines(length, rate):
    x = torch.rand(2, length)
    outline = Outline.of(x, rate)
    for sound in (x, torch.ones(2, length + 3), torch.zeros(2, length)):
        for gain in (outline.gain(sound), outline.fade(sound)):
            assert torch.isfinite(gain).all()
            assert gain.min() >= 0
            assert gain.max() <= 1
    assert math.isfinite(float(Outline.of(torch.zeros(1, length), rate).gain(x[:1]).sum()))
