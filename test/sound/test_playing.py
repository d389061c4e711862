"""Sounds begin where their recordings begin, without a step, and end no harder."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn
from voices import voice_of, voice_of_sines

import drumblender
from drumblender.models.encoders import NoiseParameters
from drumblender.synths import ModalSynth, NoiseGenerator
from drumblender.tasks import Blender

RATE = 48_000
NEAR = 0.00025  # seconds
RECORDINGS = (
    "drum_cymbal_closed",
    "drum_snare_hard",
    "drum_tom_lo_hard",
    "bd_klub",
    "sn_zome",
    "elec_chime",
)
EDITS = {
    "unchanged": lambda sound: sound,
    "higher": lambda sound: sound.with_pitch(3),
    "longer": lambda sound: sound.with_decay(2),
    "shorter": lambda sound: sound.with_decay(0.5),
    "varied": lambda sound: sound.with_variation(1, seed=3),
    "blended with another": lambda sound: drumblender.blend(sound, sound.with_pitch(-5), 0.5),
}


@pytest.fixture(scope="module")
def sines():
    """A voice of sinusoids that cover all of a recording."""
    return voice_of_sines()


@pytest.fixture(scope="module")
def measured():
    return drumblender.load(device="cpu")


@pytest.fixture(scope="module")
def hissing():
    """A model whose noise sounds all the time, at a level of its own."""
    encoder = NoiseParameters((375, 128))
    encoder.noise_params = nn.Parameter(torch.full((375, 128), 0.05))
    return voice_of(Blender(ModalSynth(), NoiseGenerator(256), noise_autoencoder=encoder))


def tone(frequency=400.0, seconds=0.5, t60=0.5, level=0.3):
    t = np.arange(int(seconds * RATE)) / RATE
    return level * 10 ** (-3 * t / t60) * np.sin(2 * np.pi * frequency * t + 0.5)


def as_it_comes(sound):
    """A sound that is not held below the outline of its recording."""
    return dataclasses.replace(
        sound, timeline=dataclasses.replace(sound.timeline, outline=None)
    ).render()


def onset(x, peak, decibels=-20):
    return int(np.argmax(np.abs(x) >= peak * 10 ** (decibels / 20)))


def decibels(x):
    return 20 * math.log10(max(x, 1e-3))  # -60 dB is silence here


def check_beginning(made, recorded, rate):
    """The onset is within 0.25 ms, and nothing before it exceeds the recording by 6 dB."""
    peak = np.abs(recorded).max()
    first, expected = onset(made, peak), onset(recorded, peak)
    assert abs(first - expected) <= math.ceil(NEAR * rate)
    level, own = (np.maximum.accumulate(np.abs(x)) / peak for x in (made, recorded))
    for time in range(0, expected, 3):
        allowed = own[time + math.ceil(NEAR * rate)]
        assert decibels(level[time]) < decibels(allowed) + 6
    assert decibels(abs(made[0]) / peak) < max(-25, decibels(abs(recorded[0]) / peak) + 6)


def check_end(made, recorded, rate):
    peak, last = np.abs(recorded).max(), max(1, round(0.0005 * rate))
    level, own = (decibels(np.abs(x[-last:]).max() / peak) for x in (made, recorded))
    assert level < own + 6


@pytest.mark.parametrize("name", RECORDINGS)
def test_sinusoids_begin_and_end_as_a_bundled_recording_does(name, sines, repository):
    (path,) = (repository / "audio/one-shots").rglob(f"{name}.flac")
    sound = sines.decompose(path)
    recorded, rate = sound.recording[:, 0], sound.sample_rate
    peak = np.abs(recorded).max()
    # Without the outline, they begin with a step.
    assert decibels(abs(as_it_comes(sound)[0]) / peak) > decibels(abs(recorded[0]) / peak) + 20
    for edit in ("unchanged", "longer", "shorter", "varied"):
        made = EDITS[edit](sound).render()
        if edit != "varied":  # which may be louder
            check_beginning(made, recorded, rate)
        check_end(made, recorded, rate)


@pytest.mark.parametrize("name", ["drum_snare_hard", "bd_klub"])
@pytest.mark.parametrize("edit", EDITS)
def test_a_measured_sound_begins_as_its_recording_whatever_is_changed(
    edit, name, measured, repository
):
    (path,) = (repository / "audio/one-shots").rglob(f"{name}.flac")
    sound = measured.decompose(path, seed=0)
    made = EDITS[edit](sound).render().reshape(-1, sound.channels)
    for channel in range(sound.channels):
        if edit != "varied":
            check_beginning(made[:, channel], sound.recording[:, channel], sound.sample_rate)
        check_end(made[:, channel], sound.recording[:, channel], sound.sample_rate)


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 96_000])
def test_a_recording_of_another_rate_begins_without_the_ringing_of_a_resampler(rate, sines):
    t = np.arange(int(0.3 * rate)) / rate
    noise = np.random.default_rng(0).choice([-0.5, 0.5], len(t))
    recorded = np.concatenate([np.full(rate // 100, 1e-6), noise * np.exp(-t / 0.02)])
    sound = sines.decompose(recorded, rate)
    made, free = sound.render(), as_it_comes(sound)
    before = slice(0, rate // 100 - math.ceil(NEAR * rate))
    assert np.abs(free[before]).max() > 0.05
    assert np.abs(made[before]).max() < 0.003
    assert onset(made, 0.5) == pytest.approx(rate // 100, abs=NEAR * rate)


@pytest.mark.parametrize("level", [0.3, 0.02, 0.002])
def test_a_quiet_recording_begins_as_a_loud_one_does(level, sines):
    # The onset lies in the last quarter of a frame in which silence is looked for.
    recorded = np.concatenate([np.zeros(200), tone(700, level=level)])
    made = sines.decompose(recorded, RATE).render()
    assert abs(onset(made, level) - onset(recorded, level)) <= 12
    assert not sines.decompose(1e-4 * recorded / level, RATE).render().any()


@pytest.mark.parametrize("silence", [0, 37, 1000, 5003])
@pytest.mark.parametrize("seed", [0, 1])
def test_noise_of_a_model_does_not_begin_before_the_recording(silence, seed, hissing):
    recorded = np.concatenate([np.zeros(silence), tone()])
    sound = hissing.decompose(recorded, RATE, seed=seed)
    made = sound.render()
    assert not made[:silence].any()
    assert np.abs(made[silence : silence + 24]).max() > 0.1
    assert np.abs(sound.stems()["noise"][silence + 480 :]).max() > 0.02


def test_every_stroke_of_a_loop_begins_where_it_was_played(sines):
    recorded = np.zeros(RATE)
    starts = (2000, 14_123, 31_077)
    for number, start in enumerate(starts):
        recorded[start:] += tone(300 + 100 * number, 1.0, t60=0.15)[: RATE - start]
    sound = sines.decompose(recorded, RATE)
    made, free = sound.render(), as_it_comes(sound)
    for start in starts[1:]:
        before = slice(start - 300, start - 12)
        ringing = np.abs(recorded[start - 900 : start]).max()
        assert np.abs(made[before]).max() < 2 * ringing + 1e-4
    early = [np.abs(free[start - 300 : start - 12]).max() for start in starts]
    assert max(early) > 0.05


def test_channels_keep_their_own_onsets(sines):
    late = np.concatenate([np.zeros(150), tone(700)])[: RATE // 2]
    recorded = np.stack([tone(700), late], axis=1)
    made = sines.decompose(recorded, RATE, stereo=True).render()
    assert onset(made[:, 0], 0.3) <= 12
    assert not made[:140, 1].any()
    assert abs(onset(made[:, 1], 0.3) - onset(late, 0.3)) <= 12


def test_one_channel_and_two_are_blended(measured):
    one = measured.decompose(tone(), RATE, seed=1)
    two = measured.decompose(np.stack([tone(700), 0.5 * tone(900)], axis=1), RATE, seed=2)
    for mixed in (drumblender.blend(one, two, 0.4), one.with_noise(two), two.with_modal(one)):
        made = mixed.render()
        assert made.shape == (len(tone()), 2)
        assert np.abs(made).max() > 0.05


def test_stems_add_up_and_a_muted_part_leaves_the_others_alone(hissing):
    sound = hissing.decompose(np.concatenate([np.zeros(300), tone()]), RATE, seed=1)
    stems = sound.stems()
    np.testing.assert_allclose(sum(stems.values()), sound.render(), atol=1e-6)
    assert not stems["noise"][:300].any()
    for name, other in (("modal", "noise"), ("noise", "modal")):
        alone = sound.with_gain(**{name: -math.inf}).stems()
        assert not alone[name].any()
        np.testing.assert_array_equal(alone[other], stems[other])


def test_a_hard_end_is_the_recordings_own_and_goes_with_another_length(sines):
    cut = tone(2000, 0.3, t60=2.0)
    sound = sines.decompose(cut, RATE)
    last = slice(-48, None)
    own = np.abs(as_it_comes(sound)[last]).max()
    assert own > 0.5 * np.abs(cut[last]).max()
    np.testing.assert_array_equal(sound.render()[last], as_it_comes(sound)[last])
    for factor in (0.5, 1.5, 3.0):
        changed = sound.with_decay(factor)
        assert np.abs(as_it_comes(changed)[last]).max() > 0.5 * own
        made = changed.render()
        assert np.abs(made[-12:]).max() < 1e-4
        # A fade, and no step: within a millisecond nothing falls by more than a half.
        level = np.abs(made[-480:]).reshape(-1, 48).max(1)
        assert (np.diff(level) > -0.5 * level.max()).all()
    near = sound.with_decay(1.00001)
    np.testing.assert_allclose(near.render(), as_it_comes(near), atol=1e-3)


def test_only_the_first_segment_begins_and_only_the_last_one_ends(hissing):
    slow = np.linspace(0, 1, RATE) * tone(200, 1.0, t60=9.0, level=0.5)
    slow[-480:] *= np.linspace(1, 0, 480)
    whole = hissing.prepare(slow, RATE)
    for begins in (True, False):
        for ends in (True, False):
            segment = dataclasses.replace(whole, begins=begins, ends=ends)
            (sound,) = hissing.decompose_prepared([segment], [0])
            made, free = sound.render(), as_it_comes(sound)
            assert np.array_equal(made[:480], free[:480]) == (not begins)
            assert np.array_equal(made[-480:], free[-480:]) == (not ends)


def test_a_blend_begins_between_its_two_sounds(sines):
    one, other = (
        np.concatenate([np.zeros(silence), tone(frequency)])
        for silence, frequency in ((40, 500), (140, 600))
    )
    a, b = sines.decompose(one, RATE), sines.decompose(other, RATE)
    for amount, expected in ((0.25, 65), (0.5, 90), (0.75, 115)):
        made = drumblender.blend(a, b, amount).render()
        # A tone may begin near a zero crossing, so that it is soft at first.
        assert abs(onset(made, np.abs(made).max(), decibels=-26) - expected) <= 12


def test_the_smallest_sounds_and_silence_are_played(hissing, measured):
    few = np.sin(np.arange(37.0)) * 0.5
    for voice in (hissing, measured):
        made = voice.decompose(few, RATE, seed=0).with_decay(1.5).render()
        assert np.isfinite(made).all()
        assert not voice.decompose(np.zeros(37), RATE).render().any()
    unchanged = measured.decompose(few, RATE, seed=0).render()
    np.testing.assert_allclose(unchanged, few, atol=2**-17)
