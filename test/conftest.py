"""What several tests need: reference material of the published model, and tiny sounds."""

import json
import os
import select
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from hypothesis import HealthCheck, settings
from projects import client, project, proxy, server, sound, store, write_sound
from skips import pytest_addoption, pytest_make_collect_report, pytest_runtest_makereport

from drumblender.config import load_config

# Fixtures and hooks, which pytest finds by their names here.
__all__ = [
    "client",
    "project",
    "proxy",
    "pytest_addoption",
    "pytest_make_collect_report",
    "pytest_runtest_makereport",
    "server",
    "sound",
    "store",
    "write_sound",
]

REPOSITORY = Path(__file__).parent.parent
REFERENCE = Path(__file__).parent / "reference"

# The same few examples everywhere, every time; --hypothesis-profile=search looks for new ones.
_COMMON = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}
settings.register_profile("same", derandomize=True, max_examples=50, **_COMMON)
settings.register_profile("search", max_examples=2000, **_COMMON)
settings.load_profile("same")


def reference_weights():
    """Deterministic weights by name and shape, for which the published model's output is known.

    The noise encoder's last layer is zero, so that the noise is silent.
    """
    weights = {}
    for name, (shape, dtype) in json.loads((REFERENCE / "state_dict.json").read_text()).items():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        if name.endswith("num_batches_tracked"):
            weights[name] = torch.ones(shape, dtype=torch.int64)
            continue
        values = rng.standard_normal(shape or ())
        if name.endswith("running_var"):
            values = np.abs(values) + 0.5
        elif len(shape) > 1:
            values = values / np.sqrt(np.prod(shape[1:]))
        else:
            values = 0.05 * values
        if name.startswith("noise_autoencoder.output"):
            values = values * 0
        weights[name] = torch.as_tensor(values, dtype=getattr(torch, dtype))
    return weights


def reference_inputs():
    """Audio (2, 1, 96000) and modal parameters (2, 3, 64, 376) that go with the weights."""
    rng = np.random.default_rng(7)
    n, f, m = 96000, 376, 64
    t = np.arange(n) / 48000
    tone = np.exp(-8 * t) * np.sin(2 * np.pi * 180 * t)
    burst = np.exp(-20 * t) * rng.standard_normal(n) * 0.3
    freqs = np.sort(rng.uniform(40, 12000, (2, m, 1)), 1) * 2 * np.pi / 48000 * np.ones((1, 1, f))
    amps = rng.uniform(0.0, 0.05, (2, m, 1)) * np.exp(-np.linspace(0, 8, f))
    amps[:, 40:, 200:] = 0
    freqs[:, 50:, 300:] = 0
    phases = rng.uniform(-np.pi, np.pi, (2, m, f))
    params = np.stack([freqs, amps, phases], 1)
    return (
        torch.as_tensor(np.stack([tone, burst])[:, None], dtype=torch.float32),
        torch.as_tensor(params, dtype=torch.float32),
    )


@pytest.fixture(autouse=True)
def exact_at_first():
    """Training chooses how products of matrices are rounded, for the whole process."""
    yield
    torch.set_float32_matmul_precision("highest")


@pytest.fixture(scope="session")
def reference():
    return REFERENCE


@pytest.fixture(scope="session")
def repository():
    return REPOSITORY


@pytest.fixture(scope="session")
def published_checkpoint(tmp_path_factory):
    """A checkpoint with the keys that Lightning 1.9 writes."""
    path = tmp_path_factory.mktemp("published") / "published.ckpt"
    counts = {"ready": 0, "started": 0, "processed": 0, "completed": 0}
    batches = {"total": counts, "current": counts, "is_last_batch": False}
    loop = {
        "state_dict": {},
        "dataloader_progress": {"total": counts, "current": counts},
        "epoch_loop.state_dict": {},
        "epoch_loop.batch_progress": batches,
    }
    state = {
        "epoch": 3,
        "global_step": 40,
        "pytorch-lightning_version": "1.9.5",
        "state_dict": reference_weights(),
        "loops": {f"{name}_loop": loop for name in ("validate", "test", "predict")},
        "callbacks": {},
        "optimizer_states": [],
        "lr_schedulers": [],
    }
    torch.save(state, path)
    return path


@pytest.fixture(scope="session")
def published_inputs():
    return reference_inputs()


