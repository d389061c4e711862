"""Takes drums apart into parts that mean what they say: tones, transient and noise.

Modes are only what stands above the noise for long enough, as damped sinusoids that may share a
glide; noise is left where it is. Compare :mod:`drumblender.analysis.modal`, whose modes cover all
of a sound.
"""

from drumblender.analysis.separate.channels import separate_channels
from drumblender.analysis.separate.parts import Separated, separate, without_tones

__all__ = ["Separated", "separate", "separate_channels", "without_tones"]
