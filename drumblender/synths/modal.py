"""Modal synthesis: a bank of sinusoids with time-varying frequency and amplitude.

Frequencies are linear between frames, so a phase is a quadratic within a frame. Its coefficients
are summed up in float64 at frame rate, reduced modulo 2 pi, and only then evaluated per sample, in
blocks that are summed over modes at once: neither time nor memory goes into tensors of
modes x samples, and the phase is as exact after two seconds as at the beginning.
"""

import math
from functools import lru_cache
from typing import NamedTuple, Optional, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from drumblender.signal import at_least_float32, exact_products, full_precision

# Samples per block at most: the phase turns by no more than 32 pi to either side of the middle,
# which float32 resolves to 4e-6.
BLOCK = 64
# Elements (modes x samples) evaluated at once: what a core's cache holds, and what a GPU likes.
CHUNK_CPU = 2**18
CHUNK_GPU = 2**24


def modal_synth(
    freqs: Tensor,
    amps: Tensor,
    num_samples: int,
    phase: Optional[Tensor] = None,
    round_phase: bool = False,
) -> Tensor:
    """Sum of sinusoids, ``y[n] = sum_m a_m[n] sin(phi_m + sum_{k<=n} w_m[k])``.

    Frequencies w and amplitudes a are given per frame and linearly interpolated to samples
    (half-pixel centers); phi is the phase of the first frame. A mode at or above Nyquist is silent
    there.

    Args:
        freqs: radians per sample.
        amps: linear amplitude.
        num_samples: N, length of the output.
        phase: radians; zero when not given.
        round_phase: round the running phase to the type of the inputs, as published models do: in
            float32 that is a jitter of up to 0.008 rad on a 12 kHz mode after two seconds. Takes
            ten times the time, and memory for modes x samples.

    Shape:
        - freqs, amps: (B, M, F)
        - phase: (B, M, 1)
        - Output: (B, 1, N)

    >>> modal_synth(torch.full((2, 8, 10), 0.1), torch.ones(2, 8, 10), 2560).shape
    torch.Size([2, 1, 2560])
    """
    if not freqs.shape[1]:
        return amps.new_zeros(len(amps), 1, num_samples)
    if round_phase:
        return _rounded(freqs, amps, num_samples, phase)
    grid = _grid(num_samples, freqs.shape[-1], freqs.device)
    # Asking a GPU would make the host wait for it.
    mute = freqs.is_cuda or bool(freqs.abs().max() >= math.pi)
    # Modes last: they are summed over.
    start = 0.0 if phase is None else phase.transpose(1, 2).double()
    angles = _angles(*_ends(freqs.transpose(1, 2).double()), start, grid).to(amps.dtype)
    envelopes = _envelopes(*_ends(amps.transpose(1, 2)), grid)
    return _Bank.apply(angles, envelopes, grid, mute).unsqueeze(1)


class _Grid(NamedTuple):
    """Where frames, segments between them, and blocks within those lie on the time axis.

    With segments s = 0 .. F (half a frame before the first center, between centers, half a frame
    after the last), each cut into as many blocks of the same length; the last may reach beyond the
    segment's end.

    Attributes:
        slope: frames per sample.
        count: samples of each segment, float64 (F + 1, 1).
        offset: position of a segment's first sample between its ends, 0 to 1, (F + 1, 1).
        middle: samples from the first of a segment to the middle of each block, (blocks, 1).
        steps: samples from the middle of a block to each of its samples, (length,).
        index: place of each sample among segments x blocks x length, int64 (N,).
    """

    slope: float
    count: Tensor
    offset: Tensor
    middle: Tensor
    steps: Tensor
    index: Tensor


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # What validation asks for first, training uses, too.
def _grid(num_samples: int, num_frames: int, device: torch.device) -> _Grid:
    segment = np.arange(num_frames + 2)
    # First sample n with (n + 0.5) F / N - 0.5 >= s - 1, in integers.
    first = -((num_frames - (2 * segment - 1) * num_samples) // (2 * num_frames))
    first[0], first[-1] = 0, num_samples
    first = first.clip(0, num_samples)
    count = np.diff(first)
    blocks = max(1, math.ceil(count.max() / BLOCK))
    length = math.ceil(count.max() / blocks)
    slope = num_frames / num_samples
    offset = (first[:-1] + 0.5) * slope + 0.5 - segment[:-1]
    which = np.repeat(np.arange(num_frames + 1), count)
    index = which * blocks * length + np.arange(num_samples) - first[which]

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device)

    return _Grid(
        slope=slope,
        count=tensor(count[:, None].astype(float)),
        offset=tensor(offset[:, None]),
        middle=tensor((np.arange(blocks) * length + 0.5 * (length - 1))[:, None]),
        steps=tensor(np.arange(length) - 0.5 * (length - 1)),
        index=tensor(index),
    )


def _ends(frames: Tensor) -> Tuple[Tensor, Tensor]:
    """Values at the beginning and the end of each segment, (B, F, M) -> twice (B, F + 1, M)."""
    return (
        torch.cat([frames[:, :1], frames], dim=1),
        torch.cat([frames, frames[:, -1:]], dim=1),
    )


