import dataclasses
import math

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import welch
from torch import nn
from voices import voice_of, voice_of_sines

import drumblender
from drumblender.errors import DrumblenderError, UsageError
from drumblender.models.encoders import NoiseParameters
from drumblender.models.soundstream import SoundStreamAttentionEncoder, SoundStreamEncoder
from drumblender.parameters import Modes, tensors_of
from drumblender.signal import mix
from drumblender.sound import Voice, prepare
from drumblender.sound.sound import play
from drumblender.synths import ModalSynth, NoiseGenerator, TransientTCN
from drumblender.tasks import Blender

RATE = 48000
T60 = 0.5


@pytest.fixture(scope="module")
def sines():
    """A voice without noise and transient: what it says is what was measured."""
    return voice_of_sines()


@pytest.fixture(scope="module")
def whole():
    """An untrained voice of all parts, with a transient that is not small: y = T(m) + n."""
    torch.manual_seed(0)
    return voice_of(
        Blender(
            ModalSynth(),
            NoiseGenerator(256),
            TransientTCN(
                1, 4, 1, num_layers=3, kernel_size=5, film_conditioning=True, film_embedding_size=8
            ),
            noise_autoencoder=SoundStreamEncoder(1, 2, 128, strides=[2, 2, 4, 8],
                                                 transpose_output=True),
            noise_autoencoder_accepts_audio=True,
            transient_autoencoder=SoundStreamAttentionEncoder(1, 2, 8, strides=[2, 2, 4, 8]),
            transient_autoencoder_accepts_audio=True,
        )
    )  # fmt: skip


def hissing(bands):
    """A voice whose noise has given band amplitudes (frames, bands), whatever the recording."""
    encoder = NoiseParameters(bands.shape)
    encoder.noise_params = nn.Parameter(bands)
    return voice_of(Blender(ModalSynth(), NoiseGenerator(256), noise_autoencoder=encoder))


def tone(frequency=400.0, seconds=1.0, t60=T60, rate=RATE, level=0.3):
    t = np.arange(int(seconds * rate)) / rate
    return level * 10 ** (-3 * t / t60) * np.sin(2 * np.pi * frequency * t + 0.5)


def peak_frequency(x, rate=RATE):
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)), 8 * len(x)))
    k = int(spectrum.argmax())
    a, b, c = np.log(spectrum[k - 1 : k + 2])
    return (k + 0.5 * (a - c) / (a - 2 * b + c)) * rate / (8 * len(x))


def measured_t60(x, rate=RATE):
    """From the slope of the integrated energy (Schroeder), -5 to -25 dB."""
    energy = np.cumsum(np.square(x.astype(float))[::-1])[::-1]
    level = 10 * np.log10(energy / energy[0] + 1e-12)
    part = (level < -5) & (level > -25)
    return -60 / np.polyfit(np.flatnonzero(part) / rate, level[part], 1)[0]


@pytest.mark.parametrize("semitones", [-12, -0.5, 7, 24])
def test_pitch_moves_by_the_cents_it_says(semitones, sines):
    sound = sines.decompose(tone(), RATE)
    moved = peak_frequency(sound.with_pitch(semitones).render())
    cents = 1200 * np.log2(moved / peak_frequency(sound.render()))
    assert cents == pytest.approx(100 * semitones, abs=1)


def test_what_moves_beyond_nyquist_is_silent(sines):
    sound = sines.decompose(tone(8000) + tone(500), RATE).with_pitch(19.1)
    x = sound.render()
    assert peak_frequency(x) == pytest.approx(500 * 2 ** (19.1 / 12), rel=1e-3)
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
    frequency = np.fft.rfftfreq(len(x), 1 / RATE)
    # 8 kHz would be at 24.1 kHz, and alias to 23.9 kHz.
    assert spectrum[frequency > 20000].max() < 1e-6 * spectrum.max()


