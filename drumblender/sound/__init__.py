"""Take drum sounds apart in Python, change them, blend them, and hear and see the result.

>>> import torch
>>> from drumblender import Voice, blend
>>> from drumblender.signal import sine
>>> from drumblender.synths import ModalSynth
>>> from drumblender.tasks import Blender
>>> from drumblender.tasks.checkpoint import TrainedModel
>>> model = TrainedModel(Blender(ModalSynth()))  # untrained; else drumblender.load("model.ckpt")
>>> voice = Voice(model)
>>> decay = 10 ** -torch.linspace(0, 3, 12000)
>>> low = voice.decompose(sine(100, 12000, 48000) * decay, 48000)  # or a file: "kick.wav"
>>> high = voice.decompose(sine(150, 12000, 48000) * decay, 48000)
>>> low
<Sound sound: 0.25 s at 48000 Hz, ...>
>>> low.with_pitch(-2).with_decay(1.5).with_gain(-6).seconds > low.seconds
True
>>> blend(low, high, 0.5).render().shape
(12000,)
"""

from importlib import import_module
from typing import Any

# Names are imported when they are first used: the table of controls needs no PyTorch.
_HOMES = {
    "Changes": "changes",
    "Recording": "recording",
    "Sound": "sound",
    "Voice": "voice",
    "blend": "blending",
    "corners": "blending",
    "load": "voice",
    "mix": "blending",
    "open_sound": "voice",
    "prepare": "recording",
}

__all__ = [
    "Changes",
    "Recording",
    "Sound",
    "Voice",
    "blend",
    "corners",
    "load",
    "mix",
    "open_sound",
    "prepare",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
