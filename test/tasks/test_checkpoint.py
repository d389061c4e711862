import copy
import json

import numpy as np
import pytest
import torch
import yaml

from drumblender.errors import DrumblenderError, UsageError
from drumblender.parameters import Modes
from drumblender.signal import mix
from drumblender.tasks import Blender
from drumblender.tasks.checkpoint import load_model

PUBLISHED = "noise_parallel_transient_params.yaml"


@pytest.fixture(scope="module")
def published_model(reference, published_checkpoint):
    return load_model(reference / PUBLISHED, published_checkpoint)


def test_published_model_computes_what_it_computed_when_published(
    published_model, published_inputs, reference
):
    audio, params = published_inputs
    with torch.no_grad():
        y = published_model.network(audio, params)[:, 0, ::7].numpy()
    expected = np.load(reference / "expected.npz")["noise_parallel_transient_params"]
    assert np.abs(y - expected).max() <= 1e-4 * np.abs(expected).max()


def test_published_model_comes_in_eval_mode_with_its_analysis(published_model):
    assert isinstance(published_model.network, Blender)
    assert not any(module.training for module in published_model.network.modules())
    settings = published_model.analysis
    assert (settings.sample_rate, settings.hop_length, settings.num_modes) == (48000, 256, 64)
    assert (settings.fmin, settings.n_bins, settings.bins_per_octave) == (20, 240, 24)
    assert published_model.num_samples == 96000


@pytest.mark.parametrize(
    "wiring",
    [
        {"transient_synth": None, "transient_autoencoder": None},
        {"noise_synth": None, "noise_autoencoder": None},
        {"transient_takes_noise": True},
        {"transient_parallel": True},
    ],
    ids=["noise", "transient", "noise through transient", "all parallel"],
)
def test_the_other_published_wirings_load(wiring, reference, published_checkpoint, tmp_path):
    config = yaml.safe_load((reference / PUBLISHED).read_text())
    config["model"]["init_args"].update(wiring)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    state = torch.load(published_checkpoint, weights_only=True)
    absent = tuple(f"{key}." for key, value in wiring.items() if value is None)
    state["state_dict"] = {
        k: v for k, v in state["state_dict"].items() if not (absent and k.startswith(absent))
    }
    torch.save(state, tmp_path / "model.ckpt")
    model = load_model(tmp_path / "config.yaml", tmp_path / "model.ckpt").network
    audio, params = torch.randn(1, 1, 25600) * 0.1, torch.rand(1, 3, 64, 101) * 0.1
    with torch.no_grad():
        parameters = model.encode(audio, Modes(params, audio.shape[-1]))
        stems = model.synthesize(parameters, audio.shape[-1])
    assert mix(stems).shape == audio.shape
    absent = {"noise", "transient"} - set(stems)
    assert absent == {key[:-6] for key, value in wiring.items() if value is None} & absent
    assert len(absent) == ("transient_synth" in wiring) + ("noise_synth" in wiring)


def test_a_checkpoint_that_carries_its_configuration_needs_nothing_else(
    published_model, published_inputs, tmp_path
):
    network = published_model.network
    own = {"configuration": network.configuration}
    torch.save({"state_dict": network.state_dict(), **own}, tmp_path / "own.ckpt")
    model = load_model(tmp_path / "own.ckpt")
    assert (model.analysis, model.num_samples) == (published_model.analysis, 96000)
    for name, value in network.state_dict().items():
        assert torch.equal(model.network.state_dict()[name], value)


def test_metrics_in_a_checkpoint_do_not_matter(reference, published_checkpoint, tmp_path):
    state = torch.load(published_checkpoint, weights_only=True)
    state["state_dict"]["test_metrics.mfcc.window"] = torch.ones(3)
    torch.save(state, tmp_path / "model.ckpt")
    load_model(reference / PUBLISHED, tmp_path / "model.ckpt")


def test_a_checkpoint_that_does_not_fit_is_refused_by_its_first_difference(
    reference, published_checkpoint, tmp_path
):
    state = torch.load(published_checkpoint, weights_only=True)
    changed = copy.copy(state)
    changed["state_dict"] = dict(state["state_dict"])
    name = "noise_autoencoder.input.1.weight"
    changed["state_dict"][name] = torch.zeros(8, 1, 7)
    torch.save(changed, tmp_path / "shape.ckpt")
    with pytest.raises(DrumblenderError, match=r"\(8, 1, 7\) and not \(16, 1, 7\)"):
        load_model(reference / PUBLISHED, tmp_path / "shape.ckpt")
    del changed["state_dict"][name]
    torch.save(changed, tmp_path / "missing.ckpt")
    with pytest.raises(DrumblenderError, match=f"{name} is missing"):
        load_model(reference / PUBLISHED, tmp_path / "missing.ckpt")


def test_files_that_cannot_be_loaded_are_named_with_a_remedy(
    reference, published_checkpoint, tmp_path
):
    config = reference / PUBLISHED
    with pytest.raises(DrumblenderError, match="absent.ckpt does not exist"):
        load_model(config, tmp_path / "absent.ckpt")
    with pytest.raises(UsageError, match="absent.yaml does not exist"):
        load_model(tmp_path / "absent.yaml", published_checkpoint)
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    with pytest.raises(DrumblenderError, match=r"text.ckpt cannot be read"):
        load_model(config, tmp_path / "text.ckpt")
    whole = published_checkpoint.read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DrumblenderError, match=r"cut.ckpt cannot be read"):
        load_model(config, tmp_path / "cut.ckpt")
    with pytest.raises(UsageError, match="carries no configuration"):
        load_model(published_checkpoint)
    torch.save({"weights": 1}, tmp_path / "other.ckpt")
    with pytest.raises(DrumblenderError, match="no `state_dict`"):
        load_model(config, tmp_path / "other.ckpt")


def test_a_wrong_model_key_is_named(reference, published_checkpoint, tmp_path):
    config = yaml.safe_load((reference / PUBLISHED).read_text())
    config["model"]["init_args"]["noise_sinth"] = None
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="noise_sinth"):
        load_model(tmp_path / "config.yaml", published_checkpoint)
    (tmp_path / "config.yaml").write_text("data: {}")
    with pytest.raises(UsageError, match="no `model` section"):
        load_model(tmp_path / "config.yaml", published_checkpoint)
