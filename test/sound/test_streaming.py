"""Streams: blocks are the whole bit by bit, and controls that move do not click."""

import math
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from small_models import WIRINGS, drum, write_checkpoint
from voices import voice_of

import drumblender
from drumblender.errors import UsageError
from drumblender.parameters import Modes, Timeline
from drumblender.sound import Sound
from drumblender.synths import ModalSynth
from drumblender.tasks import Blender

RATE = 48000
SNARE = "drum/snare/drum_snare_hard.flac"
TOM = "drum/tom/drum_tom_mid_hard.flac"
STEREO = "perc/percussion/perc_swash.flac"


@pytest.fixture(scope="module", params=["measured", "drums"])
def voice(request):
    name = None if request.param == "measured" else "drums"
    return drumblender.load(name, device="cpu")


@pytest.fixture(scope="module")
def measured():
    return drumblender.load(device="cpu")


@pytest.fixture(scope="module")
def of(repository):
    made = {}

    def decompose(voice, name):
        if (voice, name) not in made:
            path = repository / "audio/one-shots" / name
            made[voice, name] = voice.decompose(path, seed=1, stereo=True)
        return made[voice, name]

    return decompose


def whole(sound):
    """The sound at the rate of its parts."""
    return sound.render(sound.timeline.sample_rate)


def joined(stream, changes=()):
    """All blocks of a stream behind each other; controls are set before blocks of some number."""
    changes, blocks = dict(changes), []
    while not stream.ended:
        stream.set(**changes.get(len(blocks), {}))
        blocks.append(stream.next())
    return np.concatenate(blocks)


def same(stream, sound):
    expected, actual = whole(sound), joined(stream)
    return np.array_equal(actual[: len(expected)], expected) and not actual[len(expected) :].any()


def tone(*frequencies, seconds=1.0, amplitudes=None, engine=None):
    """A sound of steady sinusoids, which nothing holds down."""
    engine = engine or voice_of(Blender(ModalSynth())).engine
    count = round(seconds * RATE)
    amplitudes = amplitudes or [0.5 / len(frequencies)] * len(frequencies)
    values = torch.zeros(1, 3, len(frequencies), 100)
    values[0, 0] = torch.tensor(frequencies)[:, None] * 2 * math.pi / RATE
    values[0, 1] = torch.tensor(amplitudes)[:, None]
    return Sound(
        engine=engine,
        parameters={"modal": Modes(values, count, RATE)},
        timeline=Timeline(RATE, 0, count, seconds),
        sample_rate=RATE,
        seed=0,
        gains={"modal": 1.0},
    )


def db(x, reference):
    return 20 * math.log10(np.abs(x).max() / np.abs(reference).max() + 1e-12)


