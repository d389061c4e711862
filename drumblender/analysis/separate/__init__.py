"""The separating analysis, which takes drums apart into tones, transient and noise.

Modes are only what stands above the noise for long enough: damped sinusoids that may share a glide.
Noise is left where it is. The modes of :class:`~drumblender.analysis.tracked.Coverage`, in
contrast, cover all of a sound.
"""

from drumblender.analysis.separate.channels import separate_channels
from drumblender.analysis.separate.parts import Separated, separate, without_tones

__all__ = ["Separated", "separate", "separate_channels", "without_tones"]
