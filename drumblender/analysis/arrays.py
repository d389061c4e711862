"""The one place where the analysis goes through NumPy."""

from types import ModuleType
from typing import Any, List, Tuple

import numpy as np
import torch
from torch import Tensor


def arrays(*tensors: Tensor) -> Tuple[ModuleType, List[Any]]:
    """Return tensors on a processor as NumPy arrays of the same memory, and others as they are.

    Loops of many small steps are written once, with what arrays and tensors have in common:
    operators, slices, sums. On a processor a small step of NumPy takes a fraction of the time of
    one of PyTorch: choosing modes takes a quarter of the time (1.2 of 4.6 ms for a sound of 2 s),
    and the search of conjugate gradients half of it (7.5 of 15.2 ms).

    Returns:
        The module that the arrays are of, NumPy or PyTorch, and the arrays.

    >>> xp, (x,) = arrays(torch.ones(3))
    >>> xp.__name__, type(x).__name__
    ('numpy', 'ndarray')
    """
    if any(tensor.device.type != "cpu" for tensor in tensors):
        return torch, list(tensors)
    return np, [tensor.numpy() for tensor in tensors]
