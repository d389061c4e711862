"""Values that describe the parts of a sound and the time that they take.

:class:`Modes` describe sinusoids, :class:`Bands` describe filtered noise, and
:class:`RecordedNoise` is noise that was recorded. All know how many samples they describe and at
which sample rate. A :class:`Timeline` says when a sound happens. Edits are pure functions from one
value to another. A synthesizer turns a value into sound.
"""

from drumblender.parameters.bands import Bands
from drumblender.parameters.modes import Modes
from drumblender.parameters.recorded import RecordedNoise, Rest, mix_noise
from drumblender.parameters.structure import map_tensors, signature_of, tensors_of, weighted_sum
from drumblender.parameters.timeline import Timeline, mix_timelines

__all__ = [
    "Bands",
    "Modes",
    "RecordedNoise",
    "Rest",
    "Timeline",
    "map_tensors",
    "mix_noise",
    "mix_timelines",
    "signature_of",
    "tensors_of",
    "weighted_sum",
]
