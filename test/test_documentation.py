"""What the documentation says is true: its code runs, its commands parse, its files are there."""

import contextlib
import importlib.util
import io
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import soundfile
import torch
import yaml

import drumblender
from drumblender.commands.synth import main as synth
from drumblender.config import load_config
from drumblender.sound.controls import CONTROLS
from drumblender.tasks.checkpoint import build_model
from drumblender.tasks.publish import publish

REPOSITORY = Path(__file__).parents[1]
PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])
NOTEBOOK = REPOSITORY / "docs" / "tutorial.ipynb"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A file that readers are told to write; test/how_to runs them.
FILE = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
# Programs in the documentation that are not of this package.
OTHERS = {"apt-get", "export", "git", "ls", "mkdocs", "pip", "pre-commit", "pytest", "ruff"}
OTHERS |= {"lint-imports", "cd", "tensorboard", ".ci/run", "python3", "source", "jupyter", "hf"}
OTHERS |= {"ray", "torchrun"}


def load_hook(name):
    """A module of the site, which is no package."""
    path = REPOSITORY / "docs" / "hooks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pages = load_hook("pages")


def blocks(path, language):
    return [code for kind, code in BLOCK.findall(path.read_text()) if kind == language]


def name_of(value):
    return str(value.relative_to(REPOSITORY)) if isinstance(value, Path) else None


def having(language):
    return [page for page in PAGES if blocks(page, language)]


@pytest.fixture(scope="module")
def materials(tmp_path_factory):
    """A folder with what the examples read: a model, drums, and the modes of one."""
    folder = tmp_path_factory.mktemp("examples")
    encoder = {"hidden_channels": 2, "strides": [4, 4]}
    film = {"film_embedding_size": 8, "hidden_channels": 4, "num_layers": 3, "kernel_size": 5}
    analysis = {"sample_rate": 16000, "num_samples": 8000, "num_modes": 8, "hop_length": 64}
    analysis.update(min_length=3, fmin=40, n_bins=72, bins_per_octave=12)
    overlay = {
        "base": str(REPOSITORY / "cfg" / "04_noise_parallel_transient_params.yaml"),
        "model": {
            "init_args": {
                "noise_synth": {"init_args": {"window_size": 32}},
                "noise_autoencoder": {"init_args": {**encoder, "output_channels": 17}},
                "transient_autoencoder": {"init_args": {**encoder, "output_channels": 8}},
                "transient_synth": {"init_args": film},
            }
        },
        "data": {
            "class_path": "drumblender.data.ModalDataModule",
            "init_args": {**analysis, "data_dir": "nowhere"},
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(overlay))
    config = json.loads(json.dumps(load_config(folder / "config.yaml")))
    torch.manual_seed(0)
    weights = build_model(config, "documentation").state_dict()
    torch.save({"state_dict": weights, "configuration": config}, folder / "model.ckpt")
    for place in ("models/drums", "my_drums"):
        publish(folder / place, folder / "model.ckpt", "mit")
    time = np.arange(8000) / 16000
    folders = [folder / name for name in ("drums", "kit_a", "kit_b", "others")]
    for place in folders:
        place.mkdir()
    for name, frequency in (("kick", 80), ("snare", 220), ("tom", 130), ("clap", 900)):
        sound = 0.2 * np.exp(-12 * time) * np.sin(2 * np.pi * frequency * time)
        for place in (folder, *folders):
            soundfile.write(place / f"{name}.wav", sound, 16000)
    drumblender.load(device="cpu").decompose(folder / "snare.wav").save(folder / "snare.drum")
    (folder / "modes").mkdir()
    modes = {"frequency": np.full((2, 4), 80.0), "amplitude": np.ones((2, 4))}
    np.savez(folder / "modes" / "kick_modes.npz", **modes)
    return folder


@pytest.fixture
def workplace(materials, tmp_path, monkeypatch):
    """A working directory with what the examples read."""
    for path in materials.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "cfg").symlink_to(REPOSITORY / "cfg")
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DRUMBLENDER_MODELS", str(materials / "models"))
    monkeypatch.syspath_prepend(tmp_path)  # as commands do, but undone after the test
    return tmp_path