class TestBlocks:
    @pytest.mark.parametrize("size", [32, 100, 128, 1024, 5000])
    def test_are_the_whole_bit_by_bit(self, voice, of, size):
        sound = of(voice, SNARE)
        assert same(voice.stream(sound, size), sound)

    def test_are_the_whole_of_edited_sounds(self, voice, of):
        sound = of(voice, TOM).with_pitch(3).with_decay(1.5).with_gain(-2, noise=4)
        assert same(voice.stream(sound, 96), sound)

    def test_are_the_whole_of_blends_and_of_sounds_that_took_a_part(self, voice, of):
        one, other = of(voice, SNARE), of(voice, TOM)
        for sound in (drumblender.blend(one, other, 0.4), one.with_noise(other)):
            assert same(voice.stream(sound, 128), sound)

    def test_are_the_whole_of_stereo_sounds(self, voice, of):
        sound = of(voice, STEREO)
        assert sound.channels == 2
        assert voice.stream(sound).next().shape == (128, 2)
        assert same(voice.stream(sound, 128), sound)

    @pytest.mark.parametrize("rate", [8000, 44100, 96000])
    def test_are_the_whole_at_any_rate(self, voice, tmp_path, rate):
        sound = voice.decompose(drum(tmp_path / "drum.wav", seconds=0.2, rate=rate), seed=3)
        assert same(voice.stream(sound, 64), sound)

    def test_of_silence_are_silent(self, voice):
        sound = voice.decompose(np.zeros(2000), RATE, seed=0)
        made = joined(voice.stream(sound, 100))
        assert len(made) >= 2000
        assert not made.any()

    def test_of_silence_in_front_are_silent(self, voice, tmp_path):
        path = drum(tmp_path / "drum.wav", seconds=0.1, rate=RATE)
        samples, _ = soundfile.read(path)
        sound = voice.decompose(np.concatenate([np.zeros(3001), samples]), RATE, seed=1)
        assert same(voice.stream(sound, 77), sound)

    @pytest.mark.parametrize("wiring", WIRINGS)
    def test_are_the_whole_in_every_wiring(self, repository, tmp_path, wiring):
        path = write_checkpoint(tmp_path, repository, wiring)
        voice = drumblender.load(path, device="cpu")
        sound = voice.decompose(drum(tmp_path / "drum.wav"), seed=3)
        assert whole(sound).any()
        assert same(voice.stream(sound, 90), sound)

    def test_are_the_whole_where_published_models_round_phases(self, repository, tmp_path):
        write_checkpoint(tmp_path, repository, "T(m) + n")
        paths = tmp_path / "config.yaml", tmp_path / "weights.ckpt"
        voice = drumblender.load(*paths, device="cpu")
        assert voice.engine.model.network.modal_synth.round_phase
        sound = voice.decompose(drum(tmp_path / "drum.wav"), seed=3)
        assert same(voice.stream(sound, 90), sound)

    def test_have_exact_phases_after_a_minute(self):
        sound = tone(1234.5, 7001.25, seconds=60.0)
        stream = voice_of_tone(sound).stream(sound, 4096)
        made = joined(stream)[59 * RATE : 60 * RATE]
        t = (np.arange(59 * RATE, 60 * RATE) + 1) / RATE
        speeds = sound.parameters["modal"].values[0, 0, :, 0].double().numpy() * RATE
        truth = 0.25 * sum(np.sin(speed * t) for speed in speeds)
        assert np.abs(made - truth).max() < 2e-4

    def test_come_again_from_the_beginning(self, voice, of):
        stream = voice.stream(of(voice, SNARE), 128)
        first = stream.next()
        stream.set(pitch=5)
        stream.next()
        assert np.array_equal(stream.again().next(), first)

    def test_with_brightness_and_at_other_rates_are_the_whole_but_for_rounding(self, voice, of):
        sound = of(voice, SNARE).with_brightness(-4)
        assert db(joined(voice.stream(sound))[: len(whole(sound))] - whole(sound), [1]) < -115
        sound = of(voice, SNARE)
        for rate in (32000, 96000):
            expected = sound.render(rate)
            made = joined(voice.stream(sound, 100, rate))[: len(expected)]
            assert db(made - expected, [1]) < -110


def voice_of_tone(sound):
    """The voice of a sound that was made without one."""
    voice = voice_of(Blender(ModalSynth()))
    voice.engine = sound.engine
    return voice


