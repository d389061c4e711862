"""The rules that the code keeps: lint, format and the direction of imports."""

import ast
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
        "import sys; from drumblender.commands import analyze, dataset, synth, train;"
        "assert 'torch' not in sys.modules, 'torch'"
    )
    run([sys.executable, "-c", code], repository)
