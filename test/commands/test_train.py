import csv
import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from jsonargparse import ArgumentParser

from drumblender.commands.lightning import DrumblenderCLI
from drumblender.commands.train import main, resolve_files
from drumblender.config import load_config
from drumblender.tasks import Blender, DrumBlender
from drumblender.tasks.checkpoint import build_model, load_model

RATE, N = 16000, 4096  # of the library's sounds


@pytest.fixture(scope="module")
def trained(library, experiment):
    """Log folder of a training run with the real command."""
    assert main(["fit", "-c", str(experiment)]) == 0
    (folder,) = (library / "logs").glob("*/version_*")
    return folder


@pytest.fixture(scope="module")
def checkpoint(trained):
    return trained / "checkpoints/last.ckpt"


def test_training_leaves_checkpoints_configuration_sounds_and_pictures(trained):
    names = {path.suffix for path in trained.rglob("*") if path.is_file()}
    assert {".ckpt", ".yaml", ".wav", ".png"} <= names
    assert {soundfile.info(path).samplerate for path in trained.rglob("*.wav")} == {RATE}
    assert load_config(trained / "config.yaml")["seed_everything"] == 396818285


def test_training_changes_the_weights(trained, checkpoint):
    steps = torch.load(checkpoint, weights_only=True)["global_step"]
    assert steps == 4  # eight sounds for training in batches of four, twice


def test_a_checkpoint_of_a_run_needs_no_configuration(checkpoint):
    model = load_model(checkpoint)
    assert isinstance(model.network, Blender)
    assert not model.network.training
    assert model.analysis.sample_rate == RATE
    assert model.num_samples == N


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_other_commands_take_the_same_configuration_and_a_checkpoint(
    command, experiment, checkpoint, capsys
):
    assert main([command, "-c", str(experiment), "--ckpt_path", str(checkpoint)]) == 0
    if command == "test":
        printed = capsys.readouterr().out
        assert "test/loss" in printed
        assert "test/lsd" in printed


@pytest.fixture(scope="module")
def parted(library, experiment):
    """An overlay for training on parts, with a dataset of its own."""
    overlay = {
        "base": str(experiment),
        "trainer": {
            "max_epochs": 1,
            "logger": {"init_args": {"save_dir": str(library / "parts")}},
        },
        "model": {
            "init_args": {
                "part_losses": {
                    "noise": {
                        "loss_fn": {
                            "class_path": "drumblender.loss.NoiseLevelLoss",
                            "init_args": {"sample_rate": RATE},
                        },
                        "weight": 0.1,
                    },
                    "transient": {"loss_fn": {"class_path": "torch.nn.L1Loss"}},
                }
            }
        },
        "data": {
            "init_args": {
                "dataset_class": "drumblender.data.AudioWithPartsDataset",
                "data_dir": str(library / "separated"),
                "method": "separating",
            }
        },
    }
    path = library / "parted.yaml"
    path.write_text(yaml.safe_dump(overlay))
    return path


@pytest.mark.slow
def test_a_model_is_trained_on_parts_and_makes_sound(parted, library, tmp_path, monkeypatch):
    assert main(["fit", "-c", str(parted)]) == 0
    (folder,) = (library / "parts").glob("*/version_*")
    checkpoint = folder / "checkpoints/last.ckpt"
    values = torch.load(checkpoint, weights_only=True)["configuration"]["model"]["init_args"]
    assert values["part_losses"]["noise"]["weight"] == 0.1
    assert [part.name for part in load_model(checkpoint).network.parts] == [
        "modal", "noise", "transient",
    ]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    logs = ["--trainer.logger.init_args.save_dir=logs", f"--ckpt_path={checkpoint}"]
    assert main(["validate", "-c", str(parted), *logs]) == 0
    metrics = json.loads(next(tmp_path.rglob("metrics.json")).read_text())
    assert metrics["loss_resynthesis"]["mean"] > 0


def test_a_dataset_that_holds_no_parts_is_refused_with_the_remedy(parted, library, capsys):
    other = ["--data.init_args.method=coverage", f"--data.init_args.data_dir={library / 'dataset'}"]
    assert main(["fit", "-c", str(parted), *other]) == 1
    error = capsys.readouterr().err
    assert "method: separating" in error
    assert "--preprocess_features" in error
    plain = ["--data.init_args.dataset_class=drumblender.data.AudioWithParametersDataset"]
    assert main(["fit", "-c", str(parted), *other, *plain]) == 2
    assert "part_losses has 'noise', of which the dataset holds no" in capsys.readouterr().err


