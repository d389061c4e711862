"""Loading of models that can make sound, with the analysis that they were trained on."""

import dataclasses
import pickle
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Dict, Optional, Union

import torch
from torch import Tensor

from drumblender.analysis.modal import AnalysisSettings
from drumblender.config import is_configuration, load_config, model_section
from drumblender.errors import DrumblenderError, UsageError, condense
from drumblender.fast import accelerate
from drumblender.pretrained.file import Facts, is_model_file, read_model
from drumblender.tasks.blender import Blender
from drumblender.tasks.measured import MeasuredModal, MeasuredNoise, MeasuredTransient
from drumblender.tasks.trained_on import KEY, LEVELS, OneRecording, only_recording

PathLike = Union[str, Path]


@dataclass(frozen=True)
class TrainedModel:
    """A model, and what is to be known of its training in order to use it.

    Attributes:
        network: the model.
        analysis: settings of the analysis whose modes it was trained on.
        num_samples: number of samples of the sounds that it was trained on.
        recording: the only recording that it was trained on. None if there were several, or if the
            checkpoint does not say it.
        asked_for: name or file by which the model was asked for. None if nothing was.
    """

    network: Blender
    analysis: AnalysisSettings = field(default_factory=AnalysisSettings)
    num_samples: int = 96_000
    recording: Optional[OneRecording] = None
    asked_for: Optional[PathLike] = None


def load_model(
    config: Optional[PathLike] = None,
    checkpoint: Optional[PathLike] = None,
    device: Union[str, torch.device] = "cpu",
) -> TrainedModel:
    """Load a model in eval mode.

    ``load_model("model.ckpt")`` suffices for checkpoints of this package and for model files,
    because they carry their configuration. Other checkpoints need
    ``load_model("config.yaml", "model.ckpt")``. A model without weights, whose parts are measured,
    needs a configuration only. ``load_model()`` gives such a model without any file
    (:func:`measured_model`).

    Only the model and the analysis settings of a configuration count. Its trainer, logger and
    dataset need not exist.

    Args:
        config: configuration file, or the checkpoint if it is the only argument. None stands for
            the model that needs no training.
        checkpoint: file that holds a ``state_dict``.
        device: device that the model shall be on.

    Returns:
        The model, accelerated (:func:`drumblender.fast.accelerate`), with what is known of its
        training.

    Raises:
        UsageError: if the configuration is missing, is broken or describes no model.
        DrumblenderError: if the checkpoint is missing, is broken or does not fit.
    """
    if config is None:
        return measured_model(device)
    if checkpoint is None and is_configuration(config):
        return _without_weights(config, device)
    if checkpoint is None:
        checkpoint = config
        state = read_checkpoint(checkpoint)
        if "configuration" not in state:
            raise UsageError(
                f"Checkpoint {checkpoint} carries no configuration; give the configuration file "
                "that it was trained with as well."
            )
        source, settings = f"the configuration in {checkpoint}", state["configuration"]
    else:
        source, settings = f"configuration {config}", load_config(config)
        state = read_checkpoint(checkpoint)
    model = build_model(settings, source)
    check_weights(model, state, checkpoint, source)
    model.load_state_dict(model.adopt(state["state_dict"]))
    model.play_as_trained(state)
    return replace(_ready(model, settings, device), recording=only_recording(state))


def measured_model(device: Union[str, torch.device] = "cpu") -> TrainedModel:
    """Make the model that needs no training, because all its parts are measured.

    ``cfg/measured.yaml`` describes the same model.

    >>> measured_model().network.is_measured
    True
    """
    parts = (MeasuredModal(), MeasuredNoise(), MeasuredTransient())
    model = Blender(None, parts=parts).to(device).eval()
    return TrainedModel(model, AnalysisSettings(method="separating", hop_length=64))


def untrained_model(config: PathLike, device: Union[str, torch.device] = "cpu") -> TrainedModel:
    """Make the model of a configuration with the weights that training would begin from.

    Raises:
        UsageError: if the configuration is missing, is broken or describes no model.
    """
    settings = load_config(config)
    return _ready(build_model(settings, f"configuration {config}"), settings, device)


def _without_weights(config: PathLike, device: Union[str, torch.device]) -> TrainedModel:
    """Load a model without weights from its configuration."""
    source, settings = f"configuration {config}", load_config(config)
    model = build_model(settings, source)
    if model.state_dict():
        raise UsageError(
            f"The model of {source} has weights that have to be learned; give its checkpoint, too."
        )
    return _ready(model, settings, device)


