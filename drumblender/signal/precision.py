"""Which precision a computation has, whatever precision training runs in."""

import contextlib
from typing import Iterator

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """16-bit floats as float32; others as they are.

    >>> at_least_float32(torch.zeros(1, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))


def full_precision(x: Tensor) -> torch.autocast:
    """Context in which autocast does nothing on the device of x: for phases, spectra and losses."""
    return torch.autocast(x.device.type, enabled=False)


@contextlib.contextmanager
def exact_products() -> Iterator[None]:
    """Context in which products of float32 matrices are those of float32.

    Training lets them be rounded (``float32_matmul_precision``), which phases and what is measured
    at -80 dB beside a loud tone do not bear.
    """
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
