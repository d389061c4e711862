"""A distance by a model of hearing."""

import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.errors import DrumblenderError
from drumblender.metrics.base import MeanOverItems

_SHORTEST = 9600  # samples


class ZimtohrliError(MeanOverItems):
    """5 less the mean opinion score (MOS) of Zimtohrli, a model of hearing.

    The model compares what the ear makes of two signals at 48 kHz (Alakuijala et al., "Zimtohrli:
    An Efficient Psychoacoustic Audio Similarity Metric", 2025). Its score is 5 for signals that
    nobody can tell apart and 1 at the worst, so that the error is between 0 and 4 points. It is
    computed on the processor, by the package of the extra ``zimtohrli``.

    Two silent signals have an error of 0. Signals shorter than 200 ms are followed by silence,
    because the package crashes on very short ones.

    Raises:
        DrumblenderError: if Zimtohrli is not installed.

    Shape:
        - Input, target: (..., N), at 48 kHz
        - Output: scalar, in points of MOS
    """

    def __init__(self) -> None:
        super().__init__()
        try:
            from zimtohrli import mos_from_signals
        except ImportError as error:
            raise DrumblenderError(
                "ZimtohrliError needs the package zimtohrli; install it with "
                'pip install -e ".[zimtohrli]", which takes Python 3.10 or newer.'
            ) from error
        self._score = mos_from_signals

    def distance(self, input: Tensor, target: Tensor) -> Tensor:
        """Measure one resynthesis against its target, both (N,), in points."""
        missing = max(0, _SHORTEST - input.shape[-1])
        signals = (F.pad(x, (0, missing)).detach().cpu().numpy() for x in (input, target))
        return torch.tensor(5.0 - float(self._score(*signals)), device=input.device)
