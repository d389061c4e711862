"""Publishing, by the real command."""

import csv
import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors import safe_open
from small_models import drum, write_checkpoint

from drumblender.commands.synth import main as synth
from drumblender.commands.train import main
from drumblender.config import load_config
from drumblender.pretrained import read_facts
from drumblender.tasks.checkpoint import build_model, load_model


@pytest.fixture(scope="module")
def run(tmp_path_factory, repository):
    """A folder with a checkpoint that carries its configuration, and one that does not."""
    return write_checkpoint(
        tmp_path_factory.mktemp("run") / "run", repository, "m + n + T(m)"
    ).parent


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def publish(*words):
    return main(["publish", *map(str, words)])


def front_matter(path):
    _, head, body = path.read_text().split("---\n", 2)
    return yaml.safe_load(head), body


def test_a_folder_holds_model_configuration_and_card(run, capsys):
    words = ["--license", "CC-BY-4.0", "--summary", "Kicks | and\nsnares.", "--name", "my drums"]
    assert publish(run / "model.ckpt", "out", *words) == 0
    assert {path.name for path in Path("out").iterdir()} == {
        "README.md", "config.yaml", "model.safetensors",
    }  # fmt: skip
    facts = read_facts("out/model.safetensors")
    assert (facts.name, facts.license) == ("my drums", "CC-BY-4.0")
    assert facts.summary == "Kicks | and snares."
    assert (facts.sample_rate, facts.num_samples) == (16_000, 32_000)
    assert facts.analysis["num_modes"] == 16
    assert facts.configuration["seed_everything"] == 396818285
    weights = torch.load(run / "model.ckpt", weights_only=True)["state_dict"]
    learned = sum(w.numel() for name, w in weights.items() if "running" not in name)
    counted = sum(name.endswith("num_batches_tracked") for name in weights)
    assert facts.parameters == learned - counted
    head, body = front_matter(Path("out/README.md"))
    assert head["license"] == "cc-by-4.0"
    assert head["library_name"] == "drumblender"
    assert "# my drums" in body
    assert f"{facts.parameters:,}".replace(",", " ") in body
    said = capsys.readouterr().out
    assert "hf upload OWNER/NAME out" in said
    assert "drumblender-synth --model ./out INPUT OUTPUT" in said


def test_the_weights_are_those_of_the_checkpoint(run):
    assert publish(run / "model.ckpt", "out", "--license", "mit") == 0
    weights = torch.load(run / "model.ckpt", weights_only=True)["state_dict"]
    with safe_open("out/model.safetensors", "pt") as file:
        assert set(file.keys()) == set(weights)
        for name in weights:
            assert torch.equal(file.get_tensor(name), weights[name])


def test_the_configuration_builds_the_model_and_names_no_place_of_this_machine(
    run, tmp_path, repository
):
    state = torch.load(run / "model.ckpt", weights_only=True)
    data = state["configuration"]["data"]["init_args"]
    data["data_dir"] = str(tmp_path / "dataset/drums")
    data["data_dir_unprocessed"] = "/home/someone/drums/../Samples"
    listing = repository / "cfg/data/../data/benchmark.json"
    folders = {"kits": "/usr/share/hydrogen", "own": str(listing)}
    data["source"] = {"class_path": "x.Y", "init_args": {"folders": folders}}
    state["configuration"]["trainer"]["logger"] = {"init_args": {"save_dir": "/home/someone"}}
    state["configuration"]["trainer"]["default_root_dir"] = "/home/someone"
    torch.save(state, "model.ckpt")
    assert publish("model.ckpt", "out", "--license", "mit") == 0
    config = load_config("out/config.yaml")
    assert config["data"]["init_args"]["data_dir"] == "dataset/drums"
    assert config["data"]["init_args"]["data_dir_unprocessed"] == "Samples"
    folders = config["data"]["init_args"]["source"]["init_args"]["folders"]
    assert folders == {"kits": "/usr/share/hydrogen", "own": "cfg/data/benchmark.json"}
    assert set(build_model(config, "test").state_dict()) == set(state["state_dict"])
    for path in Path("out").iterdir():
        content = path.read_bytes()
        assert b"someone" not in content
        assert str(tmp_path).encode() not in content


def test_a_checkpoint_without_configuration_takes_one_and_keeps_its_rounded_phases(run):
    words = [run / "config.yaml", run / "weights.ckpt"]
    assert publish(*words, "out", "--license", "mit") == 0
    assert load_model("out/model.safetensors").network.modal_synth.round_phase
    assert publish(run / "model.ckpt", "other", "--license", "mit") == 0
    assert not load_model("other/model.safetensors").network.modal_synth.round_phase
    drum(Path("kick.wav"))
    assert synth([*map(str, words), "kick.wav", "a.wav", "--seed", "1", "--device", "cpu"]) == 0
    again = ["out/model.safetensors", "kick.wav", "b.wav", "--seed", "1", "--device", "cpu"]
    assert synth(again) == 0
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()


def test_a_model_file_can_be_published_again_with_other_facts(run):
    assert publish(run / "model.ckpt", "a", "--license", "mit") == 0
    assert publish("a/model.safetensors", "b", "--license", "cc0-1.0", "--name", "a") == 0
    first, second = read_facts("a/model.safetensors"), read_facts("b/model.safetensors")
    assert second.license == "cc0-1.0"
    assert {**vars(second), "license": "mit"} == vars(first)


def test_the_same_checkpoint_gives_the_same_folder(run):
    for name in "ab":
        words = [run / "model.ckpt", name, "--license", "mit", "--name", "x"]
        assert publish(*words) == 0
    for path in Path("a").iterdir():
        assert path.read_bytes() == Path("b", path.name).read_bytes()


