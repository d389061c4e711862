"""The rules that the code keeps: lint, format and the direction of imports."""

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


def test_everything_imports_without_what_is_optional(repository):
    """matplotlib, W&B, boto3 and nnAudio are imported where they are used only."""
    code = (
        "import sys, drumblender.cli, drumblender.dataset_cli, drumblender.training, "
        "drumblender.callbacks, drumblender.plotting, drumblender.inference, drumblender.data;"
        "heavy = {'matplotlib', 'wandb', 'boto3', 'nnAudio'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    run([sys.executable, "-c", code], repository)


def test_command_lines_import_no_torch_before_they_need_it(repository):
    code = (
        "import sys, drumblender.cli, drumblender.dataset_cli;"
        "assert 'torch' not in sys.modules, 'torch'"
    )
    run([sys.executable, "-c", code], repository)
