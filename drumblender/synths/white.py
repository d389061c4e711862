"""White noise that a synthesizer takes, so that the same noise gives the same sound anywhere."""

from dataclasses import dataclass
from typing import Optional

import torch
from torch import Tensor


@dataclass(frozen=True)
class WhiteNoise:
    """What kind of white noise a synthesizer draws, and takes instead of drawing it.

    Attributes:
        rows: number R of independent signals of white noise.
        distribution: "normal", with a variance of 1, or "uniform" in [-1, 1).

    >>> WhiteNoise(2, "uniform").draw(3, 100).shape
    torch.Size([3, 2, 100])
    """

    rows: int = 1
    distribution: str = "normal"

    def draw(
        self, batch: int, num_samples: int, generator: Optional[torch.Generator] = None
    ) -> Tensor:
        """Draw noise.

        Args:
            batch: number B of sounds.
            num_samples: number N of samples.
            generator: source of the noise. None stands for PyTorch's global one.

        Shape:
            - Output: (B, R, N)
        """
        shape = (batch, self.rows, num_samples)
        if self.distribution == "normal":
            return torch.randn(shape, generator=generator)
        return torch.rand(shape, generator=generator) * 2 - 1