def test_pitch_moves_the_noise_only_on_request():
    bands = torch.exp(-(((torch.arange(128) / 127 * 24000 - 4000) / 600) ** 2)).expand(375, 128)
    sound = hissing(bands.contiguous()).decompose(tone(), RATE, seed=1)

    def center(s):
        frequency, power = welch(s.stems()["noise"], RATE, nperseg=512)
        return (power**2 * frequency).sum() / (power**2).sum()

    # The gain at the onset depends on the sum of all parts, so that it may differ in its rounding.
    assert center(sound.with_pitch(12)) == pytest.approx(center(sound), rel=1e-6)
    assert center(sound.with_pitch(12, noise=True)) == pytest.approx(2 * center(sound), rel=0.02)


@pytest.mark.parametrize("factor", [0.4, 0.8, 1.5, 3.0])
def test_decay_multiplies_t60_of_modes_and_noise(factor, sines):
    sound = sines.decompose(tone(), RATE)
    slower = sound.with_decay(factor)
    own = measured_t60(sound.render())
    assert own == pytest.approx(T60, rel=0.02)
    assert measured_t60(slower.render()) / own == pytest.approx(factor, rel=0.03)
    assert slower.seconds == pytest.approx(factor, rel=0.05)
    assert peak_frequency(slower.render()) == pytest.approx(400, rel=1e-3)
    fading = 0.1 * 10 ** (-3 * torch.arange(375) * 128 / RATE / T60)[:, None].expand(375, 128)
    sound = hissing(fading.contiguous()).decompose(tone(), RATE, seed=1).with_gain(modal=-math.inf)
    ratio = measured_t60(sound.with_decay(factor).render()) / measured_t60(sound.render())
    assert ratio == pytest.approx(factor, rel=0.1)


@pytest.mark.parametrize("slope", [-6.0, -1.5, 3.0])
def test_brightness_tilts_every_part_by_its_decibels_per_octave(slope, whole):
    noise = np.random.default_rng(0).standard_normal(RATE) * np.exp(-np.arange(RATE) / 6000)
    sound = whole.decompose(0.1 * noise, RATE, seed=3)
    tilted = sound.with_brightness(slope)
    pairs = [(sound.render(), tilted.render())]
    pairs += [(sound.stems()[name], tilted.stems()[name]) for name in sound.stems()]
    for before, after in pairs:
        (frequency, one), (_, other) = (welch(x, RATE, nperseg=8192) for x in (before, after))
        audible = (frequency > 100) & (frequency < 15000)
        octaves = np.log2(frequency[audible] / 1000)
        fit = np.polyfit(octaves, 10 * np.log10(other[audible] / one[audible]), 1)
        assert fit[0] == pytest.approx(slope, abs=0.1)
        assert fit[1] == pytest.approx(0, abs=0.5)


def test_brightness_does_not_sound_before_the_attack(sines):
    sound = sines.decompose(np.concatenate([np.zeros(9600), tone(2000)]), RATE)
    x = sound.with_brightness(6).render()
    start = 9600 - 9600 % 256 - 256
    assert np.abs(x[:start]).max() < 1e-4 * np.abs(x).max()


def test_gains_and_attack_scale_their_parts(whole):
    sound = whole.decompose(tone(), RATE, seed=1)
    changed = sound.with_gain(-3, modal=6, noise=-math.inf).with_attack(0.5)
    before, after = sound.stems(), changed.stems()
    np.testing.assert_allclose(after["modal"], before["modal"] * 10 ** (3 / 20), atol=1e-6)
    np.testing.assert_allclose(
        after["transient"], before["transient"] * 0.5 * 10 ** (-3 / 20), atol=1e-6
    )
    assert not after["noise"].any()
    np.testing.assert_allclose(sum(after.values()), changed.render(), atol=1e-6)


def test_a_sound_never_changes_and_renders_the_same(whole):
    sound = whole.decompose(tone(), RATE)
    before = [x.clone() for value in sound.parameters.values() for x in tensors_of(value)]
    first = sound.render()
    sound.with_pitch(3, noise=True).with_decay(2).with_variation().with_modal(sound).render()
    drumblender.blend(sound, sound.with_pitch(1), 0.5).render()
    after = [x for value in sound.parameters.values() for x in tensors_of(value)]
    assert len(before) == len(after) == 3
    assert all(torch.equal(one, other) for one, other in zip(before, after))
    assert np.array_equal(first, dataclasses.replace(sound).render())
    assert not np.array_equal(first, sound.with_seed(sound.seed + 1).render())
    assert not np.array_equal(first, whole.decompose(tone(), RATE).render())
    with pytest.raises(dataclasses.FrozenInstanceError):
        sound.seed = 3


