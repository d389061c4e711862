"""The laptop configuration as people use it: training, and every control of what was trained."""

import math

import numpy as np
import pytest
import soundfile
import torch
import yaml

from drumblender.commands.synth import main as synth
from drumblender.commands.train import main as train
from drumblender.config import load_config
from drumblender.parameters import Modes
from drumblender.signal import sine
from drumblender.tasks.checkpoint import build_model, load_model

RATE, N = 16_000, 4096  # of the library's sounds


@pytest.fixture(scope="module")
def small(library, repository):
    """A small model of the laptop configuration that is trained for a few steps."""
    rate = {"init_args": {"sample_rate": RATE, "channels": 8, "num_bands": 24}}
    spectral = {"init_args": {**rate["init_args"], "window_size": 128, "hop_length": 32}}
    spectral["init_args"]["num_blocks"] = 1
    attack = {"length": 512, "fade": 64, "num_layers": 2, "film_embedding_size": 4}
    config = {
        "base": str(repository / "cfg/07_laptop.yaml"),
        "trainer": {
            "max_steps": 6,
            "check_val_every_n_epoch": 1,
            "accelerator": "cpu",
            "log_every_n_steps": 1,
            "logger": {
                "class_path": "pytorch_lightning.loggers.CSVLogger",
                "init_args": {"save_dir": str(library / "laptop")},
            },
            "enable_progress_bar": False,
            "enable_model_summary": False,
        },
        "model": {
            "init_args": {
                "loss_fn": str(repository / "cfg/loss/mss.yaml"),  # for sounds this short
                "encoder": spectral,
                "modal_autoencoder": rate,
                "noise_synth": {"init_args": {"window_size": 128, "hop_length": 32}},
                "noise_autoencoder": {"init_args": {**rate["init_args"], "num_bins": 65}},
                "transient_synth": {"init_args": attack},
                "transient_autoencoder": {"init_args": {"channels": 8, "embedding_size": 4}},
                "augmentation": {"init_args": {"num_samples": 2048}},
                "test_metrics": {"mfcc": {"init_args": {"sample_rate": RATE}}},
            }
        },
        "lr_scheduler": {"init_args": {"warmup": 2, "steps": 6}},
        "data": str(library / "data.yaml"),
    }
    path = library / "laptop.yaml"
    path.write_text(yaml.safe_dump(config))
    assert train(["fit", "-c", str(path)]) == 0
    (folder,) = (library / "laptop").glob("*/version_*")
    return folder


@pytest.fixture(scope="module")
def checkpoint(small):
    return small / "checkpoints/last.ckpt"


def test_the_learning_rate_rises_and_falls_with_every_step(small):
    header, *rows = (small / "metrics.csv").read_text().splitlines()
    column = header.split(",").index("lr-AdamW")
    rates = [float(row.split(",")[column]) for row in rows if row.split(",")[column]]
    wanted = [0.5, 1.0] + [0.5 * (1 + math.cos(math.pi * k / 4)) for k in range(4)]
    assert rates == pytest.approx([0.002 * share for share in wanted])


def test_every_part_of_the_model_learns(checkpoint):
    state = torch.load(checkpoint, weights_only=True)
    assert state["global_step"] == 6
    trained = {name: value for name, value in state["state_dict"].items() if "loss" not in name}
    for name in (
        "modal_autoencoder.head.out.weight",
        "noise_autoencoder.head.out.weight",
        "transient_synth.tcn.out_projection.weight",
    ):
        assert trained[name].any(), name  # it was zero


def test_validation_hears_sounds_as_they_are(small, checkpoint, library, capsys):
    arguments = ["-c", str(small / "config.yaml"), "--ckpt_path", str(checkpoint)]
    assert train(["test", *arguments]) == 0
    assert "test/lsd" in capsys.readouterr().out


def test_every_control_plays(checkpoint, library, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (kick, tom, *_) = sorted(str(path) for path in (library / "raw").rglob("*.wav"))

    def play(*arguments):
        assert synth([str(checkpoint), *arguments, "--seed", "1"]) == 0

    play(kick, "same.wav", "--stems", "stems")
    whole, _ = soundfile.read("same.wav")
    stems = [soundfile.read(path)[0] for path in sorted((tmp_path / "stems").glob("*.wav"))]
    assert len(stems) == 3
    assert np.abs(sum(stems) - whole).max() < 1e-4
    play(kick, "edit.wav", "--pitch", "-3", "--decay", "2")
    assert len(soundfile.read("edit.wav")[0]) > 1.3 * len(whole)
    play(kick, "other.wav", "--noise", tom)
    play("blend.wav", "--blend", kick, tom, "--steps", "3")
    for path in tmp_path.rglob("*.wav"):
        samples = soundfile.read(path)[0]
        assert np.isfinite(samples).all()
        assert samples.any()


def test_an_untrained_model_is_the_sinusoids_alone(repository):
    torch.manual_seed(0)
    model = build_model(load_config(repository / "cfg/07_laptop.yaml"), "the configuration").eval()
    assert sum(weights.numel() for weights in model.parameters()) < 2_000_000
    audio = 0.3 * torch.randn(1, 1, 48_000, generator=torch.Generator().manual_seed(0))
    frequency = torch.full((1, 1, 188), 0.2)
    params = torch.stack([frequency, 0.5 * torch.ones_like(frequency), 0 * frequency], dim=1)
    with torch.inference_mode():
        parameters = model.encode(audio, Modes(params, 48_000, 48_000))
        stems = model.synthesize(parameters, 48_000)
        silent = model(torch.zeros_like(audio), torch.zeros_like(params))
    tone = 0.5 * sine(0.2 * 48_000 / (2 * math.pi), 48_000, 48_000, 0.2)
    torch.testing.assert_close(stems["modal"][0, 0], tone, atol=1e-3, rtol=0)
    assert not stems["transient"].any()
    below = 10 * math.log10(stems["noise"].square().mean() / audio.square().mean())
    assert below == pytest.approx(-60, abs=0.5)
    assert silent.abs().max() < 1e-6


def test_one_model_hears_a_sound_alike_whatever_follows_it(checkpoint):
    """What is predicted of a sound does not depend on silence after it."""
    model = load_model(checkpoint).network
    generator = torch.Generator().manual_seed(0)
    decay = torch.exp(-torch.arange(N) / 300)
    audio = (torch.randn(1, 1, N, generator=generator) * decay)[..., :3200]
    frames = torch.full((1, 1, 100), 0.1)
    params = torch.stack([frames, frames, frames], dim=1)
    longer = torch.nn.functional.pad(audio, (0, 3200))
    longer_params = torch.cat([params, params * torch.tensor([1.0, 0.0, 1.0]).view(1, 3, 1, 1)], 3)
    with torch.inference_mode():
        short = model.encode(audio, Modes(params, 3200, RATE))["noise"].amplitudes
        long = model.encode(longer, Modes(longer_params, 6400, RATE))["noise"].amplitudes
    torch.testing.assert_close(short[:, :80], long[:, :80], atol=1e-6, rtol=1e-2)


def test_augmentation_beside_losses_of_parts_is_refused(small, library, capsys):
    parts = {"noise": {"loss_fn": {"class_path": "drumblender.loss.NoiseLevelLoss"}}}
    overlay = {"base": str(library / "laptop.yaml"), "model": {"init_args": {"part_losses": parts}}}
    (library / "refused.yaml").write_text(yaml.safe_dump(overlay))
    assert train(["fit", "-c", str(library / "refused.yaml")]) == 2
    assert "leave out part_losses or augmentation" in capsys.readouterr().err
