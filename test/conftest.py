"""What several tests need: reference material of the published model, and tiny sounds."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

REPOSITORY = Path(__file__).parent.parent
REFERENCE = Path(__file__).parent / "reference"


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
