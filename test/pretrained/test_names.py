"""Names of models, by the function and by the real command."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_models import drum, write_checkpoint

import drumblender
from drumblender.commands.synth import main
from drumblender.commands.train import main as train
from drumblender.errors import UsageError
from drumblender.pretrained import names, read_facts


@pytest.fixture(scope="module")
def published(tmp_path_factory, repository):
    """A folder that the real command made."""
    folder = tmp_path_factory.mktemp("made")
    checkpoint = write_checkpoint(folder / "run", repository, "T(m) + n")
    words = ["--license", "cc0-1.0", "--summary", "A small model.", "--name", "small"]
    assert train(["publish", str(checkpoint), str(folder / "small"), *words]) == 0
    return folder / "small"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory, a user's folder and a package without models."""
    for name in ("shipped", "models", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(names, "_SHIPPED", tmp_path / "shipped")
    monkeypatch.setenv(names.FOLDER, str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path / "here")
    drum(Path("kick.wav"))
    return tmp_path


def put(published, path):
    """Put the model to a folder, or to a file if that ends so."""
    if path.suffix == ".safetensors":
        path.parent.mkdir(parents=True, exist_ok=True)
        return shutil.copy(published / names.MODEL_FILE, path)
    return shutil.copytree(published, path)


def synth(*words):
    return main([*map(str, words), "--device", "cpu", "--num_workers", "1"])


def test_a_shipped_model_makes_sound_by_its_name(place, published):
    put(published, place / "shipped/drums")
    assert synth("--model", "drums", "kick.wav", "named.wav", "--seed", 1, "--stems", "stems") == 0
    assert synth(published / "model.safetensors", "kick.wav", "file.wav", "--seed", 1) == 0
    assert Path("named.wav").read_bytes() == Path("file.wav").read_bytes()
    assert {path.name for path in Path("stems").iterdir()} == {
        "modal.wav", "noise.wav", "transient.wav",
    }  # fmt: skip
    assert drumblender.load("drums", device="cpu").sample_rate == 16_000


@pytest.mark.parametrize("where", ["models/my-own.v1.safetensors", "models/my-own.v1"])
def test_a_model_of_the_users_folder_is_found_as_file_or_folder(where, place, published):
    put(published, place / where)
    assert synth("--model", "my-own.v1", "kick.wav", "out.wav") == 0


def test_a_models_owner_may_be_a_folder_of_the_users(place, published):
    put(published, place / "models/owner/model")
    assert names.find_model("owner/model") == place / "models/owner/model/model.safetensors"


def test_the_user_has_a_folder_for_models_by_default(monkeypatch):
    monkeypatch.delenv(names.FOLDER, raising=False)
    assert names.user_folder().is_absolute()
    assert names.user_folder().name == "models"


def test_the_package_comes_before_the_user_and_both_before_the_working_directory(place, published):
    Path("drums").mkdir()
    put(published, Path("drums/model.safetensors"))
    put(published, place / "models/drums.safetensors")
    own = place / "models/drums.safetensors"
    assert names.find_model("drums") == own
    put(published, place / "shipped/drums")
    assert names.find_model("drums") == place / "shipped/drums/model.safetensors"
    assert names.find_model("./drums") == Path("drums/model.safetensors")
    assert names.find_model(Path("drums")) == Path("drums/model.safetensors")
    assert [model.name for model in names.known_models()] == ["drums"]


def test_what_lies_in_the_working_directory_is_taken_where_no_model_has_its_name(place, published):
    put(published, Path("mine"))
    shutil.copy(published / "model.safetensors", "checkpoint")
    assert names.find_model("mine") == Path("mine/model.safetensors")
    assert names.find_model("checkpoint") == Path("checkpoint")
    assert synth("--model", "checkpoint", "kick.wav", "out.wav") == 0


@pytest.mark.parametrize(
    "path", ["drums.ckpt", "drums.yaml", "a/b/c", "./drums", "/drums", "drums.safetensors", "my x"]
)
def test_paths_are_no_names(path, place, published):
    put(published, place / "shipped/drums")
    assert names.find_model(path) == Path(path)


def test_a_path_may_begin_at_home(place, published, monkeypatch):
    monkeypatch.setenv("HOME", str(place))
    put(published, place / "mine")
    assert names.find_model("~/mine") == place / "mine/model.safetensors"


def test_a_name_that_is_nowhere_is_answered_with_the_nearest_ones(place, published, capsys):
    for name in ("drums", "drums-small", "cymbals", "claps"):
        put(published, place / "models" / name)
    assert synth("--model", "drumms", "kick.wav", "out.wav") == 2
    error = capsys.readouterr().err
    assert "There is no model drumms" in error
    assert "known are drums, drums-small, " in error
    assert str(place / "models") in error
    assert not Path("out.wav").exists()


def test_a_name_is_answered_where_there_are_no_models_at_all(place, capsys):
    assert synth("--model", "drums", "kick.wav", "out.wav") == 2
    assert "there is none under any name yet; give a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--model", "drums@v2", "kick.wav", "out.wav"], "give owner/model@revision"),
        (["--model", "./empty", "kick.wav", "out.wav"], "empty is a folder without model.safete"),
        (["--model", "drums", "other.ckpt", "kick.wav", "out.wav"], "leave out one of them"),
        (["drums", "kick.wav", "out.wav"], "give --model drums if that is the name"),
        (["owner/model", "kick.wav", "out.wav"], "give --model owner/model if that is the name"),
        (["--model", "drums"], "Give INPUT and OUTPUT"),
        ([], "Give INPUT and OUTPUT"),
    ],
)
def test_wrong_requests_are_answered_in_one_sentence(words, sentence, place, published, capsys):
    put(published, place / "shipped/drums")
    Path("empty").mkdir()
    assert synth(*words) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_a_name_blends_and_takes_parts_and_folders(place, published):
    put(published, place / "shipped/drums")
    drum(Path("drums/tom.wav"), 120)
    words = ["out.wav", "--blend", "kick.wav", "drums/tom.wav"]
    assert synth("--model", "drums", *words) == 0
    assert synth("--model", "drums", "drums", "out") == 0  # a folder of that name is no model
    assert Path("out/tom.wav").is_file()


