"""Two processes (gloo, on the CPU) train as one does with batches of twice the size.

They may run on two machines, and read a dataset in a bucket.
"""

import csv
import os
import signal
import socket
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import soundfile
import torch
import yaml

from drumblender.commands.dataset import main as dataset
from drumblender.commands.train import main

RATE, N = 16000, 4096
# Lightning starts further processes by the name of the running program.
PROGRAM = "import sys\nfrom drumblender.commands.train import main\nsys.exit(main())\n"
# A checkpoint in the midst of each epoch, which has four batches.
OFTEN = """
trainer:
  callbacks:
    - class_path: pytorch_lightning.callbacks.ModelCheckpoint
      init_args: {every_n_train_steps: 3, save_top_k: -1, filename: "at{step}", save_last: true}
"""
# Ends a process like a machine that loses its power, after some steps.
DIES = """
import os, signal
from pytorch_lightning import Callback

class Dies(Callback):
    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == 7:
            os.kill(os.getpid(), signal.SIGKILL)
"""


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


@pytest.fixture(scope="module")
def two_processes(experiment):
    """The folder of a training by two processes of one machine, from the disk."""
    often = experiment.parent / "often.yaml"
    often.write_text(OFTEN)
    two = ("--trainer.strategy=ddp", "--trainer.devices=2")
    run(experiment, "two", "fit", "-c", str(often), *two)
    return experiment.parent / "two"


@pytest.mark.slow
def test_two_processes_train_and_test_as_one_does(experiment, two_processes, monkeypatch):
    monkeypatch.chdir(experiment.parent)
    two = ("--trainer.strategy=ddp", "--trainer.devices=2")
    often = str(experiment.parent / "often.yaml")
    run(experiment, "one", "fit", "-c", often, "--data.init_args.batch_size=4")
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


def machine(experiment, rank, port, *options, callbacks="often.yaml"):
    """Begin to train as torchrun does on one of two machines, each with a folder of its own."""
    folder = experiment.parent / f"machine {rank}"
    folder.mkdir(exist_ok=True)
    arguments = ["fit", "-c", str(experiment), "-c", str(experiment.parent / callbacks)]
    arguments += ["--trainer.strategy=ddp", "--trainer.devices=1", "--trainer.num_nodes=2"]
    arguments += ["--data.init_args.data_dir=s3://drums/two", "--data.init_args.cache_dir=cache"]
    numbers = {"RANK": rank, "GROUP_RANK": rank, "LOCAL_RANK": 0, "MASTER_PORT": port}
    sizes = {"WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 1, "OMP_NUM_THREADS": 1}
    names = {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": "none"}
    return subprocess.Popen(
        [sys.executable, experiment.parent / "program.py", *arguments, *options],
        env={**os.environ, **{k: str(v) for k, v in {**numbers, **sizes, **names}.items()}},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@pytest.mark.slow
def test_two_machines_go_on_from_a_bucket_after_one_was_killed_in_the_midst_of_an_epoch(
    experiment, two_processes, store, monkeypatch
):
    root = experiment.parent
    config = yaml.safe_load(experiment.read_text())
    config["data"]["init_args"]["url"] = store.url
    experiment = root / "in_bucket.yaml"
    experiment.write_text(yaml.safe_dump(config))
    monkeypatch.chdir(root)
    assert dataset([str(experiment), "--stream", "s3://drums/two"]) == 0

    log = f"--trainer.logger.init_args.save_dir={root / 'machines'}"
    port = free_port()
    (root / "dies.py").write_text(DIES)
    (root / "dies.yaml").write_text(f"{OFTEN}    - class_path: dies.Dies\n")
    survivor = machine(experiment, 0, port, log)
    killed = machine(experiment, 1, port, log, callbacks="dies.yaml")
    killed.communicate(timeout=240)
    assert killed.returncode == -signal.SIGKILL
    said = survivor.communicate(timeout=120)[0]
    assert survivor.returncode == 1, said
    assert "another process of this training has ended or cannot be reached" in said
    assert "Traceback" not in said

    (saved,) = (root / "machines").rglob("at*=6.ckpt")
    log = f"--trainer.logger.init_args.save_dir={root / 'again'}"
    port = free_port()
    both = [machine(experiment, r, port, log, "--ckpt_path", str(saved)) for r in (0, 1)]
    for process in both:
        said = process.communicate(timeout=120)[0]
        assert process.returncode == 0, said
    (last,) = (root / "again").rglob("last.ckpt")
    (whole,) = two_processes.rglob("last.ckpt")
    states = [torch.load(path, weights_only=True) for path in (last, whole)]
    assert states[0]["global_step"] == states[1]["global_step"] == 8
    for part in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(states[0][part], states[1][part], rtol=0, atol=0)

    for path in (path for path in root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if zipfile.is_zipfile(path):  # as checkpoints are
            with zipfile.ZipFile(path) as archive:
                content += b"".join(archive.read(name) for name in archive.namelist())
        for secret in (b"an-access-key", b"a-secret-key"):
            assert secret not in content, path
