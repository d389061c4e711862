"""The model: recordings to the parameters of their parts, and these to sound; and its training.

``DrumBlender`` is imported when it is first used: making sound needs no Lightning.
"""

from typing import Any

from drumblender.tasks.blender import Blender
from drumblender.tasks.measured import MeasuredModal, MeasuredNoise, MeasuredTransient
from drumblender.tasks.parts import Part
from drumblender.tasks.wiring import Parallel, Series, Wiring

__all__ = [
    "Blender",
    "DrumBlender",
    "MeasuredModal",
    "MeasuredNoise",
    "MeasuredTransient",
    "Parallel",
    "Part",
    "Series",
    "Wiring",
]


def __getattr__(name: str) -> Any:
    if name != "DrumBlender":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from drumblender.tasks.drumblender import DrumBlender

    return DrumBlender
