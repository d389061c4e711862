"""Makes, cuts and pads tensors of samples."""

from functools import reduce
from operator import add
from typing import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.signal.plain import is_plain
from drumblender.signal.units import hz_to_rad


def sine(frequency: float, num_samples: int, sample_rate: float, phase: float = 0.0) -> Tensor:
    """Make a sine of amplitude 1.

    Args:
        frequency: in Hz.
        num_samples: length in samples.
        sample_rate: in Hz.
        phase: phase of the first sample, in radians.

    Shape:
        - Output: (num_samples,), computed in float64 and given as float32.

    >>> sine(1000.0, 4, 4000.0).round(decimals=3).abs().tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    time = torch.arange(num_samples, dtype=torch.float64)
    return torch.sin(hz_to_rad(frequency, sample_rate) * time + phase).float()


def fit_length(x: Tensor, num_samples: int) -> Tensor:
    """Cut the last axis to ``num_samples``, or pad its end with zeros.

    Shape:
        - x: (..., N)
        - Output: (..., num_samples)

    >>> fit_length(torch.ones(1, 2), 4).tolist()
    [[1.0, 1.0, 0.0, 0.0]]
    """
    if is_plain():  # in one way for any length, so that one program serves all
        return F.pad(x, (0, num_samples))[..., :num_samples]
    missing = num_samples - x.shape[-1]
    return F.pad(x, (0, missing)) if missing > 0 else x[..., :num_samples]


def mix(stems: Mapping[str, Tensor]) -> Tensor:
    """Add up signals, in their order.

    >>> mix({"tone": torch.ones(3), "noise": torch.ones(3)}).tolist()
    [2.0, 2.0, 2.0]
    """
    return reduce(add, stems.values())


def trim_leading_silence(
    x: Tensor, threshold_db: float = -60.0, frame_length: int = 256, hop_length: int = 256
) -> Tensor:
    """Cut everything before the first frame whose root mean square exceeds a threshold.

    Args:
        x: samples.
        threshold_db: root mean square at which sound begins, in dB relative to full scale.
        frame_length: length of a frame, in samples.
        hop_length: distance between frames, in samples.

    Shape:
        - Input: (N,)
        - Output: (N',), where N' = 0 if no frame exceeds the threshold.

    >>> x = torch.cat([torch.zeros(1000), torch.ones(1000)])
    >>> trim_leading_silence(x).shape
    torch.Size([1232])
    """
    padded = F.pad(x, (0, frame_length))
    power = padded.unfold(-1, frame_length, hop_length).square().sum(-1)
    # The last frames overlap padding; dividing by their own length keeps a short sound audible.
    counts = (x.shape[-1] - torch.arange(power.shape[-1], device=x.device) * hop_length).clamp(
        1, frame_length
    )
    loud = torch.nonzero(power / counts > 10 ** (threshold_db / 10))
    return x[int(loud[0]) * hop_length :] if len(loud) else x[:0]
