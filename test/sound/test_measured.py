"""The voice that needs no training: what is not changed is the recording, and edits are small."""

import math

import drums
import numpy as np
import pytest
import soundfile
import torch
from auraloss.freq import MultiResolutionSTFTLoss

import drumblender
from drumblender.errors import DrumblenderError, UsageError
from drumblender.tasks.measured import MeasuredTransient

RATE = 48000
SNARE = "drum/snare/drum_snare_hard.flac"
BUNDLED = (
    SNARE,
    "bd/kick/bd_808.flac",
    "drum/tom/drum_tom_mid_hard.flac",
    "perc/percussion/perc_swash.flac",  # stereo
)


@pytest.fixture(scope="module")
def voice():
    return drumblender.load(device="cpu")


@pytest.fixture(scope="module")
def sounds(voice, repository):
    return {
        name: voice.decompose(repository / "audio/one-shots" / name, seed=1) for name in BUNDLED
    }


def recorded(sound):
    return sound.recording[:, 0] if sound.channels == 1 else sound.recording


def change(x, y):
    """Energy of the difference of two sounds relative to the second one, in dB."""
    length = max(len(x), len(y))
    x, y = (np.pad(z, [(0, length - len(z))] + [(0, 0)] * (z.ndim - 1)) for z in (x, y))
    return 10 * math.log10(np.square(x - y).sum() / np.square(y).sum() + 1e-20)


def drum(kind, seed):
    """A drum whose parts are known, with its description."""
    found = drums.draw(kind, seed)
    return found, drums.render(found, seed)


def mss(x, y):
    x = np.pad(x, (0, max(0, len(y) - len(x))))[: len(y)]
    x, y = (torch.from_numpy(np.asarray(z)).float()[None, None] for z in (x, y))
    return MultiResolutionSTFTLoss()(x, y).item()


def take_apart(voice, parts):
    return voice.decompose(parts.mix, RATE, seed=3)


@pytest.mark.parametrize("name", BUNDLED)
def test_a_sound_that_is_not_changed_is_the_recording(sounds, name):
    sound = sounds[name]
    assert np.abs(sound.render() - recorded(sound)).max() < 2**-17
    assert np.abs(sum(sound.stems().values()) - recorded(sound)).max() < 2**-17


