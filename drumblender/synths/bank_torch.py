"""The blocks of :mod:`drumblender.synths.bank`, computed by PyTorch on any device."""

import math
from typing import Iterator, Tuple

import numpy as np
import torch
from torch import Tensor

# Elements (modes x samples) evaluated at once: what a core's cache holds, and what a GPU likes.
CHUNK_CPU = 2**18
CHUNK_GPU = 2**24


def forward(angles: Tensor, envelopes: Tensor, steps: Tensor, mute: bool) -> Tensor:
    """Compute the sum over modes of (a0 + a1 r) sin(c0 + c1 r + c2 r^2).

    Args:
        angles: c0, c1 and c2 of each mode.
        envelopes: a0 and a1 of each mode.
        steps: r, in samples.
        mute: whether any mode may reach Nyquist.

    Shape:
        - angles: (blocks, M, 3)
        - envelopes: (blocks, 2, M)
        - steps: (length,)
        - Output: (blocks, length)
    """
    y = steps.new_zeros(len(angles), len(steps))
    powers = powers_of(steps)
    work = _workspace(angles, steps)
    for part in chunks(angles, steps):
        modes = sounding(envelopes[part])
        if len(modes):
            turning, lines = angles[part][:, modes], envelopes[part][:, :, modes]
            y[part] = evaluate(turning, lines, powers, mute, work)
    return y


def powers_of(steps: Tensor) -> Tensor:
    """Return the powers 0, 1 and 2 of r, (3, length)."""
    return torch.stack([torch.ones_like(steps), steps, steps.square()])


def evaluate(angles: Tensor, envelopes: Tensor, powers: Tensor, mute: bool, work: Tensor) -> Tensor:
    """Compute what :func:`forward` does, for all of these blocks and modes at once.

    Args:
        angles: c0, c1 and c2 of each mode.
        envelopes: a0 and a1 of each mode.
        powers: powers of r, from :func:`powers_of`.
        mute: whether any mode may reach Nyquist.
        work: memory for blocks x modes x length values.
    """
    lines = torch.bmm(envelopes, _waves(angles, powers, mute, work))
    return torch.addcmul(lines[:, 0], lines[:, 1], powers[1])


def backward(
    grad: Tensor,
    angles: Tensor,
    envelopes: Tensor,
    steps: Tensor,
    mute: bool,
    needed: Tuple[bool, bool] = (True, True),
) -> Tuple[Tensor, Tensor]:
    """Compute the gradients of :func:`forward` with respect to angles and envelopes.

    Args:
        grad: gradient of the output. It is zero where a block has no sample.
        angles: as in :func:`forward`.
        envelopes: as in :func:`forward`.
        steps: as in :func:`forward`.
        mute: as in :func:`forward`.
        needed: whether the gradient of angles and that of envelopes is needed. One that is not
            needed may be zero.

    Shape:
        - grad: (blocks, length)
        - Output: (blocks, M, 3) and (blocks, 2, M)
    """
    grad_angles, grad_envelopes = torch.zeros_like(angles), torch.zeros_like(envelopes)
    powers = torch.stack([steps**k for k in range(4)])
    work = _workspace(angles, steps)
    for part in chunks(angles, steps):
        moments = grad[part].unsqueeze(1) * powers
        if needed[1]:
            waves = _waves(angles[part], powers[:3], mute, work)
            torch.bmm(moments[:, :2], waves.transpose(1, 2), out=grad_envelopes[part])
        modes = sounding(envelopes[part])
        if needed[0] and len(modes):
            waves = _waves(angles[part][:, modes], powers[:3], mute, work, cosine=True)
            k = torch.bmm(moments, waves.transpose(1, 2))
            a0, a1 = envelopes[part][:, :, modes].split(1, dim=1)
            grads = torch.addcmul(a0 * k[:, :3], a1, k[:, 1:]).transpose(1, 2)
            grad_angles[part].index_copy_(1, modes, grads)
    return grad_angles, grad_envelopes


def chunks(angles: Tensor, steps: Tensor) -> Iterator[slice]:
    """Yield the blocks that are evaluated at once."""
    size = CHUNK_GPU if angles.is_cuda else CHUNK_CPU
    blocks = max(1, size // (angles.shape[1] * len(steps)))
    for first in range(0, len(angles), blocks):
        yield slice(first, first + blocks)


def _workspace(angles: Tensor, steps: Tensor) -> Tensor:
    """Reserve memory for the sinusoids of as many blocks as are evaluated at once."""
    part = next(chunks(angles, steps))
    return angles.new_empty(min(part.stop, len(angles)) * angles.shape[1] * len(steps))


def sounding(envelopes: Tensor) -> Tensor:
    """Return the indices of the modes that sound in any block; most drums end before their file.

    On a GPU these are all modes, because asking would make the host wait.
    """
    if envelopes.is_cuda:
        return torch.arange(envelopes.shape[-1], device=envelopes.device)
    return envelopes.ne(0).flatten(0, 1).any(0).nonzero().flatten()


def _waves(
    angles: Tensor, powers: Tensor, mute: bool, work: Tensor, cosine: bool = False
) -> Tensor:
    """Compute sinusoids of unit amplitude (blocks, M, length), in the memory ``work``."""
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
