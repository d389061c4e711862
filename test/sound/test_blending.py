"""Mixes of several drums."""

import math
import time

import drums
import numpy as np
import pytest
import torch
from auraloss.freq import MultiResolutionSTFTLoss
from voices import voice_of_sines

import drumblender
from drumblender.errors import DrumblenderError, UsageError

RATE = 48_000
KICK, SNARE, TOM, CYMBAL = (
    "bd/kick/bd_808.flac",
    "drum/snare/drum_snare_hard.flac",
    "drum/tom/drum_tom_mid_hard.flac",
    "drum/cymbals/drum_cymbal_hard.flac",
)


@pytest.fixture(scope="module")
def voice():
    return drumblender.load(device="cpu")


@pytest.fixture(scope="module")
def four(voice, repository):
    """Four recorded drums of different kinds."""
    return [
        voice.decompose(repository / "audio/one-shots" / name, seed=seed)
        for seed, name in enumerate((KICK, SNARE, TOM, CYMBAL))
    ]


@pytest.fixture(scope="module")
def trained(repository):
    """The same four, taken apart by a model that predicts noise and transient."""
    voice = drumblender.load("drums", device="cpu")
    return [
        voice.decompose(repository / "audio/one-shots" / name, seed=seed)
        for seed, name in enumerate((KICK, SNARE, TOM, CYMBAL))
    ]


def change(x, y):
    """Energy of the difference of two sounds relative to the second one, in dB."""
    length = max(len(x), len(y))
    x, y = (np.pad(z, (0, length - len(z))) for z in (x, y))
    return 10 * math.log10(np.square(x - y).sum() / np.square(y).sum() + 1e-20)


def tone(hz, t60=0.5, level=0.3, seconds=0.6):
    """A tone that decays."""
    since = np.arange(int(seconds * RATE)) / RATE
    return level * 10 ** (-3 * since / t60) * np.sin(2 * np.pi * hz * since)


@pytest.mark.parametrize("amount", [0.0, 0.25, 0.7, 1.0])
def test_a_mix_of_two_is_their_blend(four, amount):
    a, b = four[:2]
    mixed = drumblender.mix([a, b], [1 - amount, amount]).render()
    assert np.array_equal(mixed, drumblender.blend(a, b, amount).render())


def test_a_sound_that_has_all_the_weight_is_returned_as_it_is(four):
    for index, sound in enumerate(four):
        weights = [0.0] * 4
        weights[index] = 3.0
        assert drumblender.mix(four, weights) is sound


def test_a_sound_without_weight_is_as_if_it_were_not_given(four):
    kick, snare, tom, cymbal = four
    mixed = drumblender.mix([kick, snare, tom, cymbal], [0.3, 0.5, 0.0, 0.2])
    assert np.array_equal(
        mixed.render(), drumblender.mix([kick, snare, cymbal], [0.3, 0.5, 0.2]).render()
    )
    blended = drumblender.blend(kick, tom, 0.25).render()
    assert np.array_equal(drumblender.mix(four, drumblender.corners(0, 0.25)).render(), blended)


def test_only_the_ratios_of_the_weights_count(four):
    one, other = (drumblender.mix(four, np.array([1.0, 2.0, 3.0, 2.0]) * x) for x in (1, 1e-300))
    assert change(one.render(), other.render()) < -120


@pytest.mark.parametrize("order", [(3, 2, 1, 0), (1, 3, 0, 2)])
@pytest.mark.parametrize("weights", [(0.4, 0.3, 0.2, 0.1), (0.02, 0.9, 0.04, 0.04)])
def test_the_order_of_the_sounds_makes_no_difference(four, order, weights):
    """But for what is drawn by chance, which is little here."""
    mixed = drumblender.mix([four[k] for k in order], [weights[k] for k in order])
    assert change(mixed.render(), drumblender.mix(four, weights).render()) < -80


@pytest.mark.parametrize(
    "weights", [(0.25, 0.25, 0.25, 0.25), (0.5, 0.3, 0.1, 0.1), (0.94, 0.02, 0.03, 0.01)]
)
def test_a_hair_of_a_weight_changes_a_hair_of_the_sound(four, weights):
    before = drumblender.mix(four, weights).render()
    for index in range(4):
        moved = list(weights)
        moved[index] += 1e-6
        assert change(drumblender.mix(four, moved).render(), before) < -70


@pytest.mark.parametrize("index", range(4))
def test_a_sound_comes_in_by_a_hair(four, index):
    weights = [0.4, 0.3, 0.2, 0.3]
    weights[index] = 0.0
    before = drumblender.mix(four, weights).render()
    weights[index] = 1e-6
    assert change(drumblender.mix(four, weights).render(), before) < -30


def test_three_drums_meet_at_the_weighted_geometric_mean():
    voice = voice_of_sines()
    sounds = [
        voice.decompose(tone(hz, t60, level), RATE)
        for hz, t60, level in ((200, 0.5, 0.4), (300, 0.25, 0.1), (250, 0.4, 0.2))
    ]
    weights = [0.5, 0.2, 0.3]
    x = drumblender.mix(sounds, weights).render()
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)), 16 * len(x)))
    hz = spectrum.argmax() * RATE / (16 * len(x))
    assert hz == pytest.approx(200**0.5 * 300**0.2 * 250**0.3, rel=0.003)
    assert np.abs(x[:2400]).max() == pytest.approx(0.4**0.5 * 0.1**0.2 * 0.2**0.3, rel=0.2)


