"""A bank of sinusoids as one operation, whose memory does not grow with modes times samples.

Frequencies are linear between frames, so a phase is a quadratic function of time within a frame.
Its coefficients are summed up in float64 at frame rate and reduced modulo 2 pi. Only then are they
evaluated at samples, in blocks that are summed over modes at once. The phase is as exact after two
seconds as at the beginning. Autograd keeps frequencies and amplitudes only, because the derivative
evaluates the sinusoids again.

The operation and its derivative are registered with ``torch.library``. Compilers and exporters take
them whole, and autocast does not change what they compute.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple, Optional, Tuple, Union

import numpy as np
import torch
from torch import Tensor

from drumblender.signal import exact_products, full_precision
from drumblender.signal.operations import operation
from drumblender.synths import bank_torch

# Samples per block at most: the phase turns by no more than 32 pi to either side of the middle,
# which float32 resolves to 4e-6.
BLOCK = 64
# As a tensor, because exporters write numbers in float32.
_TURN = torch.tensor(2 * math.pi, dtype=torch.float64)


@operation
def bank(freqs: Tensor, amps: Tensor, phase: Optional[Tensor], num_samples: int) -> Tensor:
    """Play a bank of sinusoids, with the formula of :func:`drumblender.synths.modal_synth`.

    Args:
        freqs: frequencies, in radians per sample.
        amps: linear amplitudes.
        phase: phases, in radians. None stands for zero.
        num_samples: length N of the output.

    Shape:
        - freqs, amps: (B, M, F)
        - phase: (B, M, 1)
        - Output: (B, N), of the type of ``amps``

    >>> bank(torch.full((2, 8, 10), 0.1), torch.ones(2, 8, 10), None, 2560).shape
    torch.Size([2, 2560])
    """
    with full_precision(freqs), exact_products():
        cells = cells_of(freqs, amps, phase, num_samples)
        angles, steps = cells.angles, cells.grid.steps.to(amps.dtype)
        y = _engine(angles).forward(
            angles.flatten(0, 2), cells.envelopes.flatten(0, 2), steps, reaches_nyquist(freqs)
        )
        return y.view(len(amps), -1)[:, cells.grid.index]


@torch.library.register_fake("drumblender::bank")
def _(freqs: Tensor, amps: Tensor, phase: Optional[Tensor], num_samples: int) -> Tensor:
    """Say the shape of the output, for compilers."""
    return amps.new_empty(amps.shape[0], num_samples)


@operation
def bank_backward(
    grad: Tensor,
    freqs: Tensor,
    amps: Tensor,
    phase: Optional[Tensor],
    needs_angles: bool,
    needs_amps: bool,
) -> Tuple[Tensor, Tensor, Tensor]:
    """Compute the gradients of :func:`bank` from the gradient of its output.

    Args:
        grad: gradient of the output.
        freqs: as in :func:`bank`.
        amps: as in :func:`bank`.
        phase: as in :func:`bank`.
        needs_angles: whether to compute the gradients of frequencies and phases.
        needs_amps: whether to compute the gradient of amplitudes.

    Shape:
        - grad: (B, N)
        - Output: gradients of frequencies (B, M, F), amplitudes (B, M, F) and phases (B, M, 1);
          they are zero where they are not needed
    """
    with full_precision(freqs), exact_products():
        grid = _grid(grad.shape[-1], freqs.shape[-1], freqs.device)
        angles, envelopes = angles_of(freqs, phase, grid, amps.dtype), envelopes_of(amps, grid)
        of_blocks = grad.new_zeros(len(grad), angles[0, ..., 0, 0].numel() * len(grid.steps))
        of_blocks[:, grid.index] = grad
        of_angles, of_envelopes = _engine(angles).backward(
            of_blocks.view(-1, len(grid.steps)),
            angles.flatten(0, 2),
            envelopes.flatten(0, 2),
            grid.steps.to(amps.dtype),
            reaches_nyquist(freqs),
            (needs_angles, needs_amps),
        )
        of_amps = _envelopes_backward(of_envelopes.view_as(envelopes), grid)
        if needs_angles:
            of_freqs, of_phase = _angles_backward(of_angles.view_as(angles), grid)
        else:
            of_freqs = freqs.new_zeros(freqs.shape)
            of_phase = freqs.new_zeros(*freqs.shape[:2], 1)
        of_phase = of_phase.to(freqs.dtype if phase is None else phase.dtype)
        return of_freqs.to(freqs.dtype), of_amps, of_phase


@torch.library.register_fake("drumblender::bank_backward")
def _(
    grad: Tensor,
    freqs: Tensor,
    amps: Tensor,
    phase: Optional[Tensor],
    needs_angles: bool,
    needs_amps: bool,
) -> Tuple[Tensor, Tensor, Tensor]:
    """Say the shapes of the gradients, for compilers."""
    of_phase = (freqs if phase is None else phase).new_empty(*freqs.shape[:2], 1)
    return freqs.new_empty(freqs.shape), amps.new_empty(amps.shape), of_phase


def _setup(ctx: Any, inputs: Tuple[Any, ...], output: Tensor) -> None:
    """Keep what the derivative needs."""
    ctx.save_for_backward(*inputs[:3])


def _backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
    """Compute the gradients of the arguments of :func:`bank`."""
    freqs, amps, phase = ctx.saved_tensors
    needs_freqs, needs_amps, needs_phase, _ = ctx.needs_input_grad
    of_freqs, of_amps, of_phase = bank_backward(
        grad, freqs, amps, phase, needs_freqs or needs_phase, needs_amps
    )
    return (
        of_freqs if needs_freqs else None,
        of_amps if needs_amps else None,
        of_phase if needs_phase else None,
        None,
    )


def _refuse(ctx: Any, *grads: Tensor) -> None:
    """Refuse derivatives of derivatives, which are not written; none is better than a wrong one."""
    raise RuntimeError("drumblender::bank_backward has no autograd formula.")


torch.library.register_autograd("drumblender::bank", _backward, setup_context=_setup)
torch.library.register_autograd("drumblender::bank_backward", _refuse)


@dataclass(frozen=True)
class Grid:
    """Positions of frames, of segments between them and of blocks within those on the time axis.

    Segment 0 reaches from the first sample to the center of the first frame, segments 1 to F - 1
    from center to center, and segment F from the last center to the last sample. Each segment is
    cut into the same number of blocks of one length. The last block may reach beyond the end of its
    segment.

    Attributes:
        slope: number of frames per sample.
        count: number of samples in each segment, float64 (F + 1, 1).
        offset: position of the first sample of a segment between its ends, 0 to 1, (F + 1, 1).
        middle: number of samples from the first of a segment to the middle of each block, (blocks,
            1).
        steps: number of samples from the middle of a block to each of its samples, (length,).
        index: place of each sample among segments x blocks x length, int64 (N,).
    """

    slope: Union[float, Tensor]
    count: Tensor
    offset: Tensor
    middle: Tensor
    steps: Tensor
    index: Tensor


class Cells(NamedTuple):
    """A bank of sinusoids, cut into the blocks of its grid.

    Attributes:
        grid: the grid.
        angles: phase in each block, c0 + c1 r + c2 r^2 at r samples from its middle.
        envelopes: amplitude in each block, a0 + a1 r.

    Shape:
        - angles: (B, F + 1, blocks, M, 3)
        - envelopes: (B, F + 1, blocks, 2, M)
    """

    grid: Grid
    angles: Tensor
    envelopes: Tensor


def cells_of(freqs: Tensor, amps: Tensor, phase: Optional[Tensor], num_samples: int) -> Cells:
    """Cut a bank into blocks. The arguments are those of :func:`bank`."""
    grid = _grid(num_samples, freqs.shape[-1], freqs.device)
    return Cells(grid, angles_of(freqs, phase, grid, amps.dtype), envelopes_of(amps, grid))


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # What validation asks for first, training uses, too.
def _grid(num_samples: int, num_frames: int, device: torch.device) -> Grid:
    """Make the grid of N samples and F frames. The last few grids are kept."""
    segment = np.arange(num_frames + 2)
    # First sample n with (n + 0.5) F / N - 0.5 >= s - 1, in integers.
    first: np.ndarray = -((num_frames - (2 * segment - 1) * num_samples) // (2 * num_frames))
    first[0], first[-1] = 0, num_samples
    first = first.clip(0, num_samples)
    count = np.diff(first)
    blocks = max(1, math.ceil(count.max() / BLOCK))
    # Blocks of one length, as in the plain form, so that both round phases alike.
    length = int(count.max()) if blocks == 1 else BLOCK
    slope = num_frames / num_samples
    offset = (first[:-1] + 0.5) * slope + 0.5 - segment[:-1]
    which = np.repeat(np.arange(num_frames + 1), count)
    index = which * blocks * length + np.arange(num_samples) - first[which]

    def tensor(values: np.ndarray) -> Tensor:
        """Move an array to the device."""
        return torch.from_numpy(np.ascontiguousarray(values)).to(device)

    return Grid(
        slope=slope,
        count=tensor(count[:, None].astype(float)),
        offset=tensor(offset[:, None]),
        middle=tensor((np.arange(blocks) * length + 0.5 * (length - 1))[:, None]),
        steps=tensor(np.arange(length) - 0.5 * (length - 1)),
        index=tensor(index),
    )


def _ends(frames: Tensor) -> Tuple[Tensor, Tensor]:
    """Return the values at both ends of each segment, (B, F, M) to (B, F + 1, M) twice."""
    return (
        torch.cat([frames[:, :1], frames], dim=1),
        torch.cat([frames, frames[:, -1:]], dim=1),
    )


def turns(freqs: Tensor, phase: Optional[Tensor], grid: Grid) -> Tuple[Tensor, Tensor, Tensor]:
    """Compute how modes turn in each segment.

    Returns:
        How much more they turn from sample to sample, how far they turn at the first sample, and
        their phase before it, in radians and float64.

    Shape:
        - freqs: (B, M, F)
        - phase: (B, M, 1)
        - each output: (B, F + 1, M)
    """
    # Modes last: they are summed over.
    left, right = _ends(freqs.transpose(1, 2).double())
    start = 0.0 if phase is None else phase.transpose(1, 2).double()
    bend = (right - left) * grid.slope
    first = left + (right - left) * grid.offset
    count = grid.count
    total = count * first + 0.5 * count * (count - 1) * bend
    # Reduced in the end only: float64 resolves 1e-11 rad after an hour.
    return bend, first, start + total.cumsum(1) - total


def angles_of(freqs: Tensor, phase: Optional[Tensor], grid: Grid, dtype: torch.dtype) -> Tensor:
    """Compute the phase in each block, c0 + c1 r + c2 r^2 at r samples from its middle.

    Shape:
        - freqs: (B, M, F)
        - phase: (B, M, 1)
        - Output: (B, F + 1, blocks, M, 3), with c0 within [-pi, pi]
    """
    bend, first, before = turns(freqs, phase, grid)
    bend, first, before = bend.unsqueeze(2), first.unsqueeze(2), before.unsqueeze(2)
    middle = grid.middle
    c0 = torch.addcmul(before, middle + 1, first)
    c0.addcmul_(0.5 * (middle + 1) * middle, bend)
    c0.sub_((c0 / _TURN).round_() * _TURN)
    c1 = torch.addcmul(first, middle + 0.5, bend).to(dtype)
    c2 = (0.5 * bend).to(dtype).expand_as(c0)
    return torch.stack([c0.to(dtype), c1, c2], dim=-1)


def _angles_backward(grad: Tensor, grid: Grid) -> Tuple[Tensor, Tensor]:
    """Compute the gradients of frequencies and phases from that of :func:`angles_of`."""
    c0, c1, c2 = grad.double().unbind(-1)
    middle, count = grid.middle, grid.count
    before = c0.sum(2)
    first = ((middle + 1) * c0 + c1).sum(2)
    bend = (0.5 * (middle + 1) * middle * c0 + (middle + 0.5) * c1 + 0.5 * c2).sum(2)
    # What a segment turns by goes into the phase of all segments after it.
    start = before.sum(1, keepdim=True)
    total = start - before.cumsum(1)
    first = first + count * total
    bend = bend + 0.5 * count * (count - 1) * total
    right = first * grid.offset + bend * grid.slope
    return _ends_backward(first - right, right), start.transpose(1, 2).contiguous()


def envelopes_of(amps: Tensor, grid: Grid) -> Tensor:
    """Compute the amplitude in each block, a0 + a1 r at r samples from its middle.

    Shape:
        - amps: (B, M, F)
        - Output: (B, F + 1, blocks, 2, M)
    """
    left, right = (end.unsqueeze(2) for end in _ends(amps.transpose(1, 2)))
    middle = torch.lerp(left, right, _places(grid, amps.dtype))
    bend = ((right - left) * grid.slope).to(amps.dtype)
    return torch.stack([middle, bend.expand_as(middle)], dim=3)


def _envelopes_backward(grad: Tensor, grid: Grid) -> Tensor:
    """Compute the gradient of amplitudes from that of :func:`envelopes_of`."""
    a0, a1 = grad.unbind(3)
    right = (_places(grid, grad.dtype) * a0 + grid.slope * a1).sum(2)
    return _ends_backward(a0.sum(2) - right, right)


def _places(grid: Grid, dtype: torch.dtype) -> Tensor:
    """Return where the middles of blocks lie between the ends of a segment, (F + 1, blocks, 1)."""
    return (grid.offset.unsqueeze(1) + grid.middle * grid.slope).to(dtype)


def _ends_backward(left: Tensor, right: Tensor) -> Tensor:
    """Compute the gradient of frames from those of :func:`_ends`, to (B, M, F)."""
    grad = left[:, 1:] + right[:, :-1]
    grad[:, 0] += left[:, 0]
    grad[:, -1] += right[:, -1]
    return grad.transpose(1, 2).contiguous()


def reaches_nyquist(freqs: Tensor) -> bool:
    """Return whether any mode may reach Nyquist.

    For a GPU the answer is yes, because asking would make the host wait for it.
    """
    return freqs.is_cuda or bool(freqs.abs().max() >= math.pi)


def _engine(angles: Tensor) -> ModuleType:
    """Return the module that evaluates these blocks, without importing Triton for a CPU."""
    if angles.is_cuda:
        from drumblender.synths import bank_triton

        if bank_triton.is_usable(angles):
            return bank_triton
    return bank_torch
