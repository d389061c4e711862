import json
import os
import re

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
        pytest.skip("a file system without such names")

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


def test_two_ways_to_analyze_at_once_are_refused(bell, capsys):
    assert main([str(bell / "bell.wav"), "--plain", "--separate"]) == 2
    assert "give one of them" in capsys.readouterr().err