def test_metrics_and_words_of_a_person_are_in_the_card(run):
    Path("about.md").write_text("## Data\n\nGroße Trommeln, CC0.\n", encoding="utf-8")
    metrics = {"command": "test", "checkpoint": None, "lsd": {"mean": 7.25, "n": 3, "logged": 7.25}}
    metrics["broken"] = {"mean": None, "n": 3, "logged": None}
    Path("metrics.json").write_text(json.dumps(metrics))
    words = ["--about", "about.md", "--metrics", "metrics.json", "--tested_on", "Free kits"]
    assert publish(run / "model.ckpt", "out", "--license", "my own terms", *words) == 0
    head, body = front_matter(Path("out/README.md"))
    assert (head["license"], head["license_name"]) == ("other", "my-own-terms")
    assert "Große Trommeln, CC0." in body
    assert "Means over Free kits." in body
    assert "| `lsd` | 7.25 |" in body
    assert "broken" not in body
    assert read_facts("out/model.safetensors").metrics == {"lsd": 7.25}


def test_the_hubs_own_client_understands_the_card(run):
    cards = pytest.importorskip("huggingface_hub")
    Path("metrics.json").write_text(json.dumps({"lsd": {"mean": 7.25}}))
    words = ["--license", "mit", "--metrics", "metrics.json", "--tested_on", "Free kits"]
    assert publish(run / "model.ckpt", "out", *words) == 0
    data = cards.ModelCard.load("out/README.md").data
    assert (data.license, data.library_name) == ("mit", "drumblender")
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value) == ("lsd", 7.25)
    assert result.dataset_name == "Free kits"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["{run}/model.ckpt", "out"], 2, "--license"),
        (["out", "--license", "mit"], 2, "Give CHECKPOINT and FOLDER"),
        (["absent.ckpt", "out", "--license", "mit"], 1, "absent.ckpt does not exist"),
        (["{run}/weights.ckpt", "out", "--license", "mit"], 2, "carries no configuration"),
        (["{run}/model.ckpt", "taken", "--license", "mit"], 2, "README.md is there already"),
        (["{run}/model.ckpt", "o", "--license", "x", "--metrics", "text"], 1, "holds no means"),
        (["{run}/model.ckpt", "o", "--license", "x", "--about", "none.md"], 1, "none.md: no such"),
        (["{run}/model.ckpt", "text", "--license", "mit"], 1, "text"),
    ],
)
def test_wrong_requests_are_answered_in_one_sentence(words, code, sentence, run, capsys):
    Path("taken").mkdir()
    Path("taken/README.md").write_text("mine")
    Path("text").write_text("no metrics")
    assert publish(*[word.format(run=run) for word in words]) == code
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert Path("taken/README.md").read_text() == "mine"
    assert not Path("out").exists()


@pytest.fixture(scope="module")
def trained(library, experiment):
    """The last checkpoint of a training by the real command."""
    logs = f"--trainer.logger.init_args.save_dir={library / 'published_logs'}"
    assert main(["fit", "-c", str(experiment), logs, "--trainer.max_epochs=1"]) == 0
    return next((library / "published_logs").rglob("last.ckpt"))


@pytest.mark.slow
def test_a_published_model_tells_of_its_training(trained, library):
    assert publish(trained, "out", "--license", "mit") == 0
    facts = read_facts("out/model.safetensors")
    assert facts.training["global_step"] == 2
    assert facts.training["software"]["version"]
    assert facts.training["noise_seed"] == 396818285
    assert facts.trained_on == {"sounds": 8}
    body = Path("out/README.md").read_text()
    assert "| steps | 2 |" in body
    assert "| different sounds | 8 |" in body
    assert str(library).encode() not in Path("out/model.safetensors").read_bytes()


@pytest.mark.slow
def test_a_model_file_is_tested_as_its_checkpoint_is(trained, experiment, monkeypatch, library):
    assert publish(trained, "models/mine", "--license", "mit") == 0
    monkeypatch.setenv("DRUMBLENDER_MODELS", str(Path("models").resolve()))
    tables = []
    for index, given in enumerate([trained, "models/mine/model.safetensors", "mine"]):
        logs = f"--trainer.logger.init_args.save_dir={Path('logs').resolve()}{index}"
        assert main(["test", "-c", str(experiment), f"--ckpt_path={given}", logs]) == 0
        (path,) = Path(".").glob(f"logs{index}/**/metrics.csv")
        tables.append(list(csv.reader(path.open())))
    assert len(tables[0]) > 1
    assert tables[0] == tables[1] == tables[2]


@pytest.mark.slow
def test_training_begins_with_the_weights_of_a_model_file(trained, experiment, library, capsys):
    assert publish(trained, "out", "--license", "mit") == 0
    logs = f"--trainer.logger.init_args.save_dir={Path('logs').resolve()}"
    words = ["--ckpt_path=out/model.safetensors", logs, "--trainer.max_steps=1"]
    still = ["--optimizer.init_args.lr=0"]
    assert main(["fit", "-c", str(experiment), *words, *still]) == 0
    state = torch.load(next(Path("logs").rglob("last.ckpt")), weights_only=True)
    assert state["global_step"] == 1
    before = torch.load(trained, weights_only=True)["state_dict"]
    learned = [n for n in before if n.endswith(("weight", "bias")) and "_fn" not in n]
    assert learned
    for name in learned:
        assert torch.equal(state["state_dict"][name], before[name]), name
    other = ["--model.init_args.transient_synth.init_args.hidden_channels=6"]
    assert main(["fit", "-c", str(experiment), *words, *other]) == 1
    assert "out/model.safetensors does not fit" in capsys.readouterr().err