def high_band(x, at, above=4000, size=4096):
    """Energy above a frequency around a sample, relative to all energy there, in dB."""
    window = x[at - size // 2 : at + size // 2] * np.hanning(size)
    power = np.abs(np.fft.rfft(window)) ** 2
    return 10 * math.log10(power[round(above * size / RATE) :].sum() / power.sum() + 1e-20)


class TestControls:
    @pytest.mark.parametrize(
        "change", [{"pitch": 7}, {"pitch": -12}, {"modal": -20}, {"modal": -math.inf}, {"morph": 1}]
    )
    def test_do_not_click(self, change):
        """High frequencies that a change adds are far below those of a step, and hardly heard."""
        sound = tone(200, 331)
        other = tone(240, 300, amplitudes=[0.05, 0.4], engine=sound.engine)
        stream = voice_of_tone(sound).stream(sound, 128, toward=other)
        before = joined(stream)
        after = joined(stream.again(), {0: change})
        made = joined(stream.again(), {150: change})
        at = 150 * 128 + 500
        step = np.concatenate([before[:at], after[at:]])
        assert high_band(before, at) < -90
        assert high_band(made, at) < -75
        assert high_band(made, at) < high_band(step, at) - 20

    @pytest.mark.parametrize(
        ("change", "block"),
        [({"pitch": 4}, 15), ({"noise": 9}, 15), ({"transient": -30}, 1), ({"morph": 0.7}, 15)],
    )
    def test_do_not_click_on_drums(self, voice, of, change, block):
        """No sample is farther from the line through its neighbors than without a change."""
        stream = voice.stream(of(voice, TOM), 512, toward=of(voice, SNARE))

        def bend(x):
            return np.abs(np.diff(x[512 * block : 512 * block + 4800], 2)).max()

        ends = joined(stream), joined(stream.again(), {0: change})
        made = joined(stream.again(), {block: change})
        assert not np.array_equal(made, ends[0])
        assert bend(made) < 1.1 * max(map(bend, ends))

    def test_begin_within_their_latency_and_arrive_20_ms_later(self, voice, of):
        stream = voice.stream(of(voice, TOM), 32)
        plain, muted = joined(stream), -math.inf
        names = stream.prepared.alone.blocks
        made = joined(stream.again(), {100: dict.fromkeys(names, muted)})
        begun = 3200 + np.flatnonzero(made[3200:] != plain[3200:])[0]
        assert begun <= 3200 + stream.control_latency + 1
        assert np.array_equal(made[:3200], plain[:3200])
        assert not made[3200 + stream.control_latency + round(0.02 * stream.sample_rate) :].any()

    def test_pitch_that_moves_sums_up_the_frequency(self):
        sound = tone(440.0)
        stream = voice_of_tone(sound).stream(sound, 256)
        made = joined(stream, {50: {"pitch": 12}, 90: {"pitch": -5}})
        semitones = np.interp(
            np.arange(RATE),
            [0, *(x + 256 * n + 64 for n in (50, 90) for x in (0, 960))],
            [0, 0, 12, 12, -5],
        )
        phase = np.cumsum(440 * 2 ** (semitones / 12)) * 2 * np.pi / RATE
        # Frequencies move along straight lines in blocks of 64 samples, and not in octaves.
        assert np.abs(made[:RATE] - 0.5 * np.sin(phase)).max() < 2.5e-2

    def test_pitch_moves_as_that_of_an_edited_sound(self, voice, of):
        sound = of(voice, TOM)
        stream = voice.stream(sound)
        stream.set(pitch=5)
        one, other = joined(stream), whole(sound.with_pitch(5))
        peaks = [
            np.abs(np.fft.rfft(x[4000:12000] * np.hanning(8000), 2**16)).argmax()
            for x in (one, other)
        ]
        assert abs(peaks[0] - peaks[1]) <= 2

    def test_a_morph_from_the_first_block_on_is_the_blend(self, of, repository):
        voice = drumblender.load("drums", device="cpu")
        a, b = of(voice, SNARE), of(voice, TOM)
        stream = voice.stream(a, toward=b)
        for amount, limit in ((0.25, -100), (0.5, -100), (0.4, -12)):
            again = stream.again()
            again.set(morph=amount)
            expected = whole(drumblender.blend(a, b, amount))
            made = joined(again)[: len(expected)]
            assert db(made - expected, expected) < limit
        assert np.array_equal(joined(stream.again())[: len(whole(a))], whole(a))

    def test_a_morph_of_measured_sounds_has_the_spectrum_of_the_blend(self, measured, of):
        a, b = of(measured, SNARE), of(measured, TOM)
        stream = measured.stream(a, toward=b)
        stream.set(morph=0.5)
        expected = whole(drumblender.blend(a, b, 0.5))
        made = joined(stream)[: len(expected)]
        one, other = (np.abs(np.fft.rfft(x[:16000])) for x in (made, expected))
        assert np.square(one - other).sum() < 0.02 * np.square(other).sum()

    def test_morphs_of_stereo_and_of_other_rates_work(self, measured, of, tmp_path):
        mono = measured.decompose(drum(tmp_path / "mono.wav", rate=32000), seed=0)
        stream = measured.stream(mono, toward=of(measured, STEREO))
        assert stream.sample_rate == 44100
        made = joined(stream, {20: {"morph": 1.0}})
        assert made.shape[1] == 2
        assert np.isfinite(made).all()


class TestRefuses:
    def test_what_is_out_of_range(self, voice, of):
        stream = voice.stream(of(voice, SNARE))
        for change in ({"pitch": 200}, {"morph": 0.5}, {"cowbell": 0}, {"modal": 90}):
            with pytest.raises(UsageError):
                stream.set(**change)
        with pytest.raises(UsageError, match="block of 0"):
            voice.stream(of(voice, SNARE), 0)
        with pytest.raises(UsageError, match="no simple fraction"):
            voice.stream(of(voice, SNARE), sample_rate=44101)

    def test_sounds_of_another_voice_and_other_precisions(self, measured, of):
        other = drumblender.load("drums", device="cpu", precision="bf16-mixed")
        with pytest.raises(UsageError, match="another voice"):
            measured.stream(of(other, SNARE))
        with pytest.raises(UsageError, match="32 bits"):
            other.stream(of(other, SNARE))


def test_a_sound_whose_parts_play_in_no_blocks_is_played_before(measured, of):
    sound = of(measured, SNARE)
    silent = replace(sound, gains=dict.fromkeys(sound.gains, 0.0))
    assert not joined(measured.stream(silent)).any()
