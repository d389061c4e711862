"""Publishing, which makes a folder of a checkpoint that others, and the hub, can take."""

import dataclasses
import os
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

import yaml

from drumblender.errors import UsageError
from drumblender.files import atomic
from drumblender.pretrained import Facts, is_model_file, read_facts, write_model
from drumblender.pretrained.card import card
from drumblender.pretrained.names import MODEL_FILE
from drumblender.synths import ModalSynth
from drumblender.tasks.checkpoint import PathLike, TrainedModel, load_model, read_checkpoint
from drumblender.tasks.trained_on import KEY, LEVELS

CARD, CONFIGURATION = "README.md", "config.yaml"
# Sections that say how to train the model again. Others are of a single run.
_SECTIONS = ("seed_everything", "trainer", "model", "optimizer", "lr_scheduler", "data")
_OF_A_RUN = ("logger", "default_root_dir")  # keys of the trainer
_CLONE, _SYSTEM = Path(__file__).parents[2], Path("/usr")
_TRAINING = ("global_step", "epoch", "noise_seed", "software")  # keys of checkpoints


def publish(
    folder: PathLike,
    checkpoint: PathLike,
    license: str,
    config: Optional[PathLike] = None,
    name: Optional[str] = None,
    summary: str = "",
    about: str = "",
    metrics: Optional[Mapping[str, float]] = None,
    tested_on: str = "",
) -> Path:
    """Write a folder with a model file, its configuration and its card.

    The configuration tells nothing of this machine (:func:`portable`).

    Args:
        folder: folder to write to. It is made if need be.
        checkpoint: checkpoint or model file.
        license: identifier of the licence, such as "cc-by-4.0".
        config: configuration file of a checkpoint that carries none.
        name: name of the model. None stands for that of the folder.
        summary: one line that says what the model is.
        about: Markdown for the card, on data, licences and limits.
        metrics: means over a test set by the name of the metric.
        tested_on: words that say which test set it was.

    Returns:
        The model file.

    Raises:
        UsageError: if the folder holds a model already, or if the configuration does not suffice.
        DrumblenderError: if the checkpoint is broken, or if the disk refuses a file.
    """
    folder = Path(folder)
    files = {name: folder / name for name in (CONFIGURATION, CARD, MODEL_FILE)}
    there = [path for path in files.values() if os.path.lexists(path)]
    if there:
        raise UsageError(f"{there[0]} is there already; give another folder, or remove it.")
    model = load_model(config, checkpoint) if config else load_model(checkpoint)
    state = read_checkpoint(checkpoint)
    known = read_facts(checkpoint) if config is None and is_model_file(checkpoint) else None
    # That of a model file was completed as it was loaded.
    configuration = known.configuration if known else portable(model.network.configuration or {})
    facts = Facts(
        name=name or folder.resolve().name,
        license=license,
        summary=" ".join(summary.split()),
        configuration=configuration,
        metrics=dict(metrics or {}),
        **_of_training(model, state),
    )
    tensors = dict(model.network.state_dict())
    if model.recording is not None:
        tensors[LEVELS] = model.recording.levels
    text = yaml.safe_dump(facts.configuration, sort_keys=False, allow_unicode=True)
    atomic.write(files[CONFIGURATION], text.encode())
    atomic.write(files[CARD], card(facts, about, tested_on).encode())
    write_model(files[MODEL_FILE], tensors, facts)
    return files[MODEL_FILE]


def _of_training(model: TrainedModel, state: Dict[str, Any]) -> Dict[str, Any]:
    """Collect what model and checkpoint say of themselves, as fields of Facts."""
    trained_on, synth = dict(state.get(KEY) or {}), model.network.modal_synth
    trained_on.pop("levels", None)
    return {
        "analysis": dataclasses.asdict(model.analysis),
        "sample_rate": model.analysis.sample_rate,
        "num_samples": model.num_samples,
        "parameters": sum(weight.numel() for weight in model.network.parameters()),
        "training": {key: state[key] for key in _TRAINING if state.get(key) is not None},
        "trained_on": trained_on,
        "rounded_phase": isinstance(synth, ModalSynth) and synth.round_phase,
    }


def portable(configuration: Mapping[str, Any]) -> Dict[str, Any]:
    """Return a configuration without what only concerns a single run on a single machine.

    Paths below the working directory, or below the clone that this package runs from, become
    relative to it. Those below ``/usr`` stay, because systems agree on them. Others become bare
    names.
    """
    kept = {key: configuration[key] for key in _SECTIONS if configuration.get(key) is not None}
    trainer = kept.get("trainer")
    if isinstance(trainer, dict):
        kept["trainer"] = {k: v for k, v in trainer.items() if k not in _OF_A_RUN}
    return {key: _without_places(value) for key, value in kept.items()}


def _without_places(value: Any) -> Any:
    """Return a value whose absolute paths tell nothing of this machine."""
    if isinstance(value, dict):
        return {key: _without_places(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_places(item) for item in value]
    if not isinstance(value, str) or not os.path.isabs(value):
        return value
    path = Path(os.path.normpath(value))
    for folder in (Path.cwd(), _CLONE):
        if folder in path.parents:
            return path.relative_to(folder).as_posix()
    return str(path) if _SYSTEM in path.parents else path.name
