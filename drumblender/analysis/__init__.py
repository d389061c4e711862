"""Modal analysis: measures which decaying sinusoids a recording of a drum is made of."""

from drumblender.analysis.base import Analysis
from drumblender.analysis.cqt import CQT
from drumblender.analysis.modal import AnalysisSettings, CQTModalAnalysis
from drumblender.analysis.separate import Separated, separate, separate_channels

__all__ = [
    "CQT",
    "Analysis",
    "AnalysisSettings",
    "CQTModalAnalysis",
    "Separated",
    "separate",
    "separate_channels",
]
