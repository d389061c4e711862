"""Runs the how-to pages as their readers would: the code in files, the commands in processes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PAGES = Path(__file__).parents[2] / "docs/how-to"
BLOCK = re.compile(r'^```(\w+) title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


class Reader:
    """Someone who has copied the files of a page into a folder, beside a small dataset.

    Args:
        folder: to put them into.
        page: name of the page.
    """

    def __init__(self, folder, page):
        self.folder = folder
        for _, name, code in BLOCK.findall((PAGES / f"{page}.md").read_text()):
            (folder / name).write_text(code)

    def run(self, command, *arguments):
        """Run a command of the package in the folder; gives what it prints."""
        program = f"import sys; from drumblender.commands.{command} import main; sys.exit(main())"
        # Not the folder: commands look for modules in the working directory by themselves.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        result = subprocess.run(
            [sys.executable, "-P", "-c", program, *map(str, arguments)]
            if sys.version_info >= (3, 11)
            else [sys.executable, "-c", program, *map(str, arguments)],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    def train(self, page_config, experiment, library):
        """Train two steps with a page's configuration on a small model; gives the checkpoint."""
        wanted = yaml.safe_load((self.folder / page_config).read_text())
        small = yaml.safe_load(experiment.read_text())
        cfg = Path(small["base"]).parent
        base = cfg / Path(wanted["base"]).name
        networks = small["model"]["init_args"]
        if base.name.startswith("01"):
            networks = {name: args for name, args in networks.items() if "transient" not in name}
        small["trainer"]["max_steps"] = 2
        small["trainer"]["logger"]["init_args"]["save_dir"] = str(self.folder / "logs")
        small.update(base=str(base), data=str(library / "data.yaml"))
        small["model"]["init_args"] = {**networks, **wanted["model"]["init_args"]}
        (self.folder / "small.yaml").write_text(yaml.safe_dump(small))
        self.run("train", "fit", "-c", "small.yaml")
        (checkpoint,) = self.folder.glob("logs/*/version_0/checkpoints/last.ckpt")
        return checkpoint


@pytest.fixture
def reader(tmp_path):
    def make(page):
        return Reader(tmp_path, page)

    return make