def test_python_takes_names_as_the_command_does(place):
    with pytest.raises(UsageError, match="There is no model drums"):
        drumblender.load("drums")


def test_the_list_of_models_has_a_line_for_each(place, published, capsys):
    put(published, place / "shipped/drums")
    put(published, place / "models/mine.safetensors")
    (place / "models/broken.safetensors").write_bytes(b"nothing")
    assert main(["--list_models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "NAME"
    rows = {line.split()[0]: line for line in lines[1:4]}
    assert list(rows) == ["broken", "drums", "mine"]
    assert "is damaged" in rows["broken"]
    assert rows["drums"].endswith("kB  cc0-1.0  package  A small model.")
    assert rows["mine"].endswith("kB  cc0-1.0  yours    A small model.")
    assert "No model comes with" not in "".join(lines)


def test_the_list_says_where_models_go_if_there_are_none(place, capsys):
    assert main(["--list_models"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("No model comes with this package yet.")
    assert str(place / "models") in said
    assert "owner/model" in said


@pytest.mark.slow
def test_a_wheel_holds_the_models_of_the_package(published, repository, tmp_path):
    """By the step of setuptools that collects what goes into a wheel."""
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(repository / "drumblender", tmp_path / "drumblender", ignore=leave)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repository / name, tmp_path)
    shipped = shutil.copytree(published, tmp_path / "drumblender/pretrained/a-new-one")
    code = "import setuptools; setuptools.setup()"
    command = [sys.executable, "-c", code, "--quiet", "build_py", "--build-lib", "built"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    built = tmp_path / "built/drumblender/pretrained"
    for path in shipped.iterdir():
        assert (built / "a-new-one" / path.name).read_bytes() == path.read_bytes()
    assert (built / "names.py").is_file()


def test_shipped_models_are_small_and_have_what_a_card_needs(monkeypatch, tmp_path):
    """Those of the package itself, if there are any."""
    monkeypatch.setenv(names.FOLDER, str(tmp_path))
    for model in names.known_models():
        facts = read_facts(model.path)
        assert model.is_shipped
        assert model.path.stat().st_size <= 12_000_000
        assert facts.license
        assert facts.summary
        assert (model.path.parent / "README.md").is_file()
