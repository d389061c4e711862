"""The end of a training, which keeps the last state and says how to go on.

The command line adds this callback to every training. Configurations do not name it.
"""

import contextlib
import os
import re
import shlex
import signal
import threading
import time
from typing import Any, Dict, Iterable, List, Optional, Sequence, Set, Tuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import (
    EarlyStopping,
    ModelCheckpoint,
)

from drumblender.callbacks.run import callbacks_of, is_trial, relative
from drumblender.errors import DrumblenderError, Stopped, UsageError, did_you_mean

# Without a validation set nothing tells which weights are best; the last ones are kept this often.
_SECONDS_BETWEEN_CHECKPOINTS = 300
# What a program may be stopped with. SIGHUP comes when a terminal closes; Windows has none.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))


class Ending(pl.Callback):
    """A callback that keeps the last state of a training in last.ckpt, however the training ends.

    A first Ctrl-C (or SIGTERM, as batch systems send it) lets the current step finish, and the
    validation that follows it, so that no weight is half updated. A second one ends at once.
    Several processes that train together agree on the step at which they end. A sentence then says
    how to go on.

    Args:
        command: arguments of the command line, from which the command to go on with is made.

    Raises:
        Stopped: when a signal has ended the training.
        DrumblenderError: if another of several processes has ended.
        UsageError: if a callback or a scheduler monitors a value that no step gives.
    """

    def __init__(self, command: Sequence[str] = ()):
        self.command = list(command)
        self._signal: Optional[int] = None
        self._handlers: Dict[int, Any] = {}
        self._validated = False
        self._saved_at = time.monotonic()
        self._first_step = 0
        self._indifferent: Set[int] = set()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Let a run without validation pass callbacks that stop early by a validation value."""
        for callback in callbacks_of(trainer):
            if isinstance(callback, EarlyStopping):
                # A run without validation has nothing to stop by; see _check_monitors for the rest.
                if not callback.strict:
                    self._indifferent.add(id(callback))
                callback.strict = False

    def on_sanity_check_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check what callbacks and schedulers monitor."""
        self._check_monitors(trainer, "validation")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take over the signals that may end the training."""
        self._first_step = trainer.global_step
        self._saved_at = time.monotonic()
        if threading.current_thread() is not threading.main_thread():
            return
        # After Lightning has set its own, which talk to other processes from within a handler.
        for number in _SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                self._handlers[number] = signal.getsignal(number)
                signal.signal(number, lambda number, frame: self._note(number, trainer))

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """End the training if a signal has come, or save last.ckpt if it is due."""
        stop = self._signal is not None
        late = time.monotonic() - self._saved_at > _SECONDS_BETWEEN_CHECKPOINTS
        save = late and not self._validates(trainer)
        if trainer.world_size > 1:
            stop = trainer.strategy.reduce_boolean_decision(stop, all=False)
            save = trainer.strategy.reduce_boolean_decision(save, all=False)
        if stop:
            self._stop(trainer)
        if save:
            _save_between_steps(trainer)
            self._saved_at = time.monotonic()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check what callbacks and schedulers monitor."""
        if trainer.training or trainer.sanity_checking:
            return
        self._validated = True
        if trainer.state.fn == "fit":
            self._check_monitors(trainer, "validation")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check what callbacks and schedulers monitor, with the values of training."""
        self._check_monitors(trainer, "validation" if self._validated else None, "train")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save last.ckpt if the configuration wants it or no other checkpoint exists."""
        self._restore_handlers()
        checkpoints = _checkpoints(trainer)
        wanted = any(c.save_last for c in checkpoints)
        if wanted or not any(c.best_model_path for c in checkpoints):
            _save_last(trainer)
        if self._signal is not None:
            self._stop(trainer)
        for callback in trainer.early_stopping_callbacks:
            if callback.stopped_epoch and not callback.verbose:
                pl.utilities.rank_zero_info(_why_early(callback))

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Give the signals back after an error."""
        if self._signal is not None and "DataLoader worker" in str(exception):
            # A batch system ends every process of a job, and loaders have nothing to finish.
            self._stop(trainer)
        self._restore_handlers()
        reason = _lost(exception) if trainer.world_size > 1 else None
        if reason is not None:
            raise DrumblenderError(self._without_others(trainer, reason)) from exception

    def _without_others(self, trainer: pl.Trainer, reason: str) -> str:
        """Say that other processes are gone, and how to go on with all of them."""
        path = _last(trainer)
        what = (
            f"stopped after step {trainer.global_step}, because another process of this training "
        )
        what += f"has ended or cannot be reached ({reason})"
        if path is None:
            return f"{what}; see what that one said, and start all of them again."
        again = shlex.join(["drumblender", *go_on(self.command, relative(path))])
        return (
            f"{what}; {relative(path)} is the last checkpoint, to go on with in all processes: "
            f"{again}"
        )

    def _note(self, number: int, trainer: pl.Trainer) -> None:
        """Remember the signal the first time, and end at once the second time."""
        if self._signal is not None:
            raise Stopped(number, self._sentence(trainer, _last(trainer), "stopped at once"))
        self._signal = number
        if trainer.is_global_zero:
            what = "validation" if trainer.validating else "step"
            text = f"\nStopping after this {what}; press Ctrl-C again to stop at once.\n"
            with contextlib.suppress(OSError):  # not print, which may be what was interrupted
                os.write(2, text.encode())

    def _stop(self, trainer: pl.Trainer) -> None:
        """Save the last state and raise the sentence that says how to go on."""
        path = None
        if trainer.global_step > self._first_step:
            path = _save_between_steps(trainer)
        self._restore_handlers()
        number = self._signal or signal.SIGTERM
        stop = Stopped(number, self._sentence(trainer, path or _last(trainer), "stopped"))
        stop.agreed = True
        raise stop

    def _sentence(self, trainer: pl.Trainer, path: Optional[str], what: str) -> str:
        """Say what was kept, and how to go on."""
        if not trainer.is_global_zero:
            return ""
        what = f"{what} after step {trainer.global_step}"
        if trainer.global_step == self._first_step:
            return f"{what}, before anything was learned; give the same command again."
        if path is None:
            return f"{what}; nothing was kept, as no checkpoints are saved."
        again = shlex.join(["drumblender", *go_on(self.command, relative(path))])
        return f"{what}; {relative(path)} is the last checkpoint, to go on with: {again}"

    def _restore_handlers(self) -> None:
        """Give the signals back to whoever had them before."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _validates(self, trainer: pl.Trainer) -> bool:
        """Return whether this run has a validation."""
        return trainer.enable_validation and bool(sum(trainer.num_val_batches or [0]))

    def _check_monitors(self, trainer: pl.Trainer, *stages: Optional[str]) -> None:
        """Refuse to monitor a value that no step gives. Other stages may still give theirs."""
        known = set(trainer.callback_metrics)
        if not known:  # no batch came
            return
        watching: List[Tuple[str, Optional[str], Any]] = [
            *((type(c).__name__, getattr(c, "monitor", None), c) for c in callbacks_of(trainer)),
            *(("lr_scheduler", c.monitor, c) for c in trainer.lr_scheduler_configs),
        ]
        for name, monitor, thing in watching:
            if not isinstance(monitor, str) or monitor in known or id(thing) in self._indifferent:
                continue
            if name == "lr_scheduler" and not thing.reduce_on_plateau:
                continue
            stage = monitor.partition("/")[0]
            if stage in ("train", "validation") and stage not in stages:
                continue
            if stage not in ("train", "validation") and "train" not in stages:
                continue
            raise UsageError(
                f"{name} monitors {monitor}, which is not among what is measured "
                f"({', '.join(sorted(known)) or 'nothing'}){did_you_mean(monitor, known)}"
            )


