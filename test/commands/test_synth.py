import fcntl
import itertools
import os
import re
import signal
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from small_models import WIRINGS, drum, write_checkpoint

from drumblender import plotting
from drumblender.commands.synth import main
from drumblender.errors import DrumblenderError
from drumblender.files import audio
from drumblender.jobs import run
from drumblender.jobs.studio import derive_seed
from drumblender.sound import voice

RATE = 16000
LSB = 2.0**-23


@pytest.fixture(scope="module")
def models(tmp_path_factory, repository):
    root = tmp_path_factory.mktemp("models")
    return {
        wiring: write_checkpoint(root / str(index), repository, wiring)
        for index, wiring in enumerate(WIRINGS)
    }


@pytest.fixture(scope="module")
def model(models):
    return models["T(m) + n"]


def synth(*args):
    return main([str(arg) for arg in args])


def read(path):
    return soundfile.read(path, dtype="float64")[0]


@pytest.mark.parametrize(
    ("rate", "channels", "seconds", "suffix"),
    [
        (8000, 1, 0.013, "wav"),
        (44100, 2, 0.5, "aiff"),
        (22050, 1, 3.3, "flac"),
        (96000, 8, 0.2, "wav"),
        (16000, 1, 1.0, "ogg"),
        (44101, 1, 0.3, "wav"),
    ],
)
def test_a_sound_keeps_its_rate_and_length(rate, channels, seconds, suffix, model, tmp_path):
    source = drum(tmp_path / f"Trommel ä.{suffix}", 110, seconds, rate, channels)
    assert synth(model, source, tmp_path / "out.wav") == 0
    info, original = soundfile.info(tmp_path / "out.wav"), soundfile.info(source)
    assert (info.samplerate, info.frames) == (rate, original.frames)
    assert (info.channels, info.subtype) == (1, "PCM_24")
    assert np.abs(read(tmp_path / "out.wav")).max() > 0


def test_a_configuration_may_stand_in_front_of_its_checkpoint(model, tmp_path):
    source = drum(tmp_path / "a.wav")
    assert synth(model, source, tmp_path / "own.wav", "--seed", 1) == 0
    config, weights = model.with_name("config.yaml"), model.with_name("weights.ckpt")
    assert synth(config, weights, source, tmp_path / "given.flac", "--seed", 1) == 0
    np.testing.assert_allclose(
        read(tmp_path / "own.wav"), read(tmp_path / "given.flac"), atol=2 * LSB
    )


def test_formats_bits_and_rates_are_those_asked_for(model, tmp_path):
    source = drum(tmp_path / "a.wav", rate=44100)
    for name, bits, rate, subtype in [
        ("a.flac", 16, 48000, "PCM_16"),
        ("b.WAV", 32, 8000, "FLOAT"),
        ("c.ogg", 24, 44100, "VORBIS"),
    ]:
        out = tmp_path / "new" / name
        assert synth(model, source, out, "--bits", bits, "--sample_rate", rate) == 0
        info = soundfile.info(out)
        assert (info.subtype, info.samplerate) == (subtype, rate)
        assert info.frames == round(soundfile.info(source).frames * rate / 44100)


def test_a_seed_repeats_the_noise_and_without_one_it_differs(model, tmp_path):
    source = drum(tmp_path / "a.wav")
    outs = [tmp_path / f"{i}.wav" for i in range(4)]
    for out, seed in zip(outs, [["--seed", 3], ["--seed", 3], [], []]):
        assert synth(model, source, out, *seed) == 0
    one, two, three, four = map(read, outs)
    assert np.array_equal(one, two)
    assert not np.array_equal(three, four)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_networks_in_16_bits_sound_nearly_the_same(wiring, models, tmp_path):
    source = drum(tmp_path / "a.wav")
    for precision in ("32-true", "bf16-mixed"):
        out = tmp_path / f"{precision}.wav"
        assert synth(models[wiring], source, out, "--seed", 1, "--precision", precision) == 0
    exact, mixed = read(tmp_path / "32-true.wav"), read(tmp_path / "bf16-mixed.wav")
    difference = np.linalg.norm(mixed - exact) / np.linalg.norm(exact)
    assert difference < 0.02
    assert (difference > 1e-5) == (wiring != "m")


