"""Two processes (gloo, on the CPU) train as one does with batches of twice the size."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
import yaml

from drumblender.commands.train import main

RATE, N = 16000, 4096
# Lightning starts further processes by the name of the running program.
PROGRAM = "import sys\nfrom drumblender.commands.train import main\nsys.exit(main())\n"


@pytest.fixture(scope="module")
def experiment(tmp_path_factory, repository):
    """Gains of modes are learned with a mean over sounds as loss: nothing hangs on the batch."""
    root = tmp_path_factory.mktemp("distributed")
    t = np.arange(N) / RATE
    for i in range(20):
        sound = 0.5 * np.exp(-10 * t) * np.sin(2 * np.pi * (80 + 40 * i) * t)
        path = root / f"raw/pack{i % 5}/tom_{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, sound, RATE)
    analysis = {"num_modes": 8, "hop_length": 64, "fmin": 40, "n_bins": 72, "bins_per_octave": 12}
    data = {
        "class_path": "drumblender.data.ModalDataModule",
        "init_args": {
            "batch_size": 2,
            "dataset_kwargs": {"seed": 1, "expected_num_modes": 8},
            "data_dir": str(root / "dataset"),
            "data_dir_unprocessed": str(root / "raw"),
            "sample_rate": RATE,
            "num_samples": N,
            **analysis,
        },
    }
    config = {
        "base": str(repository / "cfg/06_modal.yaml"),
        "trainer": {
            "max_epochs": 2,
            "accelerator": "cpu",
            "logger": {"class_path": "pytorch_lightning.loggers.CSVLogger"},
            "enable_progress_bar": False,
            "enable_model_summary": False,
        },
        "model": {
            "init_args": {
                "modal_autoencoder": {"init_args": {"num_modes": 8}},
                "loss_fn": {"class_path": "torch.nn.L1Loss"},
                "test_metrics": {"mfcc": {"init_args": {"sample_rate": RATE}}},
            }
        },
        "optimizer": {"init_args": {"lr": 0.01}},
        "data": data,
    }
    (root / "experiment.yaml").write_text(yaml.safe_dump(config))
    (root / "program.py").write_text(PROGRAM)
    return root / "experiment.yaml"


def run(experiment, folder, command, *options):
    """Run a command of training, in as many processes as the options say."""
    log = f"--trainer.logger.init_args.save_dir={experiment.parent / folder}"
    arguments = [command, "-c", str(experiment), log, *options]
    if "--trainer.devices=2" not in options:
        assert main(arguments) == 0
        return
    result = subprocess.run(
        [sys.executable, experiment.parent / "program.py", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=experiment.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr


def metrics(folder, version):
    path = next(folder.rglob(f"version_{version}/metrics.csv"))
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return {
        (name, row["step"]): float(value)
        for row in rows
        for name, value in row.items()
        if value and name not in ("step", "epoch")
    }


@pytest.mark.slow
def test_two_processes_train_and_test_as_one_does(experiment, monkeypatch):
    monkeypatch.chdir(experiment.parent)
    two = ("--trainer.strategy=ddp", "--trainer.devices=2")
    run(experiment, "one", "fit", "--data.init_args.batch_size=4")
    run(experiment, "two", "fit", *two)
    weights = {}
    for folder in ("one", "two"):
        (path,) = (experiment.parent / folder).rglob("last.ckpt")
        weights[folder] = torch.load(path, weights_only=True)["state_dict"]
        run(experiment, folder, "test", "--ckpt_path=last", *(two if folder == "two" else ()))
    learned = "modal_autoencoder.amp_params"
    assert (weights["one"][learned] - weights["one"][learned].mean()).abs().max() > 1e-4
    torch.testing.assert_close(weights["two"], weights["one"], rtol=1e-4, atol=1e-6)

    for version in (0, 1):
        one, both = (metrics(experiment.parent / folder, version) for folder in ("one", "two"))
        assert both == pytest.approx(one, rel=1e-3)
    assert {"test/loss", "test/mfcc"} <= {name for name, _ in both}

    # One process writes: a folder and a configuration for each command.
    assert len(list((experiment.parent / "two").rglob("version_*"))) == 2
    assert len(list((experiment.parent / "two").rglob("config.yaml"))) == 2
