"""Lightning callbacks that let people hear, see and measure what a model has learned.

Training and validation losses say little about a drum sound. These callbacks put recordings and
their resyntheses, as audio and as pictures, into the logger while a model trains and into a folder
when it is done. They rely on the steps of the task returning ``{"loss", "target", "resynthesis"}``.
"""

from drumblender.callbacks.audio import LogAudioCallback
from drumblender.callbacks.cache import CleanWandbCacheCallback
from drumblender.callbacks.examples import SaveExamplesCallback
from drumblender.callbacks.metrics import MetricsWriter
from drumblender.callbacks.predictions import PredictionWriter

__all__ = [
    "CleanWandbCacheCallback",
    "LogAudioCallback",
    "MetricsWriter",
    "PredictionWriter",
    "SaveExamplesCallback",
]
