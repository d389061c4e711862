"""Instruments play what sounds are, block by block, and follow their controls."""

import dataclasses

import numpy as np
import pytest
import torch
from small_models import RATE, WIRINGS, drum, write_checkpoint

import drumblender
from drumblender.errors import UsageError
from drumblender.export.instrument.building import drum_of, instrument_of
from drumblender.export.instrument.pad import Pad
from drumblender.live.onsets import Detector
from drumblender.sound import Voice
from drumblender.tasks.checkpoint import load_model

SIZES = (37, 128, 32, 2048, 1, 500)


@pytest.fixture(scope="module")
def voice():
    return drumblender.load()


@pytest.fixture(scope="module")
def sound(voice, tmp_path_factory):
    """A measured drum, which begins and ends as its parts do."""
    path = drum(tmp_path_factory.mktemp("sound") / "drum.wav", channels=2)
    return freed(voice.decompose(path, seed=0))


def freed(sound):
    """A sound without the outline of its recording, which a change of pitch leaves as it is."""
    return dataclasses.replace(sound, timeline=dataclasses.replace(sound.timeline, outline=None))


@torch.no_grad()
def played(instrument, length, triggers=((0, 1.0),), sizes=SIZES):
    """Play hits of the first drum in blocks of changing sizes, to (B, C, 3, length)."""
    x = torch.zeros(1, len(instrument.drums), length)
    for place, level in triggers:
        x[0, 0, place] = level
    made, begin = [], 0
    while begin < length:
        size = sizes[len(made) % len(sizes)]
        made.append(instrument.triggered(x[..., begin : begin + size]))
        begin += size
    return torch.cat(made, -1)[0].numpy()


def parts(sound, instrument):
    """What the parts of a sound contribute from the beginning of its drum on, (C, 3, N)."""
    stems = sound.stems(sound.timeline.sample_rate)
    kinds = ("modal", "noise", "transient")
    zero = np.zeros_like(next(iter(stems.values())))
    whole = np.stack([np.atleast_2d(stems.get(kind, zero).T) for kind in kinds], 1)
    return whole[..., sound.timeline.lead + instrument.drums[0].start :]


def difference(made, expected):
    """In dB relative to the peak of the sum."""
    peak = np.abs(expected.sum(1)).max()
    return 20 * np.log10(np.abs(made - expected).max() / peak + 1e-12)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_hits_of_models_are_their_sounds(wiring, repository, tmp_path):
    model = load_model(write_checkpoint(tmp_path, repository, wiring))
    sound = Voice(model).decompose(drum(tmp_path / "drum.wav"), seed=3)
    instrument = instrument_of([sound])
    expected = parts(sound, instrument)
    assert difference(played(instrument, expected.shape[-1]), expected) < -100


def test_hits_of_recordings_are_their_sounds_at_any_pitch(sound):
    instrument = instrument_of([sound])
    for semitones in (0, 7):
        instrument.set("pitch", semitones)
        expected = parts(sound.with_pitch(semitones), instrument)
        assert difference(played(instrument, expected.shape[-1]), expected) < -100
        instrument.reset()


@pytest.mark.parametrize("factor", [0.5, 2.5])
def test_decay_stretches_hits_as_it_stretches_sounds(factor, sound):
    instrument = instrument_of([sound])
    instrument.set("decay", factor)
    expected = parts(sound.with_decay(factor), instrument)
    made = played(instrument, expected.shape[-1] + 1000)
    assert not made[..., expected.shape[-1] + 10 :].any()
    for part in (0, 1):
        powers = [np.square(x[:, part]).sum() for x in (made, expected)]
        assert abs(10 * np.log10(powers[0] / powers[1])) < 0.5
    # Sounds have their envelopes on frames anew, which softens a corner at the attack.
    assert difference(made[..., : expected.shape[-1]], expected) < -15


