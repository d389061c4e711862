"""The callbacks of a run: those of its configuration that have something to do, and its own."""

from typing import Any, Dict, List, Optional, Sequence

import pytorch_lightning as pl
from pytorch_lightning.callbacks import (
    Checkpoint,
    DeviceStatsMonitor,
    LearningRateMonitor,
    ModelSummary,
    ProgressBar,
)

from drumblender.callbacks import LogAudioCallback, MetricsWriter, PredictionWriter
from drumblender.callbacks.console import Progress, Summary
from drumblender.callbacks.ending import Ending


def useful(callbacks: List[pl.Callback], trainer: Dict[str, Any]) -> List[pl.Callback]:
    """Return the callbacks that have something to do, given the options of the trainer.

    A configuration describes a whole run. A short run leaves out parts of that, and callbacks for
    these parts must not stop it. Lightning itself refuses most such combinations.
    """
    idle: List[type] = []
    if trainer.get("logger") in (False, []) and not trainer.get("fast_dev_run"):
        idle += [LearningRateMonitor, DeviceStatsMonitor, LogAudioCallback]
    if trainer.get("enable_checkpointing") is False or trainer.get("fast_dev_run"):
        idle.append(Checkpoint)
    if trainer.get("enable_progress_bar") is False:
        idle.append(ProgressBar)
    if trainer.get("enable_model_summary") is False:
        idle.append(ModelSummary)
    return [callback for callback in callbacks if not isinstance(callback, tuple(idle))]


def completed(
    callbacks: List[pl.Callback],
    trainer: Dict[str, Any],
    subcommand: Optional[str],
    command: Sequence[str] = (),
    prediction: Optional[Dict[str, Any]] = None,
) -> List[pl.Callback]:
    """Add the callbacks that every run has, unless the configuration names them.

    Args:
        callbacks: callbacks of the configuration.
        trainer: options of the trainer.
        subcommand: what runs, such as ``fit``.
        command: arguments as they were typed, from which :class:`Ending` says how to go on.
        prediction: arguments of the :class:`PredictionWriter`. If any of them is given, this writer
            takes the place of one of the configuration.
    """
    if prediction and any(prediction.values()):
        callbacks = [c for c in callbacks if not isinstance(c, PredictionWriter)]

    def lacks(kind: type) -> bool:
        """Return whether no callback is of a kind."""
        return not any(isinstance(callback, kind) for callback in callbacks)

    added: List[pl.Callback] = []
    if not trainer.get("barebones"):
        if trainer.get("enable_progress_bar") is not False and lacks(ProgressBar):
            added.append(Progress())
        if trainer.get("enable_model_summary") is not False and lacks(ModelSummary):
            added.append(Summary())
    if subcommand == "fit":
        added.append(Ending(command))
    if subcommand in ("validate", "test") and lacks(MetricsWriter):
        added.append(MetricsWriter())
    if subcommand == "predict" and lacks(PredictionWriter):
        added.append(PredictionWriter(**(prediction or {})))
    return [*callbacks, *added]