@pytest.mark.parametrize("rate", [4000, 8000, 22050, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_rate_length_and_channels_are_those_of_the_recording(voice, rate, channels):
    time = np.arange(rate // 4) / rate
    x = np.exp(-time / 0.05) * np.sin(2 * np.pi * 300 * time)
    x = x[:, None] * np.linspace(1, 0.5, channels)
    y = voice.decompose(x, rate).render()
    assert np.abs(y.reshape(x.shape) - x).max() < 2**-17


@pytest.mark.parametrize("count", [1, 37, 511, 512, 513])
def test_sounds_of_few_samples_come_back(voice, count):
    x = np.random.default_rng(count).uniform(-1, 1, count).astype(np.float32)
    sound = voice.decompose(x, RATE)
    assert np.abs(sound.render() - x).max() < 2**-17
    assert np.isfinite(sound.with_pitch(3).with_decay(2).render()).all()


def test_silence_stays_silent_whatever_is_changed(voice):
    sound = voice.decompose(np.zeros(4800), RATE)
    assert sound.is_silent
    changed = sound.with_pitch(5).with_decay(3).with_attack(2).with_variation(1, seed=0)
    assert not changed.render().any()


def test_a_recording_below_60_decibels_is_no_silence(voice):
    x = 1e-4 * np.random.default_rng(0).standard_normal(4800).astype(np.float32)
    assert np.abs(voice.decompose(x, RATE).render() - x).max() < 1e-7


def test_a_rate_that_is_too_low_is_refused(voice):
    with pytest.raises(DrumblenderError, match="too low to be taken apart; convert it to 4000 Hz"):
        voice.decompose(np.ones(100), 2000)


# A hair of each control, and how little it may change. The phase of a high mode turns in the end
# by as much as its cents say, so that sounds without high and long modes are looked at.
@pytest.mark.parametrize("name", BUNDLED)
@pytest.mark.parametrize(
    ("edit", "most"),
    [
        (lambda s: s.with_pitch(1e-4), -55),
        (lambda s: s.with_pitch(1e-4, noise=True), -55),
        (lambda s: s.with_decay(1.0001), -50),
        (lambda s: s.with_decay(0.9999), -50),
        (lambda s: s.with_brightness(1e-3), -60),
        (lambda s: s.with_attack(1.001), -60),
        (lambda s: s.with_gain(1e-3, noise=1e-3, modal=-1e-3), -60),
        (lambda s: s.with_variation(1e-3, seed=5), -50),
    ],
)
def test_a_hair_of_a_control_changes_a_hair_of_the_sound(sounds, name, edit, most):
    sound = sounds[name]
    assert change(edit(sound).render(), recorded(sound)) < most


@pytest.mark.parametrize("name", [SNARE, "bd/kick/bd_808.flac"])
def test_a_hair_of_another_sound_changes_a_hair(sounds, name):
    sound, other = sounds[name], sounds["drum/tom/drum_tom_mid_hard.flac"]
    between = [drumblender.blend(sound, other, x).render() for x in (1e-5, 1e-3)]
    assert change(between[0], recorded(sound)) < -30
    assert change(between[1], recorded(sound)) < -25


@pytest.mark.parametrize("name", BUNDLED)
def test_a_blend_of_a_sound_with_itself_is_this_sound(sounds, name):
    sound = sounds[name]
    assert change(drumblender.blend(sound, sound, 0.5).render(), recorded(sound)) < -60


def test_transients_are_cross_faded_with_the_energy_between_theirs():
    part = MeasuredTransient()
    a, b = torch.randn(2, 1, 4_000, generator=torch.Generator().manual_seed(0))
    b = 0.3 * b
    for amount in (0.2, 0.5, 0.9):
        made = part.mix([a, b], [1 - amount, amount], (4_000, 4_000))
        energy = (1 - amount) * a.square().sum() + amount * b.square().sum()
        assert made.square().sum().item() == pytest.approx(energy.item(), rel=1e-4)
        assert torch.allclose(part.mix([a, a], [1 - amount, amount], (4_000, 4_000)), a, atol=1e-5)
        assert torch.isfinite(part.mix([a, -a], [1 - amount, amount], (4_000, 4_000))).all()


def test_the_image_of_the_channels_stays_when_modes_move(voice):
    time = np.arange(RATE) / RATE
    modes = [np.exp(-time / 0.2) * np.sin(2 * np.pi * f * time) for f in (200.0, 310.0)]
    x = np.stack([0.5 * modes[0] + 0.2 * modes[1], 0.25 * modes[0] - 0.2 * modes[1]], 1)
    moved = voice.decompose(x, RATE).with_pitch(3).render()
    for hz, ratio in ((200.0, 0.5), (310.0, -1.0)):
        tone = np.exp(-2j * np.pi * hz * 2**0.25 * time) * np.exp(-time / 0.2)
        left, right = tone @ moved
        assert right / left == pytest.approx(ratio, abs=0.06)


@pytest.mark.parametrize("kind", ["kick", "gliding kick", "snare", "tom", "conga", "cowbell"])
def test_moved_tones_are_those_of_the_moved_drum(voice, kind):
    description, parts = drum(kind, 30)
    sound = take_apart(voice, parts)
    for semitones in (-4, 5):
        truth = drums.render(description.with_pitch(semitones), 30).mix
        distance = mss(sound.with_pitch(semitones).render(), truth)
        assert distance < 0.35 * mss(parts.mix, truth)


@pytest.mark.parametrize("kind", ["kick", "snare", "open hi-hat", "clap"])
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_another_decay_is_that_of_the_drum_that_decays_so(voice, kind, factor):
    description, parts = drum(kind, 30)
    truth = drums.render(description.with_decay(factor), 30).mix
    distance = mss(take_apart(voice, parts).with_decay(factor).render(), truth)
    floor = mss(drums.render(description.with_decay(factor), 5030).mix, truth)
    assert distance < 0.6 * mss(parts.mix, truth)
    assert distance < 1.5 * floor


@pytest.mark.parametrize("kind", ["kick", "tom", "gliding kick", "wood block"])
def test_a_blend_is_the_drum_of_middle_parameters(voice, kind):
    (a, one), (b, other) = drum(kind, 30), drum(kind, 31)
    if len(a.frequency) != len(b.frequency):
        b, other = next(
            found
            for found in (drum(kind, seed) for seed in range(32, 60))
            if len(found[0].frequency) == len(a.frequency)
        )
    truth = drums.render(drums.between(a, b, 0.5), 30).mix
    blend = drumblender.blend(take_apart(voice, one), take_apart(voice, other), 0.5).render()
    assert mss(blend, truth) < 0.6 * mss(0.5 * (one.mix + other.mix), truth)


def test_sounds_begin_together_in_a_blend(voice):
    _, parts = drum("tom", 30)
    late = np.concatenate([np.zeros(4800), parts.mix])
    a, b = take_apart(voice, parts), voice.decompose(late, RATE, seed=3)
    between = drumblender.blend(a, b, 0.5).render()
    shifted = np.concatenate([np.zeros(2400), parts.mix])
    assert change(between[:RATE], shifted[:RATE].astype(np.float32)) < -25


def test_sounds_of_two_rates_blend_at_the_higher_one(voice):
    def bell(hz, rate):
        time = np.arange(rate // 2) / rate
        return np.exp(-time / 0.1) * np.sin(2 * np.pi * hz * time)

    a, b = voice.decompose(bell(400, 16000), 16000), voice.decompose(bell(900, 44100), 44100)
    for one, other in ((a, b), (b, a)):
        between = drumblender.blend(one, other, 0.5)
        assert between.sample_rate == 44100
        x = between.render()
        spectrum = np.abs(np.fft.rfft(x, 4 * 44100))
        assert spectrum.argmax() / 4 == pytest.approx(600, abs=3)


def test_a_part_of_another_recording_begins_with_the_drum(voice):
    _, parts = drum("snare", 30)
    late = voice.decompose(np.concatenate([np.zeros(9600), parts.mix]), RATE, seed=3)
    early = take_apart(voice, parts)
    mixed = late.with_noise(early)
    assert change(mixed.render(), late.render()) < -30
    assert change(early.with_noise(late).render(), early.render()) < -30


def test_channels_that_do_not_go_together_are_refused(voice):
    two, six = (voice.decompose(np.ones((600, count)), RATE, whole=False) for count in (2, 6))
    with pytest.raises(DrumblenderError, match="2 and 6 channels"):
        drumblender.blend(two, six, 0.5)


@pytest.mark.slow
def test_strokes_of_a_loop_stay_where_they_are_when_the_decay_changes(voice):
    loop = drums.render_loop(drums.strokes("beat", 3))
    sound = voice.decompose(loop.mix, RATE, seed=3)
    onsets = np.array(sound.timeline.onsets) / RATE
    assert len(onsets) > 3
    for factor in (0.5, 2.0):
        changed = sound.with_decay(factor)
        again = voice.decompose(changed.render(), RATE, seed=3)
        found = np.array(again.timeline.onsets) / RATE
        missed = [onset for onset in onsets if np.abs(found - onset).min() > 0.01]
        assert len(missed) <= 1


def test_a_long_808_decays_without_beating(voice):
    _, parts = drum("long 808", 31)
    sound = take_apart(voice, parts).with_gain(noise=-math.inf, transient=-math.inf)
    x = sound.with_decay(3).render()
    power = np.square(x[RATE // 4 : 2 * RATE]).reshape(-1, 2400).mean(1)
    level = 10 * np.log10(power)
    line = np.polyval(np.polyfit(np.arange(len(level)), level, 1), np.arange(len(level)))
    assert np.abs(level - line).max() < 1.5


def test_noise_moves_only_on_request(voice):
    rng = np.random.default_rng(1)
    noise = np.exp(-np.arange(RATE) / 4800) * rng.standard_normal(RATE) * 0.2
    low = np.fft.irfft(np.fft.rfft(noise) * (np.fft.rfftfreq(RATE, 1 / RATE) < 2000), RATE)
    sound = voice.decompose(low, RATE, seed=0)

    def center(x):
        power = np.square(np.abs(np.fft.rfft(x)))
        return (power * np.fft.rfftfreq(len(x), 1 / RATE)).sum() / power.sum()

    assert center(sound.with_pitch(7).render()) == pytest.approx(center(low), rel=0.02)
    moved = sound.with_pitch(7, noise=True)
    assert center(moved.render()) == pytest.approx(center(low) * 2 ** (7 / 12), rel=0.1)


def test_decay_leaves_the_transient_alone(sounds):
    sound = sounds[SNARE]
    longer = sound.with_decay(2).stems()["transient"]
    # Before the onset and at the end, one gain holds all parts.
    kept = slice(round(sound.timeline.onset) + 1, len(recorded(sound)) - 1)
    assert np.array_equal(longer[kept], sound.stems()["transient"][kept])


def test_seeds_decide_what_is_drawn(voice):
    noise = np.exp(-np.arange(RATE // 2) / 2400) * np.random.default_rng(1).standard_normal(
        RATE // 2
    )
    one, same, other = (voice.decompose(noise, RATE, seed=seed).with_decay(6) for seed in (1, 1, 2))
    assert np.array_equal(one.render(), same.render())
    assert not np.array_equal(one.render(), other.render())


def test_a_configuration_is_the_same_voice(voice, repository):
    other = drumblender.load(repository / "cfg/measured.yaml", device="cpu")
    assert other.parts == voice.parts
    assert other.settings == voice.settings
    assert repr(other) == "<Voice of modal, noise, transient at any rate on cpu>"
    x = soundfile.read(repository / "audio/one-shots" / SNARE, dtype="float32")[0]
    renders = [v.decompose(x, 44100, seed=1).with_pitch(2).render() for v in (voice, other)]
    assert np.array_equal(*renders)


def test_a_configuration_of_weights_needs_its_checkpoint(repository):
    with pytest.raises(
        UsageError, match="has weights that have to be learned; give its checkpoint"
    ):
        drumblender.load(repository / "cfg/01_noise_params.yaml")


def test_measured_parts_need_the_analysis_that_separates(repository, tmp_path):
    overlay = f"base: {repository}/cfg/measured.yaml\ndata: {{init_args: {{method: coverage}}}}\n"
    (tmp_path / "other.yaml").write_text(overlay)
    with pytest.raises(UsageError, match="measured parts need `method: separating`.*not coverage"):
        drumblender.load(tmp_path / "other.yaml", device="cpu")


def rise(x, rate):
    """By how many dB the smoothed level rises again after its peak, down to -45 dB."""
    window = np.hanning(int(0.03 * rate))
    power = x**2
    for _ in range(2):
        power = np.convolve(power, window / window.sum(), "same")
    level = 10 * np.log10(power + 1e-12)
    level = level[level.argmax() :] - level.max()
    below = np.nonzero(level < -45)[0]
    level = level[: below[0]] if len(below) else level
    return (level - np.minimum.accumulate(level)).max()


@pytest.mark.parametrize("name", ["bd_klub", "bd_pure", "bd_tek"])
def test_a_recorded_kick_decays_for_longer_without_beating(name, repository):
    path = repository / f"audio/one-shots/bd/kick/{name}.flac"
    recorded, rate = soundfile.read(path, always_2d=True)
    longer = drumblender.load(device="cpu").decompose(path).with_decay(3).render()
    heard = np.atleast_2d(longer).reshape(-1, max(longer.shape))[0].astype(float)
    assert rise(heard, rate) < rise(recorded[:, 0], rate) + 1
