import io

import numpy as np
import pytest
import soundfile
import torch

from drumblender.data.build.one_shot import Unusable, read_one_shot, read_with_length
from drumblender.files.audio import wav_bytes
from drumblender.signal import resample

RATE, NUM_SAMPLES = 48000, 24000


@pytest.mark.parametrize("rate", [8000, 22050, 22255, 44053, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_any_rate_and_number_of_channels_gives_the_same_sound(tmp_path, sound, rate, channels):
    path = tmp_path / "Große Trommel.WAV"
    soundfile.write(path, sound(440.0, rate=rate, channels=channels), rate, "PCM_24")

    audio = read_one_shot(path, RATE, NUM_SAMPLES)

    expected = torch.from_numpy(sound(440.0, rate=RATE)[:, 0]).float()
    # The first samples ring where the recording starts at once.
    assert (audio - expected)[200:-200].abs().max() < 2e-3
    assert audio.shape == (NUM_SAMPLES,)
    assert audio.dtype == torch.float32


@pytest.mark.parametrize("name", ["x.flac", "x.ogg", "x.aiff", "x.mp3", "x.w64", "x.caf"])
def test_every_format_of_libsndfile_is_read(tmp_path, sound, name):
    soundfile.write(tmp_path / name, sound(440.0, rate=RATE), RATE)

    assert read_one_shot(tmp_path / name, RATE, NUM_SAMPLES).abs().max() > 0.3


def test_the_content_decides_about_the_format_and_not_the_name(tmp_path, sound):
    soundfile.write(tmp_path / "x.flac", sound(440.0, rate=RATE), RATE)
    (tmp_path / "x.flac").rename(tmp_path / "x.wav")

    assert read_one_shot(tmp_path / "x.wav", RATE, NUM_SAMPLES).abs().max() > 0.3


def test_leading_silence_is_cut_and_the_end_padded_or_cut(tmp_path, sound):
    soundfile.write(tmp_path / "x.wav", sound(440.0, rate=RATE, silence=0.3), RATE, "FLOAT")

    long = read_one_shot(tmp_path / "x.wav", RATE, 2 * NUM_SAMPLES)
    short = read_one_shot(tmp_path / "x.wav", RATE, 1000)

    assert torch.nonzero(long)[0] <= 256
    assert long[NUM_SAMPLES + 256 :].eq(0).all()
    assert torch.equal(short, long[:1000])


def test_a_cut_is_told_with_what_the_recording_lasts(tmp_path, sound):
    time = np.arange(4 * RATE) / RATE
    ringing = 0.5 * np.sin(2 * np.pi * 200 * time)
    tail = np.zeros(4 * RATE)
    for name, samples in (
        ("ringing", np.concatenate([np.zeros(RATE), ringing])),
        ("padded", np.concatenate([ringing[: NUM_SAMPLES - 100], tail])),
        ("short", ringing[: NUM_SAMPLES // 2]),
    ):
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE)

    def lasts(name):
        return read_with_length(tmp_path / f"{name}.wav", RATE, NUM_SAMPLES)[1]

    assert lasts("ringing") == pytest.approx(4.0, abs=0.05)  # without the silence in front
    assert lasts("padded") == lasts("short") == 0.0  # nothing that can be heard was cut


def test_a_long_file_is_read_only_as_far_as_needed(tmp_path):
    samples = np.zeros(200 * 1000, np.float32)
    samples[[500, -1]] = 0.5  # the second one lies 200 s behind
    soundfile.write(tmp_path / "x.wav", samples, 1000)

    assert read_one_shot(tmp_path / "x.wav", 1000, 150_000)[100_000:].eq(0).all()


def test_resampling_keeps_frequency_and_amplitude():
    for rate in (22050, 44101, 31337):
        time = torch.arange(rate, dtype=torch.float64) / rate
        expected = torch.sin(2 * np.pi * 997 * torch.arange(48000, dtype=torch.float64) / 48000)

        resampled = resample(torch.sin(2 * np.pi * 997 * time).float(), rate, 48000)

        assert len(resampled) == 48000
        assert (resampled - expected)[2000:-2000].abs().max() < 1e-3


def test_resampling_removes_what_the_new_rate_cannot_hold():
    for rate in (44100, 44101):
        time = torch.arange(rate, dtype=torch.float64) / rate
        alias = resample(torch.sin(2 * np.pi * 6000 * time).float(), rate, 8000)

        assert alias[1000:-1000].abs().max() < 1e-3


def test_a_sound_above_full_scale_survives_the_file():
    audio = torch.tensor([0.5, -1.3, 1.25])

    samples, rate = soundfile.read(io.BytesIO(wav_bytes(audio, 44100)), dtype="float32")

    assert rate == 44100
    assert samples.tolist() == audio.tolist()


def wav(samples, **options):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format="WAV", **options)
    return buffer.getvalue()


TONE = np.sin(np.arange(5000) / 10)


def flac(samples):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format="FLAC")
    return buffer.getvalue()


BAD_FILES = {
    "empty": (b"", "is empty"),
    "header cut": (wav(TONE)[:30], "broken or no audio"),
    "no samples": (wav(TONE[:0]), "no samples"),
    "data cut": (wav(TONE)[:4000], r"truncated \(39\d\d of 10000 bytes\)"),
    "flac cut": (flac(TONE)[:-50], "truncated|broken"),
    "silent": (wav(np.zeros(5000)), "silent"),
    "too quiet": (wav(TONE * 1e-4, subtype="PCM_24"), "silent"),
    "nan": (wav(np.where(TONE > 0.9, np.nan, TONE), subtype="FLOAT"), "not numbers"),
    "infinite": (wav(np.where(TONE > 0.9, np.inf, TONE), subtype="FLOAT"), "not numbers"),
    "text": (b"These are my favorite kicks.\n" * 50, "broken or no audio"),
    "random": (bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8)), "broken or no"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_refused_with_its_reason(tmp_path, kind):
    content, reason = BAD_FILES[kind]
    path = tmp_path / "kick.wav"
    path.write_bytes(content)

    with pytest.raises(Unusable, match=reason):
        read_one_shot(path, RATE, NUM_SAMPLES)


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "dangling.wav").symlink_to(tmp_path / "nowhere.wav")

    with pytest.raises(Unusable, match="is a link to a file that is not there"):
        read_one_shot(tmp_path / "dangling.wav", RATE, NUM_SAMPLES)


def test_a_stream_whose_length_was_never_written_is_read(tmp_path):
    content = bytearray(wav(TONE))
    at = content.index(b"data") + 4
    content[at : at + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "x.wav").write_bytes(content)

    assert read_one_shot(tmp_path / "x.wav", RATE, 5000).abs().max() > 0.9
