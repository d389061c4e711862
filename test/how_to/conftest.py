"""Runs the how-to pages as their readers would: the code in files, the commands in processes."""

import re
from pathlib import Path

import pytest
import warm
import yaml

from drumblender.config import load_config

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

    def run(self, command, *arguments, code=0):
        """Run a command of the package in the folder; gives what it prints.

        Args:
            command: its name.
            arguments: of the command line.
            code: with which it has to end.
        """
        result = warm.run(command, arguments, self.folder)
        assert result.code == code, result.output
        return result.output

    def configure(self, name, library):
        """Give a data configuration of the page the settings of a small dataset."""
        wanted = yaml.safe_load((self.folder / name).read_text())["init_args"]
        small = yaml.safe_load((library / "data.yaml").read_text())
        if "source" in wanted:
            del small["init_args"]["data_dir_unprocessed"]
        small["init_args"].update(wanted)
        (self.folder / name).write_text(yaml.safe_dump(small))

    def train_on(self, name, experiment):
        """Train one step on the dataset of a data configuration; gives the checkpoint."""
        small = yaml.safe_load(experiment.read_text())
        small["trainer"].update(max_steps=1, limit_val_batches=0)
        small["trainer"]["logger"]["init_args"]["save_dir"] = "logs"
        small["data"] = str(self.folder / name)
        (self.folder / "small.yaml").write_text(yaml.safe_dump(small))
        self.run("train", "fit", "-c", "small.yaml")
        (checkpoint,) = self.folder.glob("logs/*/version_0/checkpoints/last.ckpt")
        return checkpoint

    def train(self, page_config, experiment, library):
        """Train two steps with a page's configuration on a small model; gives the checkpoint."""
        small = yaml.safe_load(experiment.read_text())
        cfg = Path(small.pop("base")).parent
        if not (self.folder / "cfg").exists():
            (self.folder / "cfg").symlink_to(cfg, target_is_directory=True)
        # What the page says stays; other networks become small.
        own, file = set(), page_config
        while (self.folder / file).parent == self.folder:
            wanted = yaml.safe_load((self.folder / file).read_text())
            own.update(wanted["model"]["init_args"])
            file = wanted["base"]
        known = load_config(self.folder / page_config)["model"]["init_args"]
        networks = small["model"]["init_args"]
        networks = {k: v for k, v in networks.items() if k in known and k not in own}
        small["trainer"]["max_steps"] = 2
        small["trainer"]["logger"]["init_args"]["save_dir"] = str(self.folder / "logs")
        small.update(base=page_config, data=str(library / "data.yaml"))
        small["model"]["init_args"] = networks
        (self.folder / "small.yaml").write_text(yaml.safe_dump(small))
        self.run("train", "fit", "-c", "small.yaml")
        (checkpoint,) = self.folder.glob("logs/*/version_0/checkpoints/last.ckpt")
        return checkpoint


@pytest.fixture
def reader(tmp_path):
    def make(page):
        return Reader(tmp_path, page)

    return make


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Each of the how-tos trains."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
