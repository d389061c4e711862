"""A learning rate that rises, and falls along a cosine, step by step."""

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from drumblender.errors import UsageError


class WarmupCosine(LambdaLR):
    """A schedule that rises along a line and then falls to zero along half a cosine.

    The cosine is that of Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm
    Restarts", ICLR 2017, without restarts. ``drumblender fit`` lets it act after each step.

    Args:
        optimizer: optimizer whose learning rate is the highest one.
        warmup: number of steps in which the rate rises.
        steps: number of steps after which the rate is zero. It is that of the training
            (``trainer.max_steps``).

    Raises:
        UsageError: if the warm-up is not shorter than the training.

    >>> import torch
    >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    >>> schedule = WarmupCosine(optimizer, warmup=2, steps=6)
    >>> rates = []
    >>> for _ in range(7):
    ...     rates.append(round(schedule.get_last_lr()[0], 2))
    ...     optimizer.step(); schedule.step()
    >>> rates
    [0.5, 1.0, 1.0, 0.85, 0.5, 0.15, 0.0]
    """

    def __init__(self, optimizer: Optimizer, warmup: int = 100, steps: int = 3000):
        if not 0 <= warmup < steps:
            raise UsageError(
                f"WarmupCosine: a warmup of {warmup} steps is not shorter than the training of "
                f"{steps}; change one of them."
            )

        def factor(step: int) -> float:
            """Return the learning rate of a step, relative to the highest one."""
            if step < warmup:
                return (step + 1) / warmup
            done = min(1.0, (step - warmup) / (steps - warmup))
            return 0.5 * (1 + math.cos(math.pi * done))

        super().__init__(optimizer, factor)


def in_steps(optimizers: Any) -> Any:
    """Let a :class:`WarmupCosine` act after each step, where Lightning would after each epoch.

    Args:
        optimizers: what ``LightningCLI.configure_optimizers`` returns.
    """
    if isinstance(optimizers, tuple) and isinstance(optimizers[1][0], WarmupCosine):
        scheduler = {"scheduler": optimizers[1][0], "interval": "step"}
        return {"optimizer": optimizers[0][0], "lr_scheduler": scheduler}
    return optimizers
