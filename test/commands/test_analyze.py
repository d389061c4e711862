import json
import os
import re

import drums
import numpy as np
import pytest
import soundfile

from drumblender.commands.analyze import main
from drumblender.commands.modes import summarize

RATE = 48000


@pytest.fixture(scope="module")
def bell(tmp_path_factory):
    """Two decaying tones of known frequency, level and T60, at another rate, in stereo."""
    folder = tmp_path_factory.mktemp("bell")
    t = np.arange(32000) / 32000
    x = 0.5 * 10 ** (-3 * t / 0.8) * np.sin(2 * np.pi * 440 * t)
    x += 0.1 * 10 ** (-3 * t / 0.4) * np.sin(2 * np.pi * 1234 * t)
    soundfile.write(folder / "bell.wav", np.stack([x, 0 * x], 1), 32000, subtype="FLOAT")
    assert main([str(folder / "bell.wav"), "--output", str(folder / "out")]) == 0
    return folder


def test_sinusoids_and_residual_add_up_to_the_recording(bell):
    modal, rate = soundfile.read(bell / "out/bell_modal.wav")
    residual, _ = soundfile.read(bell / "out/bell_residual.wav")
    source, _ = soundfile.read(bell / "bell.wav")
    assert rate == RATE
    assert len(modal) == 48000
    # At instants that both rates have; the attack is not band-limited.
    np.testing.assert_allclose((modal + residual)[300::3], source[200::2, 0], atol=1e-3)
    assert np.square(residual).sum() < 3e-3 * np.square(modal).sum()


def test_parameters_are_the_same_for_other_programs_in_both_formats(bell):
    arrays = np.load(bell / "out/bell_modes.npz")
    listed = json.loads((bell / "out/bell_modes.json").read_text())
    for key in ("time", "frequency", "amplitude", "phase"):
        np.testing.assert_allclose(listed[key], arrays[key], atol=1e-6)
    assert listed["settings"]["hop_length"] == 256
    modes = summarize(arrays["time"], arrays["frequency"], arrays["amplitude"])
    assert modes[0].frequency == pytest.approx(440, rel=0.002)
    assert modes[0].t60 == pytest.approx(0.8, rel=0.05)
    assert modes[0].level == pytest.approx(20 * np.log10(0.5), abs=1)
    assert modes[1].frequency == pytest.approx(1234, rel=0.002)
    assert modes[1].t60 == pytest.approx(0.4, rel=0.05)