def write_files(folder):
    """Write the files that pages tell readers to write."""
    for page in PAGES:
        for name, code in FILE.findall(page.read_text()):
            (folder / name).write_text(code)


@pytest.mark.parametrize("page", having("python"), ids=name_of)
def test_python_in_a_page_runs_from_top_to_bottom(page, workplace):
    names = {}
    for code in blocks(page, "python"):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(code, str(page), "exec"), names)


@pytest.mark.parametrize("page", having("yaml"), ids=name_of)
def test_a_configuration_in_a_page_can_be_read(page, tmp_path):
    shutil.copytree(REPOSITORY / "cfg", tmp_path / "cfg")
    for index, code in enumerate(blocks(page, "yaml")):
        file = tmp_path / "cfg" / f"block_{index}.yaml"
        file.write_text(code)
        assert load_config(file)


@pytest.mark.parametrize("page", having("json"), ids=name_of)
def test_json_in_a_page_can_be_read(page):
    for code in blocks(page, "json"):
        assert json.loads(code)


def commands_of(page):
    """Every command in the blocks of a page, as words."""
    for code in blocks(page, "bash"):
        for line in code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words:
                end = words.index("&&") if "&&" in words else len(words)
                if words[:end]:
                    yield words[:end]
                words = words[end + 1 :]


def parser_of_script(script):
    """The parser that a script uses, taken from it while it is asked for help."""

    def show(parser, *_):
        raise pages._Shown(parser)

    with mock.patch("argparse.ArgumentParser.print_help", show):
        with mock.patch.object(sys, "argv", [script, "--help"]):
            try:
                runpy.run_path(str(REPOSITORY / script), run_name="__main__")
            except pages._Shown as shown:
                return shown.args[0]


@pytest.fixture(scope="module")
def parsers():
    names = [name for name in pages.commands() if name != "drumblender"]
    return {
        name: pages.parser_of(name)
        for name in [*names, "drumblender publish", "drumblender export"]
    }


def all_commands():
    return [(page, words) for page in PAGES for words in commands_of(page)]


def parse(parser, arguments):
    try:
        parse_whole = parser.parse_args
        # Those with options between files.
        if parser.prog in ("drumblender-synth", "drumblender publish", "drumblender export"):
            parse_whole = parser.parse_intermixed_args
        with contextlib.redirect_stderr(io.StringIO()) as said:
            parse_whole(arguments)
    except (SystemExit, Exception) as error:
        pytest.fail(f"{parser.prog} {' '.join(arguments)}: {said.getvalue() or error}")


def test_the_commands_in_all_pages_are_parsed_by_the_commands_themselves(parsers):
    found = set()
    for page, (program, *arguments) in all_commands():
        found.add(program)
        if program == "drumblender" and arguments[0] in ("export", "publish"):
            name = f"drumblender {arguments[0]}"
            found.add(name)
            parse(parsers[name], arguments[1:])
        elif program == "python":
            parse(parser_of_script(arguments[0]), arguments[1:])
        elif program in parsers:
            parse(parsers[program], arguments)
        else:
            assert program in {*OTHERS, "drumblender"}, f"{name_of(page)}: {program}"
    assert {*parsers, "drumblender", "python"} <= found


def synth_commands():
    """Command lines of drumblender-synth that can be run here."""
    found = {}
    for _, (program, *arguments) in all_commands():
        places = ("models/", "logs/", "audio/", "owner/", "--list_models", "NAME")
        elsewhere = any(word.startswith(places) for word in arguments)
        if program == "drumblender-synth" and not elsewhere:
            found.setdefault(" ".join(arguments), arguments)
    return found


def sounds_in(folder):
    """Files of sounds, with the times at which they were written."""
    files = [*folder.rglob("*.wav"), *folder.rglob("*.drum")]
    return {(path, path.stat().st_mtime_ns) for path in files}


