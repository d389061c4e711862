"""Samples begin at once, and end softly when they have decayed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drumblender.kits.trim import start_of, trimmed

RATE = 44100


def decay(seconds, t60, channels=1):
    """Noise that decays by 60 dB in a time."""
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(0).uniform(-1, 1, (len(time), channels))
    return 10 ** (-3 * time / t60)[:, None] * noise


@pytest.mark.parametrize("silence", [0, 50, 5000])
@pytest.mark.parametrize("channels", [1, 2])
def test_silence_in_front_goes_up_to_two_milliseconds(silence, channels):
    sound = np.concatenate([np.zeros((silence, channels)), decay(0.2, 0.1, channels)])
    start = start_of(sound, RATE)
    assert start == max(0, silence - round(0.002 * RATE))
    begun, _ = trimmed(sound, RATE, start)
    assert np.abs(begun[silence - start :][:100] - sound[silence:][:100]).max() < 1e-6


@pytest.mark.parametrize(("tail", "seconds"), [(-60.0, 0.5), (-40.0, 0.333), (-80.0, 0.667)])
def test_it_ends_where_it_has_decayed_by_as_much_as_is_wanted(tail, seconds):
    kept, decayed = trimmed(decay(2, 0.5), RATE, 0, tail)
    assert len(kept) / RATE == pytest.approx(seconds, abs=0.03)
    assert decayed


def test_what_is_cut_off_is_faded_and_said():
    sound = decay(0.1, 2)
    kept, decayed = trimmed(sound, RATE, 0)
    assert not decayed
    assert len(kept) == len(sound)
    assert kept[-1].max() == 0
    whole = round(0.89 * len(sound))
    assert np.array_equal(kept[:whole], sound[:whole].astype(np.float32))


@given(st.integers(1, 3000), st.integers(1, 2), st.sampled_from([8000, 44100, 192_000]), st.data())
def test_any_sound_ends_in_silence_and_is_no_longer_than_it_was(length, channels, rate, data):
    seed = data.draw(st.integers(0, 99))
    sound = np.random.default_rng(seed).standard_normal((length, channels))
    start = start_of(sound, rate)
    kept, _ = trimmed(sound, rate, start)
    assert 0 < len(kept) <= length - start
    assert kept.dtype == np.float32
    assert np.isfinite(kept).all()
    assert len(kept) < 2 or not kept[-1].any()