@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize("how", [[], ["--normalize"], ["--modal_gain", 30, "--tilt", -1]])
def test_stems_add_up_to_the_output(wiring, how, models, tmp_path, capsys):
    source = drum(tmp_path / "a.wav", rate=44100, channels=2)
    stems = tmp_path / "stems"
    command = [models[wiring], source, tmp_path / "out.wav", "--stems", stems, "--stereo"]
    assert synth(*command, *how) == 0
    expected = {"modal"}
    expected |= {"noise"} if "n" in wiring else set()
    expected |= {"transient"} if "T" in wiring else set()
    assert {path.stem for path in stems.iterdir()} == expected
    output = read(tmp_path / "out.wav")
    assert output.shape[1] == 2
    total = sum(read(path) for path in stems.iterdir())
    np.testing.assert_allclose(total, output, atol=3 * LSB)
    assert np.abs(output).max() > 0.01
    if "--modal_gain" in how:
        assert "scaled by -" in capsys.readouterr().out
    if how == ["--normalize"] and wiring == "m":
        assert np.abs(output).max() == pytest.approx(1, abs=1e-6)


def test_a_folder_gives_the_same_as_its_files_one_by_one(model, tmp_path, capsys):
    folder = tmp_path / "in"
    drum(folder / "kick.wav", 60)
    drum(folder / "sub/ä/snare.flac", 180, 0.3)
    drum(folder / "sub/tom.WAV", 110, 0.7, 44100)
    (folder / "notes.txt").write_text("no sound")
    (folder / ".hidden.wav").write_text("no sound")
    assert synth(model, folder, tmp_path / "out", "--seed", 5, "--format", "flac") == 0
    printed, bar = capsys.readouterr()
    assert "Resynthesis: 100%" in bar
    assert "s of sound" in bar
    assert "1 files that are no audio" in printed
    assert "3 of 3 recordings" in printed
    made = sorted(p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*.*"))
    assert [str(p) for p in made] == ["kick.flac", "sub/tom.flac", "sub/ä/snare.flac"]
    assert synth(model, folder / "sub/ä/snare.flac", tmp_path / "one.flac", "--seed", 5) == 0
    np.testing.assert_allclose(
        read(tmp_path / "one.flac"), read(tmp_path / "out/sub/ä/snare.flac"), atol=2 * LSB
    )


def test_one_bad_file_does_not_stop_the_others(model, tmp_path, capsys):
    folder = tmp_path / "in"
    drum(folder / "good.wav")
    (folder / "text.wav").write_text("no sound")
    (folder / "empty.wav").write_bytes(b"")
    soundfile.write(folder / "nothing.wav", np.zeros(0), RATE)
    soundfile.write(folder / "nan.wav", np.array([0.1, np.nan]), RATE, "FLOAT")
    soundfile.write(folder / "silence.wav", np.zeros(5000), RATE)
    assert synth(model, folder, tmp_path / "out") == 1
    captured = capsys.readouterr()
    for name in ("text", "empty", "nothing", "nan"):
        assert f"{name}.wav" in captured.err.split("Failed:")[1]
    assert captured.err.strip().splitlines()[-1].startswith("error: 4 of 6 recordings failed")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["good.wav", "silence.wav"]
    assert not read(tmp_path / "out/silence.wav").any()
    assert "silence.wav: is silent" in captured.out


def test_names_that_meet_are_kept_apart_and_said(model, tmp_path, capsys):
    for name in ("in/kick.wav", "in/kick.flac", "other/kick.wav"):
        drum(tmp_path / name)
    command = [model, tmp_path / "in", tmp_path / "other/kick.wav", tmp_path / "out"]
    assert synth(*command) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "kick-2.wav", "kick-3.wav", "kick.wav",
    ]  # fmt: skip
    assert "written as" in capsys.readouterr().out
    # Results inside the folder of the recordings are no recordings of the next run.
    assert synth(model, tmp_path / "in", tmp_path / "in/out") == 0
    assert synth(model, tmp_path / "in", tmp_path / "in/out") == 0
    assert len(list((tmp_path / "in/out").iterdir())) == 2


def test_no_recording_is_overwritten(model, tmp_path, capsys):
    source = drum(tmp_path / "a.wav")
    drum(tmp_path / "s/modal.wav")
    before = source.read_bytes()
    assert synth(model, source, source) == 2
    assert synth(model, tmp_path, tmp_path) == 2
    assert synth(model, source, tmp_path / "b.wav", "--modal", tmp_path / "s/modal.wav",
                 "--stems", tmp_path / "s") == 2  # fmt: skip
    assert synth(model, source, "--blend", source, source) == 2
    assert capsys.readouterr().err.count("would overwrite") == 4
    assert source.read_bytes() == before


