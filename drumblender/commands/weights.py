"""The weights that a training command begins with: which file is meant, and whether it fits."""

from pathlib import Path
from typing import Any, Optional

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_info

from drumblender.callbacks.run import relative
from drumblender.errors import UsageError
from drumblender.pretrained import find_model, is_model_file
from drumblender.tasks import DrumBlender
from drumblender.tasks.checkpoint import check_weights, read_checkpoint


def prepare_weights(given: Optional[str], model: DrumBlender, trainer: pl.Trainer) -> Any:
    """Find the weights that ``--ckpt_path`` names, and check them before Lightning loads them.

    Those of a model file go into the model at once, because they are all that it holds.

    Args:
        given: a path, the name of a model, ``last``, ``best``, or what Lightning knows by itself.
        model: model that the weights are for.
        trainer: trainer of the run.

    Returns:
        What Lightning shall load, or None if there is nothing left to load.

    Raises:
        UsageError: if there is no such checkpoint.
        DrumblenderError: if it is broken or does not fit the model.
    """
    if given in (None, "hpc", "registry"):
        return given
    if given in ("last", "best"):
        path = _last_checkpoint(trainer) if given == "last" else _best_checkpoint(trainer)
        rank_zero_info(f"Checkpoint: {relative(path)}")
    else:
        path = find_model(str(given))
    state = read_checkpoint(path)
    check_weights(model, state, path, "the model of the configuration")
    if not is_model_file(path):
        return str(path)
    model.on_load_checkpoint(state)
    model.load_state_dict(state["state_dict"])
    rank_zero_info(f"Weights: {relative(path)}")
    return None


def _last_checkpoint(trainer: pl.Trainer) -> Path:
    """Find the newest last.ckpt; Lightning itself only looks into the folder of the new run."""
    folders = [Path(logger.save_dir or ".") / str(logger.name) for logger in trainer.loggers]
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.dirpath:
            folders.append(Path(callback.dirpath))
    folders = folders or [Path(trainer.default_root_dir) / "checkpoints"]
    found = {path for folder in folders for path in folder.rglob("last*.ckpt")}
    if not found:
        raise UsageError(
            f"--ckpt_path: there is no last.ckpt in {', '.join(map(str, folders))}; "
            "give the path of a checkpoint."
        )
    return max(found, key=lambda path: path.stat().st_mtime)


def _best_checkpoint(trainer: pl.Trainer) -> Path:
    """Find the checkpoint that the last one calls the best of its run."""
    last = _last_checkpoint(trainer)
    states = read_checkpoint(last).get("callbacks", {})
    paths = [s.get("best_model_path") for k, s in states.items() if k.startswith("ModelCheck")]
    # The whole run may have been moved since.
    paths = [Path(path) for path in paths if path]
    paths = [p if p.is_file() else last.with_name(p.name) for p in paths]
    paths = [path for path in paths if path.is_file()]
    if not paths:
        raise UsageError(
            f"--ckpt_path best: the run of {relative(last)} kept no best checkpoint; "
            "give the path of one, or `last`."
        )
    return paths[0]
