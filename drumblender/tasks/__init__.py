"""The training task: audio and modal parameters to controls, controls to parts, parts to loss."""

from drumblender.tasks.drumblender import Controls, DrumBlender, Parts

__all__ = ["Controls", "DrumBlender", "Parts"]
