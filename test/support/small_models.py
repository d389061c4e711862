"""Small untrained models of the real wirings, and drums to play them on."""

import json

import numpy as np
import soundfile
import torch
import yaml

from drumblender.config import load_config
from drumblender.tasks.checkpoint import build_model

RATE = 16000
WIRINGS = {
    "m + n": {"base": "01_noise_params.yaml"},
    "T(m)": {"base": "02_transient_params.yaml"},
    "T(m + n)": {"base": "03_noise_transient_params.yaml"},
    "T(m) + n": {"base": "04_noise_parallel_transient_params.yaml"},
    "m + n + T(m)": {"base": "05_all_parallel.yaml"},
    "m": {"base": "06_modal.yaml"},
}


def write_checkpoint(folder, repository, wiring):
    """A small untrained model of one of the real wirings, as training saves it."""
    base = WIRINGS[wiring]["base"]
    encoder = {"hidden_channels": 2, "strides": [4, 4]}
    args = {}
    if base[:2] not in ("02", "06"):
        args["noise_synth"] = {"init_args": {"window_size": 32}}
        args["noise_autoencoder"] = {"init_args": {**encoder, "output_channels": 17}}
    if base[:2] not in ("01", "06"):
        args["transient_autoencoder"] = {"init_args": {**encoder, "output_channels": 8}}
        film = {"film_embedding_size": 8, "hidden_channels": 4, "num_layers": 3, "kernel_size": 5}
        args["transient_synth"] = {"init_args": film}
    if base[:2] == "06":
        args["modal_autoencoder"] = {"init_args": {"num_modes": 16}}
    analysis = {"sample_rate": RATE, "num_samples": 2 * RATE, "num_modes": 16, "min_length": 3}
    analysis.update(hop_length=64, fmin=40, n_bins=84, bins_per_octave=12)
    config = {
        "base": str(repository / "cfg" / base),
        "model": {"init_args": args},
        "data": {
            "class_path": "drumblender.data.ModalDataModule",
            "init_args": {**analysis, "dataset_class": "x", "data_dir": "nowhere"},
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    config = json.loads(json.dumps(load_config(folder / "config.yaml")))
    torch.manual_seed(0)
    weights = build_model(config, "test").state_dict()
    torch.save({"state_dict": weights, "configuration": config}, folder / "model.ckpt")
    torch.save({"state_dict": weights}, folder / "weights.ckpt")
    return folder / "model.ckpt"


def drum(path, frequency=200.0, seconds=0.4, rate=RATE, channels=1, seed=0):
    """A decaying tone with a noisy attack, behind a little silence."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    sound = 0.4 * np.exp(-12 * t) * np.sin(2 * np.pi * frequency * t)
    sound += 0.1 * np.exp(-80 * t) * rng.standard_normal(len(t))
    sound = np.concatenate([np.zeros(rate // 50), sound])
    if channels > 1:
        sound = np.stack([sound * 0.8**i for i in range(channels)], 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, rate)
    return path