def _ready(
    model: Blender, settings: Dict[str, Any], device: Union[str, torch.device]
) -> TrainedModel:
    """Make a model ready to make sound, and return it with what its configuration says."""
    data_args = (settings.get("data") or {}).get("init_args") or {}
    model.configuration = settings
    accelerate(model.to(device).eval())
    return TrainedModel(
        model,
        analysis_settings(data_args),
        data_args.get("num_samples", TrainedModel.num_samples),
    )


def read_checkpoint(path: PathLike) -> Dict[str, Any]:
    """Read a checkpoint or a model file without running any code that it may hold.

    A model file gives what the checkpoint that it was made of says.

    Raises:
        DrumblenderError: if it is missing, is broken or holds no ``state_dict``.
    """
    path = Path(path)
    if not path.is_file():
        raise DrumblenderError(f"Checkpoint {path} does not exist; check the path.")
    if is_model_file(path):
        return _as_checkpoint(*read_model(path))
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError):
        raise DrumblenderError(
            f"Checkpoint {path} cannot be read: it is damaged, or no checkpoint of tensors and "
            "plain values; fetch or save it again."
        ) from None
    if not isinstance(state, dict) or "state_dict" not in state:
        raise DrumblenderError(f"{path} holds no `state_dict`; give a Lightning checkpoint.")
    return state


def _as_checkpoint(tensors: Dict[str, Tensor], facts: Optional[Facts]) -> Dict[str, Any]:
    """Give the content of a model file the form of a checkpoint."""
    if facts is None:  # weights that another program has stored
        return {"state_dict": tensors}
    trained_on = dict(facts.trained_on)
    if LEVELS in tensors:
        trained_on["levels"] = tensors.pop(LEVELS)
    configuration = dict(facts.configuration)
    data = dict(configuration.get("data") or {})
    # What was a default in training may be another one by now.
    fixed = {**facts.analysis, "num_samples": facts.num_samples}
    data["init_args"] = {**(data.get("init_args") or {}), **fixed}
    return {
        **facts.training,
        "state_dict": tensors,
        "configuration": {**configuration, "data": data},
        KEY: trained_on,
        "rounded_phase": facts.rounded_phase,
    }


def build_model(config: Dict[str, Any], source: str) -> Blender:
    """Build the model of a configuration, without what only training needs.

    Args:
        config: configuration as :func:`~drumblender.config.load_config` returns it.
        source: words that say in an error where the configuration comes from.

    Raises:
        UsageError: if there is no ``model`` section, or if its model cannot be built.
    """
    from jsonargparse import ArgumentError, ArgumentParser

    section = model_section(config, source)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Blender, "model", required=True)
    try:
        return parser.instantiate_classes(parser.parse_object({"model": section})).model
    except (ArgumentError, ValueError, TypeError, ImportError) as error:
        reason = condense(str(error))
        raise UsageError(f"The model of {source} cannot be built: {reason}.") from None


def check_weights(model: Blender, state: Dict[str, Any], path: PathLike, source: str) -> None:
    """Check that the weights of a checkpoint fit a model.

    Args:
        model: the model.
        state: checkpoint as :func:`read_checkpoint` returns it.
        path: file of the checkpoint, for the error.
        source: words that say in the error where the configuration comes from.

    Raises:
        DrumblenderError: if they do not fit.
    """
    own, given = model.state_dict(), model.adopt(state["state_dict"])
    problems = [f"{key} is missing" for key in own if key not in given]
    problems += [f"{key} is unknown" for key in given if key not in own]
    problems += [
        f"{key} is {tuple(given[key].shape)} and not {tuple(own[key].shape)}"
        for key in own
        if key in given and own[key].shape != given[key].shape
    ]
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise DrumblenderError(
            f"Checkpoint {path} does not fit {source} ({problems[0]}{more}); give the "
            "configuration it was trained with."
        )


def analysis_settings(data_args: Dict[str, Any]) -> AnalysisSettings:
    """Pick the analysis settings from the arguments of a datamodule. Others are defaults."""
    names = {field.name for field in dataclasses.fields(AnalysisSettings)}
    return AnalysisSettings(**{k: v for k, v in data_args.items() if k in names})
