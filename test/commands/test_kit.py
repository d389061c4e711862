"""``drumblender-kit`` as a user runs it."""

import os
import signal
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import soundfile
from small_drums import DRUMS, RATE, drum, write_drums

from drumblender.commands.kit import main

QUICK = ["--layers", "2", "--round_robins", "2", "--num_workers", "1", "--seed", "1"]


@pytest.fixture
def drums(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_drums(tmp_path / "drums", {"Kick.wav": DRUMS["Kick.wav"], "hat.wav": drum(5000)})


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def test_a_folder_becomes_a_kit_and_the_command_says_what_is_in_it(drums, tmp_path, capsys):
    assert main(["drums", "kit", *QUICK]) == 0
    out = capsys.readouterr().out
    assert "  36  Kick: 2 layers, 4 samples\n" in out
    assert "8 samples of 2 drums, all with a gain of " in out
    assert "kit/kit.sfz" in out
    assert len(files(tmp_path / "kit")) == 8 + 4
    assert sorted(os.listdir(tmp_path)) == ["drums", "kit"]


@pytest.mark.slow
def test_what_is_written_can_be_read_again_as_any_form(drums, tmp_path):
    assert main(["drums", "kit", *QUICK]) == 0
    for name in ("kit", "kit/kit.h2drumkit", "kit/kit.dspreset", "kit/samples"):
        again = f"again-{name.replace('/', '-').replace('.', '-')}"
        assert main([name, again, "--format", "sfz", "--num_workers", "1"]) == 0
        assert files(tmp_path / again)[1:] == files(tmp_path / "kit")[4:], name
        for file in (tmp_path / "kit" / "samples").iterdir():
            before, after = (
                soundfile.read(f / file.name)[0]
                for f in (file.parent, tmp_path / again / "samples")
            )
            length = round(0.85 * min(len(before), len(after)))
            assert np.abs(before[:length] - after[:length]).max() < 2e-3 * np.abs(before).max()


def test_controls_of_a_preset_change_every_drum(drums, tmp_path):
    (tmp_path / "longer.yaml").write_text("pitch: 12\nhumanize: 0\n")
    assert main(["drums", "kit", "--preset", "longer.yaml", "--layers", "1", *QUICK[2:]]) == 0
    one, other = (
        soundfile.read(tmp_path / f"kit/samples/36 Bass Drum 1 rr{i}.wav")[0] for i in (1, 2)
    )
    power = np.abs(np.fft.rfft(one, 1 << 18)) ** 2
    assert np.argmax(power) * RATE / (1 << 18) == pytest.approx(120, rel=0.02)
    assert np.array_equal(one, other)  # as nothing is humanized


def test_forms_bits_and_rate_are_options(drums, tmp_path):
    options = ["--format", "decent", "--format", "sfz", "--bits", "16", "--sample_rate", "22050"]
    assert main(["drums", "kit", *options, *QUICK]) == 0
    assert {path.suffix for path in (tmp_path / "kit").iterdir()} == {".dspreset", ".sfz", ""}
    for path in (tmp_path / "kit/samples").iterdir():
        info = soundfile.info(str(path))
        assert (info.samplerate, info.subtype) == (22050, "PCM_16")


def test_drums_that_fail_are_listed_and_the_others_become_a_kit(drums, tmp_path, capsys):
    (drums / "broken.wav").write_text("no audio")
    write_drums(drums, {"none.wav": np.zeros(1000)})
    assert main(["drums", "kit", *QUICK]) == 1
    captured = capsys.readouterr().err
    assert "drums/broken.wav is broken or no audio" in captured
    assert "drums/none.wav is silent; leave it out." in captured
    assert captured.strip().endswith("run the same command with --force.")
    assert len(files(tmp_path / "kit")) == 8 + 4


def test_a_drum_of_an_archive_that_fails_is_called_by_its_name_in_it(drums, tmp_path, capsys):
    assert main(["drums", "kit", "--format", "hydrogen", *QUICK]) == 0
    archive = next((tmp_path / "kit").glob("*.h2drumkit"))
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "unpacked")
    (broken,) = (tmp_path / "unpacked").rglob("42*v127 rr1.wav")
    broken.write_text("no audio")
    with tarfile.open(tmp_path / "broken.h2drumkit", "w:gz") as tar:
        tar.add(tmp_path / "unpacked" / "kit", "kit")
    assert main(["broken.h2drumkit", "again", *QUICK]) == 1
    failed = capsys.readouterr().err.split("Failed:")[1].strip()
    assert failed.startswith("42 Closed Hi-Hat v127 rr1.wav is broken or no audio")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ([], 2, "Give INPUT and OUT"),
        (["drums"], 2, "Give INPUT and OUT"),
        (["gone", "kit"], 1, "gone does not exist; check the path."),
        (["drums", "drums"], 2, "drums holds what is read"),
        (["drums/Kick.wav", "drums"], 2, "drums holds what is read"),
        (["drums", "there"], 2, "there exists; give another name, or --force"),
        (["drums", "there", "--force"], 2, "there holds mine.txt, which is no part of a kit"),
        (["drums", "file"], 2, "file exists"),
        (["drums", "file", "--force"], 2, "file is a file and no kit"),
        (["drums", "."], 2, ". gives a kit no name; name a folder for it."),
        (["drums", "kit.sfz"], 2, "kit.sfz names a file, but a kit is a folder; name it kit."),
        (["drums", "kit", "--layers", "0"], 2, "--layers is 0; give 1 to 127."),
        (["drums", "kit", "--round_robins", "99"], 2, "--round_robins is 99; give 1 to 64."),
        (["drums", "kit", "--humanize", "-1"], 2, "--humanize is -1.0; give an amount"),
        (["drums", "kit", "--tail", "0"], 2, "--tail is 0; give -120 to -20."),
        (["drums", "kit", "--format", "mpc"], 2, "invalid choice: 'mpc'"),
        (["drums", "kit", "--preset", "gone.yaml"], 1, "gone.yaml cannot be read"),
        (["drums", "kit", "--model", "gone"], 2, "There is no model gone"),
        (["drums/broken.wav", "kit"], 1, "kit is not written, because no drum could be made"),
        (["empty", "kit"], 1, "There are no audio files in empty"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence_and_leaves_nothing(
    drums, tmp_path, capsys, arguments, code, sentence
):
    for folder in ("there", "empty"):
        (tmp_path / folder).mkdir()
    (tmp_path / "there" / "mine.txt").touch()
    (tmp_path / "file").touch()
    (drums / "broken.wav").touch()
    before = sorted(os.listdir(tmp_path))
    assert main(arguments) == code
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert error.splitlines()[-1].startswith("error: ")
    assert sorted(os.listdir(tmp_path)) == before


def test_force_replaces_a_kit_and_nothing_of_it_stays(drums, tmp_path):
    assert main(["drums", "kit", *QUICK]) == 0
    (drums / "hat.wav").unlink()
    assert main(["drums", "kit", *QUICK, "--force", "--format", "sfz"]) == 0
    assert len(files(tmp_path / "kit")) == 4 + 1


@pytest.mark.slow
def test_any_number_of_processes_writes_the_same_bytes(drums, tmp_path, monkeypatch):
    monkeypatch.setattr("drumblender.kits.build._FEW", 1)
    assert main(["drums", "a/kit", *QUICK]) == 0
    assert main(["drums", "b/kit", *QUICK, "--num_workers", "2"]) == 0
    for name in files(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


@pytest.mark.slow
def test_a_run_that_is_stopped_leaves_nothing(drums, tmp_path, announcing):
    write_drums(drums, {f"tom {i}.wav": drum(100 + i, seed=i) for i in range(4)})
    command = announcing("drumblender.commands.kit", "drums", "new/kit", *QUICK, cwd=tmp_path)
    command.wait_for_steps(1)
    os.killpg(command.process.pid, signal.SIGINT)
    _, error = command.end()
    assert command.process.returncode == 130
    assert error.strip().endswith("error: interrupted.")
    assert sorted(os.listdir(tmp_path)) == ["drums"]


@pytest.mark.slow
def test_help_lists_the_options():
    code = "import sys; from drumblender.commands.kit import main; sys.exit(main(['--help']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--round_robins N" in done.stdout
