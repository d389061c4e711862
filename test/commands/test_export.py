"""Exporting, by the real command, and what is exported in ONNX Runtime."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from small_models import drum, write_checkpoint

import drumblender.export
from drumblender.commands.train import main
from drumblender.errors import DrumblenderError, UsageError
from drumblender.export.forms import OPSET
from drumblender.export.manifest import MANIFEST
from drumblender.signal import fit_length


@pytest.fixture(scope="module")
def run(tmp_path_factory, repository, worker_id):
    """A model with a card, a drum, and the folder that the command makes of the model.

    It takes half a minute, so that one process makes it for all.
    """
    alone = worker_id == "master"
    base = tmp_path_factory.getbasetemp()
    folder = (base if alone else base.parent) / "export"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "code").is_file():
            write_checkpoint(folder / "run", repository, "m + n + T(m)")
            drum(folder / "drums/0.wav", 333.0)
            words = (folder / "run/model.ckpt", folder / "out", "--check", folder / "drums")
            (folder / "code").write_text(str(main(["export", *map(str, words)])))
    return folder, int((folder / "code").read_text())


@pytest.fixture
def out(run):
    return run[0] / "out"


def arguments(described, **sizes):
    """Tensors of any sizes for a program."""
    rng = np.random.default_rng(0)
    return {
        port.name: 0.1
        * rng.random([sizes.get(size, size) for size in port.shape]).astype(np.float32)
        for port in described.inputs
    }


@pytest.mark.slow
def test_a_folder_holds_all_forms_and_says_what_they_are(run, out):
    assert run[1] == 0
    programs = [
        f"{name}{end}" for name in ("encode", "synthesize") for end in (".onnx", ".pt2", ".ts")
    ]
    assert {path.name for path in out.iterdir()} == {*programs, MANIFEST, "README.md"}
    said = json.loads((out / MANIFEST).read_text())
    assert (said["sample_rate"], said["latency"], said["channels"]) == (16_000, 0, 1)
    assert (said["hop_length"], said["padded_to"]) == ({"modes": 64, "noise": 16}, 32_000)
    assert said["programs"]["encode"]["files"]["onnx"]["opset"] == OPSET
    assert said["software"]["torch"] == torch.__version__
    text = (out / "README.md").read_text()
    assert "noise_bands" in text
    # Nothing of this machine.
    for path in out.iterdir():
        assert str(Path.home()).encode() not in path.read_bytes()
        assert str(Path(drumblender.__file__).parent).encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_all_forms_compute_the_same_for_any_sizes(out):
    model = drumblender.export.load(out)
    for sizes in (
        {"batch": 1, "samples": 512, "modes": 1, "frames": 9, "noise_frames": 1},
        {"batch": 3, "samples": 3072, "modes": 7, "frames": 50, "noise_frames": 192},
    ):
        for name, described in model.manifest.programs.items():
            given = arguments(described, **sizes)
            tensors = [torch.from_numpy(x) for x in given.values()]
            made = model.run(name, **given)
            pt2 = torch.export.load(out / f"{name}.pt2").module()(*tensors)
            scripted = torch.jit.load(out / f"{name}.ts")(*tensors)
            for port, first, second in zip(described.outputs, pt2, scripted):
                assert made[port.name].shape == first.shape == second.shape
                for other in (first, second):
                    assert np.abs(made[port.name] - other.numpy()).max() < 1e-5, (name, port.name)


@pytest.mark.slow
def test_a_folder_runs_as_the_page_shows(run, out, repository, tmp_path, monkeypatch):
    recording = drumblender.load(run[0] / "run/model.ckpt").prepare(run[0] / "drums/0.wav")
    length = recording.modes.num_samples
    monkeypatch.chdir(tmp_path)
    shutil.copytree(out, "my_export")
    np.save("audio.npy", fit_length(recording.audio, length)[:, None].numpy())
    np.save("modes.npy", recording.modes.values.numpy())
    page = (repository / "docs/how-to/export.md").read_text()
    code = re.search(r'```python title="host.py"\n(.*?)```', page, re.DOTALL)[1]
    found = {"length": length}
    # The model of the page has another rate, and another noise.
    code = code.replace("48_000", "16_000").replace("(audio.shape,", "((1, 2, length),")
    exec(code, found)
    assert found["sound"].shape == (1, 1, length)
    assert 0.1 < np.abs(found["sound"]).max() < 10


def test_inputs_are_checked_by_the_manifest(out):
    model = drumblender.export.load(out, sample_rate=16_000)
    good = arguments(model.manifest.programs["encode"], batch=1, samples=1024, modes=2, frames=17)
    with pytest.raises(UsageError, match="a multiple of 512"):
        model.encode(**{**good, "audio": np.zeros((1, 1, 1000))})
    with pytest.raises(UsageError, match="no program decode, only encode and synthesize"):
        model.run("decode")


def test_a_folder_that_does_not_fit_is_refused(out, tmp_path):
    with pytest.raises(UsageError, match="is of 16000 Hz, not 44100; resample"):
        drumblender.export.load(out, sample_rate=44_100)
    with pytest.raises(DrumblenderError, match=r"holds no manifest\.json"):
        drumblender.export.load(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    said = json.loads((copy / MANIFEST).read_text())

    def refused(match):
        with pytest.raises(DrumblenderError, match=match):
            drumblender.export.load(copy)

    with (copy / "encode.onnx").open("ab") as file:
        file.write(b"x")
    refused(r"encode\.onnx is not the file that was exported")
    (copy / "encode.onnx").unlink()
    refused(r"encode\.onnx is missing")
    (copy / MANIFEST).write_text(json.dumps({**said, "format": 2}))
    refused(r"written by a newer Drumblender \(format 2\); update")
    (copy / MANIFEST).write_text(json.dumps({**said, "kind": "kit"}))
    refused("is no manifest of an exported model")
    (copy / MANIFEST).write_text(json.dumps({**said, "programs": None}))
    refused("is damaged; export the model again")
    (copy / MANIFEST).write_text("{")
    refused("is damaged")


def test_a_difference_is_a_failure(run, out, tmp_path, monkeypatch, capsys):
    from drumblender.export.check import check_folder
    from drumblender.tasks.checkpoint import load_model

    model = load_model(run[0] / "run/model.ckpt")
    model.network.noise_autoencoder.output[1].bias.data += 1e-3
    found = check_folder(out, model, [run[0] / "drums/0.wav"])
    assert not found[0].is_same
    from drumblender.commands.export import _report

    with pytest.raises(DrumblenderError, match=r"0\.wav differs by -.* dB of its peak"):
        _report(found)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model.ckpt"], "Give MODEL and FOLDER"),
        (["model.ckpt", "out", "--forms", "onnx,tflite"], "There is no form tflite"),
        (["model.ckpt", "out", "--forms", "pt2", "--check"], "--check plays the ONNX"),
        (["model.ckpt", "full"], "full is there already"),
        (["model.ckpt", "out", "--sample_rate", "44100"], "trained at 16000 Hz"),
        (["measured", "out", "--sample_rate", "100"], "give 4000 to 192000 Hz"),
        (["model.ckpt", "out", "--check", "nowhere"], "There is no nowhere"),
        (["nothing", "out"], "There is no model nothing"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(
    words, message, repository, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    write_checkpoint(tmp_path, repository, "m + n + T(m)")
    assert main(["export", *words]) in (1, 2)
    assert message in capsys.readouterr().err
    assert not Path("out").exists()
