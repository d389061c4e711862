"""The Lightning command line, with the options and the errors of this package."""

import contextlib
import errno
import os
import re
import signal
import threading
import traceback
import warnings
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence

import pytorch_lightning as pl
import yaml
from jsonargparse import ArgumentError
from pytorch_lightning import LightningDataModule
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI, LRSchedulerTypeUnion
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch.optim import Optimizer

from drumblender.callbacks.console import be_quiet
from drumblender.callbacks.run import relative
from drumblender.commands.callbacks import completed, useful
from drumblender.commands.weights import prepare_weights
from drumblender.data import AudioDataModule
from drumblender.errors import DrumblenderError, Stopped, UsageError, condense, finish, suggest
from drumblender.fast import accelerate
from drumblender.files.memory import keep_memory
from drumblender.tasks import DrumBlender
from drumblender.tasks.schedule import in_steps

# Advice to authors of Lightning programs, of no use to a person who trains.
QUIET = [
    ".*does not have many workers.*",
    ".*LightningCLI's args parameter.*",
    ".*smaller than the logging interval.*",
    ".*isinstance.treespec, LeafSpec.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    # What waits for a validation that a short run leaves out; wrong names are found elsewhere.
    ".*could not find the monitored key.*",
    ".*ReduceLROnPlateau conditioned on metric.*",
    ".*The dirpath has changed from.*",  # every run has a folder of its own
    ".*ended before the epoch ended and your dataloader is not resumable.*",  # ours is
    ".*You requested to overfit but enabled.*shuffling.*",
    ".*`max_epochs` was not set.*",
]
_NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BUNDLED = Path(__file__).parents[2] / "cfg/data/one_shots.yaml"


