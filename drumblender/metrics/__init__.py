"""Metrics that compare trained models. ``drumblender test`` reports them.

Each metric is a ``torchmetrics.Metric``. It keeps a sum and a count, so that the mean over a whole
test set is right with unequal batches and with several processes. It takes a resynthesis and its
target and measures them one item at a time, because spectrograms of a whole batch with a hop of 64
samples would not fit in memory. Signals are taken to be silent before their first sample and after
their last. The metrics leave nothing in a checkpoint, so that any model can be tested with any of
them.

In the formulas, X[k, t] is bin k of frame t of the short-time Fourier transform of the resynthesis,
with a Hann window that is not normalized: a sine of full scale has a peak of n_fft / 4. Y is that
of the target. There are K = n_fft // 2 + 1 bins and T = N // hop_size + 1 frames. All metrics are
finite at silence, and 0 where both signals are silent.

What each of them does not hear is told on the page "What the metrics hear" of the documentation.

In a ``torchmetrics.MetricCollection``, set ``compute_groups=False``. Otherwise the collection takes
metrics that agree on the first batch, as all do on silence, for copies of one, and reports one
value for all of them.
"""

from drumblender.metrics.base import MeanOverItems
from drumblender.metrics.perception import ZimtohrliError
from drumblender.metrics.spectra import (
    LogMelError,
    LogSpectralDistance,
    MFCCError,
    MultiResolutionSTFTError,
)
from drumblender.metrics.time import AttackError, EnvelopeError, SpectralFluxOnsetError

__all__ = [
    "AttackError",
    "EnvelopeError",
    "LogMelError",
    "LogSpectralDistance",
    "MFCCError",
    "MeanOverItems",
    "MultiResolutionSTFTError",
    "SpectralFluxOnsetError",
    "ZimtohrliError",
]
