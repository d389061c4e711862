"""Recordings of several strokes, against loops whose parts are known."""

import math

import drums
import numpy as np
import pytest
import torch

from drumblender.analysis import AnalysisSettings, CQTModalAnalysis, separate
from drumblender.synths import ModalSynth

RATE = 48000
SETTINGS = AnalysisSettings(method="separating", hop_length=64)


def take_apart(x, settings=SETTINGS):
    return separate(torch.as_tensor(x).float()[None], settings)


def decibel(x):
    return 10 * math.log10(float(np.square(np.asarray(x)).sum()) + 1e-20)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seconds", "sdr", "leakage"),
    [("two notes", 1.5, 20, 5), ("beat", 2, 20, -5), ("ghost notes", 2, 14, -8)],
)
def test_tones_transients_and_noise_of_a_loop_are_those_of_its_strokes(name, seconds, sdr, leakage):
    hits = drums.strokes(name, 100, seconds)
    true = drums.render_loop(hits, seconds)
    parts = take_apart(true.mix)
    assert parts.onsets.isfinite().sum() == len(hits)
    error = decibel(parts.tones[0] - true.tones)
    assert decibel(true.tones) - error > sdr
    assert error - decibel(true.rest) < leakage
    assert abs(decibel(parts.transient[0]) - decibel(true.click)) < 8
    total = parts.tones + parts.transient + parts.noise
    np.testing.assert_allclose(total[0], true.mix, atol=1e-5)
    played = ModalSynth()(parts.modal, len(true.mix))[:, 0]
    torch.testing.assert_close(played, parts.tones, atol=1e-5, rtol=0)


def test_modes_begin_at_their_own_onsets():
    t = np.arange(int(1.2 * RATE)) / RATE
    x, frequencies, onsets = np.zeros(len(t)), (180, 410, 180, 730), (0.1, 0.3, 0.55, 0.8)
    for hz, onset in zip(frequencies, onsets):
        since = np.maximum(t - onset, 0)
        x += 0.3 * np.exp(-since / 0.1) * np.sin(2 * np.pi * hz * since) * (t >= onset)
    parts = take_apart(x)
    torch.testing.assert_close(parts.onsets[0], torch.tensor(onsets).double(), atol=0.003, rtol=0)
    assert decibel(x) - decibel(parts.tones[0] - x) > 20
    time = (np.arange(parts.modal.shape[-1]) + 0.5) * len(x) / parts.modal.shape[-1] / RATE
    for hz, onset in {410: 0.3, 730: 0.8}.items():
        found = parts.modal[0, 0].double() * RATE / 2 / math.pi
        near = (found - hz).abs() < 0.03 * hz
        sounding = (near & (parts.modal[0, 1] > 0.02)).any(0).numpy()
        assert onset - 0.006 < time[sounding][0] < onset + 0.01


def test_a_long_tone_rings_through_later_strokes():
    t = np.arange(RATE) / RATE
    bass = 0.6 * np.exp(-t / 0.5) * np.sin(2 * np.pi * 55 * t)
    rng = np.random.default_rng(0)
    hats = sum(
        0.2 * (t >= at) * np.exp(-np.maximum(t - at, 0) / 0.02) * rng.standard_normal(len(t))
        for at in (0.25, 0.5, 0.75)
    )
    hats = hats - np.convolve(hats, np.ones(9) / 9, "same")  # high frequencies only
    parts = take_apart(bass + hats)
    assert parts.onsets.isfinite().sum() == 4
    assert decibel(bass) - decibel(parts.tones[0] - bass) > 25
    row = parts.modal[0, 1, 0]
    assert (row[10:-10] > 0.01).all()  # one mode from beginning to end


def test_a_tone_that_the_next_stroke_damps_ends_there():
    t = np.arange(RATE) / RATE
    bass = 0.6 * np.exp(-t / 0.8) * np.sin(2 * np.pi * 80 * t) * (t < 0.4)
    tick = 0.3 * (t >= 0.4) * np.exp(-np.maximum(t - 0.4, 0) / 0.05) * np.sin(2 * np.pi * 3000 * t)
    parts = take_apart(bass + tick)
    assert parts.onsets.isfinite().sum() == 2
    hz = parts.modal[0, 0] * RATE / 2 / math.pi
    low = torch.where(hz < 500, parts.modal[0, 1], 0)
    assert low[:, 320:].max() < 0.02  # of 0.6, 25 ms later


def test_each_onset_has_a_transient():
    t = np.arange(RATE) / RATE
    rng = np.random.default_rng(1)
    onsets = (0.05, 0.3, 0.62)
    click = sum(
        (t >= at) * np.exp(-np.maximum(t - at, 0) / 0.001) * rng.standard_normal(len(t))
        for at in onsets
    )
    body = sum(
        (t >= at) * np.exp(-np.maximum(t - at, 0) / 0.05) * np.sin(2 * np.pi * 200 * (t - at))
        for at in onsets
    )
    transient = take_apart(0.3 * click + 0.3 * body).transient[0].numpy()
    for at in onsets:
        here = (t > at - 0.005) & (t < at + 0.01)
        assert abs(decibel(transient[here]) - decibel(0.3 * click[here])) < 2
    elsewhere = np.all([np.abs(t - at) > 0.06 for at in onsets], axis=0)
    assert not transient[elsewhere].any()


@pytest.mark.slow
def test_more_strokes_than_rows_still_sound():
    hits = drums.strokes("percussion", 101, 3)
    true = drums.render_loop(hits, 3)
    settings = AnalysisSettings(method="separating", hop_length=256, num_modes=16)
    parts = take_apart(true.mix, settings)
    assert decibel(true.tones) - decibel(parts.tones[0] - true.tones) > 6


@pytest.mark.slow
def test_a_drum_is_the_same_beside_a_loop():
    drum = drums.render(drums.draw("tom", 100), 0).mix
    loop = drums.render_loop(drums.strokes("two notes", 101, 2), 2).mix
    together = separate(torch.from_numpy(np.stack([drum, loop])).float(), SETTINGS)
    for row, x in enumerate((drum, loop)):
        alone = take_apart(x).tones[0]
        assert decibel(together.tones[row] - alone) < decibel(alone) - 60


def test_the_analysis_of_datasets_plays_loops():
    true = drums.render_loop(drums.strokes("two notes", 100, 1), 1)
    settings = AnalysisSettings(method="separating")
    modal = CQTModalAnalysis(settings)(torch.from_numpy(true.mix).float())
    played = ModalSynth()(modal[None], len(true.mix))[0, 0].numpy()
    assert decibel(true.tones) - decibel(played - true.tones) > 12
