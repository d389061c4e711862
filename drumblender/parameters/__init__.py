"""What describes the parts of a sound, with the time that it describes.

:class:`Modes` describe sinusoids and :class:`Bands` describe filtered noise. Both know how many
samples they describe and at which rate. Edits are pure functions from one value to another. A
synthesizer makes sound of a value.
"""

from drumblender.parameters.bands import Bands
from drumblender.parameters.modes import Modes
from drumblender.parameters.structure import map_tensors, signature_of, tensors_of

__all__ = ["Bands", "Modes", "map_tensors", "signature_of", "tensors_of"]