def test_a_picture_is_drawn_and_the_main_modes_are_printed(bell, capsys):
    assert (bell / "out/bell_modes.png").read_bytes()[1:4] == b"PNG"
    command = [str(bell / "bell.wav"), "--output", str(bell / "plain"), "--plain", "--num_modes=2"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert re.search(r"44\d\.\d Hz", printed)
    assert "2 modes" in printed


def test_silence_has_no_modes(tmp_path, capsys):
    soundfile.write(tmp_path / "silence.wav", np.zeros(9600), RATE)
    assert main([str(tmp_path / "silence.wav"), "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/silence_modes.png").exists()


def test_bad_input_is_named(tmp_path, capsys):
    (tmp_path / "text.wav").write_text("no sound")
    assert main([str(tmp_path / "text.wav")]) == 1
    assert "text.wav" in capsys.readouterr().err
    assert main([str(tmp_path / "text.wav"), "--num_modes", "0"]) == 2


def test_a_decay_does_not_rise_again_at_its_end(tmp_path, repository):
    (path,) = (repository / "audio/one-shots").rglob("drum_tom_hi_hard.flac")
    assert main([str(path), "--output", str(tmp_path)]) == 0
    recorded, rate = soundfile.read(path)
    modal, _ = soundfile.read(tmp_path / "drum_tom_hi_hard_modal.wav")
    tails = [
        np.linalg.norm(x[-int(0.05 * r) :]) / r**0.5 for x, r in ((modal, RATE), (recorded, rate))
    ]
    assert tails[0] < 1.2 * tails[1]


@pytest.mark.parametrize("name", ["two\nlines $a_b$", os.fsdecode(b"latin1_\xe9"), "x" * 251])
def test_any_name_of_a_recording_is_printed_and_written(tmp_path, capsys, name):
    soundfile.write(tmp_path / "plain.wav", 0.1 * np.random.default_rng(0).normal(size=4000), RATE)
    try:
        (tmp_path / "plain.wav").rename(tmp_path / f"{name}.wav")
    except OSError:
        pytest.skip("platform: a file system without such names")

    assert main([str(tmp_path / f"{name}.wav"), "--output", str(tmp_path / "out")]) == 0

    assert len(os.listdir(tmp_path / "out")) == 5
    assert capsys.readouterr().out.encode()


def test_recordings_of_one_name_do_not_replace_each_other(tmp_path, capsys):
    paths = [str(tmp_path / folder / "kick.wav") for folder in ("a", "b")]

    assert main([*paths, "--output", str(tmp_path / "out")]) == 2

    assert "would be written to the same names" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_separating_writes_a_transient_and_noise_that_add_up_with_the_sinusoids(bell, capsys):
    command = [str(bell / "bell.wav"), "--output", str(bell / "separate"), "--separate"]
    assert main(command) == 0
    assert "transient.wav, noise.wav" in capsys.readouterr().out
    parts = [
        soundfile.read(bell / f"separate/bell_{name}.wav")[0]
        for name in ("modal", "transient", "noise")
    ]
    source, _ = soundfile.read(bell / "bell.wav")
    np.testing.assert_allclose(sum(parts)[300::3], source[200::2, 0], atol=1e-3)
    modes = json.loads((bell / "separate/bell_modes.json").read_text())
    assert modes["settings"]["method"] == "separating"
    assert [round(f[100]) for f in modes["frequency"][:2]] == [440, 1234]


def strokes_of(path, folder, capsys, *options):
    assert main([str(path), "--output", str(folder), *(options or ["--separate"])]) == 0
    modes = json.loads((folder / f"{path.stem}_modes.json").read_text())
    return modes.get("onsets"), capsys.readouterr().out


def test_separating_tells_how_many_strokes_a_loop_has_and_when(tmp_path, capsys):
    hits = drums.strokes("two notes", 100, 1.5)
    loop = drums.render_loop(hits, 1.5).mix
    soundfile.write(tmp_path / "loop.wav", loop / np.abs(loop).max(), RATE)

    onsets, printed = strokes_of(tmp_path / "loop.wav", tmp_path / "out", capsys)

    expected = [hit.time + hit.drum.onset for hit in hits]
    np.testing.assert_allclose(onsets, expected, atol=0.003)
    assert f"\n2 strokes, at {onsets[0]:.3f} s and {onsets[1]:.3f} s.\n" in printed
    np.testing.assert_allclose(np.load(tmp_path / "out/loop_modes.npz")["onsets"], onsets)
    assert strokes_of(tmp_path / "loop.wav", tmp_path / "out", capsys, "--plain")[0] is None


def test_more_strokes_than_are_printed_are_counted(tmp_path, capsys):
    time = np.arange(RATE) / RATE
    clicks = sum(
        np.exp(-np.maximum(time - at, 0) / 0.01) * np.sin(5000 * (time - at)) * (time >= at)
        for at in np.arange(8) / 8
    )
    soundfile.write(tmp_path / "roll.wav", 0.5 * clicks, RATE)
    options = ("--separate", "--top", "2")
    onsets, printed = strokes_of(tmp_path / "roll.wav", tmp_path / "out", capsys, *options)
    np.testing.assert_allclose(onsets, np.arange(8) / 8, atol=0.003)
    assert "8 strokes, at 0.00" in printed
    assert " s and 6 more.\n" in printed


def test_a_drum_alone_is_one_stroke_and_silence_none(tmp_path, capsys, repository):
    (path,) = (repository / "audio/one-shots").rglob("drum_tom_hi_hard.flac")
    onsets, printed = strokes_of(path, tmp_path, capsys)
    assert len(onsets) == 1
    assert f"\nOne stroke, at {onsets[0]:.3f} s.\n" in printed
    soundfile.write(tmp_path / "silence.wav", np.zeros(9600), RATE)
    onsets, printed = strokes_of(tmp_path / "silence.wav", tmp_path, capsys)
    assert onsets == []
    assert "No stroke." in printed


def test_any_method_is_taken_by_its_name_or_class_path(tmp_path, bell, capsys, monkeypatch):
    (tmp_path / "last_row.py").write_text(
        "import torch\nfrom drumblender.analysis import Analysis\n"
        "class LastRow(Analysis):\n"
        "    version = 1\n"
        "    def measure(self, audio):\n"
        "        s = self.settings\n"
        "        modes = torch.zeros(3, s.num_modes, len(audio) // s.hop_length + 1)\n"
        "        modes[0, -1], modes[1, -1] = 0.1, 0.5\n"
        "        return modes\n"
    )
    monkeypatch.chdir(tmp_path)
    command = [str(bell / "bell.wav"), "--output", str(tmp_path), "--method"]
    assert main([*command, "last_row.LastRow"]) == 0
    assert "763.9 Hz" in capsys.readouterr().out  # 0.1 rad/sample, wherever its row is
    for method, hop in (("plain", 256), ("separating", 64)):
        assert main([*command, method]) == 0
        settings = json.loads((tmp_path / "bell_modes.json").read_text())["settings"]
        assert (settings["method"], settings["hop_length"]) == (method, hop)
    assert main([*command, "last_row.LastRwo"]) == 2
    assert "last_row has no LastRwo; did you mean LastRow?" in capsys.readouterr().err


def test_another_method_than_the_configuration_takes_none_of_its_arguments(tmp_path, bell, capsys):
    config = {"method": "not_here.Analysis", "method_kwargs": {"level": 1}, "num_modes": 3}
    (tmp_path / "data.yaml").write_text(
        json.dumps({"class_path": "drumblender.data.ModalDataModule", "init_args": config})
    )
    command = [str(bell / "bell.wav"), "--output", str(tmp_path), "--config"]
    assert main([*command, str(tmp_path / "data.yaml")]) == 2
    assert "there is no module not_here" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "data.yaml"), "--plain"]) == 0
    settings = json.loads((tmp_path / "bell_modes.json").read_text())["settings"]
    assert (settings["method"], settings["num_modes"]) == ("plain", 3)


def test_two_ways_to_analyze_at_once_are_refused(bell, capsys):
    assert main([str(bell / "bell.wav"), "--plain", "--separate"]) == 2
    assert "--plain and --separate are ways to analyze; give one" in capsys.readouterr().err
    assert main([str(bell / "bell.wav"), "--plain", "--method", "coverage"]) == 2
    assert "--plain and --method" in capsys.readouterr().err
