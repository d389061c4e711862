"""What ``drumblender test`` and ``predict`` write, and how they and wrong options answer."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from drumblender.commands.train import main


@pytest.fixture
def command(experiment, tmp_path, monkeypatch):
    """Arguments with logs in the working directory, for any of the commands."""
    monkeypatch.chdir(tmp_path)
    return ["-c", str(experiment), "--trainer.logger.init_args.save_dir=logs", "--untrained"]


def newest(folder, name):
    return max(folder.rglob(name), key=os.path.getmtime)


@pytest.mark.parametrize("name", ["validate", "test", "predict"])
def test_a_checkpoint_is_asked_for(name, command, capsys):
    assert main([name, *command[:-1]]) == 2
    assert "--ckpt_path last" in capsys.readouterr().err


def test_each_sound_gets_its_metrics_and_their_means_are_what_is_logged(command, tmp_path):
    filters = ["--data.init_args.dataset_kwargs.seed=3", "--data.init_args.batch_size=2"]
    loss = ["--model.init_args.loss_fn=torch.nn.L1Loss"]
    assert main(["test", *command, *filters, *loss]) == 0
    summary = json.loads(newest(tmp_path, "metrics.json").read_text())
    with newest(tmp_path, "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert {"key", "filename", "loss", "lsd", "mfcc", "onset"} <= set(rows[0])
    for name in ("loss", "lsd", "mfcc", "onset", "onset_legacy"):
        mean = np.mean([float(row[name]) for row in rows])
        assert summary[name]["n"] == len(rows)
        assert summary[name]["mean"] == pytest.approx(mean, rel=1e-6)
        assert summary[name]["logged"] == pytest.approx(mean, rel=1e-4)


def test_validation_writes_its_losses_too(command, tmp_path):
    assert main(["validate", *command]) == 0
    assert json.loads(newest(tmp_path, "metrics.json").read_text())["loss"]["n"] >= 1


def test_predictions_are_files_whose_stems_add_up(command, tmp_path, capsys):
    assert main(["predict", *command, "--output=sounds", "--stems", "--targets"]) == 0
    assert "sounds: 1 resynthesis" in capsys.readouterr().out
    (target,) = (tmp_path / "sounds").glob("*_target.wav")
    stem = target.name.replace("_target.wav", "")
    read = {k: soundfile.read(target.with_name(f"{stem}{k}.wav"), dtype="float32")[0]
            for k in ("", "_modal", "_noise", "_transient")}  # fmt: skip
    whole = read.pop("")
    np.testing.assert_allclose(sum(read.values()), whole, atol=1e-6)
    assert soundfile.info(target).subtype == "FLOAT"


WRONG = [
    (["--trainer.max_epoch=4"], "did you mean --trainer.max_epochs?"),
    (["--data.init_args.batchsize=4"], "did you mean batch_size?"),
    (["--data.init_args.dataset_kwargs.sed=4"], "did you mean seed?"),
    (["--data.init_args.hop_lenght=4"], "did you mean hop_length?"),
    (["--data.init_args.batch_size=four"], "data.init_args.batch_size is four; give int"),
    (["--model.init_args.encoder=my_package.Encoder"], "no module my_package"),
    (["--model.init_args.encoder=my_package.Encoder"], "PYTHONPATH"),
    (["--optimizer.class_path=Adan"], "did you mean Adam?"),
    (["--optimizer.init_args.lr=-1"], "Invalid learning rate"),
    (["--trainer.devices=0"], "--trainer.devices"),
    (["--trainer.strategy=ddpp"], "--trainer.strategy"),
    (["--trainer.val_check_interval=50"], "val_check_interval"),
]


@pytest.mark.parametrize(("options", "words"), WRONG)
def test_a_wrong_option_is_named_with_what_was_meant(options, words, command, capsys):
    assert main(["fit", *command[:-1], *options]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert words in message
    assert "NestedArg" not in message
    assert "defect" not in message


def test_a_model_without_a_loss_is_not_taken_for_none(repository, capsys):
    assert main(["fit", "-c", str(repository / "cfg" / "measured.yaml")]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("error: model: ")
    assert "loss_fn" in message


def test_a_loss_that_is_no_number_ends_training_with_advice(command, capsys):
    options = ["--optimizer=torch.optim.SGD", "--optimizer.lr=1e30", "--trainer.max_epochs=9"]
    assert main(["fit", *command[:-1], *options, "--trainer.callbacks=null"]) == 1
    assert "lower the learning rate" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "utf-8:strict"])
def test_a_name_that_the_terminal_cannot_show_is_escaped(encoding, tmp_path):
    code = "import sys; from drumblender.commands.train import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-c", code, "fit", "-c", "größe\udce9大.yaml"]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
    assert result.returncode == 2
    assert b"does not exist" in result.stderr
    assert b"Traceback" not in result.stderr
