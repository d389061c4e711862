"""Blends of folders, parts of other folders, and blends of several files."""

import math

import numpy as np
import pytest
import soundfile

from drumblender.commands.synth import main
from drumblender.sound import blend, load, mix

RATE = 44_100


def tone(hz, hiss=0.0, seconds=0.3):
    """A tone that decays, with some noise."""
    time = np.arange(int(seconds * RATE)) / RATE
    noise = np.random.default_rng(int(hz)).standard_normal(len(time)) * np.exp(-time / 0.03)
    return 0.3 * (np.exp(-time / 0.06) * np.sin(2 * np.pi * hz * time) + hiss * noise)


def write(folder, **drums):
    for name, samples in drums.items():
        path = folder / f"{name.replace('_', ' ')}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, RATE, "FLOAT")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two folders of drums, of which some have one name and some one instrument."""
    top = tmp_path_factory.mktemp("folders")
    one = write(top / "one", **{"Kick": tone(100), "same": tone(500), "hats/Open": tone(3000),
                                "hats/Closed": tone(4000), "Tom": tone(200)})  # fmt: skip
    other = write(top / "other", **{"BD": tone(144), "same": tone(720), "hats/HH_Cl": tone(5760),
                                    "hats/HH_Op": tone(4320), "Clap": tone(900, 1.0)})  # fmt: skip
    return one, other


def pitch(path):
    samples, rate = soundfile.read(path)
    spectrum = np.abs(np.fft.rfft(samples, 4 * rate))
    return spectrum.argmax() / 4


def run(*arguments):
    return main([str(x) for x in (*arguments, "--bits", 32, "--seed", 1, "--num_workers", 1)])


def found(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.wav")}


def test_folders_are_blended_by_name_and_then_by_instrument(folders, tmp_path, capsys):
    one, other = folders
    assert run("--blend", one, other, tmp_path / "out") == 0
    out = capsys.readouterr().out
    pairs = {"Kick": "BD", "same": "same", "hats/Open": "hats/HH Op", "hats/Closed": "hats/HH Cl"}
    for name, its in pairs.items():
        assert f"{one}/{name}.wav goes with {other}/{its}.wav." in out
        expected = math.sqrt(pitch(one / f"{name}.wav") * pitch(other / f"{its}.wav"))
        assert pitch(tmp_path / f"out/{name}.wav") == pytest.approx(expected, rel=0.01)
    assert f"{one}/Tom.wav is left out, because nothing in {other} goes with it." in out
    assert f"{other}/Clap.wav is left out, because it goes with no input." in out
    assert found(tmp_path / "out") == {f"{name}.wav" for name in pairs}


def test_only_names_count_if_that_is_asked_for_and_a_series_is_numbered(folders, tmp_path):
    assert run(tmp_path / "out", "--blend", *folders, "--pair", "name", "--steps", 3) == 0
    names = [f"same_{number}.wav" for number in (1, 2, 3)]
    assert found(tmp_path / "out") == set(names)
    heard = [pitch(tmp_path / "out" / name) for name in names]
    assert heard == pytest.approx([500, 600, 720], rel=0.01)


def test_a_folder_is_blended_with_one_file(folders, tmp_path):
    one, other = folders
    assert run("--blend", one, other / "same.wav", tmp_path / "out", "--amount", 1) == 0
    assert found(tmp_path / "out") == found(one)
    assert {round(pitch(path)) for path in (tmp_path / "out").rglob("*.wav")} == {720}


def test_parts_are_taken_from_the_files_that_go_with_the_inputs(folders, tmp_path, capsys):
    one, other = folders
    arguments = ["--noise", other, "--modal", other / "Clap.wav"]
    assert run(one, tmp_path / "out", *arguments) == 0
    assert "Tom.wav is left out" in capsys.readouterr().out
    voice = load(device="cpu")
    kick, bass, clap = (
        voice.decompose(path) for path in (one / "Kick.wav", other / "BD.wav", other / "Clap.wav")
    )
    written, _ = soundfile.read(tmp_path / "out/Kick.wav")
    expected = kick.with_noise(bass).with_modal(clap).render()
    assert np.abs(written - expected).max() < 1e-3


def test_several_files_are_mixed_by_weights_wherever_the_output_stands(folders, tmp_path):
    one, other = folders
    files = [one / "Kick.wav", other / "BD.wav", one / "Tom.wav"]
    out = [tmp_path / f"{number}.wav" for number in range(3)]
    weights = ["--weights", 2, 1, 1]
    assert run(out[0], "--blend", *files, *weights) == 0
    assert run("--blend", *files, out[1], *weights) == 0
    assert run("--blend", *files, *weights, out[2]) == 0
    voice = load(device="cpu")
    expected = mix([voice.decompose(path, seed=0) for path in files], [2, 1, 1]).render()
    for path in out:
        assert np.abs(soundfile.read(path)[0] - expected).max() < 1e-3
    # Two files need no weights, and the output may follow them as well.
    assert run("--blend", *files[:2], tmp_path / "two.wav") == 0
    expected = blend(*(voice.decompose(path, seed=0) for path in files[:2]), 0.5).render()
    assert np.abs(soundfile.read(tmp_path / "two.wav")[0] - expected).max() < 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--blend", "{one}/Kick.wav", "{other}", "{out}.wav"], "is a folder, but --blend takes"),
        (["--blend", "{one}/Kick.wav"], "names 1 files for 2 weights"),
        (["--blend", "{one}/Kick.wav", "{other}/BD.wav", "--weights", "1", "1"], "needs an OUTPUT"),
        (["--blend", "{one}/Kick.wav", "{other}/BD.wav", "{one}/Tom.wav", "{out}.wav"],
         "for more than two files, give --weights"),
        (["--blend", "{one}/Kick.wav", "{other}/BD.wav", "{out}.wav", "--weights", "-1", "2"],
         "A weight of -1.0 does not work"),
        (["--blend", "{one}/Kick.wav", "{other}/BD.wav", "{out}.wav", "--weights", "0", "0"],
         "No sound has a weight above 0"),
        (["--weights", "1", "2", "{one}/Kick.wav", "{out}.wav"], "--weights is of --blend"),
        (["--blend", "{one}", "{bells}", "{out}"], "No recording of"),
        (["{one}", "{out}", "--noise", "{bells}"], "No recording of"),
        (["--blend", "{one}", "{empty}", "{out}"], "There are no audio files in"),
        (["--blend", "{one}", "{other}", "{one}"], "would overwrite a recording"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(folders, tmp_path, capsys, arguments, message):
    bells = write(tmp_path / "bells", Triangle=tone(5000))
    (tmp_path / "empty").mkdir()
    places = {"one": folders[0], "other": folders[1], "out": tmp_path / "out",
              "bells": bells, "empty": tmp_path / "empty"}  # fmt: skip
    assert run(*(x.format(**places) for x in arguments)) in (1, 2)
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not list(tmp_path.glob("out*"))
