"""Strokes are found soon, all of them and nothing else, on loops of real drums."""

import numpy as np
import pytest
import soundfile

from drumblender.live.onsets import Detector, Listening, strokes

DRUMS = ("bd/kick/bd_808", "drum/snare/drum_snare_hard", "drum/tom/drum_tom_mid_hard")
DRUMS += ("drum/hihat/drum_cymbal_closed",)


def loop(path, seed=0):
    """A loop of one drum with noise behind it, and the samples at which its strokes begin."""
    samples, rate = soundfile.read(path, always_2d=True)
    drum = samples[:, 0] / np.abs(samples[:, 0]).max()
    begin = int(np.flatnonzero(np.abs(drum) > 0.05)[0])
    rng = np.random.default_rng(seed)
    made = 1e-4 * rng.standard_normal(6 * rate)
    times, at = [], rate // 20
    while at < 5 * rate:
        end = min(len(made), at + len(drum))
        made[at:end] += 0.7 * 10 ** (-rng.uniform(0, 12) / 20) * drum[: end - at]
        times.append(at + begin)
        at += round(rng.uniform(0.15, 0.5) * rate)
    return made, rate, np.array(times)


@pytest.mark.parametrize("name", DRUMS)
def test_strokes_are_found_within_ten_milliseconds_and_nothing_else(repository, name):
    made, rate, times = loop(repository / f"audio/one-shots/{name}.flac")
    found, _ = strokes(made, rate, Listening())
    late = np.array([x.found for x in found])[:, None] - times[None]
    hits = (late > 0) & (late < 0.012 * rate)
    assert hits.any(0).mean() > 0.95
    assert hits.any(1).all()
    assert np.median(late[hits]) < 0.006 * rate


def test_what_is_found_does_not_depend_on_the_blocks():
    rng = np.random.default_rng(1)
    sound = np.exp(-np.arange(48000) % 9600 / 500) * rng.standard_normal(48000) * 0.3
    whole, latency = strokes(sound, 48000, Listening(), 48000)
    assert whole
    assert strokes(sound, 48000, Listening(), 77) == (whole, latency)


def test_louder_strokes_have_higher_velocities_and_soft_ones_are_none():
    rng = np.random.default_rng(2)
    hit = np.exp(-np.arange(4000) / 400) * rng.uniform(-1, 1, 4000)
    found = [
        [x.velocity for x in Detector(48000).hear(np.concatenate([np.zeros(2000), gain * hit]))]
        for gain in (0.001, 0.03, 0.1, 0.3, 1.0)
    ]
    assert found[0] == []
    velocities = [x[0] for x in found[1:]]
    assert velocities == sorted(set(velocities))
    assert velocities[-1] > 115


def test_a_hum_and_silence_are_no_strokes():
    hum = 0.3 * np.sin(2 * np.pi * 50 * np.arange(48000) / 48000)
    found, _ = strokes(hum, 48000, Listening())
    assert all(x.found < 4800 for x in found)  # only its beginning may be one
    assert strokes(np.zeros(48000), 48000, Listening())[0] == []


def test_no_other_stroke_is_found_in_the_refractory_time():
    clicks = np.zeros(48000)
    clicks[4800::1200] = 0.9
    found = [x.found for x in strokes(clicks, 48000, Listening(refractory=0.06))[0]]
    assert np.diff(found).min() >= 0.06 * 48000 - 64
