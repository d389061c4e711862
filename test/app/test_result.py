import base64
import io
import json
import math
import zipfile

import numpy as np
import pytest
import soundfile
from small_models import drum

import drumblender
from drumblender import Changes
from drumblender.app.result import Result, download, tracks_of, wav_of
from drumblender.commands.synth import main as synth
from drumblender.errors import UsageError

RATE = 16000


@pytest.fixture(scope="module")
def voice():
    return drumblender.load(device="cpu")


@pytest.fixture(scope="module")
def result(voice, tmp_path_factory):
    path = drum(tmp_path_factory.mktemp("drums") / "drum.wav", 200.0)
    return Result.of(voice.decompose(path, seed=0))


def test_the_whole_is_the_sum_and_muting_takes_a_part_away(result):
    np.testing.assert_allclose(result.whole, sum(result.stems.values()), atol=1e-7)
    heard = result.heard(["noise"])
    np.testing.assert_allclose(heard, result.whole - result.stems["noise"], atol=1e-6)
    assert not result.heard(list(result.stems)).any()


def test_levels_are_those_of_what_is_heard(result):
    peak = 20 * math.log10(np.abs(result.whole).max())
    assert result.describe()["peak"] == pytest.approx(peak)
    silent = result.describe(list(result.stems))
    assert silent["peak"] is silent["loudness"] is None
    assert json.dumps(silent)


def test_a_picture_is_brightest_where_the_drum_sounds(result):
    picture = result.picture("whole")
    assert json.dumps(picture)
    levels = np.frombuffer(base64.b64decode(picture["levels"]), np.uint8)
    levels = levels.reshape(picture["bands"], picture["frames"])
    assert levels.max() == 255
    band, frame = np.unravel_index(levels.argmax(), levels.shape)
    hertz = picture["lowest"] * (picture["highest"] / picture["lowest"]) ** (
        (band + 0.5) / picture["bands"]
    )
    assert hertz == pytest.approx(200, rel=0.05)
    assert frame / picture["frames"] * picture["seconds"] < 0.1


def test_parts_are_drawn_in_their_balance(result):
    def brightest(part):
        return max(base64.b64decode(result.picture(part)["levels"]))

    assert brightest("modal") > 240
    assert brightest("noise") < brightest("modal") - 20
    with pytest.raises(UsageError, match="no part"):
        result.picture("treble")


def test_modes_are_drawn_at_their_frequencies_and_move_with_the_pitch(result):
    for semitones in (0, 12):
        *_, loudest = tracks_of(result.sound.with_pitch(semitones))
        assert np.median(loudest["frequencies"]) == pytest.approx(
            200 * 2 ** (semitones / 12), rel=0.02
        )
        assert -1 < max(loudest["levels"]) <= 0
        assert loudest["times"] == sorted(loudest["times"])
        assert 0 <= loudest["times"][0] < 0.1
        assert loudest["times"][-1] <= result.sound.seconds
    assert result.picture("noise")["modes"] == []
    assert tracks_of(result.sound.with_gain(modal=-math.inf)) == []


def test_silence_and_the_shortest_sounds_are_drawn(voice):
    for samples in (np.zeros(2000), np.ones(1), np.r_[1.0, np.zeros(99)]):
        picture = Result.of(voice.decompose(samples, RATE, seed=0)).picture("whole")
        assert picture["frames"] >= 1
        assert json.dumps(picture, allow_nan=False)


def test_played_samples_are_the_samples(result):
    samples, rate = soundfile.read(io.BytesIO(wav_of(result.whole, RATE)), dtype="float32")
    np.testing.assert_array_equal(samples, result.whole)
    assert rate == RATE


def test_a_download_is_what_the_command_line_writes(voice, tmp_path):
    drum(tmp_path / "drum.wav", 150.0, channels=2)
    argv = [tmp_path / "drum.wav", tmp_path / "out.wav", "--stems", tmp_path / "stems"]
    assert synth([*map(str, argv), "--pitch", "3", "--device", "cpu"]) == 0
    changes = Changes.of({"pitch": 3})
    result = Result.of(changes.apply(voice.decompose(tmp_path / "drum.wav", seed=0)))
    data, notes = download(result, (), 24, changes)
    assert notes == []
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = {"sound.wav", "modal.wav", "noise.wav", "transient.wav", "preset.yaml"}
        assert set(archive.namelist()) == names
        assert archive.read("sound.wav") == (tmp_path / "out.wav").read_bytes()
        for part in ("modal", "noise", "transient"):
            assert archive.read(f"{part}.wav") == (tmp_path / "stems" / f"{part}.wav").read_bytes()
        (tmp_path / "preset.yaml").write_bytes(archive.read("preset.yaml"))
    assert Changes.read(tmp_path / "preset.yaml") == changes
    assert download(result, (), 24)[0] == (tmp_path / "out.wav").read_bytes()


def test_a_download_leaves_out_what_is_muted(result):
    data, _ = download(result, ["noise"], 24, Changes())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert "noise.wav" not in archive.namelist()
        sound = soundfile.read(io.BytesIO(archive.read("sound.wav")))[0]
    np.testing.assert_allclose(sound, result.heard(["noise"]), atol=2**-22)
    silence, _ = download(result, list(result.stems), 16)
    assert not soundfile.read(io.BytesIO(silence))[0].any()


def test_what_exceeds_full_scale_is_saved_softer_and_says_so(result):
    loud = Result.of(result.sound.with_gain(20))
    data, notes = download(loud, (), 16)
    assert np.abs(soundfile.read(io.BytesIO(data))[0]).max() == pytest.approx(1, abs=1e-3)
    assert len(notes) == 1
    assert notes[0].startswith("sound.wav: scaled by -")
    data, notes = download(loud, (), 32)
    np.testing.assert_array_equal(soundfile.read(io.BytesIO(data), dtype="float32")[0], loud.whole)
