"""``drumblender-synth`` without a model, as a user runs it."""

import shutil

import numpy as np
import pytest
import soundfile

from drumblender.commands.synth import main

BUNDLED = ("drum/snare/drum_snare_hard.flac", "perc/percussion/perc_swash.flac")
# What rounding to 16 bits makes of a sound, and of three stems together.
LSB = 2.0**-15


def synth(*args):
    return main([str(arg) for arg in args])


def read(path):
    return soundfile.read(path, dtype="float64")[0]


@pytest.fixture
def snare(repository):
    return repository / "audio/one-shots" / BUNDLED[0]


@pytest.mark.parametrize("name", BUNDLED)
@pytest.mark.parametrize("bits", [16, 24])
def test_unchanged_it_is_the_recording_and_stems_add_up_to_it(name, bits, repository, tmp_path):
    source = repository / "audio/one-shots" / name
    command = [source, tmp_path / "out.wav", "--stems", tmp_path / "stems", "--bits", bits]
    assert synth(*command) == 0
    recorded, info = read(source), soundfile.info(tmp_path / "out.wav")
    assert (info.samplerate, info.subtype) == (soundfile.info(source).samplerate, f"PCM_{bits}")
    assert np.abs(read(tmp_path / "out.wav") - recorded).max() <= LSB
    stems = [read(tmp_path / f"stems/{name}.wav") for name in ("modal", "noise", "transient")]
    assert np.abs(sum(stems) - recorded).max() <= 2 * LSB
    assert all(np.abs(stem).max() > 1e-3 for stem in stems)


def test_a_stem_beyond_full_scale_is_written_as_floats_and_nothing_is_scaled(
    snare, tmp_path, capsys
):
    command = [snare, tmp_path / "out.wav", "--stems", tmp_path / "stems", "--bits", 16]
    assert synth(*command) == 0
    loud = [
        path for path in (tmp_path / "stems").glob("*.wav") if np.abs(read(path)).max() > 1
    ]  # fmt: skip
    assert loud
    said = capsys.readouterr().out
    for path in loud:
        assert soundfile.info(path).subtype == "FLOAT"
        assert f"{path}: holds 32-bit floats, because it exceeds full scale by" in said
    assert "scaled" not in said


def test_a_configuration_without_weights_needs_no_checkpoint(snare, repository, tmp_path):
    assert synth(snare, tmp_path / "a.wav", "--pitch", 2) == 0
    assert synth(repository / "cfg/measured.yaml", snare, tmp_path / "b.wav", "--pitch", 2) == 0
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_a_folder_a_blend_and_parts_of_others_need_no_model(snare, repository, tmp_path):
    kit = tmp_path / "kit"
    kit.mkdir()
    for name in BUNDLED:
        shutil.copy(repository / "audio/one-shots" / name, kit)
    other = kit / "perc_swash.flac"
    assert synth(kit, tmp_path / "out", "--decay", 0.5, "--seed", 1) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "drum_snare_hard.wav",
        "perc_swash.wav",
    }
    assert synth(tmp_path / "x.wav", "--blend", snare, other, "--steps", 3) == 0
    # One gain for all, because the snare is recorded at full scale.
    gain = np.abs(read(tmp_path / "x_1.wav")).max() / np.abs(read(snare)).max()
    assert np.abs(read(tmp_path / "x_1.wav") - gain * read(snare)).max() <= LSB
    assert np.abs(read(tmp_path / "x_3.wav") - gain * read(other)).max() <= LSB
    assert synth(snare, tmp_path / "n.wav", "--noise", other, "--transient", other) == 0
    assert read(tmp_path / "n.wav").ndim == 2