def test_a_saved_configuration_runs_again(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["fit", "-c", str(trained / "config.yaml"), "--trainer.fast_dev_run", "true"]
    assert main(command) == 0


@pytest.mark.slow
def test_a_published_model_is_tested_on_another_dataset(
    reference, published_checkpoint, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    soundfile.write(
        tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(20000), 48000
    )
    raw = tmp_path / "dataset-unprocessed/own/pack"
    raw.mkdir(parents=True)
    (tmp_path / "a.wav").rename(raw / "kick.wav")
    published = reference / "noise_parallel_transient_params.yaml"
    data = tmp_path / "X.yaml"
    data.write_text(f"base: {reference.parent.parent / 'cfg/data/base.yaml'}")
    command = ["test", "-c", str(published), "--ckpt_path", str(published_checkpoint)]
    assert main([*command, "--data", str(data), "--trainer.enable_progress_bar", "false"]) == 0
    assert "test/loss" in capsys.readouterr().out


def bad_inputs(library, experiment):
    config = yaml.safe_load(experiment.read_text())

    def changed(name, change):
        copy = json.loads(json.dumps(config))
        change(copy)
        path = library / name
        path.write_text(yaml.safe_dump(copy))
        return str(path)

    def data(key, value):
        return {"base": "data.yaml", "init_args": {key: value}}

    fit = ["fit", "-c"]
    yield "wrong key", [*fit, changed("a.yaml", lambda c: c.update(modle={"x": 1}))], 2, "modle"
    yield (
        "wrong argument",
        [*fit, changed("b.yaml", lambda c: c["model"]["init_args"].update(noise_sinth=1))],
        2,
        "noise_sinth",
    )
    yield (
        "missing folder",
        [*fit, changed("c.yaml", lambda c: c.update(data=no_data(library)))],
        1,
        "nowhere",
    )
    yield (
        "batch size",
        [*fit, changed("d.yaml", lambda c: c.update(data=data("batch_size", 0)))],
        2,
        "batch_size",
    )
    yield "nothing", [], 2, "fit,validate,test,predict"
    yield "no file", [*fit, "absent.yaml"], 2, "absent.yaml"
    yield "no value", ["fit", "-c"], 2, "-c needs a value"
    yield (
        "other length",
        [*fit, changed("e.yaml", lambda c: c.update(data=data("num_samples", 2048)))],
        None,
        "num_samples",
    )
    yield (
        "missing checkpoint",
        ["test", "-c", str(experiment), "--ckpt_path", "absent.ckpt"],
        1,
        "absent.ckpt",
    )


def no_data(library):
    paths = {"data_dir": "nowhere/data", "data_dir_unprocessed": "nowhere/raw"}
    return {"base": "data.yaml", "init_args": paths}


def test_bad_input_ends_in_one_sentence_that_names_it(library, experiment, trained, capsys):
    for name, command, code, word in bad_inputs(library, experiment):
        capsys.readouterr()
        result = main(command)
        message = ["", *capsys.readouterr().err.strip().splitlines()][-1]
        assert message.startswith("error: "), name
        assert word in message, (name, message)
        assert "defect" not in message, (name, message)
        assert result in ((1, 2) if code is None else (code,)), (name, message)


def test_a_checkpoint_of_another_model_is_refused(experiment, checkpoint, tmp_path, capsys):
    state = torch.load(checkpoint, weights_only=True)
    weights = state["state_dict"]
    name = next(iter(weights))
    weights[name] = torch.zeros(3, 3)
    torch.save(state, tmp_path / "other.ckpt")
    command = ["test", "-c", str(experiment), "--ckpt_path", str(tmp_path / "other.ckpt")]
    assert main(command) == 1
    message = capsys.readouterr().err
    assert "does not fit" in message
    assert name in message


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(Exception, match="absent"):
        main(["fit", "-c", "absent.yaml", "--debug"])


def test_configuration_files_resolve_before_other_options(repository):
    args = resolve_files(
        ["-c", str(repository / "cfg/06_modal.yaml"), "--trainer.max_epochs", "3",
         f"--data={repository / 'cfg/data/one_shots.yaml'}"]
    )  # fmt: skip
    assert args[0] == "--config"
    assert args[2:] == ["--trainer.max_epochs", "3"]
    assert "one_shots.json" in args[1]
    assert "percussion" not in args[1]


@pytest.mark.parametrize("command", ["analyze", "dataset", "synth", "train"])
def test_help_answers_without_importing_what_takes_seconds(command):
    code = (
        f"import sys; from drumblender.commands.{command} import main\n"
        "try: code = main(['--help'])\n"
        "except SystemExit as stop: code = stop.code\n"
        "assert not code and 'torch' not in sys.modules"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "usage: drumblender" in result.stdout


@pytest.mark.slow
def test_a_run_goes_on_where_a_checkpoint_was_saved(experiment, checkpoint, library, tmp_path):
    command = ["fit", "-c", str(experiment), "--ckpt_path", str(checkpoint)]
    assert main([*command, "--trainer.max_epochs=3", f"--trainer.logger.save_dir={tmp_path}"]) == 0
    (last,) = tmp_path.rglob("last.ckpt")
    state = torch.load(last, weights_only=True)
    assert (state["epoch"], state["global_step"]) == (2, 6)


@pytest.mark.slow
def test_a_resumed_run_gives_what_an_uninterrupted_one_does(experiment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # The scheduler acts on every loss that is no best, and acts before and after the interruption.
    options = [
        "--lr_scheduler.patience=0",
        "--lr_scheduler.threshold=0.5",
        "--trainer.logger=pytorch_lightning.loggers.CSVLogger",
    ]

    def train(folder, epochs, *more):
        log = f"--trainer.logger.save_dir={folder}"
        command = ["fit", "-c", str(experiment), *options, log, f"--trainer.max_epochs={epochs}"]
        assert main([*command, *more]) == 0

    train("whole", 4)
    train("parts", 2)
    train("parts", 4, "--ckpt_path=last")
    whole = torch.load(next(Path("whole").rglob("version_0/**/last.ckpt")), weights_only=True)
    parts = torch.load(next(Path("parts").rglob("version_1/**/last.ckpt")), weights_only=True)
    assert whole["global_step"] == parts["global_step"] == 8
    for part in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(parts[part], whole[part], rtol=0, atol=0)
    assert parts["lr_schedulers"] == whole["lr_schedulers"]
    assert whole["lr_schedulers"][0]["_last_lr"][0] < 0.5e-4
    stopping = next(key for key in whole["callbacks"] if key.startswith("EarlyStopping"))
    assert parts["callbacks"][stopping] == whole["callbacks"][stopping]

    def losses(folder, version):
        with next(Path(folder).rglob(f"version_{version}/metrics.csv")).open() as file:
            rows = list(csv.DictReader(file))
        return {r["step"]: r["validation/loss"] for r in rows if r["validation/loss"]}

    assert list(losses("parts", 1).items()) == list(losses("whole", 0).items())[2:]


def test_last_says_so_when_there_is_no_checkpoint(experiment, tmp_path, capsys):
    log = f"--trainer.logger.save_dir={tmp_path}"
    assert main(["fit", "-c", str(experiment), log, "--ckpt_path=last"]) == 2
    assert "there is no last.ckpt" in capsys.readouterr().err


def configurations(folder):
    root = folder / "cfg"
    return [(path, path.relative_to(root)) for path in sorted(root.rglob("*.yaml"))]


def test_every_configuration_instantiates(repository, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = configurations(repository)
    assert len(paths) > 30
    for path, name in paths:
        config = load_config(path)
        if str(name) in ("base.yaml", "measured.yaml"):  # nothing to learn in it
            assert isinstance(build_model(config, str(name)), Blender)
            continue
        if "model" in config:
            cli = DrumblenderCLI(resolve_files(["-c", str(path)]), run=False)
            assert isinstance(cli.model, DrumBlender), name
            assert cli.trainer.callbacks, name
            assert cli.datamodule is not None, name
            continue
        for thing in [config] if "class_path" in config else config.values():
            if thing["class_path"].endswith("WandbLogger"):
                continue  # needs wandb
            module, cls = thing["class_path"].rsplit(".", 1)
            cls = getattr(importlib.import_module(module), cls)
            parser = ArgumentParser(exit_on_error=False)
            parser.add_subclass_arguments(cls, "thing")
            instance = parser.instantiate_classes(parser.parse_object({"thing": thing})).thing
            assert isinstance(instance, cls), name
