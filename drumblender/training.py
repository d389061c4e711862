"""The Lightning command line, in the terms of this package."""

import warnings
from pathlib import Path
from typing import List

import yaml
from pytorch_lightning import LightningDataModule
from pytorch_lightning.cli import LightningCLI
from pytorch_lightning.utilities import rank_zero_info

from drumblender.checkpoint import check_weights, read_checkpoint
from drumblender.errors import UsageError
from drumblender.files.memory import keep_memory
from drumblender.tasks import DrumBlender

# Advice to authors of Lightning programs, of no use to a person who trains.
QUIET = [
    ".*does not have many workers.*",
    ".*LightningCLI's args parameter.*",
    ".*smaller than the logging interval.*",
    ".*isinstance.treespec, LeafSpec.*",
    ".*Checkpoint directory .* exists and is not empty.*",
]


class DrumblenderCLI(LightningCLI):
    """LightningCLI whose checkpoints carry their configuration."""

    def __init__(self, args: List[str], run: bool = True):
        keep_memory()
        for message in QUIET:
            warnings.filterwarnings("ignore", message=message)
        parser_kwargs = {"exit_on_error": False, "prog": "drumblender"}
        if run:
            parser_kwargs.update({name: {"exit_on_error": False} for name in self.subcommands()})
        super().__init__(
            DrumBlender,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_kwargs={"overwrite": True},
            parser_kwargs=parser_kwargs,
            args=args,
            run=run,
        )

    def _parse_ckpt_path(self) -> None:
        """Nothing: a checkpoint's weights go into the model that the configuration describes."""

    def before_fit(self) -> None:
        """Say in one sentence what is wrong with a checkpoint, before Lightning loads it."""
        path = self._get(self.config, "ckpt_path")
        if path == "last":
            path = str(self._last_checkpoint())
            self.config_init[self.subcommand]["ckpt_path"] = path
            rank_zero_info(f"Last checkpoint: {path}")
        if path in (None, "best", "hpc", "registry"):
            return
        check_weights(self.model, read_checkpoint(path), path, "the model of the configuration")

    def _last_checkpoint(self) -> Path:
        """The newest last.ckpt; Lightning itself looks into the folder of the new run only."""
        loggers = self.trainer.loggers
        folders = [Path(logger.save_dir or ".") / str(logger.name) for logger in loggers]
        folders += [Path(c.dirpath) for c in self.trainer.checkpoint_callbacks if c.dirpath]
        folders = folders or [Path(self.trainer.default_root_dir)]
        found = {path for folder in folders for path in folder.rglob("last*.ckpt")}
        if not found:
            raise UsageError(
                f"--ckpt_path last: there is no last.ckpt in {', '.join(map(str, folders))}; "
                "give the path of a checkpoint."
            )
        return max(found, key=lambda path: path.stat().st_mtime)

    before_validate = before_test = before_predict = before_fit

    def after_instantiate_classes(self) -> None:
        config = self.config[self.subcommand] if self.subcommand else self.config
        # Plain values only, so that checkpoints load without running code.
        text = self._parser(self.subcommand).dump(config, skip_none=False, skip_validation=True)
        self.model.configuration = yaml.safe_load(text)