@pytest.mark.slow
@pytest.mark.parametrize("arguments", synth_commands().values(), ids=" ".join)
def test_a_command_that_makes_sound_makes_it(arguments, workplace):
    before = sounds_in(workplace)
    assert synth([*arguments, "--num_workers", "1", "--device", "cpu"]) == 0
    assert sounds_in(workplace) - before


def lightning_commands():
    found = {}
    for _, (program, *arguments) in all_commands():
        named = any("NAME" in word for word in arguments)
        if program == "drumblender" and arguments[0] not in ("export", "publish") and not named:
            found.setdefault(" ".join(arguments), arguments)
    return found


@pytest.mark.parametrize("arguments", lightning_commands().values(), ids=" ".join)
def test_a_training_command_is_understood(arguments, tmp_path, monkeypatch, capsys):
    from drumblender.commands.train import main

    (tmp_path / "cfg").symlink_to(REPOSITORY / "cfg")
    shutil.copy(REPOSITORY / "cfg/data/one_shots.yaml", tmp_path / "my_drums.yaml")
    text = (tmp_path / "my_drums.yaml").read_text().replace("base: ", "base: cfg/data/")
    (tmp_path / "my_drums.yaml").write_text(text)
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    if {"--print_config", "--help"} & set(arguments):
        arguments = [a for a in arguments if a not in ("--print_config", "--help")]
    arguments = [word for word in arguments if not word.startswith("FILE")]
    code = 0
    try:
        code = main([*arguments, "--print_config"])
    except SystemExit as stop:
        code = stop.code
    assert not code, capsys.readouterr().err


def test_no_page_speaks_of_an_option_that_no_command_has(parsers):
    known = {"--debug", "--version", "--help", "--print_config", "--config"}
    for parser in parsers.values():
        known |= set(parser._option_string_actions)
    known |= set(re.findall(r"--[a-z_]+", pages.help_of("drumblender")))
    for script in REPOSITORY.glob("scripts/benchmark*.py"):
        parser = parser_of_script(f"scripts/{script.name}")
        known |= set(parser._option_string_actions)
    for page in PAGES:
        for code in re.findall(r"`(--[^`]*)`", page.read_text()):
            for option in re.findall(r"--[a-z_.]+", code):
                is_key = option.startswith(("--trainer.", "--model.", "--data.", "--optimizer."))
                assert option in known or is_key, f"{name_of(page)}: {option}"


def test_the_files_that_pages_name_are_there():
    pattern = re.compile(r"(?<![\w/.])((?:cfg|scripts|audio/one-shots|docs)/[\w./-]+\.\w+)")
    for page in PAGES:
        for path in pattern.findall(page.read_text()):
            assert (REPOSITORY / path).exists(), f"{page}: {path}"


def test_every_option_has_a_line_in_the_page_of_commands(parsers):
    page = (REPOSITORY / "docs/reference/commands.md").read_text()
    shown = pages.on_page_markdown(page.replace("{{ help of drumblender fit }}", ""))
    for parser in parsers.values():
        for option in parser._option_string_actions:
            assert f"`{option}" in shown or option in ("-h", "--help"), option
    assert "{{" not in shown


def test_the_table_of_controls_has_a_line_for_each(parsers):
    table = load_hook("pages").controls_table().splitlines()
    assert "{{ table of controls }}" in (REPOSITORY / "docs/sounds/controls.md").read_text()
    assert len(table) == 2 + len(CONTROLS) + sum(len(control.switches) for control in CONTROLS)
    assert any("`--decay`" in line and "a factor from 0.01 to 100" in line for line in table)


def test_doctests_and_tables_are_shown_as_they_are():
    pytest.importorskip("griffe")
    fence = load_hook("docstrings").fence_blocks
    text = "A sum.\n\n>>> 1 + 1\n2\n\nAnd more."
    assert fence(text) == "A sum.\n\n```pycon\n>>> 1 + 1\n2\n```\n\nAnd more."
    table = "  ====  ==\n  a     b\n  ====  =="
    assert fence(table) == f"  ```text\n{table}\n  ```"


