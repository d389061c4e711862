"""The rules that the code keeps: lint, format and the direction of imports."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def run(command, repository):
    tool = shutil.which(command[0], path=str(Path(sys.executable).parent)) or command[0]
    result = subprocess.run([tool, *command[1:]], cwd=repository, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "--no-cache", "."],
        ["ruff", "format", "--check", "--no-cache", "."],
        ["lint-imports", "--no-cache"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_the_code_keeps_its_rules(command, repository):
    run(command, repository)


def test_what_is_heavy_or_optional_is_imported_where_it_is_used_only(repository):
    for path in (repository / "drumblender").rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            names = [alias.name for alias in getattr(node, "names", [])]
            modules = {getattr(node, "module", None) or "", *names}
            roots = {module.split(".")[0] for module in modules}
            assert not roots & {"matplotlib", "wandb", "boto3", "nnAudio"}, path


def test_command_lines_import_no_torch_before_they_need_it(repository):
    code = (
        "import sys; from drumblender.commands import analyze, dataset, kit, play, synth, train;"
        "assert 'torch' not in sys.modules, 'torch'"
    )
    run([sys.executable, "-c", code], repository)


def waits_by_the_clock(code):
    """Lines of code that sleep, list processes, or look again and again until something is so."""
    for node in ast.walk(ast.parse(code)):
        called = getattr(node, "func", None)
        name = getattr(called, "attr", getattr(called, "id", ""))
        first = node.elts[0] if isinstance(node, ast.List) and node.elts else node
        text = first.value if isinstance(first, ast.Constant) else ""
        lists = text == "ps" if first is not node else re.match(r"ps\s", str(text))
        looks_again = isinstance(node, ast.While) and all(map(_is_idle, node.body))
        if name == "sleep" or lists or looks_again:
            yield node.lineno


def _is_idle(statement):
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return getattr(statement.value.func, "attr", "") in ("sleep", "wait", "poll", "join")
    return isinstance(statement, (ast.Assert, ast.Pass, ast.Continue))


def test_tests_wait_for_events_instead_of_looking_again_and_again(repository):
    found = {
        f"{path.relative_to(repository)}:{line}"
        for path in (repository / "test").rglob("*.py")
        for line in waits_by_the_clock(path.read_text(encoding="utf-8"))
    }
    assert not found


@pytest.mark.parametrize(
    "code",
    [
        "time.sleep(1)",
        "sleep(1)",
        'run(["ps", "-A"])',
        'run("ps -A", shell=True)',
        "while not done():\n    assert time() < end\n    event.wait(0.1)",
    ],
)
def test_what_waits_by_the_clock_is_found(code):
    assert list(waits_by_the_clock(code))


# Tests of what no single module does.
OF_MANY = set(
    "test_distributed test_documentation test_golden test_player test_skips test_style "
    "test_windows analysis/separate/test_loops app/test_browser commands/test_laptop "
    "commands/test_synth_measured "
    "data/test_stops fast/test_models sound/test_edits sound/test_measured".split()
)


def test_tests_lie_where_their_modules_do(repository):
    strays = set()
    for path in (repository / "test").rglob("test_*.py"):
        place = path.relative_to(repository / "test").with_suffix("")
        of_scripts = place.parts[0] == "scripts"
        home = repository if of_scripts else repository / "drumblender"
        module = home / place.with_name(place.name[len("test_") :])
        if place.parts[0] != "how_to" and not (
            module.with_suffix(".py").exists() or module.is_dir()
        ):
            strays.add(place.as_posix())
    assert strays == OF_MANY
