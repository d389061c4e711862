"""Configurations that older versions of Lightning saved, turned into current ones."""

import logging
from importlib.util import find_spec
from typing import Any, Dict

log = logging.getLogger(__name__)

# Options of the Lightning 1.9 trainer that Lightning 2 does not know any more.
DROPPED_TRAINER_OPTIONS = frozenset(
    "num_processes gpus auto_select_gpus tpu_cores ipus track_grad_norm resume_from_checkpoint "
    "auto_lr_find replace_sampler_ddp auto_scale_batch_size amp_backend amp_level "
    "move_metrics_to_cpu multiple_trainloader_mode".split()
)


def modernize(config: Dict[str, Any]) -> Dict[str, Any]:
    """Turn a configuration that Lightning 1.9 saved into one that this Lightning takes.

    A configuration without any option that Lightning 2 dropped comes back as it is. Its Weights &
    Biases logger becomes TensorBoard, however, if wandb is not installed.
    """
    config = dict(config)
    trainer = dict(config["trainer"] or {})
    dropped = DROPPED_TRAINER_OPTIONS & set(trainer)
    if dropped:
        trainer = {k: v for k, v in trainer.items() if k not in DROPPED_TRAINER_OPTIONS}
        # What was null meant the default, whose value is no longer null for every option.
        trainer = {k: v for k, v in trainer.items() if v is not None}
        trainer["accelerator"] = "auto"
        log.warning(
            "This configuration is of Lightning 1.9: trainer options that no longer exist were "
            "left out (%s) and the accelerator is chosen automatically.",
            ", ".join(sorted(dropped)),
        )
        scheduler = config.get("lr_scheduler")
        if isinstance(scheduler, dict) and "init_args" in scheduler:
            kept = {k: v for k, v in scheduler["init_args"].items() if k != "verbose"}
            config["lr_scheduler"] = {**scheduler, "init_args": kept}
    if "logger" in trainer:
        trainer["logger"] = _available_logger(trainer["logger"], prune=bool(dropped))
    config["trainer"] = trainer
    return config


def _available_logger(logger: Any, prune: bool) -> Any:
    """Replace a Weights & Biases logger if wandb is not installed."""
    if isinstance(logger, list):
        return [_available_logger(item, prune) for item in logger]
    if not (isinstance(logger, dict) and str(logger.get("class_path")).endswith("WandbLogger")):
        return logger
    args = logger.get("init_args") or {}
    if find_spec("wandb") is None:
        log.warning(
            "The configuration logs to Weights & Biases, which is not installed; logging to "
            'TensorBoard instead (pip install "drumblender[wandb]" for W&B).'
        )
        return {
            "class_path": "pytorch_lightning.loggers.TensorBoardLogger",
            "init_args": {"save_dir": args.get("save_dir") or "logs", "name": args.get("name")},
        }
    if prune:
        args = {k: v for k, v in args.items() if v is not None}
    return {**logger, "init_args": args}