def test_levels_move_without_a_step_and_hits_add_up(sound):
    instrument = instrument_of([sound])
    alone = played(instrument, 4000)
    instrument.reset()
    both = played(instrument, 4000, ((0, 1.0), (1000, 0.5)))
    assert np.allclose(both[..., :1000], alone[..., :1000], atol=1e-6)
    assert np.allclose(both[..., 1000:], alone[..., 1000:] + 0.5 * alone[..., :3000], atol=1e-6)
    instrument.reset()
    played(instrument, 512)
    instrument.set("modal_gain", -12.0)
    still = torch.zeros(1, 1, 512)
    moved = torch.cat([instrument.triggered(still) for _ in range(2)], -1)[0, :, 0].numpy()
    gain = moved / alone[:, 0, 512 : 512 + 1024]
    gain = np.median(gain, 0)[np.abs(alone[0, 0, 512 : 512 + 1024]) > 1e-3]
    assert 0.95 < gain[0] <= 1
    assert gain[-1] == pytest.approx(10 ** (-12 / 20), rel=1e-3)
    assert np.abs(np.diff(gain)).max() < 0.02


def test_the_oldest_hit_makes_room_softly(sound):
    instrument = instrument_of([sound])
    triggers = [(64 * k + 1, 0.1) for k in range(8)]
    made = played(instrument, 1024, triggers, sizes=(64,))
    assert len(instrument.drums[0].hits) == instrument.drums[0].limit
    assert np.isfinite(made).all()


def test_controls_that_are_out_of_range_are_refused_and_change_nothing(sound):
    instrument = instrument_of([sound])
    assert (instrument.set("decay", 100.0), instrument.get("decay")) == (-1, 1.0)
    assert (instrument.set("pitch", float("nan")), instrument.get("pitch")) == (-1, 0.0)
    assert (instrument.set("noise_gain", float("-inf")), instrument.target[2]) == (0, 0.0)


def test_humanized_hits_differ_a_little(sound):
    instrument = instrument_of([sound])
    instrument.set("humanize", 1.0)
    torch.manual_seed(0)
    first, second = played(instrument, 3000), played(instrument, 3000)
    assert -60 < difference(first, second) < -3


def test_rows_of_a_batch_play_by_themselves(sound):
    instrument = instrument_of([sound, sound])
    x = torch.zeros(3, 2, 1000)
    x[1, 1, 10] = 0.5
    made = instrument.triggered(x)
    assert made.shape == (3, 2, 3, 1000)
    assert made[1].any()
    assert not made[[0, 2]].any()


def test_what_an_instrument_cannot_do_is_refused(sound):
    with pytest.raises(UsageError, match="was made brighter or darker"):
        drum_of(sound.with_brightness(3))


def test_a_pad_hears_the_strokes_that_the_detector_hears():
    rng = np.random.default_rng(0)
    x = 0.001 * rng.standard_normal(RATE * 2)
    starts = (2000, 9000, 15500, 25000)
    for start, level in zip(starts, (0.5, 0.05, 0.9, 0.02)):
        decay = np.exp(-np.arange(1500) / 200)
        x[start : start + 1500] += level * decay * rng.choice([-1, 1], 1500)
    pad, detector = Pad(RATE), Detector(RATE)
    found, expected = [], []
    for begin in range(0, len(x), 500):
        block = x[begin : begin + 500]
        expected += [onset.found - 1 for onset in detector.hear(block)]
        signal = torch.from_numpy(block).float()[None, None]
        found += [(begin + place, level) for _, place, level in pad(signal, -40.0)[0]]
    assert [place for place, _ in found] == expected
    for start, (place, _) in zip(starts, found):
        assert abs(place - start - pad.latency) <= pad.hop / 2 + 1
    levels = [level for _, level in found]
    assert levels == pytest.approx([0.5 * 1.41, 0.05 * 1.41, 1.0, 0.02 * 1.41], rel=0.15)
