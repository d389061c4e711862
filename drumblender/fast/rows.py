"""The blocks of the networks for a CPU that needs no gradient: time outside, channels inside.

Where the channels of one moment lie side by side in memory, oneDNN's convolutions run at the
processor's speed whatever their dilation, stride and number of channels, 1x1 convolutions are one
matrix product, and padding is a copy of whole rows. Tensors keep their shapes (B, C, T); only their
memory is laid out as (B, T, C), and stays so from block to block.
"""

import math
from typing import NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.signal import full_precision


def are_apt(x: Tensor) -> bool:
    """Whether the operations of this module may compute, instead of those with a derivative."""
    return (
        not torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
    )


class _Convolution(NamedTuple):
    """A convolution of a zero-padded signal, computed in numbers of ``dtype``."""

    weight: Tensor
    bias: Optional[Tensor]
    left: int
    right: int
    dilation: int
    dtype: torch.dtype
    stride: int = 1

    def __call__(self, rows: Tensor) -> Tensor:
        """Convolve along the second axis, (B, T, C) to (B, T', D)."""
        weight, bias, left, right, dilation, dtype, stride = self
        if weight.shape[-1] == 1 and stride == 1 and left == right == 0:
            return _mix(rows, weight, bias)
        if rows.shape[-1] == 1 and dilation == 1:
            # A single channel has no layout to tell oneDNN of: its windows times a matrix.
            windows = F.pad(rows[..., 0], (left, right)).unfold(1, weight.shape[-1], stride)
            return _mix(windows, weight.transpose(1, 2), bias)
        end = left + rows.shape[1]
        padded = rows.new_empty(len(rows), end + right, rows.shape[2], dtype=dtype)
        padded[:, :left] = 0
        padded[:, left:end] = rows
        padded[:, end:] = 0
        image = padded.transpose(1, 2).unsqueeze(2)
        weight = weight.unsqueeze(2).to(dtype).contiguous(memory_format=torch.channels_last)
        bias = None if bias is None else bias.to(dtype)
        y = F.conv2d(image, weight, bias, (1, stride), dilation=(1, dilation))
        return y.squeeze(2).transpose(1, 2).to(rows.dtype).contiguous()


def _empty(x: Tensor, channels: int, length: int) -> Tensor:
    return x.new_empty(x.shape[0], length, channels).transpose(1, 2)


@torch.library.custom_op("drumblender::conv_rows", mutates_args=())
def conv(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor],
    left: int,
    right: int,
    dilation: int,
    stride: int,
    elu: bool,
    dtype: torch.dtype,
) -> Tensor:
    """``F.conv1d`` of a zero-padded signal, and ``F.elu`` of that on request.

    >>> x, w = torch.randn(1, 2, 50), torch.randn(3, 2, 5)
    >>> plain = F.elu(F.conv1d(F.pad(x, (8, 0)), w, dilation=2))
    >>> y = conv(x, w, None, 8, 0, 2, 1, True, torch.float32)
    >>> torch.allclose(y, plain, atol=1e-5)
    True
    """
    with full_precision(x):
        y = _Convolution(weight, bias, left, right, dilation, dtype, stride)(x.transpose(1, 2))
        return (elu_(y) if elu else y).transpose(1, 2)


@conv.register_fake
def _(x, weight, bias, left, right, dilation, stride, elu, dtype):
    reach = dilation * (weight.shape[-1] - 1)
    return _empty(x, weight.shape[0], (x.shape[-1] + left + right - reach - 1) // stride + 1)


@torch.library.custom_op("drumblender::elu_unit_rows", mutates_args=())
def elu_unit(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    mix: Tensor,
    mix_bias: Tensor,
    left: int,
    right: int,
    dilation: int,
    dtype: torch.dtype,
) -> Tensor:
    """``elu(mix(elu(conv(x)))) + x``; see :func:`drumblender.fast.elu.elu_unit`."""
    with full_precision(x):
        rows = x.transpose(1, 2)
        h = elu_(_Convolution(weight, bias, left, right, dilation, dtype)(rows))
        return elu_(_mix(h, mix, mix_bias)).add_(rows).transpose(1, 2)


@elu_unit.register_fake
def _(x, weight, *rest):
    return _empty(x, weight.shape[0], x.shape[-1])


@torch.library.custom_op("drumblender::film_block_rows", mutates_args=())
def film_block(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    gamma: Tensor,
    beta: Tensor,
    mix: Tensor,
    mix_bias: Tensor,
    left: int,
    right: int,
    dilation: int,
    dtype: torch.dtype,
) -> Tensor:
    """``gelu(gamma * conv(x) + beta) + mix(x)``; the modulation (B, D, 1) goes into the weights."""
    with full_precision(x):
        rows = x.transpose(1, 2)
        y = _mix(rows, mix, mix_bias)
        for row, out, scale, shift in zip(rows.split(1), y, gamma, beta):
            shift = torch.addcmul(shift, bias[:, None], scale).squeeze(-1)
            # In 16 bits, what is small beside the shift would be lost.
            inside = shift if dtype == x.dtype else None
            convolution = _Convolution(
                weight * scale[:, None], inside, left, right, dilation, dtype
            )
            convolved = convolution(row)[0]
            out += F.gelu(convolved if inside is shift else convolved.add_(shift))
        return y.transpose(1, 2)


@film_block.register_fake
def _(x, weight, *rest):
    return _empty(x, weight.shape[0], x.shape[-1])


def elu_(x: Tensor) -> Tensor:
    """``F.elu`` in place, in well under half its time.

    PyTorch's exp2 is four times as fast as the expm1 that it takes there, and as exact beside
    numbers around 1.
    """
    below = x.clamp_max(0).mul_(1 / math.log(2)).exp2_().sub_(1)
    return torch.maximum(x, below, out=x)


def _mix(rows: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
    """A 1x1 convolution: (B, T, C) to (B, T, D)."""
    return F.linear(rows.contiguous(), weight.squeeze(-1), bias)