def test_a_long_loop_comes_back_whole(tmp_path, capsys):
    rng = np.random.default_rng(0)
    t = np.arange(8000 * 45)
    loop = 0.5 * np.exp(-(t % 8000) / 900) * np.sin(0.3 * t) + 1e-3 * rng.standard_normal(len(t))
    soundfile.write(tmp_path / "loop.wav", loop, 8000)
    assert synth(tmp_path / "loop.wav", tmp_path / "out.wav", "--bits", 16) == 0
    assert np.abs(read(tmp_path / "out.wav") - read(tmp_path / "loop.wav")).max() <= LSB
    assert "segments of 20 s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["only.wav"], 2, "Give INPUT and OUTPUT"),
        (["missing.wav", "out.wav"], 1, "missing.wav does not exist"),
        (["text.wav", "out.wav"], 1, "text.wav"),
        (["out.wav", "--blend", "missing.wav", "missing.wav"], 1, "missing.wav does not exist"),
        (["text.wav", "text.wav"], 2, "would overwrite a recording"),
        (["missing.ckpt", "text.wav", "out.wav"], 1, "missing.ckpt does not exist"),
        (["weights.yaml", "text.wav", "out.wav"], 2, "has weights that have to be learned"),
    ],
)
def test_errors_are_one_sentence(args, code, words, repository, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "weights.yaml").write_text(f"base: {repository}/cfg/01_noise_params.yaml\n")
    assert synth(*args) == code
    error = capsys.readouterr().err
    assert words in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out.wav").exists()


def test_a_recording_that_cannot_be_taken_apart_does_not_stop_the_others(tmp_path, capsys):
    time = np.arange(4000)
    for rate in (1000, 8000):
        soundfile.write(tmp_path / f"in{rate}.wav", np.exp(-time / 500) * np.sin(time), rate)
    inputs = [tmp_path / f"in{rate}.wav" for rate in (1000, 8000)]
    assert synth(*inputs, tmp_path / "out") == 1
    assert "too low to be taken apart" in capsys.readouterr().err
    assert (tmp_path / "out/in8000.wav").exists()


def test_a_loop_says_how_many_strokes_it_has(tmp_path, capsys):
    time = np.arange(16000) / 16000
    loop = sum(
        np.where(time >= t, np.exp(-(time - t).clip(0) / 0.03), 0) * np.sin(2000 * time)
        for t in (0.05, 0.4, 0.7)
    )
    soundfile.write(tmp_path / "loop.wav", 0.5 * loop, 16000)
    soundfile.write(tmp_path / "one.wav", 0.5 * loop[:4000], 16000)
    assert synth(tmp_path / "loop.wav", tmp_path / "out.wav") == 0
    assert "loop.wav: 3 strokes, each with modes and a transient" in capsys.readouterr().out
    assert synth(tmp_path / "one.wav", tmp_path / "out.wav") == 0
    assert "strokes" not in capsys.readouterr().out


