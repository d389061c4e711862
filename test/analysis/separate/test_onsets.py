"""Onsets against those of loops that were made of known strokes."""

import drums
import numpy as np
import pytest
import torch

from drumblender.analysis.separate.onsets import find_onsets

RATE = 48000


def found(x, rate=RATE):
    onsets = find_onsets(torch.from_numpy(np.asarray(x)).float()[None], rate)[0]
    return onsets[onsets.isfinite()].numpy()


@pytest.mark.parametrize("kind", [*drums.KINDS, *drums.OTHERS])
def test_a_drum_alone_has_one_onset(kind):
    for seed in (100, 101):
        drum = drums.draw(kind, seed)
        (onset,) = found(drums.render(drum, seed).mix)
        # What rises slowly begins where it is loud enough to be heard.
        assert -0.001 < onset - drum.onset < 0.01 + drum.noise_attack


@pytest.mark.parametrize(("name", "missed"), [("two notes", 0), ("beat", 0), ("percussion", 1)])
def test_every_stroke_of_a_loop_is_found_and_nothing_else(name, missed):
    hits = drums.strokes(name, 100, 2.5)
    onsets = found(drums.render_loop(hits, 2.5).mix)
    true = np.array([hit.time + hit.drum.onset for hit in hits])
    distance = np.abs(true[:, None] - onsets)
    assert (distance.min(1) > 0.005).sum() <= missed
    assert (distance.min(0) < 0.02).all()


@pytest.mark.slow
def test_ghost_notes_and_rolls_are_found():
    for name in ("ghost notes", "roll"):
        hits = drums.strokes(name, 101, 2.5)
        onsets = found(drums.render_loop(hits, 2.5).mix)
        true = np.array([hit.time + hit.drum.onset for hit in hits])
        distance = np.abs(true[:, None] - onsets)
        assert (distance.min(1) < 0.01).mean() > 0.9
        assert (distance.min(0) < 0.02).all()


def test_noise_beating_tones_and_fades_have_no_further_onset():
    t = np.arange(2 * RATE) / RATE
    rng = np.random.default_rng(0)
    assert len(found(rng.standard_normal(len(t)))) == 1
    assert len(found(np.exp(-t / 0.5) * (np.sin(2500 * t) + np.sin(2575 * t)))) == 1
    assert len(found(t * rng.standard_normal(len(t)))) == 1


def test_silence_one_sample_and_other_rates_are_fine():
    assert found(np.zeros(1000)).tolist() == [0]
    assert found(np.ones(1)).tolist() == [0]
    hits = drums.strokes("two notes", 102)
    loop = drums.render_loop(hits).mix
    for rate, samples in ((8000, loop[::6]), (96000, np.repeat(loop, 2))):
        assert len(found(samples, rate)) == 2


def test_onsets_do_not_depend_on_the_level():
    loop = drums.render_loop(drums.strokes("beat", 103, 2.5), 2.5).mix
    np.testing.assert_allclose(found(loop), found(1e-3 * loop), atol=1e-9)
