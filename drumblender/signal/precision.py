"""Keeps the precision of a computation, whatever precision training runs in."""

import contextlib
from typing import Any, ContextManager, Iterator

import torch
from torch import Tensor

from drumblender.signal.plain import is_plain


def at_least_float32(x: Tensor) -> Tensor:
    """Convert 16-bit floats to float32, and leave other types as they are.

    >>> at_least_float32(torch.zeros(1, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))


def full_precision(x: Tensor) -> ContextManager[Any]:
    """Return a context in which autocast does nothing on the device of ``x``.

    Phases, spectra and losses need it. Plain operations (:mod:`drumblender.signal.plain`) never run
    under autocast.
    """
    if is_plain():
        return contextlib.nullcontext()
    return torch.autocast(x.device.type, enabled=False)


@contextlib.contextmanager
def exact_products() -> Iterator[None]:
    """Compute products of float32 matrices with the precision of float32 inside this context.

    Training lets them be rounded (``float32_matmul_precision``). Phases would suffer from that, and
    so would a mode at -80 dB beside a loud one.
    """
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
