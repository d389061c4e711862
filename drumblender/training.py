"""The Lightning command line, in the terms of this package."""

import warnings
from typing import List

from pytorch_lightning import LightningDataModule
from pytorch_lightning.cli import LightningCLI, SaveConfigCallback

from drumblender.tasks import DrumBlender


class DrumblenderCLI(LightningCLI):
    """LightningCLI whose checkpoints carry their configuration."""

    @classmethod
    def run(cls, args: List[str]) -> None:
        """Parse arguments as they stand behind ``drumblender`` and run what they ask for."""
        # Advice to developers of Lightning programs, of no use to a person who trains.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*LightningCLI's args parameter.*")
        warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
        cls(
            DrumBlender,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=SaveConfigCallback,
            save_config_kwargs={"overwrite": True},
            parser_kwargs={
                name: {"exit_on_error": False} for name in ("fit", "validate", "test", "predict")
            }
            | {"exit_on_error": False},
            args=args,
        )

    def _parse_ckpt_path(self) -> None:
        """Nothing: a checkpoint's weights go into the model that the configuration describes."""