def test_a_preset_does_what_its_controls_do(snare, tmp_path, capsys):
    controls = ("--pitch", 3, "--pitch_noise", "--decay", 1.2, "--modal_gain=-inf")
    saved = ("--save_preset", tmp_path / "preset.yaml")
    assert synth(snare, tmp_path / "a.wav", "--seed", 1, *controls, *saved) == 0
    assert f"{tmp_path / 'preset.yaml'}: the controls as a preset" in capsys.readouterr().out
    preset = ("--preset", tmp_path / "preset.yaml", "--seed", 1)
    assert synth(snare, tmp_path / "b.wav", *preset) == 0
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    # What stands beside a preset wins over it, also where it changes nothing.
    assert synth(snare, tmp_path / "c.wav", *preset, "--decay", 1, "--modal_gain", 0) == 0
    assert synth(snare, tmp_path / "d.wav", "--seed", 1, "--pitch", 3, "--pitch_noise") == 0
    assert (tmp_path / "c.wav").read_bytes() == (tmp_path / "d.wav").read_bytes()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--preset", "missing.yaml"], 1, "missing.yaml cannot be read"),
        (["--preset", "bad.yaml"], 2, "bad.yaml: there is no control 'pich'; did you mean pitch?"),
        (["--save_preset", "out.txt"], 2, "out.txt names no preset"),
        (["--save_preset", "other.yaml"], 2, "other.yaml exists and is no preset"),
    ],
)
def test_a_preset_that_cannot_be_is_refused_before_the_work(
    options, code, words, snare, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text("pich: 1\n")
    (tmp_path / "other.yaml").write_text("data: one_shots.yaml\n")
    assert synth(snare, "out.wav", *options) == code
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.slow
def test_a_file_of_parts_goes_wherever_a_recording_goes(snare, repository, tmp_path, capsys):
    parts, other = tmp_path / "snare.drum", repository / "audio/one-shots" / BUNDLED[1]
    assert synth(snare, parts, "--seed", 1) == 0
    assert f"{parts}: 0.44 s at 44100 Hz, as parts" in capsys.readouterr().out
    # Parts keep the seed that was drawn for them, and --seed draws another one for each name.
    for ending, source, seed in (("drum", parts, ()), ("wav", snare, ("--seed", 1))):
        names = [tmp_path / f"{x}_{ending}.wav" for x in ("changed", "blend", "noise")]
        assert synth(source, names[0], "--pitch", -2, "--decay", 1.5, *seed) == 0
        assert synth(names[1], "--blend", source, other, *seed) == 0
        assert synth(source, names[2], "--noise", other, *seed) == 0
    for name in ("changed", "blend", "noise"):
        one, same = (tmp_path / f"{name}_{ending}.wav" for ending in ("drum", "wav"))
        assert one.read_bytes() == same.read_bytes(), name
    pictured = synth(parts, tmp_path / "x.wav", "--plot", "--stems", tmp_path / "stems")
    assert pictured == 0
    assert (tmp_path / "x.png").exists()


def test_in_folders_files_of_parts_count_once(snare, tmp_path, capsys):
    kit = tmp_path / "kit"
    kit.mkdir()
    for name in ("a", "b"):
        shutil.copy(snare, kit / f"{name}.flac")
    assert synth(kit, kit, "--format", "drum", "--seed", 1) == 0
    (kit / "b.drum").rename(kit / "c.drum")
    capsys.readouterr()
    assert synth(kit, tmp_path / "out", "--seed", 1) == 0
    said = capsys.readouterr().out
    assert f"{kit / 'a.drum'} is left out, because {kit / 'a.flac'} is there." in said
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.wav", "b.wav", "c.wav"}
    assert (tmp_path / "out/b.wav").read_bytes() == (tmp_path / "out/c.wav").read_bytes()


def test_the_model_that_made_parts_is_taken_by_itself(snare, tmp_path, capsys):
    assert synth("--model", "drums", snare, tmp_path / "x.drum", "--seed", 1) == 0
    assert synth(tmp_path / "x.drum", tmp_path / "a.wav", "--pitch", 3) == 0
    said = capsys.readouterr().out
    assert f"{tmp_path / 'x.drum'} was made with the model drums, which is taken." in said
    assert synth("--model", "drums", snare, tmp_path / "b.wav", "--pitch", 3, "--seed", 1) == 0
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["x.wav", "out.drum", "--stems", "stems"], 2, "--stems is of sounds that are played"),
        (["x.wav", "out.drum", "--plot"], 2, "--plot is of sounds that are played"),
        (["x.wav", "x.wav", "out", "--format", "drum", "--normalize"], 2, "--normalize is of"),
        (["x.wav", "out.drum"], 1, "x.wav is longer than 20 s, too long for a file of parts"),
        (["bad.drum", "out.wav"], 1, "bad.drum holds no sound that is taken apart; give a file"),
        (["bad.drum", "bad.drum"], 1, "bad.drum holds no sound that is taken apart"),
        (["none.drum", "out.wav"], 1, "none.drum does not exist; check the path."),
        (["out.wav", "--blend", "x.wav", "none.drum"], 1, "none.drum does not exist"),
    ],
)
def test_what_parts_cannot_be_is_one_sentence(args, code, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    soundfile.write("x.wav", np.zeros(21 * 8000), 8000)
    (tmp_path / "bad.drum").write_text("no parts at all")
    assert synth(*args) == code
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    assert not (tmp_path / "out.drum").exists()
    assert not (tmp_path / "out.wav").exists()
