"""Drumblender: take drum sounds apart into sinusoids, noise and transient, and blend them.

The method is that of J. Shier, F. Caspe, A. Robertson, M. Sandler, C. Saitis and A. McPherson,
"Differentiable Modelling of Percussive Audio with Transient and Spectral Synthesis",
Forum Acusticum 2023.

    import drumblender

    voice = drumblender.load("model.ckpt")
    kick, snare = voice.decompose("kick.wav"), voice.decompose("snare.wav")
    drumblender.blend(kick, snare, 0.5).with_pitch(-2).write("between.wav")

Names are imported when they are first used, so that commands answer at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, List

if TYPE_CHECKING:  # so that type checkers, and editors, know what the names are
    from drumblender.sound.blending import blend, corners, mix
    from drumblender.sound.changes import Changes
    from drumblender.sound.sound import Sound
    from drumblender.sound.voice import Voice, load, open_sound

__version__ = "0.1.0"

_OF_SOUND = ("Changes", "Sound", "Voice", "blend", "corners", "load", "mix", "open_sound")
__all__ = [
    "Changes",
    "Sound",
    "Voice",
    "__version__",
    "blend",
    "corners",
    "load",
    "mix",
    "open_sound",
]


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name not in _OF_SOUND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("drumblender.sound"), name)