def _angles(left: Tensor, right: Tensor, start: Tensor, grid: _Grid) -> Tensor:
    """Quadratics c0 + c1 r + c2 r^2 of the phase, r samples from the middle of each block.

    Shape:
        - left, right: frequencies at the ends of segments (B, F + 1, M), float64
        - start: (B, 1, M)
        - Output: (B, F + 1, blocks, M, 3), c0 within [-pi, pi]
    """
    bend = (right - left) * grid.slope
    first = left + (right - left) * grid.offset
    count = grid.count
    total = count * first + 0.5 * count * (count - 1) * bend
    # Reduced in the end only: float64 resolves 1e-11 rad after an hour.
    before = start + total.cumsum(1) - total
    bend, first, before = bend.unsqueeze(2), first.unsqueeze(2), before.unsqueeze(2)
    middle = grid.middle
    c0 = before + (middle + 1) * first + 0.5 * (middle + 1) * middle * bend
    c0 = c0 - (2 * math.pi) * (c0.detach() * (0.5 / math.pi)).round_()
    c1 = first + (middle + 0.5) * bend
    return torch.stack([c0, c1, (0.5 * bend).expand_as(c1)], dim=-1)


def _envelopes(left: Tensor, right: Tensor, grid: _Grid) -> Tensor:
    """Lines a0 + a1 r of the amplitude in each block, (B, F + 1, blocks, 2, M)."""
    left, right = left.unsqueeze(2), right.unsqueeze(2)
    place = (grid.offset.unsqueeze(1) + grid.middle * grid.slope).to(left.dtype)
    middle = torch.lerp(left, right, place)
    return torch.stack([middle, ((right - left) * grid.slope).expand_as(middle)], dim=3)


class _Bank(Function):
    """Blocks of sinusoids, summed over modes, put together to (B, N).

    Keeps the quadratics and lines only; the backward evaluates the sinusoids again.
    """

    @staticmethod
    def forward(ctx, angles, envelopes, grid, mute):
        ctx.save_for_backward(angles, envelopes)
        ctx.grid, ctx.mute = grid, mute
        steps = grid.steps.to(angles.dtype)
        kernels = _kernels(angles)
        if kernels:
            y = kernels.forward(angles.flatten(0, 2), envelopes.flatten(0, 2), steps)
        else:
            with exact_products():
                y = _play(angles.flatten(0, 2), envelopes.flatten(0, 2), steps, mute)
        return y.view(len(angles), -1)[:, grid.index]

    @staticmethod
    def backward(ctx, grad):
        angles, envelopes = ctx.saved_tensors
        grid, steps = ctx.grid, ctx.grid.steps.to(angles.dtype)
        blocks = angles[..., 0, 0].numel()
        padded = grad.new_zeros(len(angles), blocks // len(angles) * len(steps))
        padded[:, grid.index] = grad
        padded = padded.view(blocks, -1)
        arguments = (padded, angles.flatten(0, 2), envelopes.flatten(0, 2), steps)
        kernels = _kernels(angles)
        if kernels:
            grads = kernels.backward(*arguments)
        else:
            with exact_products():
                grads = _differentiate(*arguments, ctx.mute, ctx.needs_input_grad[:2])
        return grads[0].view_as(angles), grads[1].view_as(envelopes), None, None


def _kernels(angles: Tensor):
    """The module of kernels for this tensor, or None; a CPU does not wait for Triton's import."""
    if not angles.is_cuda:
        return None
    from drumblender.synths import bank_triton

    return bank_triton if bank_triton.is_usable(angles) else None


def _play(angles: Tensor, envelopes: Tensor, steps: Tensor, mute: bool) -> Tensor:
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


def _differentiate(
    grad: Tensor,
    angles: Tensor,
    envelopes: Tensor,
    steps: Tensor,
    mute: bool,
    needed: Tuple[bool, bool] = (True, True),
) -> Tuple[Tensor, Tensor]:
    """Gradients of :func:`_play` for ``grad`` (blocks, length), zero where there is no sample."""
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


def _chunks(angles: Tensor, steps: Tensor):
    size = CHUNK_GPU if angles.is_cuda else CHUNK_CPU
    blocks = max(1, size // (angles.shape[1] * len(steps)))
    for first in range(0, len(angles), blocks):
        yield slice(first, first + blocks)


def _workspace(angles: Tensor, steps: Tensor) -> Tensor:
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


def _rounded(freqs: Tensor, amps: Tensor, num_samples: int, phase: Optional[Tensor]) -> Tensor:
    freqs, amps = (
        F.interpolate(frames, size=num_samples, mode="linear", align_corners=False)
        for frames in (freqs, amps)
    )
    angle = freqs.double().cumsum(-1).to(freqs.dtype)
    if phase is not None:
        angle = angle + phase
    audible = (freqs.abs() < math.pi).to(amps.dtype)
    return (torch.sin(angle) * amps * audible).sum(dim=1, keepdim=True)


class ModalSynth(nn.Module):
    """:func:`modal_synth` of stacked modal parameters.

    Attributes:
        round_phase: see :func:`modal_synth`; set for models that were trained with it.

    Shape:
        - params: (B, 3, M, F), rows frequency (rad/sample), amplitude, phase (of which frame 0
          counts); or (B, 2, M, F) without phases, which then are zero
        - Output: (B, 1, num_samples)

    >>> ModalSynth()(torch.zeros(2, 3, 8, 10), 2560).shape
    torch.Size([2, 1, 2560])
    """

    round_phase = False

    def forward(self, params: Tensor, num_samples: int) -> Tensor:
        freqs, amps, *phases = at_least_float32(params).unbind(1)
        phase = phases[0][..., :1] if phases else None
        with full_precision(params):
            return modal_synth(freqs, amps, num_samples, phase, self.round_phase)
