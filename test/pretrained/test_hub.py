"""Models of the hub, by the hub's own client and a server on loopback."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hub import TOKEN, hub_on_loopback
from small_models import drum, write_checkpoint

import drumblender
from drumblender.commands.synth import main
from drumblender.commands.train import main as train
from drumblender.errors import DrumblenderError
from drumblender.pretrained import Facts, find_model, read_model, write_model

constants = pytest.importorskip("huggingface_hub.constants")


@pytest.fixture(scope="module")
def published(tmp_path_factory, repository):
    """A folder that the real command made."""
    folder = tmp_path_factory.mktemp("made")
    checkpoint = write_checkpoint(folder / "run", repository, "T(m) + n")
    assert train(["publish", str(checkpoint), str(folder / "small"), "--license", "mit"]) == 0
    return folder / "small"


@pytest.fixture(scope="module")
def content(published):
    return (published / "model.safetensors").read_bytes()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub, and a client with an empty cache and without a token, in a new working directory."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("DRUMBLENDER_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between tries
    drum(tmp_path / "kick.wav")
    with hub_on_loopback() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


def synth(name, *words):
    words = ["kick.wav", "out.wav", *words]
    return main(["--model", name, *words, "--device", "cpu", "--num_workers", "1", "--seed", "1"])


def test_a_model_of_the_hub_makes_sound_and_is_downloaded_once(hub, published, content):
    hub.put("owner/drums", model_safetensors=content)
    assert synth("owner/drums") == 0
    heard = Path("out.wav").read_bytes()
    assert synth(str(published)) == 0
    assert Path("out.wav").read_bytes() == heard
    assert drumblender.load("owner/drums", device="cpu").sample_rate == 16_000
    assert len(hub.downloads()) == 1


def test_a_newer_state_is_fetched_and_a_revision_stays(hub, content, published):
    hub.put("owner/drums", "v1", model_safetensors=content)
    other = renamed(content, published, "newer")
    hub.put("owner/drums", model_safetensors=other)
    commit = hub.repositories["owner/drums"].commit("v1")
    for revision in ("v1", commit):
        assert find_model(f"owner/drums@{revision}").read_bytes() == content
    assert find_model("owner/drums").read_bytes() == other
    hub.put("owner/drums", model_safetensors=content)
    assert find_model("owner/drums").read_bytes() == content


def renamed(content, published, name):
    """The same model under another name."""
    return changed(published, lambda facts: {**facts, "name": name})


def changed(published, change):
    """The content of a model file whose facts are changed."""
    tensors, facts = read_model(published / "model.safetensors")
    described = change({**vars(facts)})
    path = published.parent / "changed.safetensors"
    write_model(path, tensors, Facts(**described))
    return path.read_bytes()


def test_what_was_downloaded_is_taken_when_the_hub_is_gone(hub, content, monkeypatch):
    hub.put("owner/drums", model_safetensors=content)
    assert synth("owner/drums") == 0
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # where nothing listens
    assert synth("owner/drums") == 0
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert synth("owner/drums") == 0


CASES = {
    "missing": ("owner/absent", 2, "There is no model owner/absent on the hub, or it is private"),
    "private": ("owner/private", 2, "log in with `hf auth login`"),
    "gated": ("owner/gated", 1, "accept them on its page"),
    "revision": ("owner/drums@v9", 2, "owner/drums has no revision v9; check"),
    "another kind": ("owner/text", 2, "is no model of Drumblender, because it has no model.safe"),
    "foreign": ("owner/foreign", 2, "owner/foreign is no model of Drumblender, as it says nothing"),
    "damaged": ("owner/damaged", 1, "is damaged"),
    "no name": ("owner/dr--ums", 2, "owner/dr--ums is no name of a model on the hub"),
}


@pytest.mark.parametrize(("name", "code", "sentence"), CASES.values(), ids=CASES)
def test_what_the_hub_does_not_give_is_said_in_one_sentence(
    name, code, sentence, hub, content, tmp_path, capsys
):
    from safetensors.torch import save

    hub.put("owner/drums", model_safetensors=content)
    hub.put("owner/private", state="private", model_safetensors=content)
    hub.put("owner/gated", state="gated", model_safetensors=content)
    hub.put("owner/text", config_json=b"{}")
    hub.put("owner/foreign", model_safetensors=save({}))
    hub.put("owner/damaged", model_safetensors=content[:-1])
    assert synth(name) == code
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("error:") == 1
    assert "Traceback" not in error
    assert not Path("out.wav").exists()


def test_a_private_model_is_given_to_who_may_have_it(hub, content, monkeypatch, capsys):
    hub.put("owner/private", state="private", model_safetensors=content)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert synth("owner/private") == 0
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    hub.put("owner/private", state="private", model_safetensors=content + b"")
    hub.put("owner/other", state="private", model_safetensors=content)
    assert synth("owner/other") == 1
    assert "the hub does not know your token" in capsys.readouterr().err


def test_without_a_connection_a_sentence_says_so(hub, monkeypatch, capsys):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert synth("owner/drums") == 1
    assert "was not downloaded before, and the hub does not answer" in capsys.readouterr().err
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert synth("owner/drums") == 1
    assert "HF_HUB_OFFLINE" in capsys.readouterr().err


def test_a_hub_that_fails_is_named_with_its_reason(hub, capsys):
    hub.fails = 418
    assert synth("owner/drums") == 1
    assert "418" in capsys.readouterr().err


def test_without_the_client_the_extra_is_named(hub, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert synth("owner/drums") == 2
    assert 'pip install "drumblender[hub]"' in capsys.readouterr().err
    assert not hub.requests


@pytest.mark.parametrize("where", ["class", "name", "method"])
def test_a_model_of_the_hub_runs_no_classes_of_others(where, hub, published, tmp_path, capsys):
    """It would import a module of the working directory, with all that this does."""
    Path("trap.py").write_text("open('sprung', 'w')\nclass Synth: pass\n")

    def change(facts):
        configuration = json.loads(json.dumps(facts["configuration"]))
        arguments = configuration["model"]["init_args"]
        if where == "class":
            arguments["modal_synth"] = {"class_path": "trap.Synth"}
        elif where == "name":
            arguments["modal_synth"] = "trap.Synth"
        else:
            return {**facts, "analysis": {**facts["analysis"], "method": "trap.Synth"}}
        return {**facts, "configuration": configuration}

    hub.put("owner/drums", model_safetensors=changed(published, change))
    assert synth("owner/drums") == 2
    assert "needs the class trap.Synth, which is not of Drumblender" in capsys.readouterr().err
    assert not Path("sprung").exists()
    with pytest.raises(DrumblenderError, match="trap"):
        drumblender.load("owner/drums")


@pytest.mark.slow
def test_what_publish_writes_is_uploaded_by_the_documented_command_and_found(hub, published):
    """Everything is a process of its own, with no more than the environment."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(Path("home").resolve()),
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",  # a protocol between the client's own program and its servers
    }
    hf = str(Path(sys.executable).with_name("hf"))
    upload = [hf, "upload", "owner/small", str(published)]
    done = subprocess.run(upload, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    files = hub.repositories["owner/small"].revisions["main"]
    for name in ("README.md", "config.yaml", "model.safetensors"):
        assert files[name] == (published / name).read_bytes()
    code = "import sys; from drumblender.commands.synth import main; sys.exit(main())"
    words = ["--model", "owner/small", "kick.wav", "own.wav", "--device", "cpu"]
    subprocess.run([sys.executable, "-c", code, *words], env=environment, check=True)
    assert Path("own.wav").is_file()