def test_halfway_between_two_drums_lies_the_geometric_mean(sines):
    a = sines.decompose(tone(200, level=0.4), RATE)
    b = sines.decompose(tone(300, t60=0.25, level=0.1), RATE)
    x = drumblender.blend(a, b, 0.5).render()
    cents = 1200 * np.log2(peak_frequency(x) / math.sqrt(200 * 300))
    assert cents == pytest.approx(0, abs=5)
    # Decay rates (dB per second) are interpolated, as levels are.
    assert measured_t60(x) == pytest.approx(2 / (1 / 0.5 + 1 / 0.25), rel=0.1)
    assert np.abs(x[:2400]).max() == pytest.approx(math.sqrt(0.4 * 0.1), rel=0.2)


def test_a_blend_rings_out_where_one_recording_stops(sines):
    long, cut = tone(200, t60=1.0), tone(220, t60=1.0)[: int(0.4 * RATE)]
    a, b = sines.decompose(long, RATE), sines.decompose(cut, RATE)
    x = drumblender.blend(a, b, 0.5).render()
    assert len(x) == len(a.render())
    power = x[: len(x) // 480 * 480].reshape(-1, 480) ** 2  # windows of 10 ms, two of a period
    level = 10 * np.log10(power.mean(1) + 1e-12)
    assert level[30] - level[20] == pytest.approx(-6, abs=1)
    assert -15 < level[41] - level[38] < -2  # without, 24 dB at once
    assert level[65] - level[38] < -30


def test_the_ends_of_a_blend_are_the_sounds_and_nearby_is_near(whole):
    a = whole.decompose(tone(200), RATE, seed=1)
    b = whole.decompose(np.stack([tone(330, 0.7)] * 2, 1), RATE, seed=2, stereo=True)
    assert np.array_equal(drumblender.blend(a, b, 0).render(), a.render())
    assert np.array_equal(drumblender.blend(a, b, 1).render(), b.render())
    near = drumblender.blend(a, b, 1e-4).render()[: len(a.render()), 0]
    error = np.std(near - a.render()) / np.std(a.render())
    assert error < 0.01


def test_channels_are_taken_apart_by_themselves_with_one_noise(whole):
    stereo = np.stack([tone(200), tone(200), tone(500)], 1)
    x = whole.decompose(stereo, RATE, seed=1, stereo=True).render()
    assert x.shape == (RATE, 3)
    np.testing.assert_allclose(x[:, 0], x[:, 1], atol=1e-6)
    alone = whole.decompose(tone(500), RATE, seed=1).render()
    np.testing.assert_allclose(x[:, 2], alone, atol=1e-5)


def test_what_goes_beside_a_sound_does_not_change_it(whole):
    sources = [tone(100 + 50 * i, 0.2 + 0.1 * (i % 3)) for i in range(7)]
    prepared = [prepare(x, whole.settings, RATE) for x in sources]
    together = play(whole.decompose_prepared(prepared, range(7)))
    for i, (source, parts) in enumerate(zip(sources, together)):
        alone = whole.decompose(source, RATE, seed=i).parts
        torch.testing.assert_close(mix(parts), mix(alone), atol=1e-5, rtol=0)


def test_short_sounds_are_encoded_as_if_padded_to_the_length_of_training(whole):
    audio = torch.from_numpy(tone(seconds=0.25)[: 4096 * 2]).float()[None, None]
    modes = Modes(torch.rand(1, 3, 4, 33), 4096 * 2)
    model = whole.engine.model.network
    with torch.inference_mode():
        fast = model.encode(audio, modes, 2 * RATE)
        padded = nn.functional.pad(audio, (0, 2 * RATE - audio.shape[-1]))
        slow = model.encode(padded, modes)
        pooled_alone = model.encode(audio, modes)["transient"]
    torch.testing.assert_close(fast["transient"], slow["transient"], atol=1e-5, rtol=1e-4)
    frames = audio.shape[-1] // 128
    bands = [each["noise"].amplitudes[:, :frames] for each in (fast, slow)]
    torch.testing.assert_close(*bands, atol=1e-5, rtol=1e-4)
    assert (pooled_alone - slow["transient"]).abs().max() > 1e-4


def test_a_part_of_another_sound_takes_the_place_of_ones_own(whole):
    a, b = (whole.decompose(tone(f, s), RATE, seed=1) for f, s in ((200, 0.5), (300, 0.8)))
    mixed = a.with_modal(b)
    np.testing.assert_allclose(mixed.stems()["modal"], b.stems()["modal"], atol=1e-6)
    assert mixed.seconds == 0.8
    transient = a.with_transient(b).parameters["transient"]
    assert torch.equal(transient, b.parameters["transient"])
    noise, other = (x.parameters["noise"].amplitudes[:, :250] for x in (a.with_noise(b), b))
    assert torch.equal(noise, other)


def test_a_quiet_beginning_stays_where_it_was(sines):
    delayed = np.concatenate([np.zeros(10000), tone()])
    x = sines.decompose(delayed, RATE).render()
    assert len(x) == len(delayed)
    assert not x[: 10000 - 512].any()
    assert np.std(x[10000:] - tone()) < 0.05 * np.std(tone())


@pytest.mark.parametrize("name", ["elec_mid_snare", "drum_snare_hard", "drum_tom_hi_hard"])
def test_a_decay_does_not_rise_again_at_its_end(name, sines, repository):
    (path,) = (repository / "audio/one-shots").rglob(f"{name}.flac")
    sound = sines.decompose(path)
    recorded, made = sound.recording[-2000:, 0], sound.render()[-2000:]
    assert np.linalg.norm(made) < 1.2 * np.linalg.norm(recorded)


def test_silence_stays_silent(whole):
    x = whole.decompose(np.zeros(1000), 8000).render()
    assert x.shape == (1000,)
    assert not x.any()


def test_a_notebook_shows_a_player_and_a_picture(whole, tmp_path):
    soundfile.write(tmp_path / "a <b>.wav", tone(), RATE)
    sound = whole.decompose(tmp_path / "a <b>.wav")
    html = sound._repr_html_()
    assert "<audio controls" in html
    assert "data:image/png;base64," in html
    assert "a &lt;b&gt;.wav" in html
    assert "1.00 s at 48000 Hz" in repr(sound)


def test_a_sound_is_written_as_it_renders(sines, tmp_path):
    sound = sines.decompose(tone(rate=44100), 44100)
    sound.write(tmp_path / "a.flac")
    x, rate = soundfile.read(tmp_path / "a.flac")
    assert rate == 44100
    np.testing.assert_allclose(x, sound.render(), atol=2**-22)
    with pytest.raises(DrumblenderError, match=r"exceeds full scale; take with_gain\(-"):
        sound.with_gain(40).write(tmp_path / "b.flac")


def test_what_cannot_be_done_is_said_in_one_sentence(sines, whole):
    sound = sines.decompose(tone(), RATE)
    other = whole.decompose(tone(), RATE)
    for what, message in [
        (lambda: sound.with_noise(sound), "makes no noise part, only modal"),
        (lambda: sound.with_gain(transient=3), "makes no transient part"),
        (lambda: sound.with_attack(2), "makes no transient part"),
        (lambda: sound.with_decay(0), "decay is 0; give a factor from 0.01 to 100"),
        (lambda: drumblender.blend(sound, sound, 1.5), "amount of 1.5"),
        (lambda: drumblender.blend(sound, other, 0.5), "two models"),
        (lambda: sines.decompose(tone()), "sample_rate"),
        (lambda: drumblender.load("absent.ckpt", device="cpux"), "no device cpux"),
        (
            lambda: Voice(sines.engine.model, precision="16"),
            "Precision 16 is none; take 32-true or bf16",
        ),
    ]:
        with pytest.raises(UsageError, match=message):
            what()
    with pytest.raises(DrumblenderError, match="no recording"):
        sines.decompose(np.zeros((0,)), RATE)
    with pytest.raises(AttributeError, match="nothing"):
        drumblender.nothing  # noqa: B018