def test_parts_come_from_other_recordings(model, tmp_path):
    a, b = drum(tmp_path / "a.wav", 150), drum(tmp_path / "b.wav", 400, 0.6, seed=1)
    run = ["--seed", 2, "--bits", 32, "--stems"]
    assert synth(model, a, tmp_path / "1.wav", *run, tmp_path / "a") == 0
    assert synth(model, a, tmp_path / "2.wav", *run, tmp_path / "mix", "--modal", b) == 0
    assert synth(model, b, tmp_path / "3.wav", *run, tmp_path / "b") == 0
    expected = read(tmp_path / "b/modal.wav")
    # Where it begins, one gain holds all parts.
    begun = slice(400, None)
    np.testing.assert_allclose(read(tmp_path / "mix/modal.wav")[begun], expected[begun], atol=1e-4)
    assert len(expected) == len(read(tmp_path / "2.wav"))
    own = read(tmp_path / "a/noise.wav")
    kept = slice(400, len(own) - 500)
    np.testing.assert_allclose(read(tmp_path / "mix/noise.wav")[kept], own[kept], atol=1e-5)
    command = ["--modal", a, "--noise", b, "--transient", b]
    assert synth(model, tmp_path / "4.wav", *command) == 0
    assert synth(model, tmp_path / "5.wav", *command[:4]) == 2


def test_the_ends_of_a_blend_are_the_two_sounds(model, tmp_path):
    a, b = drum(tmp_path / "a.wav", 150), drum(tmp_path / "b.wav", 210, 0.6, 44100, seed=1)
    for source in (a, b):
        assert synth(model, source, tmp_path / f"own_{source.name}", "--seed", 2) == 0
    command = [model, tmp_path / "x.wav", "--blend", a, b, "--seed", 2]
    assert synth(*command, "--steps", 3) == 0
    for name, number in (("a", 1), ("b", 3)):
        own, blended = (tmp_path / f"own_{name}.wav"), (tmp_path / f"x_{number}.wav")
        assert own.read_bytes() == blended.read_bytes()
    for amount, other in (("0", "a"), ("1", "b")):
        assert synth(*command, "--amount", amount) == 0
        assert (tmp_path / "x.wav").read_bytes() == (tmp_path / f"own_{other}.wav").read_bytes()
    assert (tmp_path / "x_2.wav").exists()


def test_variations_differ_a_little_and_repeat_with_a_seed(model, tmp_path):
    source = drum(tmp_path / "a.wav")
    for out in ("one", "two"):
        assert synth(model, source, tmp_path / out / "x.wav", "--variations", 3, "--seed", 1) == 0
    names = ["x_1.wav", "x_2.wav", "x_3.wav"]
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == names
    first, second = ([read(tmp_path / d / name) for name in names] for d in ("one", "two"))
    for x, y in zip(first, second):
        assert np.array_equal(x, y)
    assert not np.array_equal(first[0][:4000], first[1][:4000])
    levels = [20 * np.log10(np.std(x)) for x in first]
    assert max(levels) - min(levels) < 6


def test_a_long_recording_is_made_in_segments_whole(model, tmp_path, capsys):
    rng = np.random.default_rng(0)
    t = np.arange(int(41.3 * RATE))
    hits = np.exp(-(t % RATE) / 800) * np.sin(2 * np.pi * 300 * t / RATE)
    soundfile.write(tmp_path / "loop.wav", 0.3 * hits + 1e-5 * rng.standard_normal(len(t)), RATE)
    command = [model, tmp_path / "loop.wav", tmp_path / "o.wav", "--stems", tmp_path / "stems"]
    assert synth(*command) == 0
    assert "made in 3 segments" in capsys.readouterr().out
    modal, output = read(tmp_path / "stems/modal.wav"), read(tmp_path / "o.wav")
    assert len(output) == len(t)
    # The sinusoids follow the recording everywhere, at the seams, too.
    error = (modal - 0.3 * hits * (np.abs(modal).max() > 0)).reshape(-1)
    for start in range(0, len(t) - RATE, RATE):
        part = slice(start, start + RATE)
        assert np.std(error[part]) < 0.5 * np.std(hits[part]) * 0.3
    assert synth(*command, "--decay", 2) == 1
    assert "loop.wav is longer than 20 s" in capsys.readouterr().err


