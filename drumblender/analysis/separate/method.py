"""The separating analysis as a method: its modes alone."""

from torch import Tensor

from drumblender.analysis.base import Analysis
from drumblender.analysis.separate.parts import separate


class Separating(Analysis):
    """Damped sinusoids where a sound is tonal. The rest of the sound is left alone."""

    version = 11

    def measure(self, audio: Tensor) -> Tensor:
        """Measure the modes of one sound."""
        return self.measure_together(audio[None])[0]

    def measure_together(self, audio: Tensor) -> Tensor:
        """Measure the modes of many sounds at once."""
        return separate(audio, self.settings).modal
