"""The whole modal analysis, from a waveform to the parameters of a bank of sinusoids."""

from typing import Optional

from torch import Tensor

from drumblender.analysis.methods import analysis_of
from drumblender.analysis.settings import AnalysisSettings

__all__ = ["AnalysisSettings", "CQTModalAnalysis"]


class CQTModalAnalysis:
    """Measures the modal parameters of recordings, by the method that the settings name.

    The rows of the result are frequency in rad/sample, amplitude (not negative) and phase. The most
    energetic mode comes first. Modes that are not there are zero, and so is silence. The result
    lies on the CPU, and :class:`~drumblender.synths.ModalSynth` plays it as it is.

    Args:
        settings: how to measure.
        batched: whether to analyze the sounds of a batch together, which is fast on a GPU. By
            default they are where the audio is on a GPU. One sound at a time gives always the same
            bytes; sounds together give the same values but for rounding. A method that cannot
            measure sounds together measures them one after the other.

    Attributes:
        method: what measures, an :class:`~drumblender.analysis.Analysis`.

    Shape:
        - Input: (N,) or (B, N)
        - Output: (3, num_modes, N // hop_length + 1), or the same with a leading B

    Raises:
        UsageError: if there is no such method, or if it works with a constant-Q transform and the
            settings ask for frequencies above half the sample rate.

    >>> import torch
    >>> CQTModalAnalysis(AnalysisSettings())(torch.zeros(24000)).shape
    torch.Size([3, 64, 94])
    """

    def __init__(self, settings: AnalysisSettings, batched: Optional[bool] = None):
        self.settings = settings
        self.batched = batched
        self.method = analysis_of(settings)

    def __call__(self, audio: Tensor) -> Tensor:
        return self.method(audio, self.batched)
