"""The blocks of :mod:`drumblender.synths.bank`, computed by Triton kernels on a GPU.

One program for each block of samples goes over the modes and keeps everything in registers. Where
Triton is missing, and on other devices, ``is_usable`` is false and
:mod:`drumblender.synths.bank_torch` computes the same.
"""

from typing import Any, Tuple

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:  # as on macOS
    triton = None

MODES = 16  # at a time


def is_usable(angles: Tensor) -> bool:
    """Return whether the kernels can compute on the device of a tensor, and in its type."""
    return triton is not None and angles.is_cuda and angles.dtype == torch.float32


if triton is not None:

    @triton.jit
    def _load(angles, envelopes, steps, block, first, modes, length, MODES: tl.constexpr,
              LENGTH: tl.constexpr):  # fmt: skip
        """Load some modes of a block and compute their phase and where they are audible."""
        m = first + tl.arange(0, MODES)
        j = tl.arange(0, LENGTH)
        here = m < modes
        c = angles + (block * modes + m) * 3
        a = envelopes + block * 2 * modes + m
        c0 = tl.load(c, here, 0.0)[:, None]
        c1 = tl.load(c + 1, here, 0.0)[:, None]
        c2 = tl.load(c + 2, here, 0.0)[:, None]
        a0 = tl.load(a, here, 0.0)[:, None]
        a1 = tl.load(a + modes, here, 0.0)[:, None]
        r = tl.load(steps + j, j < length, 0.0)[None, :]
        phase = c0 + r * (c1 + r * c2)
        # At or above Nyquist, and where there is no sample, is silence.
        audible = tl.abs(c1 + 2 * c2 * (r - 0.5)) < 3.141592653589793
        audible = audible & (j < length)[None, :]
        return m, here, r, phase, audible, a0, a1

    @triton.jit
    def _forward(angles, envelopes, steps, y, modes, length, GROUPS: tl.constexpr,
                 MODES: tl.constexpr, LENGTH: tl.constexpr):  # fmt: skip
        """Sum the modes of one block."""
        block = tl.program_id(0).to(tl.int64)
        total = tl.zeros((LENGTH,), tl.float32)
        for group in range(GROUPS):
            _m, _here, r, phase, audible, a0, a1 = _load(
                angles, envelopes, steps, block, group * MODES, modes, length, MODES, LENGTH
            )
            total += tl.sum(tl.where(audible, (a0 + a1 * r) * tl.sin(phase), 0.0), 0)
        j = tl.arange(0, LENGTH)
        tl.store(y + block * length + j, total, j < length)

    @triton.jit
    def _backward(grad, angles, envelopes, steps, grad_angles, grad_envelopes, modes, length,
                  GROUPS: tl.constexpr, MODES: tl.constexpr, LENGTH: tl.constexpr):  # fmt: skip
        """Compute the gradients of the angles and envelopes of one block."""
        block = tl.program_id(0).to(tl.int64)
        j = tl.arange(0, LENGTH)
        g = tl.load(grad + block * length + j, j < length, 0.0)[None, :]
        for group in range(GROUPS):
            m, here, r, phase, audible, a0, a1 = _load(
                angles, envelopes, steps, block, group * MODES, modes, length, MODES, LENGTH
            )
            sine = tl.where(audible, g * tl.sin(phase), 0.0)
            a = grad_envelopes + block * 2 * modes + m
            tl.store(a, tl.sum(sine, 1), here)
            tl.store(a + modes, tl.sum(sine * r, 1), here)
            turned = tl.where(audible, g * (a0 + a1 * r) * tl.cos(phase), 0.0)
            c = grad_angles + (block * modes + m) * 3
            tl.store(c, tl.sum(turned, 1), here)
            tl.store(c + 1, tl.sum(turned * r, 1), here)
            tl.store(c + 2, tl.sum(turned * r * r, 1), here)


def forward(angles: Tensor, envelopes: Tensor, steps: Tensor, mute: bool = True) -> Tensor:
    """Compute what :func:`drumblender.synths.bank_torch.forward` does. ``mute`` is always on."""
    angles, envelopes = angles.contiguous(), envelopes.contiguous()
    y = angles.new_empty(len(angles), len(steps))
    _launch(_forward, angles, angles, envelopes, steps, y)
    return y


def backward(
    grad: Tensor,
    angles: Tensor,
    envelopes: Tensor,
    steps: Tensor,
    mute: bool = True,
    needed: Tuple[bool, bool] = (True, True),
) -> Tuple[Tensor, Tensor]:
    """Compute what :func:`drumblender.synths.bank_torch.backward` does, always both gradients."""
    angles, envelopes, grad = angles.contiguous(), envelopes.contiguous(), grad.contiguous()
    grads = torch.empty_like(angles), torch.empty_like(envelopes)
    _launch(_backward, angles, grad, angles, envelopes, steps, *grads)
    return grads


def _launch(kernel: Any, angles: Tensor, *arguments: Tensor) -> None:
    """Run a kernel with one program for each block."""
    blocks, modes, _ = angles.shape
    length = arguments[-1].shape[-1] if kernel is _forward else arguments[0].shape[-1]
    groups = triton.cdiv(modes, MODES)
    sizes = {"GROUPS": groups, "MODES": MODES, "LENGTH": triton.next_power_of_2(length)}
    with torch.cuda.device_of(angles):
        kernel[(blocks,)](*arguments, modes, length, **sizes)
