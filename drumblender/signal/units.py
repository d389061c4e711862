"""Converts units of frequency."""

import math
from typing import TypeVar

import numpy as np
from torch import Tensor

Frequency = TypeVar("Frequency", float, np.ndarray, Tensor)


def hz_to_rad(frequency: Frequency, sample_rate: float) -> Frequency:
    """Convert a frequency, a number or a tensor, from Hz to radians per sample.

    >>> round(hz_to_rad(12_000.0, 48_000), 4)
    1.5708
    """
    return frequency * (2 * math.pi / sample_rate)


def rad_to_hz(omega: Frequency, sample_rate: float) -> Frequency:
    """Convert a frequency, a number or a tensor, from radians per sample to Hz.

    >>> round(rad_to_hz(math.pi, 48_000))
    24000
    """
    return omega * (sample_rate / (2 * math.pi))