# Writes a byte for each step of a progress bar to the file descriptor that comes first.
_PROGRAM = """
import importlib, os, signal, sys
from tqdm import tqdm
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in background
announce, module = int(sys.argv.pop(1)), sys.argv.pop(1)
update = tqdm.update
def announcing_update(bar, count=1):
    done = update(bar, count)
    if count > 0:
        os.write(announce, b".")
    return done
tqdm.update = announcing_update
sys.exit(importlib.import_module(module).main())
"""


class Announcing:
    """A command in a process group of its own, which announces each step of its progress bars.

    A test waits for what the command did instead of looking for it again and again.

    Args:
        module: with the function ``main``.
        arguments: of the command.
        options: of the process.
    """

    def __init__(self, module, *arguments, **options):
        self._steps, announce = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(announce), module, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[announce],
            start_new_session=True,
            **options,
        )
        os.close(announce)

    def wait_for_steps(self, count, seconds=120):
        """Return when the progress bars have made so many more steps."""
        while count:
            assert select.select([self._steps], [], [], seconds)[0], "no step in time"
            made = len(os.read(self._steps, count))
            assert made, f"ended before its time: {self.process.communicate()}"
            count -= made

    def end(self):
        """Wait until every process of the group has let go of its output; gives the output."""
        output = self.process.communicate(timeout=60)
        os.close(self._steps)
        return output


@pytest.fixture(scope="session")
def announcing():
    return Announcing


RATE, N = 16000, 4096


def drum(path, frequency, seed=0):
    """A decaying tone with a noisy attack, behind a little silence."""
    rng = np.random.default_rng(seed)
    t = np.arange(N) / RATE
    sound = 0.6 * np.exp(-12 * t) * np.sin(2 * np.pi * frequency * t)
    sound += 0.1 * np.exp(-80 * t) * rng.standard_normal(N)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.concatenate([np.zeros(500), sound]), RATE)
    return path


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """A folder of sounds, a dataset configuration and a small experiment over the real base."""
    root = tmp_path_factory.mktemp("library")
    for i, pitch in enumerate([60, 90, 130, 180, 250, 330, 420, 520, 640, 700]):
        drum(root / f"raw/pack{i % 5}/kick_{i}.wav", pitch, seed=i)
    data = {
        "class_path": "drumblender.data.ModalDataModule",
        "init_args": {
            "batch_size": 4,
            "num_workers": 0,
            "dataset_class": "drumblender.data.AudioWithParametersDataset",
            "dataset_kwargs": {"seed": 1, "parameter_key": "feature_file", "expected_num_modes": 8},
            "meta_file": "metadata.json",
            "data_dir": str(root / "dataset"),
            "data_dir_unprocessed": str(root / "raw"),
            "sample_rate": RATE,
            "num_samples": N,
            "num_modes": 8,
            "min_length": 3,
            "hop_length": 64,
            "fmin": 40,
            "n_bins": 72,
            "bins_per_octave": 12,
        },
    }
    (root / "data.yaml").write_text(yaml.safe_dump(data))
    return root


@pytest.fixture(scope="session")
def experiment(library, repository):
    encoder = {"hidden_channels": 2, "strides": [4, 4]}
    film = {"film_embedding_size": 8, "hidden_channels": 4, "num_layers": 3, "kernel_size": 5}
    base = repository / "cfg/04_noise_parallel_transient_params.yaml"
    # Pictures of all sounds would take most of the time of each training.
    fewer = {"LogAudioCallback": "max_audio_samples", "SaveExamplesCallback": "max_examples"}
    callbacks = load_config(base)["trainer"]["callbacks"]
    for callback in callbacks:
        name = callback["class_path"].rpartition(".")[2]
        if name in fewer:
            callback.setdefault("init_args", {})[fewer[name]] = 1
    config = {
        "base": str(base),
        "trainer": {
            "max_epochs": 2,
            "accelerator": "cpu",
            "callbacks": callbacks,
            "logger": {"init_args": {"save_dir": str(library / "logs")}},
            "enable_progress_bar": False,
            "enable_model_summary": False,
        },
        "model": {
            "init_args": {
                "noise_synth": {"init_args": {"window_size": 32}},
                "noise_autoencoder": {"init_args": {**encoder, "output_channels": 17}},
                "transient_autoencoder": {"init_args": {**encoder, "output_channels": 8}},
                "transient_synth": {"init_args": film},
                "test_metrics": {"mfcc": {"init_args": {"sample_rate": RATE}}},
            }
        },
        "data": "data.yaml",
    }
    path = library / "experiment.yaml"
    path.write_text(yaml.safe_dump(config))
    return path