@pytest.mark.parametrize("kind", ["tom", "gliding kick", "conga"])
def test_a_mix_is_the_drum_of_middle_parameters(voice, kind):
    """Compare with a cross-fade, which has all tones of all drums."""
    first = drums.draw(kind, 30)
    alike = [(first, 30)]
    for seed in range(31, 90):
        found = drums.draw(kind, seed)
        if len(found.frequency) == len(first.frequency) and len(alike) < 3:
            alike.append((found, seed))
    parts = [drums.render(found, seed) for found, seed in alike]
    weights = [0.4, 0.35, 0.25]
    middle = drums.between(drums.between(alike[0][0], alike[1][0], 0.35 / 0.75), alike[2][0], 0.25)
    truth = drums.render(middle, 30).mix
    sounds = [voice.decompose(x.mix, RATE, seed=3) for x in parts]

    def distance(x):
        x = np.pad(x, (0, max(0, len(truth) - len(x))))[: len(truth)]
        x, y = (torch.from_numpy(np.asarray(z)).float()[None, None] for z in (x, truth))
        return MultiResolutionSTFTLoss()(x, y).item()

    faded = sum(weight * x.mix for weight, x in zip(weights, parts))
    assert distance(drumblender.mix(sounds, weights).render()) < 0.5 * distance(faded)


def test_a_mix_of_a_sound_with_itself_is_this_sound(four):
    for sound in four:
        mixed = drumblender.mix([sound] * 3, [0.2, 0.3, 0.5]).render()
        assert change(mixed, sound.recording[:, 0]) < -60


def test_sounds_of_a_trained_voice_mix_as_well(trained):
    a, b, c, d = trained
    assert drumblender.mix(trained, [0, 0, 1, 0]) is c
    blended = drumblender.blend(a, b, 0.3)
    assert np.array_equal(drumblender.mix([a, b], [0.7, 0.3]).render(), blended.render())
    weights = [0.4, 0.3, 0.2, 0.1]
    mixed = drumblender.mix(trained, weights)
    assert torch.allclose(
        mixed.parameters["transient"],
        sum(w * x.parameters["transient"] for w, x in zip(weights, trained)),
        atol=1e-6,
    )
    before = mixed.render()
    assert change(drumblender.mix(trained, [0.4 + 1e-6, *weights[1:]]).render(), before) < -70
    again = drumblender.mix([d, c, b, a], weights[::-1]).with_seed(a.seed)
    assert change(again.render(), before) < -80


def test_the_rate_and_the_length_are_the_highest_of_those_that_are_heard(voice):
    low = voice.decompose(tone(300)[::3], RATE // 3)
    sounds = [low, voice.decompose(tone(400, seconds=0.9), RATE), low.with_pitch(2)]
    mixed = drumblender.mix(sounds, [1, 1, 1])
    assert mixed.sample_rate == RATE
    assert mixed.seconds == pytest.approx(0.9)
    assert drumblender.mix(sounds, [1, 0, 1]).sample_rate == RATE // 3


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2, 3], "4 sounds do not go with 3 weights; give one weight for each sound"),
        ([1, -1, 1, 1], "A weight of -1 does not work; give a number, 0 or more"),
        ([1, math.nan, 1, 1], "A weight of nan does not work"),
        ([1, math.inf, 1, 1], "A weight of inf does not work"),
        ([1, "loud", 1, 1], "A weight of loud does not work"),
        ([0, 0, 0, 0], "No sound has a weight above 0"),
        ([], "No sound has a weight above 0"),
    ],
)
def test_weights_that_do_not_work_are_refused(four, weights, message):
    with pytest.raises(UsageError, match=message):
        drumblender.mix(four, weights)


def test_sounds_that_do_not_go_together_are_refused(voice, four):
    with pytest.raises(UsageError, match="two models"):
        drumblender.mix([four[0], voice_of_sines().decompose(tone(200), RATE)], [1, 0])
    two, six = (voice.decompose(np.ones((600, count)), RATE) for count in (2, 6))
    with pytest.raises(DrumblenderError, match="2 and 6 channels"):
        drumblender.mix([four[0], two, six], [1, 1, 1])


def test_the_corners_of_a_square_have_bilinear_weights():
    assert drumblender.corners(0, 0) == (1, 0, 0, 0)
    assert drumblender.corners(1, 0) == (0, 1, 0, 0)
    assert drumblender.corners(0, 1) == (0, 0, 1, 0)
    assert drumblender.corners(1, 1) == (0, 0, 0, 1)
    assert drumblender.corners(0.2, 0.6) == pytest.approx((0.32, 0.08, 0.48, 0.12))
    for x, y in ((-0.1, 0), (0, 1.1), (math.nan, 0)):
        with pytest.raises(UsageError, match="give 0 to 1"):
            drumblender.corners(x, y)


def test_four_drums_are_mixed_at_once(four):
    drumblender.mix(four, [1, 1, 1, 1]).render()
    start = time.process_time()
    drumblender.mix(four, [4, 3, 2, 1]).render()
    assert time.process_time() - start < 2.0
