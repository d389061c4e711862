"""What describes the parts of a sound, with the time that it describes.

:class:`Modes` describe sinusoids, :class:`Bands` describe filtered noise and
:class:`RecordedNoise` is noise that was recorded. All know how many samples they describe and at
which rate. Edits are pure functions from one value to another. A
synthesizer makes sound of a value.
"""

from drumblender.parameters.bands import Bands
from drumblender.parameters.modes import Modes
from drumblender.parameters.recorded import RecordedNoise, Rest
from drumblender.parameters.structure import map_tensors, signature_of, tensors_of

__all__ = ["Bands", "Modes", "RecordedNoise", "Rest", "map_tensors", "signature_of", "tensors_of"]
