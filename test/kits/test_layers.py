"""Layers that are there stay as they are, and others lie between them or follow the curve."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_drums import RATE, drum, write_drums

import drumblender
from drumblender.errors import DrumblenderError
from drumblender.kits.kit import Drum, Hit, Layer
from drumblender.kits.layers import (
    mean_loudness,
    ranges_of,
    rising,
    samples_of,
    stroke_at,
    take_apart,
)
from drumblender.kits.settings import Shape
from drumblender.kits.velocity import level
from drumblender.signal import loudness


@pytest.fixture(scope="module")
def voice():
    return drumblender.load()


@pytest.fixture
def snare(tmp_path):
    """A drum of two layers, the softer one with two hits."""
    drums = {
        "soft1": drum(200, 0.2, level=0.05, seed=1),
        "soft2": drum(202, 0.2, level=0.06, seed=2),
        "hard": drum(210, 0.5, level=0.8, seed=3),
    }
    write_drums(tmp_path, {f"{name}.wav": samples for name, samples in drums.items()})
    files = {name: Hit(tmp_path / f"{name}.wav") for name in drums}
    layers = (
        Layer(1, 50, (files["soft1"], files["soft2"])),
        Layer(51, 127, (files["hard"],)),
    )
    return Drum("Snare", "snare", 38, layers)


@given(st.sets(st.integers(1, 126), max_size=20), st.integers(1, 30))
def test_as_many_layers_as_wanted_cover_all_velocities(velocities, count):
    there = sorted({*velocities, 127})
    ranges = ranges_of(there, count)
    assert len(ranges) == count
    assert [v for low, high in ranges for v in range(low, high + 1)] == list(range(1, 128))
    highs = {high for _, high in ranges}
    if len(there) > 1:
        assert highs <= set(there) if count <= len(there) else highs >= set(there)
        assert ranges_of(there, None) == ranges_of(there, len(there))


def test_recorded_layers_and_hits_are_what_was_recorded(snare, voice):
    made, _ = samples_of(take_apart(snare, voice, 0), Shape(), 0)
    assert [(x.low, x.high, len(x.takes)) for x in made] == [(1, 50, 2), (51, 127, 3)]
    for layer, there in zip(made, snare.layers):
        for (samples, rate), hit in zip(layer.takes, there.hits):
            recorded = voice.prepare(hit.file).samples[: len(samples), 0]
            length = round(0.85 * len(samples))
            share = samples[:length] @ recorded[:length] / (recorded[:length] @ recorded[:length])
            assert np.abs(samples[:length] - share * recorded[:length]).max() < 1e-3
            assert rate == RATE


def test_hits_of_one_layer_are_brought_to_their_mean_loudness(snare, voice):
    strokes = take_apart(snare, voice, 0)
    made, _ = samples_of(strokes, Shape(), 0)
    heard = [loudness(torch.from_numpy(x)[None], rate) for x, rate in made[0].takes]
    assert heard[0] == pytest.approx(heard[1], abs=0.01)
    assert heard[0] == pytest.approx(mean_loudness(strokes[0].sounds), abs=0.01)


def test_a_layer_between_two_lies_between_them(snare, voice):
    strokes = take_apart(snare, voice, 0)
    levels = {stroke.velocity: mean_loudness(stroke.sounds) for stroke in strokes}
    middle, loud = stroke_at(strokes, levels, 88, 40.0)
    amount = (88 - 50) / (127 - 50)
    assert loud == pytest.approx(levels[50] + amount * (levels[127] - levels[50]))
    # As many as there are hits in the layers that it lies between.
    assert len(middle.sounds) == 2
    power = np.abs(np.fft.rfft(middle.sounds[0].render(), 1 << 18)) ** 2
    pitch = np.argmax(power) * RATE / (1 << 18)
    assert 200 < pitch < 210


def test_what_is_softer_than_the_softest_layer_follows_the_curve(snare, voice):
    strokes = take_apart(snare, voice, 0)
    levels = {stroke.velocity: mean_loudness(stroke.sounds) for stroke in strokes}
    soft, loud = stroke_at(strokes, levels, 20, 40.0)
    assert loud - levels[50] == pytest.approx(level(20) - level(50))
    assert soft.sounds[0].brightness < 0


def test_layers_that_were_normalized_get_the_levels_of_the_curve():
    normalized = rising({40: -12.0, 80: -12.5, 127: -12.0}, 40.0)
    assert normalized == {v: pytest.approx(-12 + level(v)) for v in (40, 80, 127)}
    recorded = {40: -30.0, 127: -12.0}
    assert rising(recorded, 40.0) == recorded


def test_a_kit_may_play_a_recording_higher_and_louder(snare, voice):
    hit = snare.layers[1].hits[0]
    higher = Layer(1, 127, (replace(hit, pitch=12.0, gain=-6.0),))
    (stroke,) = take_apart(replace(snare, layers=(higher,)), voice, 0)
    played = stroke.sounds[0].render()
    recorded = voice.prepare(hit.file).samples[:, 0]
    assert stroke.sounds[0].sample_rate == RATE
    assert len(played) == pytest.approx(len(recorded) / 2, abs=2)
    spectra = [np.abs(np.fft.rfft(x[200:], 1 << 18)) for x in (played, recorded)]
    assert np.argmax(spectra[0]) == pytest.approx(2 * np.argmax(spectra[1]), rel=0.02)
    assert np.abs(played).max() == pytest.approx(0.5 * np.abs(recorded).max(), rel=0.25)


def test_a_silent_recording_is_refused_by_name(snare, voice, tmp_path):
    write_drums(tmp_path, {"none.wav": np.zeros(1000)})
    silent = Layer(1, 127, (Hit(tmp_path / "none.wav"),))
    with pytest.raises(DrumblenderError, match=r"none\.wav is silent; leave it out"):
        take_apart(replace(snare, layers=(silent,)), voice, 0)


def test_the_same_seed_gives_the_same_samples(snare, voice):
    one, other, another = (
        samples_of(take_apart(snare, voice, seed), Shape(), seed)[0] for seed in (1, 1, 2)
    )
    for a, b in zip(one, other):
        assert all(np.array_equal(x, y) for (x, _), (y, _) in zip(a.takes, b.takes))
    drawn, otherwise = one[1].takes[2][0], another[1].takes[2][0]
    assert len(drawn) != len(otherwise) or not np.array_equal(drawn, otherwise)