def _lost(error: BaseException) -> Optional[str]:
    """Say why processes cannot talk to each other any more, or None if the error is another one."""
    text = " ".join(str(error).split())
    of_network = isinstance(error, torch.distributed.DistError)
    if not of_network and not (isinstance(error, RuntimeError) and "gloo" in text):
        return None
    known = re.search(r"Connection \w+ by peer|Broken pipe|[Tt]imed out|Connection refused", text)
    return known[0].lower() if known else type(error).__name__


def go_on(command: Iterable[str], path: str) -> List[str]:
    """Make the arguments with which a stopped run goes on.

    >>> go_on(["fit", "-c", "a.yaml", "--ckpt_path=last"], "last.ckpt")
    ['fit', '-c', 'a.yaml', '--ckpt_path', 'last.ckpt']
    """
    kept, skip = [], False
    for word in command:
        if not skip and word != "--ckpt_path" and not word.startswith("--ckpt_path="):
            kept.append(word)
        skip = word == "--ckpt_path"
    return [*kept, "--ckpt_path", path]


def _checkpoints(trainer: pl.Trainer) -> List[ModelCheckpoint]:
    """List the checkpoint callbacks, those that save the last state first."""
    if is_trial(trainer):
        return []
    found = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
    return sorted(found, key=lambda callback: not callback.save_last)


def _last(trainer: pl.Trainer) -> Optional[str]:
    """Find the newest checkpoint of this run."""
    paths = [p for c in _checkpoints(trainer) for p in (c.last_model_path, c.best_model_path) if p]
    paths = [path for path in paths if os.path.exists(path)]
    return max(paths, key=os.path.getmtime) if paths else None


def _save_between_steps(trainer: pl.Trainer) -> Optional[str]:
    """Save last.ckpt before a batch, as if the batch had not been fetched."""
    progress = trainer.fit_loop.epoch_loop.batch_progress
    counts = [
        count
        for count in (progress.current, progress.total)
        if count.ready > count.state_dict()["started"]
    ]
    for count in counts:
        count.ready -= 1
    try:
        return _save_last(trainer)
    finally:
        for count in counts:
            count.ready += 1


def _save_last(trainer: pl.Trainer) -> Optional[str]:
    """Save last.ckpt, unless it has been saved in this step. Return its path.

    The path is None if the run wants no checkpoints.
    """
    for callback in _checkpoints(trainer)[:1]:
        fresh = callback._last_global_step_saved == trainer.global_step
        if not (callback.save_last and callback.last_model_path and fresh):
            save_last, callback.save_last = callback.save_last, True
            try:
                callback._save_last_checkpoint(trainer, callback._monitor_candidates(trainer))
            finally:
                callback.save_last = save_last
        return callback.last_model_path
    return None


def _why_early(callback: EarlyStopping) -> str:
    """Say why a callback has stopped the training early."""
    reason = getattr(callback, "stopping_reason_message", None)  # Lightning 2.6
    reason = (reason or f"{callback.monitor} did not improve any more.").replace(
        " Signaling Trainer to stop.", ""
    )
    return f"EarlyStopping: {reason}"
