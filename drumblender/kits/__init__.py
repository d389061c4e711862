"""Playable kits: what samplers open, read and written.

A kit is read into values (:mod:`drumblender.kits.kit`), whatever form it has. Its drums are taken
apart, and become layers and round robins (:mod:`drumblender.kits.layers`). Then the kit is written
in all forms with one set of samples (:mod:`drumblender.kits.build`).
"""

from importlib import import_module
from typing import Any

# Names are imported when they are first used: the settings of a kit need no PyTorch.
_HOMES = {
    "Drum": "kit",
    "Hit": "kit",
    "Kit": "kit",
    "KitRequest": "settings",
    "Layer": "kit",
    "Other": "settings",
    "Shape": "settings",
    "build_kit": "build",
    "read_kit": "reading",
}

__all__ = ["Drum", "Hit", "Kit", "KitRequest", "Layer", "Other", "Shape", "build_kit", "read_kit"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
