"""The section of a configuration that describes the model."""

from typing import Any, Dict

from drumblender.errors import UsageError

# Names of the class that adds training to Blender.
TRAINED = (
    "DrumBlender",
    "drumblender.tasks.DrumBlender",
    "drumblender.tasks.drumblender.DrumBlender",
)
# Arguments of it that only training and testing need.
TRAINING_ARGUMENTS = (
    "loss_fn",
    "part_losses",
    "augmentation",
    "test_metrics",
    "float32_matmul_precision",
    "compile",
    "activation_checkpointing",
)


def model_section(config: Dict[str, Any], source: str) -> Dict[str, Any]:
    """Return the model of a configuration, without what only training needs.

    Args:
        config: configuration as :func:`~drumblender.config.load_config` returns it.
        source: words that say in an error where the configuration comes from.

    Returns:
        ``class_path`` and ``init_args`` of a :class:`~drumblender.tasks.blender.Blender`.

    Raises:
        UsageError: if there is no ``model`` section.
    """
    section = config.get("model")
    if not isinstance(section, dict):
        raise UsageError(f"There is no `model` section in {source}; give a whole configuration.")
    if "class_path" not in section:
        section = {"class_path": "drumblender.tasks.DrumBlender", "init_args": section}
    if section["class_path"] in TRAINED:
        arguments = section.get("init_args") or {}
        arguments = {k: v for k, v in arguments.items() if k not in TRAINING_ARGUMENTS}
        section = {"class_path": "drumblender.tasks.Blender", "init_args": arguments}
    return section
