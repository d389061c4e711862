"""The model: audio and modal parameters to controls, controls to parts; and how it is trained.

``DrumBlender`` is imported when it is first used: making sound needs no Lightning.
"""

from drumblender.tasks.blender import Blender, Controls, Parts

__all__ = ["Blender", "Controls", "DrumBlender", "Parts"]


def __getattr__(name: str):
    if name != "DrumBlender":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from drumblender.tasks.drumblender import DrumBlender

    return DrumBlender