def sections_of(page):
    """How links call the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


def test_the_readme_is_short_and_its_links_lead_somewhere():
    text = (REPOSITORY / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    assert "drumblender fit -c cfg/kick_single_kicktcn.yaml" in text
    assert 'pip install -e ".[dev,modal]" && pytest' in text
    for page in PAGES:
        text = FILE.sub("", page.read_text())
        for target, section in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)[^)]*\)", text):
            if "://" in target or "](" in target or "api/drumblender" in target:
                continue
            file = page.parent / target if target else page
            assert file.exists(), f"{page}: {target}"
            assert not section or section in sections_of(file), f"{page}: {target}#{section}"


@pytest.mark.slow
def test_the_first_command_of_the_readme_makes_what_it_says(tmp_path, monkeypatch):
    install, (program, *arguments) = list(commands_of(REPOSITORY / "README.md"))[:2]
    assert install == ["pip", "install", "-e", "."]
    assert program == "drumblender-synth"
    (tmp_path / "audio").symlink_to(REPOSITORY / "audio")
    monkeypatch.chdir(tmp_path)
    assert synth(arguments) == 0
    sounds = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.wav")}
    stems = {f"stems/{name}.wav" for name in ("modal", "noise", "transient")}
    assert sounds == {"lower.wav", *stems}
    assert (tmp_path / "lower.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_sounds_and_the_picture_of_the_pages_are_what_the_voice_makes(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["examples.py", str(tmp_path)])
    runpy.run_path(str(REPOSITORY / "scripts/examples.py"), run_name="__main__")
    players = sorted(path.name for path in (tmp_path / "audio").iterdir())
    assert players == sorted(path.name for path in (REPOSITORY / "docs/audio").iterdir())
    for name in players:
        kept, made = (
            soundfile.read(folder / "audio" / name)[0] for folder in (REPOSITORY / "docs", tmp_path)
        )
        assert np.corrcoef(kept, made)[0, 1] > 0.9, f"{name}: run scripts/examples.py"
    kept, made = (
        drumblender.open_sound(folder / "player/tom.drum", device="cpu").with_pitch(3).stems()
        for folder in (REPOSITORY / "docs", tmp_path)
    )
    for name, stem in kept.items():
        assert np.corrcoef(stem, made[name])[0, 1] > 0.9, f"{name}: run scripts/examples.py"
    for folder in (REPOSITORY / "docs", tmp_path):
        assert (folder / "player/tom.drum").stat().st_size < 300_000
        assert (folder / "images/snare_parts.png").stat().st_size < 300_000


def test_the_notebook_is_kept_without_what_it_prints():
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


@pytest.mark.slow
def test_the_notebook_runs_and_plays():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    place = {"metadata": {"path": str(NOTEBOOK.parent)}}
    client = nbclient.NotebookClient(notebook, timeout=300, startup_timeout=300, resources=place)
    client.execute()
    data = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    players = [shown["text/html"] for shown in data if "<audio" in shown.get("text/html", "")]
    assert len(players) >= 10
    assert sum("<img" in html for html in players) >= 5


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    pytest.importorskip("mkdocs_jupyter")
    environment = {**os.environ, "DRUMBLENDER_DOCS_EXECUTE": "false"}  # the notebook has its test
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", tmp_path]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    commands = (tmp_path / "reference/commands/index.html").read_text()
    assert "--humanize" in commands
    players = 0
    for page in tmp_path.rglob("*.html"):
        for source in re.findall(r'<(?:audio|iframe) [^>]*src="([^":]+)"', page.read_text()):
            assert (page.parent / source).is_file(), f"{page}: {source}"
            players += 1
    assert players >= 8
    metrics = (tmp_path / "reference/api/drumblender.metrics/index.html").read_text()
    assert "LogSpectralDistance" in metrics
