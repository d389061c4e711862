"""Instruments as hosts load them: files of TorchScript, without this package."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import drum, write_checkpoint

from drumblender.commands.train import main
from drumblender.errors import UsageError
from drumblender.export.hosts import check_instrument, export_instrument
from drumblender.export.manifest import MANIFEST
from drumblender.export.neutone import KNOBS, knob_of
from drumblender.sound.controls import by_name


class NnTildeHost:
    """What nn~ does with a module, after its C++."""

    def __init__(self, path, method="forward", batches=1):
        self.model = torch.jit.load(str(path)).eval()
        self.method, self.batches = method, batches
        assert method in self.model.get_methods()
        self.params = getattr(self.model, f"{method}_params").tolist()
        self.inlets = getattr(self.model, f"{method}_input_labels")
        self.outlets = getattr(self.model, f"{method}_output_labels")

    @torch.inference_mode()
    def perform(self, signals):
        """Play one buffer of each inlet of each batch, (channels * batches, n)."""
        channels, in_ratio, out_channels, out_ratio = self.params
        count = signals.shape[1]
        x = signals.reshape(channels, self.batches, -1, in_ratio).select(-1, -1).permute(1, 0, 2)
        with torch.jit.optimized_execution(False):  # which takes seconds, once for each module
            y = getattr(self.model, self.method)(x)
        y = y.repeat_interleave(out_ratio).reshape(self.batches, out_channels, -1)
        assert y.shape[2] == count
        return y.reshape(self.batches * out_channels, -1).contiguous()

    def set(self, attribute, text):
        """Set an attribute by what a message says."""
        assert attribute in self.model.get_attributes()
        assert getattr(self.model, f"{attribute}_params").tolist() == [2]
        return getattr(self.model, f"set_{attribute}")(float(text))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, repository):
    """An instrument of two drums, of a model whose noise and transient network are real ones."""
    top = tmp_path_factory.mktemp("hosts")
    write_checkpoint(top / "run", repository, "m + n + T(m)")
    drums = [drum(top / "low.wav", 150.0), drum(top / "high.wav", 400.0)]
    words = ["export", top / "run/model.ckpt", top / "kit", "--host", "nn~", "--check", "--sounds"]
    assert main([str(word) for word in (*words, *drums)]) == 0
    return top / "kit"


def test_a_folder_says_what_it_is(folder):
    said = json.loads((folder / MANIFEST).read_text())
    assert {path.name for path in folder.iterdir()} == {"kit.ts", MANIFEST, "README.md"}
    assert (said["sample_rate"], said["channels"]) == (16_000, 1)
    assert [one["name"] for one in said["drums"]] == ["low", "high"]
    for one in said["controls"]:
        control = by_name(one["name"])
        assert one["unit"] == control.unit
        assert float(one["lowest"]) >= control.lowest
        assert one["highest"] <= control.highest
    assert "`decay` | a factor | 0.1 to 4.0" in (folder / "README.md").read_text()
    assert str(Path.home()).encode() not in (folder / "kit.ts").read_bytes()


def test_nn_tilde_finds_methods_labels_and_attributes(folder):
    host = NnTildeHost(folder / "kit.ts")
    assert host.params == [2, 1, 1, 1]
    assert len(host.inlets) == 2
    assert "high" in host.inlets[1]
    stems = NnTildeHost(folder / "kit.ts", "stems")
    assert (stems.params, len(stems.outlets)) == ([2, 1, 3, 1], 3)
    assert host.set("pitch", "3.5") == 0
    assert host.model.get_pitch() == 3.5
    assert host.set("decay", "100") == -1


@pytest.mark.parametrize("batches", [1, 4])
def test_nn_tilde_plays_the_same_in_buffers_of_any_size(folder, batches):
    def play(method, sizes):
        host = NnTildeHost(folder / "kit.ts", method, batches)
        made = []
        for k, size in enumerate(sizes):
            x = torch.zeros(2 * batches, size)
            if k == 0:
                x[batches + batches - 1, 7] = 0.5  # the second drum of the last batch
            made.append(host.perform(x))
        return torch.cat(made, 1)

    whole = play("forward", [8192])
    small = play("forward", [32, 64, 128, 32, 256, 512, 1024, 2048, 4096])
    assert torch.allclose(whole, small, atol=1e-6)
    assert not whole[: batches - 1].any()
    assert not whole[:, :7].any()
    assert whole.abs().max() > 0.05
    stems = play("stems", [4096, 4096]).view(batches, 3, -1)
    assert torch.allclose(stems.sum(1), whole, atol=1e-6)


def test_a_pad_plays_hits_that_come_as_late_as_the_manifest_says(folder):
    host = NnTildeHost(folder / "kit.ts", "pad")
    x = torch.zeros(2, 4096)
    x[0, 1000:1200] = 0.7 * (-1.0) ** torch.arange(200)
    heard = torch.cat([host.perform(block) for block in x.split(256, 1)], 1)[0]
    late = int(heard.abs().gt(0).nonzero()[0]) - 1000
    said = json.loads((folder / MANIFEST).read_text())["latency"]["pad"]
    assert abs(late - said) <= 16  # the drum itself rises within some samples
    assert heard.abs().max() > 0.05


@pytest.mark.slow
def test_a_host_needs_none_of_this_package(folder):
    code = (
        "import sys, torch\n"
        "sys.modules['drumblender'] = None\n"
        "model = torch.jit.load(sys.argv[1])\n"
        "x = torch.zeros(1, 2, 1024)\n"
        "x[0, 0, 0] = 1\n"
        "print(float(model.forward(x).abs().max()))\n"
    )
    words = [sys.executable, "-c", code, str(folder / "kit.ts")]
    made = subprocess.run(words, capture_output=True, text=True, check=True, cwd="/")
    x = torch.zeros(1, 2, 1024)
    x[0, 0, 0] = 1
    here = torch.jit.load(str(folder / "kit.ts")).forward(x).abs().max()
    assert float(made.stdout) == pytest.approx(float(here), rel=1e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--host", "vst", "--sounds", "a.wav"], "There is no host vst"),
        (["--host", "nn~"], "needs drums; give --sounds"),
        (["--host", "nn~", "--check", "drums", "--sounds", "a.wav"], "takes no folder with --host"),
        (["--sounds", "a.wav"], "give --host"),
        (["--host", "nn~", "--sounds", "a.wav"], "a.wav"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "measured", "out", *words]) in (1, 2)
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


def test_instruments_of_one_process_are_written_one_after_the_other(repository, tmp_path):
    model = write_checkpoint(tmp_path / "run", repository, "m")
    source = drum(tmp_path / "tom.wav", 150.0)
    for name in ("first", "second"):
        export_instrument(model, tmp_path / name, [source])
        module = torch.jit.load(str(tmp_path / name / f"{name}.ts"))
        assert (module.set_attack(2.0), module.get_attack()) == (0, 2.0)


def test_knobs_come_from_the_table_of_controls():
    for name in KNOBS:
        knob, control = knob_of(name), by_name(name)
        assert control.lowest <= knob.lowest < control.neutral < knob.highest <= control.highest
        assert 0 < knob.neutral < 1


def test_without_the_sdk_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "neutone_sdk", None)
    with pytest.raises(UsageError, match=r"pip install .*neutone"):
        export_instrument("measured", tmp_path / "out", [tmp_path / "a.wav"], ["neutone"])


@pytest.mark.slow
def test_neutone_validates_an_instrument_and_plays_it(repository, tmp_path):
    pytest.importorskip("neutone_sdk")
    from neutone_sdk.utils import load_neutone_model

    model = write_checkpoint(tmp_path / "run", repository, "m + n + T(m)")
    source = drum(tmp_path / "tom.wav", 150.0)
    sounds, manifest = export_instrument(model, tmp_path / "tom", [source], ["neutone"])
    played = check_instrument(manifest.parent, sounds)[0]
    assert played.difference < -100
    assert abs(played.late) <= 24  # the drum itself rises within some samples
    loaded, said = load_neutone_model(str(manifest.parent / "tom.nm"))
    assert said["native_sample_rates"] == [16_000]
    assert [one["name"] for one in said["neutone_parameters"].values()] == list(KNOBS)
    loaded.set_daw_sample_rate_and_buffer_size(16_000, 512)
    assert (said["model_type"], loaded.calc_buffering_delay_samples()) == ("mono-mono", 0)
    # At another rate, the SDK resamples, and the delay is one of that rate.
    late = loaded.calc_model_delay_samples()
    loaded.set_daw_sample_rate_and_buffer_size(48_000, 384)
    assert loaded.is_resampling()
    assert loaded.calc_model_delay_samples() == 3 * late
    x = torch.zeros(2, 384 * 40)
    x[:, 1000:1600] = 0.9 * (-1.0) ** (torch.arange(600) // 6)
    knobs = torch.tensor([k.neutral for k in map(knob_of, KNOBS)])[:, None].repeat(1, 384)
    made = [loaded.forward(block, knobs).clone() for block in x.split(384, 1)]
    heard = torch.cat(made, 1)
    assert heard.shape == x.shape
    assert torch.equal(heard[0], heard[1])
    whole = sounds[0].render(48_000)
    energy = heard[0].square().sum() / np.square(whole[: len(heard[0])]).sum()
    assert 0.7 < float(energy) < 1.4