class DrumblenderCLI(LightningCLI):
    """LightningCLI whose checkpoints carry their configuration.

    Args:
        args: arguments to parse.
        run: whether to run a subcommand. False only makes the objects.
        command: arguments as they were typed.

    Raises:
        UsageError: if an option is unknown, or if options do not go together.
        DrumblenderError: if a file or the data is not as it has to be.
        Stopped: if a signal has ended a training.
    """

    def __init__(self, args: List[str], run: bool = True, command: Sequence[str] = ()):
        keep_memory()
        be_quiet()
        for message in QUIET:
            warnings.filterwarnings("ignore", message=message)
        self.command = command
        options = {"exit_on_error": False, "allow_abbrev": False}
        parser_kwargs: Dict[str, Any] = {**options, "prog": "drumblender"}
        if run:
            parser_kwargs.update({name: dict(options) for name in self.subcommands()})
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

    # --- Options -----------------------------------------------------------------------------

    def _prepare_subcommand_parser(
        self, klass: type, subcommand: str, **kwargs: Any
    ) -> LightningArgumentParser:
        """Add the options that Lightning does not have."""
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        if subcommand != "fit":
            parser.add_argument(
                "--untrained", action="store_true", help="take the model without a checkpoint"
            )
        if subcommand == "predict":
            parser.add_argument(
                "--output",
                type=Optional[str],
                metavar="DIR",
                help="folder of the resyntheses (default: predictions in the log folder)",
            )
            parser.add_argument("--stems", action="store_true", help="write the parts as well")
            parser.add_argument(
                "--targets", action="store_true", help="write the recordings as well"
            )
        return parser

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the arguments, and turn what jsonargparse says into one sentence.

        Raises:
            UsageError: if an argument is wrong.
        """
        try:
            super().parse_arguments(parser, args)
        except ArgumentError as error:
            text = str(error)
            if re.search(r"(are required: .*|Key \"\S*)\b(model|data)\b", text):
                raise UsageError(
                    f"{' '.join(['drumblender', *args[:1]])} needs a model and data: give an "
                    "experiment, such as -c cfg/04_noise_parallel_transient_params.yaml."
                ) from None
            known = self._parser(args[0])._option_string_actions if args else ()
            raise UsageError(finish(condense(text) + suggest(text, known))) from None

    def _parse_ckpt_path(self) -> None:
        """Do nothing: a checkpoint's weights go into the model that the configuration describes."""

    # --- Objects -----------------------------------------------------------------------------

    def _add_configure_optimizers_method_to_model(self, subcommand: Optional[str]) -> None:
        """Make the optimizer and the scheduler, with errors that name their options."""
        try:
            super()._add_configure_optimizers_method_to_model(subcommand)
        except (ValueError, TypeError) as error:
            raise UsageError(f"optimizer or lr_scheduler: {_line(error)}") from error

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """Make the trainer with the callbacks that every run has.

        Raises:
            UsageError: if options of the trainer do not go together. The message names them.
        """
        config = self._get(self.config_init, "trainer", default={})
        callbacks = config.get("callbacks") or []
        callbacks = callbacks if isinstance(callbacks, list) else [callbacks]
        callbacks = useful(callbacks, config)
        prediction = None
        if self.subcommand == "predict":
            given = {"output_dir": "output", "targets": "targets", "stems": "stems"}
            prediction = {key: self._get(self.config, name) for key, name in given.items()}
        callbacks = completed(callbacks, config, self.subcommand, self.command, prediction)
        try:
            return super().instantiate_trainer(callbacks=callbacks, **kwargs)
        except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
            options = [name for name in vars(config) if re.search(rf"\b{name}\b", str(error))]
            values = {str(v): name for name, v in vars(config).items() if len(str(v)) > 2}
            options = options or [name for v, name in values.items() if v in str(error)]
            options = options or ["accelerator", "devices"]
            names = " and ".join(f"--trainer.{name}" for name in options)
            raise UsageError(f"{_line(error)} Change {names}.") from error

    @staticmethod
    def configure_optimizers(
        lightning_module: pl.LightningModule,
        optimizer: Optimizer,
        lr_scheduler: Optional[LRSchedulerTypeUnion] = None,
    ) -> Any:
        """Do as Lightning does, but let a scheduler without a value to watch wait for one."""
        made = LightningCLI.configure_optimizers(lightning_module, optimizer, lr_scheduler)
        if isinstance(made, dict):
            made["lr_scheduler"]["strict"] = False
        return in_steps(made)

    def after_instantiate_classes(self) -> None:
        """Give the model its configuration, and let its blocks compute fast."""
        config = self.config[self.subcommand] if self.subcommand else self.config
        # Plain values only, so that checkpoints load without running code.
        text = self._parser(self.subcommand).dump(config, skip_none=False, skip_validation=True)
        self.model.configuration = yaml.safe_load(text)
        accelerate(self.model)

    # --- Running -----------------------------------------------------------------------------

    def before_fit(self) -> None:
        """Find and check the weights before Lightning loads them.

        Raises:
            UsageError: if there is no such checkpoint.
            DrumblenderError: if it is broken or does not fit the model.
        """
        given = self._get(self.config, "ckpt_path")
        found = prepare_weights(given, self.model, self.trainer)
        self.config_init[self.subcommand]["ckpt_path"] = found

    def before_test(self) -> None:
        """Refuse to test a model that was never trained, and check its checkpoint.

        Raises:
            UsageError: if no checkpoint is given, or if it does not fit the model.
        """
        learned = any(True for _ in self.model.parameters())
        untrained = self._get(self.config, "untrained")
        if learned and not untrained and self._get(self.config, "ckpt_path") is None:
            raise UsageError(
                f"drumblender {self.subcommand} needs the checkpoint of a trained model: give "
                "--ckpt_path FILE, or --ckpt_path last for that of the last run (--untrained takes "
                "the model as it is before training)."
            )
        self.before_fit()

    before_validate = before_test

    def before_predict(self) -> None:
        """Check as for a test, and let predictions go to files only."""
        self.before_test()
        self.config_init["predict"]["return_predictions"] = False  # they go to files

    def _run_subcommand(self, subcommand: str) -> None:
        """Run, and turn what goes wrong into sentences."""
        with _stoppable():
            try:
                super()._run_subcommand(subcommand)
            except Stopped as stop:
                if not stop.agreed:
                    self._end_others()
                raise
            except DrumblenderError as error:
                self._offer_bundled(error)
                raise
            except OSError as error:
                self._name_folder(error)
                raise
            except (MisconfigurationException, ValueError) as error:
                if not _is_of_lightning(error):
                    raise
                raise UsageError(finish(_line(error))) from error

    def _end_others(self) -> None:
        """End the other processes, which would wait for this one and complain when it is gone."""
        launcher = self.trainer.strategy.launcher
        for process in getattr(launcher, "procs", ()):
            process.kill()
        getattr(launcher, "procs", []).clear()

    def _offer_bundled(self, error: DrumblenderError) -> None:
        """Offer the bundled sounds if the ones of the configuration cannot be had."""
        data = self.datamodule
        if not isinstance(data, AudioDataModule) or data.target.is_there():
            return
        bundled = "one_shots" in data.target.meta_file or not _BUNDLED.is_file()
        if _was_in(error, "prepare_data") and not bundled:
            raise type(error)(
                f"{str(error).rstrip('.')}; or take the sounds that come with Drumblender: "
                f"--data {relative(_BUNDLED)}"
            ) from error

    def _name_folder(self, error: OSError) -> None:
        """Name the option for another folder if one cannot be written to."""
        if error.errno not in _NOT_WRITABLE:
            return
        folder, option = self.trainer.default_root_dir, "--trainer.default_root_dir DIR"
        if _was_in(error, "prepare_data"):
            folder, option = self.datamodule.target.data_dir, "--data.init_args.data_dir DIR"
        elif self.trainer.loggers:
            folder = self.trainer.loggers[0].save_dir or folder
            option = "--trainer.logger.init_args.save_dir DIR"
        path = relative(os.fsdecode(error.filename or folder))
        reason = (error.strerror or str(error)).lower()
        raise DrumblenderError(
            f"{path} cannot be written ({reason}); make room, correct the permissions, or choose "
            f"another folder with {option}."
        ) from error


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let Ctrl-C raise what Lightning passes on, as it exits by itself at KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, Stopped.by_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _was_in(error: BaseException, function: str) -> bool:
    """Return whether a function was running when an error came."""
    return any(frame.name == function for frame in traceback.extract_tb(error.__traceback__))


def _is_of_lightning(error: BaseException) -> bool:
    """Return whether Lightning itself raised an error, about how its options go together."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and bool(
        re.search(r"pytorch_lightning|lightning_fabric", frames[-1].filename)
    )


def _line(error: BaseException) -> str:
    """Write an error as one line that ends like a sentence."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."