def test_a_picture_is_written_beside_each_output(model, tmp_path):
    a, b = drum(tmp_path / "in/a.wav", 150), drum(tmp_path / "in/b.wav", 210, rate=44100)
    assert synth(model, tmp_path / "in", tmp_path / "out", "--plot") == 0
    assert synth(model, tmp_path / "x.wav", "--blend", a, b, "--plot", "--sample_rate", 8000) == 0
    for path in (tmp_path / "out/a.png", tmp_path / "out/b.png", tmp_path / "x.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["MODEL", "absent.wav", "o.wav"], 1, "absent.wav does not exist"),
        (["MODEL", "text.wav", "o.wav"], 1, "text.wav is broken or no audio"),
        (["MODEL", "a.wav", "o.mp3"], 2, "o.mp3: the name must end in"),
        (["MODEL", "a.wav", "text.wav/o.wav"], 1, "o.wav cannot be written"),
        (["MODEL", "a.wav", "a.wav", "text.wav"], 2, "text.wav names a file"),
        (["MODEL", "folder", "o.wav"], 2, "o.wav names a file"),
        (["MODEL", "empty", "o"], 1, "no audio files in empty"),
        (["MODEL", "folder", "text.wav/o"], 1, "cannot be made"),
        (["WEIGHTS", "a.wav", "o.wav"], 2, "carries no configuration"),
        (["absent.ckpt", "a.wav", "o.wav"], 1, "absent.ckpt does not exist"),
        (["MODEL", "a.wav"], 2, "INPUT and OUTPUT"),
        (["MODEL", "a.wav", "o.wav", "--decay", "0"], 2, "--decay is 0.0; give"),
        (["MODEL", "a.wav", "o.wav", "--pitch", "nan"], 2, "--pitch is nan; give"),
        (["MODEL", "a.wav", "o.wav", "--amount", "0.5"], 2, "--blend"),
        (["MODEL", "a.wav", "o.wav", "--blend", "a.wav", "a.wav"], 2, "no INPUT"),
        (["MODEL", "o.wav", "--blend", "a.wav", "a.wav", "--amount", "2"], 2, "--amount is 2.0"),
        (["MODEL", "a.wav", "o.flac", "--bits", "32"], 2, "FLAC holds 16 or 24"),
        (["MODEL", "a.wav", "o.wav", "--device", "abc"], 2, "no device abc"),
        (["MODEL", "a.wav", "o.ogg", "--sample_rate", "700000"], 1, "cannot be written"),
        (["SINES", "a.wav", "o.wav", "--noise", "a.wav"], 2, "--noise needs a noise part"),
        (["SINES", "a.wav", "o.wav", "--attack", "2"], 2, "--attack needs a transient part"),
        (["SINES", "a.wav", "o.wav", "--pitch_noise"], 2, "--pitch_noise needs a noise part"),
    ],
)
def test_errors_are_one_sentence(args, code, words, models, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    drum(tmp_path / "a.wav")
    drum(tmp_path / "folder/a.wav")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.wav").write_text("no sound")
    own = models["T(m) + n"]
    paths = {"MODEL": own, "WEIGHTS": own.with_name("weights.ckpt"), "SINES": models["m"]}
    assert synth(*[paths.get(arg, arg) for arg in args]) == code
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("error: ")
    assert words in message
    assert "defect" not in message
    assert not [p for p in tmp_path.rglob("*") if p.name.startswith("o.") or ".tmp" in p.name]


@pytest.mark.slow
def test_making_sound_imports_neither_lightning_nor_metrics(model, tmp_path):
    source = drum(tmp_path / "a.wav")
    code = (
        "import sys; from drumblender.commands.synth import main\n"
        f"assert main({[str(model), str(source), str(tmp_path / 'o.wav')]!r}) == 0\n"
        "big = {'pytorch_lightning', 'torchmetrics', 'matplotlib', 'scipy.signal', 'tensorboard'}\n"
        "assert not big & set(sys.modules), big & set(sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_the_package_is_found_beside_a_clone_of_its_name(tmp_path):
    (tmp_path / "drumblender").mkdir()
    command = [sys.executable, "-c", "import drumblender; drumblender.load"]
    assert subprocess.run(command, cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_processes_and_batches_give_what_one_after_the_other_gives(model, tmp_path):
    for i in range(64):
        drum(tmp_path / f"in/{i:02d}.wav", 100 + 5 * i, 0.05)
    command = [model, tmp_path / "in"]
    assert synth(*command, tmp_path / "two", "--seed", 1, "--num_workers", 2) == 0
    assert synth(*command, tmp_path / "one", "--seed", 1, "--num_workers", 1) == 0
    (tmp_path / "in/07.wav").write_text("no sound")
    batches = ["--num_workers", 2, "--batch_size", 5]  # as on a GPU
    assert synth(*command, tmp_path / "many", "--seed", 1, *batches) == 1
    assert len(list((tmp_path / "many").iterdir())) == 63
    for i in range(64):
        one, two = (tmp_path / d / f"{i:02d}.wav" for d in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
        if i != 7:
            # The gain that all share is as exact as the loudest sound, whose sums batches divide.
            many = read(tmp_path / f"many/{i:02d}.wav")
            np.testing.assert_allclose(read(one), many, atol=8 * LSB)


@pytest.mark.slow
def test_what_is_wrong_with_a_request_is_said_once_by_many_processes(models, tmp_path, capfd):
    for i in range(64):
        drum(tmp_path / f"in/{i:02d}.wav", 100 + 5 * i, 0.05)
    command = [models["m"], tmp_path / "in", tmp_path / "out", "--num_workers", 2]
    assert synth(*command, "--attack", 2) == 2
    assert capfd.readouterr().err.count("--attack needs a transient part") == 1


def loud_folder(folder):
    """Three drums of 0.2, 0.5 and about twice full scale."""
    for name, gain in (("a", 0.2), ("b", 0.5), ("c", 2.5)):
        t = np.arange(RATE // 4) / RATE
        sound = gain * np.exp(-9 * t) * np.sin(2 * np.pi * 200 * t)
        folder.mkdir(exist_ok=True)
        soundfile.write(folder / f"{name}.wav", sound, RATE, "FLOAT")


def peaks(folder):
    return np.array([np.abs(read(path)).max() for path in sorted(folder.glob("*.wav"))])


def test_one_gain_holds_for_all_that_is_written(models, tmp_path, capsys):
    loud_folder(tmp_path / "in")
    command = [models["m"], tmp_path / "in"]
    assert synth(*command, tmp_path / "floats", "--bits", 32) == 0
    assert "c.wav: exceeds full scale by" in capsys.readouterr().out
    true = peaks(tmp_path / "floats")
    assert true[2] > 1.5

    assert synth(*command, tmp_path / "out", "--stems", tmp_path / "stems") == 0
    assert "All 3 sounds were scaled by -" in capsys.readouterr().out
    np.testing.assert_allclose(peaks(tmp_path / "out"), true / true[2], atol=2 * LSB)
    np.testing.assert_allclose(peaks(tmp_path / "stems/a"), true[0] / true[2], atol=2 * LSB)

    (tmp_path / "in/c.wav").unlink()
    assert synth(*command, tmp_path / "two") == 0
    np.testing.assert_allclose(peaks(tmp_path / "two"), true[:2], atol=2 * LSB)
    assert synth(*command, tmp_path / "all", "--normalize") == 0
    np.testing.assert_allclose(peaks(tmp_path / "all"), true[:2] / true[1], atol=2 * LSB)
    assert synth(*command, tmp_path / "each", "--normalize", "each") == 0
    np.testing.assert_allclose(peaks(tmp_path / "each"), 1, atol=2 * LSB)
    assert not list(tmp_path.rglob(".drumblender*"))


def test_variations_and_blends_share_one_gain(models, tmp_path):
    loud_folder(tmp_path / "in")
    loud, quiet = tmp_path / "in/c.wav", tmp_path / "in/a.wav"
    for name, args in {
        "v": [loud, "OUT", "--variations", 3, "--seed", 1],
        "b": ["OUT", "--blend", quiet, loud, "--steps", 3],
    }.items():
        for bits in (24, 32):
            output = tmp_path / f"{name}{bits}" / "x.wav"
            command = [output if arg == "OUT" else arg for arg in args]
            assert synth(models["m"], *command, "--bits", bits) == 0
        ratio = peaks(tmp_path / f"{name}24") / peaks(tmp_path / f"{name}32")
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
        assert peaks(tmp_path / f"{name}24").max() == pytest.approx(1, abs=2 * LSB)


@pytest.mark.parametrize("mute", ["-inf", "-200", "-1e3", "-.5e3"])
def test_a_negative_number_may_stand_behind_its_option(mute, model, tmp_path):
    source = drum(tmp_path / "a.wav")
    command = [model, source, tmp_path / "o.wav", "--stems", tmp_path / "s"]
    assert synth(*command, "--noise_gain", mute, "--pitch", "-3", "--seed", 1) == 0
    assert np.abs(read(tmp_path / "s/noise.wav")).max() < 1e-6


def test_stems_of_another_sound_are_not_overwritten(model, tmp_path, capsys):
    a, b = drum(tmp_path / "a.wav"), drum(tmp_path / "b.wav", seconds=0.5)
    stems = ["--stems", tmp_path / "stems", "--seed", 1]
    assert synth(model, a, tmp_path / "x.wav", *stems) == 0
    before = read(tmp_path / "stems/modal.wav")
    assert synth(model, b, tmp_path / "y.wav", *stems) == 2
    assert "modal.wav is a stem of another sound than" in capsys.readouterr().err
    np.testing.assert_array_equal(read(tmp_path / "stems/modal.wav"), before)
    assert not (tmp_path / "y.wav").exists()
    assert synth(model, a, tmp_path / "x.wav", *stems) == 0  # the same once more


def test_stems_are_told_apart_by_what_they_add_up_to_not_by_length(models, tmp_path):
    model, stems = models["T(m) + n"], tmp_path / "stems"
    rng = np.random.default_rng(0)
    for name in "ab":  # noise, which Vorbis changes most
        soundfile.write(tmp_path / f"{name}.wav", 0.3 * rng.standard_normal(RATE // 2), RATE)
    for suffix in ("wav", "ogg"):
        outputs = [tmp_path / f"{name}_out.{suffix}" for name in "ab"]
        assert synth(model, tmp_path / "a.wav", outputs[0], "--stems", stems / suffix) == 0
        assert synth(model, tmp_path / "b.wav", outputs[1]) == 0
        before = (stems / suffix / "modal.wav").read_bytes()
        command = [model, tmp_path / "b.wav", outputs[1], "--stems", stems / suffix]
        assert synth(*command) == 2
        assert (stems / suffix / "modal.wav").read_bytes() == before
        command = [model, tmp_path / "a.wav", outputs[0], "--stems", stems / suffix]
        for bits in (16, 24, 24):
            assert synth(*command, "--bits", bits) == 0
    # Another model makes fewer parts of the same sound; no part of before is left among them.
    assert synth(models["m"], *command[1:]) == 0
    assert [path.name for path in (stems / "ogg").iterdir()] == ["modal.wav"]
    assert synth(*command, "--stereo") == 0


@pytest.mark.parametrize("rates", [(11025, 11025), (44101, 11025), (11025, 8000), (44101, 44101)])
def test_segments_of_any_rate_are_as_long_as_the_recording(rates, models, tmp_path):
    rate, new_rate = rates
    hop = round(19.9 * rate)
    for count in (2 * hop + round(0.1 * rate) + 1, 3 * hop - 5):
        t = np.arange(count) / rate
        soundfile.write(tmp_path / "long.wav", 0.4 * np.sin(2 * np.pi * 200 * t), rate)
        command = [models["m"], tmp_path / "long.wav", tmp_path / "o.wav"]
        assert synth(*command, "--sample_rate", new_rate) == 0
        assert len(read(tmp_path / "o.wav")) == round(count * new_rate / rate)


def interrupted_after(monkeypatch, count, error):
    """Let the reports of so many recordings come, and then something else."""
    original = run._reports

    def reports(*args):
        yield from itertools.islice(original(*args), count)
        raise error

    monkeypatch.setattr(run, "_reports", reports)


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (DrumblenderError("A worker process died."), 1)]
)
def test_what_is_finished_at_a_stop_is_written_by_one_gain(
    error, code, models, tmp_path, monkeypatch, capsys
):
    loud_folder(tmp_path / "in")
    for name in "de":
        drum(tmp_path / f"in/{name}.wav", seconds=0.1)
    command = [models["m"], tmp_path / "in", tmp_path / "out", "--seed", 1]
    with monkeypatch.context() as patch:
        interrupted_after(patch, 3, error)
        assert synth(*command) == code
    assert "3 of 5 recordings are written" in capsys.readouterr().err
    found = peaks(tmp_path / "out")
    assert len(found) == 3
    assert found.max() == pytest.approx(1, abs=2 * LSB)
    assert found[0] / found[2] == pytest.approx(0.2 / 2.5, rel=0.05)
    assert synth(*command) == 0
    assert len(peaks(tmp_path / "out")) == 5
    assert not list(tmp_path.rglob(".drumblender*"))


@pytest.mark.slow
def test_a_folder_that_is_interrupted_keeps_what_is_finished(models, tmp_path, announcing):
    for i in range(120):
        drum(tmp_path / f"in/{i:03d}.wav", 100 + i, 0.5)
    arguments = [models["m + n + T(m)"], tmp_path / "in", tmp_path / "out", "--num_workers", "2"]
    command = announcing("drumblender.commands.synth", *arguments)
    process = command.process
    command.wait_for_steps(1)
    os.killpg(process.pid, signal.SIGINT)
    _, message = command.end()
    assert process.returncode == 130, message
    assert message.rstrip().endswith("error: interrupted.")
    left = list((tmp_path / "out").iterdir()) if (tmp_path / "out").exists() else []
    said = re.search(r"(\d+) of 120 recordings are written", message)
    assert len(left) == (int(said[1]) if said else 0)
    assert all(soundfile.info(path).frames for path in left)


def test_what_a_killed_program_left_is_removed_and_what_is_in_use_is_not(models, tmp_path):
    source = drum(tmp_path / "a.wav")
    for name in ("left", "used"):
        (tmp_path / f".drumblender-synth-{name}").mkdir()
        (tmp_path / f".drumblender-synth-{name}/lock").touch()
    with (tmp_path / ".drumblender-synth-used/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert synth(models["m"], source, tmp_path / "o.wav") == 0
    assert [path.name for path in tmp_path.glob(".drum*")] == [".drumblender-synth-used"]


def test_nothing_is_left_of_a_folder_that_was_made_for_nothing(models, tmp_path):
    assert synth(models["m"], tmp_path / "absent.wav", tmp_path / "new/er/o.wav") == 1
    assert not list(tmp_path.iterdir())


def test_whatever_one_file_raises_the_others_go_on(models, tmp_path, monkeypatch, capsys):
    errors = [KeyError("x"), UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "bad"), struct.error("y")]
    errors += [OverflowError(), MemoryError(), RecursionError("deep"), AssertionError()]
    for i in range(len(errors) + 1):
        drum(tmp_path / f"in/{i}.wav", seconds=0.1)
    original = voice.prepare

    def prepare(source, *args, **kwargs):
        if int(source.stem) < len(errors):
            raise errors[int(source.stem)]
        return original(source, *args, **kwargs)

    monkeypatch.setattr(voice, "prepare", prepare)
    assert synth(models["m"], tmp_path / "in", tmp_path / "out") == 1
    failed = capsys.readouterr().err.split("Failed:")[1]
    for i, error in enumerate(errors):
        line = next(line for line in failed.splitlines() if f"in/{i}.wav" in line)
        assert type(error).__name__ in line or "takes more memory than there is" in line
    assert "Traceback" not in failed
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{len(errors)}.wav"]
    monkeypatch.setenv("DRUMBLENDER_DEBUG", "1")
    with pytest.raises(DrumblenderError):
        synth(models["m"], tmp_path / "in", tmp_path / "out")
    assert "in prepare" in capsys.readouterr().err.split("KeyError: 'x'")[0]


@pytest.mark.slow
def test_a_full_disk_is_said_without_noise_or_promise(models, tmp_path):
    resource = pytest.importorskip("resource", reason="platform: Windows has none")
    drum(tmp_path / "in/long.wav", seconds=5)
    drum(tmp_path / "in/short.wav", seconds=0.1)
    limit = (100_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    program = (
        "import resource, sys; from drumblender.commands.synth import main\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, {limit})\nsys.exit(main(sys.argv[1:]))"
    )
    command = [models["m"], tmp_path / "in", tmp_path / "out"]
    command = [sys.executable, "-c", program, *map(str, command)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert "long.wav cannot be written (File too large); make room" in result.stderr
    assert "goes on" not in result.stderr
    assert "ignored" not in result.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["short.wav"]


def test_a_picture_is_of_the_sound_as_it_is_written(models, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plotting, "plot_parts", lambda *args: drawn.append(args))
    monkeypatch.setattr(plotting, "save_figure", lambda figure, path: None)
    loud_folder(tmp_path / "in")
    assert synth(models["m"], tmp_path / "in", tmp_path / "out", "--plot") == 0
    for signals, _, name in drawn:
        shown = {label: x.numpy() for label, x in signals}
        assert list(shown) == ["Input", "Output", "Modal"]
        np.testing.assert_allclose(shown["Output"], read(tmp_path / "out" / name), atol=2 * LSB)
        np.testing.assert_allclose(shown["Input"], read(tmp_path / "in" / name), atol=1e-6)
    assert len(drawn) == 3


def test_what_a_wav_file_cannot_count_becomes_rf64(tmp_path, monkeypatch):
    samples = np.random.default_rng(0).uniform(-1, 1, (1000, 2))
    audio.write_samples(tmp_path / "small.wav", samples, RATE)
    monkeypatch.setattr(audio, "_LARGEST_WAV", 5000)
    audio.write_samples(tmp_path / "large.wav", samples, RATE)
    assert [soundfile.info(tmp_path / f"{x}.wav").format for x in ("small", "large")] == [
        "WAV", "RF64",
    ]  # fmt: skip
    assert np.array_equal(read(tmp_path / "small.wav"), read(tmp_path / "large.wav"))
    assert (tmp_path / "large.wav").stat().st_size > 6000


def test_normalize_takes_no_path_for_its_value(models, tmp_path):
    a = drum(tmp_path / "a.wav")
    for how in (["--normalize"], ["--normalize=each"], ["--normalize", "all"]):
        assert synth(*how, models["m"], a, tmp_path / "o.wav") == 0
        assert np.abs(read(tmp_path / "o.wav")).max() == pytest.approx(1, abs=2 * LSB)


def test_a_lossy_file_of_32_bits_does_not_exceed_full_scale(models, tmp_path):
    loud_folder(tmp_path / "in")
    command = [models["m"], tmp_path / "in", tmp_path / "out", "--format", "ogg", "--bits", 32]
    assert synth(*command) == 0
    assert np.abs(read(tmp_path / "out/c.ogg")).max() < 1.2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "darwin", reason="platform: names are UTF-8")
def test_a_folder_of_odd_names_and_no_files_is_resynthesized(model, tmp_path, capsys):
    folder = tmp_path / "in"
    names = [b"latin1_\xe9_kick.wav", b"k" * 251 + b".wav", b"two\nlines.wav"]
    sound = drum(tmp_path / "a.wav").read_bytes()
    folder.mkdir()
    for name in names:
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(sound)
    os.mkfifo(folder / "fifo.wav")
    (folder / "dangling.wav").symlink_to("/nowhere.wav")
    (folder / "up").symlink_to("..")

    assert synth(model, folder, tmp_path / "out", "--seed", 1, "--plot") == 0

    output = capsys.readouterr().out
    assert "fifo.wav: is no regular file; left out." in output
    assert "dangling.wav: is a link to a file that is not there; left out." in output
    assert "up: is a link to a folder above it; left out." in output
    written = {name for name in os.listdir(os.fsencode(tmp_path / "out")) if b".png" not in name}
    assert written == set(names)


def test_a_name_that_is_too_long_fails_alone(model, tmp_path, capsys):
    drum(tmp_path / "in" / ("k" * 251 + ".wav"), seconds=0.1)
    drum(tmp_path / "in/a.wav", seconds=0.1)
    assert synth(model, tmp_path / "in", tmp_path / "out", "--format", "flac") == 1
    assert "give it a shorter name" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.flac"]


def test_folders_are_blended_with_a_model_and_a_folder_with_several_files_is_refused(
    model, tmp_path, capsys
):
    drum(tmp_path / "kit/a.wav")
    kit = tmp_path / "kit"
    assert synth(model, tmp_path / "out", "--blend", kit, kit) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.wav"]
    assert synth(model, tmp_path / "o.wav", "--blend", kit / "a.wav", kit) == 2
    assert "kit is a folder, but --blend takes files" in capsys.readouterr().err


def test_a_pipe_is_refused_at_once(model, tmp_path, capsys):
    os.mkfifo(tmp_path / "fifo.wav")
    assert synth(model, tmp_path / "fifo.wav", tmp_path / "o.wav") == 1
    assert "fifo.wav is no regular file" in capsys.readouterr().err


@pytest.mark.slow
def test_a_long_recording_takes_no_more_memory_than_a_short_one(models, tmp_path):
    pytest.importorskip("resource", reason="platform: Windows has none")
    rate = 8000
    noise = np.random.default_rng(0).standard_normal((40 * rate, 2)) * 0.01
    with soundfile.SoundFile(tmp_path / "long.wav", "w", rate, 2, "PCM_16") as file:
        for _ in range(4):
            file.write(noise)
    soundfile.write(tmp_path / "short.wav", noise, rate, "PCM_16")
    program = (
        "import resource, sys; from drumblender.commands.synth import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    used = {}
    for name in ("short", "long"):
        command = [models["m"], tmp_path / f"{name}.wav", tmp_path / f"{name}_out.wav", "--stereo"]
        command = [sys.executable, "-c", program, *map(str, command)]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        used[name] = int(result.stdout.split()[-1])
    assert len(read(tmp_path / "long_out.wav")) == 4 * 40 * rate
    # At the model's rate, two minutes more are 15 MB as samples, and three times that with modes.
    assert used["long"] < used["short"] + 15_000


def test_seeds_differ_from_file_to_file():
    assert derive_seed(None, "a") is None
    assert len({derive_seed(seed, name) for seed in (0, 1) for name in "ab"}) == 4
