"""Models of configurations, for scripts that train and measure them by themselves."""

from typing import Any, Dict

import torch
from jsonargparse import ArgumentParser

from drumblender.tasks import DrumBlender


def build(section: Dict[str, Any], seed: int = 0) -> DrumBlender:
    """Make the model that the model section of a configuration describes.

    Args:
        section: the section, as ``load_config(path)["model"]`` returns it.
        seed: seed of its weights.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(DrumBlender, "model", required=True)
    torch.manual_seed(seed)
    model: DrumBlender = parser.instantiate_classes(parser.parse_object({"model": section})).model
    return model
