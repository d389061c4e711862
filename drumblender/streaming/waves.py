"""What is known as samples before it is played, in blocks."""

from typing import Any, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.streaming.base import STILL, Blocks, Moving, between


class Waves(Blocks):
    """Samples that were made as a whole, of one sound or of several between which it moves.

    Args:
        samples: samples of each sound.
        knots: place of each sound among them, from 0 to 1.

    Shape:
        - each of samples: (C, 1, N)
    """

    def __init__(self, samples: Sequence[Tensor], knots: Sequence[float] = (0.0,)):
        self.samples = samples
        self.knots = knots

    def begin(self, position: int = 0, before: Any = None, moving: Moving = STILL) -> int:
        """Return the state, which is the position."""
        return position

    def block(
        self, state: int, count: int, moving: Moving, signal: Optional[Tensor] = None
    ) -> Tuple[Tensor, int]:
        """Return the samples of a block, (C, 1, count)."""
        return moved(self.samples, self.knots, state, count, moving), state + count


def moved(
    samples: Sequence[Tensor], knots: Sequence[float], begin: int, count: int, moving: Moving
) -> Tensor:
    """Cut samples (..., N) that lie between those of several sounds. Silence follows the last one.

    Returns:
        The samples (..., count).
    """
    cut = [x[..., begin : begin + count] for x in samples]
    cut = [F.pad(x, (0, count - x.shape[-1])) for x in cut]
    if len(cut) == 1:
        return cut[0]
    below, share = between(knots, moving.amount.at(np.arange(begin, begin + count)))
    low, high = int(below.min()), int(below.max()) + 1
    place = torch.from_numpy(below + share).to(cut[0].dtype)
    made = cut[low] * 0
    for k in range(low, high + 1):
        made = made + cut[k] * (1 - (place - k).abs()).clamp(min=0)
    return made
