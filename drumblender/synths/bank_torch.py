"""The blocks of :mod:`drumblender.synths.bank` with PyTorch's own operations, for any device."""

import math
from typing import Iterator, Tuple

import numpy as np
import torch
from torch import Tensor

# Elements (modes x samples) evaluated at once: what a core's cache holds, and what a GPU likes.
CHUNK_CPU = 2**18
CHUNK_GPU = 2**24


def forward(angles: Tensor, envelopes: Tensor, steps: Tensor, mute: bool) -> Tensor:
    """Sum over modes of (a0 + a1 r) sin(c0 + c1 r + c2 r^2).

    Args:
        angles: c0, c1, c2 of each mode.
        envelopes: a0, a1 of each mode.
        steps: r.
        mute: whether any mode may reach Nyquist.

    Shape:
        - angles: (blocks, M, 3)
        - envelopes: (blocks, 2, M)
        - steps: (length,)
        - Output: (blocks, length)
    """
    y = steps.new_zeros(len(angles), len(steps))
    powers = torch.stack([torch.ones_like(steps), steps, steps.square()])
    work = _workspace(angles, steps)
    for part in _chunks(angles, steps):
        modes = _sounding(envelopes[part])
        if len(modes):
            turning, lines = angles[part][:, modes], envelopes[part][:, :, modes]
            waves = _waves(turning, powers, mute, work)
            lines = torch.bmm(lines, waves)
            torch.addcmul(lines[:, 0], lines[:, 1], steps, out=y[part])
    return y


def backward(
    grad: Tensor,
    angles: Tensor,
    envelopes: Tensor,
    steps: Tensor,
    mute: bool,
    needed: Tuple[bool, bool] = (True, True),
) -> Tuple[Tensor, Tensor]:
    """Gradients of :func:`forward` for ``grad`` (blocks, length), zero where there is no sample."""
    grad_angles, grad_envelopes = torch.zeros_like(angles), torch.zeros_like(envelopes)
    powers = torch.stack([steps**k for k in range(4)])
    work = _workspace(angles, steps)
    for part in _chunks(angles, steps):
        moments = grad[part].unsqueeze(1) * powers
        if needed[1]:
            waves = _waves(angles[part], powers[:3], mute, work)
            torch.bmm(moments[:, :2], waves.transpose(1, 2), out=grad_envelopes[part])
        modes = _sounding(envelopes[part])
        if needed[0] and len(modes):
            waves = _waves(angles[part][:, modes], powers[:3], mute, work, cosine=True)
            k = torch.bmm(moments, waves.transpose(1, 2))
            a0, a1 = envelopes[part][:, :, modes].split(1, dim=1)
            grads = torch.addcmul(a0 * k[:, :3], a1, k[:, 1:]).transpose(1, 2)
            grad_angles[part].index_copy_(1, modes, grads)
    return grad_angles, grad_envelopes


def _chunks(angles: Tensor, steps: Tensor) -> Iterator[slice]:
    """Blocks that are evaluated at once."""
    size = CHUNK_GPU if angles.is_cuda else CHUNK_CPU
    blocks = max(1, size // (angles.shape[1] * len(steps)))
    for first in range(0, len(angles), blocks):
        yield slice(first, first + blocks)


def _workspace(angles: Tensor, steps: Tensor) -> Tensor:
    """Memory for the sinusoids of as many blocks as are evaluated at once."""
    part = next(_chunks(angles, steps))
    return angles.new_empty(min(part.stop, len(angles)) * angles.shape[1] * len(steps))


def _sounding(envelopes: Tensor) -> Tensor:
    """Indices of the modes that sound in any block: most drums are silent before their file ends.

    All on a GPU, where asking would make the host wait.
    """
    if envelopes.is_cuda:
        return torch.arange(envelopes.shape[-1], device=envelopes.device)
    return envelopes.ne(0).flatten(0, 1).any(0).nonzero().flatten()


def _waves(
    angles: Tensor, powers: Tensor, mute: bool, work: Tensor, cosine: bool = False
) -> Tensor:
    """Sinusoids of unit amplitude (blocks, M, length), in ``work``."""
    shape = (*angles.shape[:2], powers.shape[1])
    waves = work[: math.prod(shape)].view(shape)
    torch.mm(angles.flatten(0, 1), powers, out=waves.flatten(0, 1))
    # NumPy's sine takes less than half of the time of PyTorch's, but never more than one thread.
    if waves.device.type == "cpu" and torch.get_num_threads() <= 2:
        (np.cos if cosine else np.sin)(waves.numpy(), out=waves.numpy())
    else:
        waves = waves.cos_() if cosine else waves.sin_()
    if mute:
        # The frequency at a sample is the phase's difference to the sample before.
        frequency = angles[..., 1:2] + 2 * angles[..., 2:] * (powers[1] - 0.5)
        waves.mul_(frequency.abs() < math.pi)
    return waves
