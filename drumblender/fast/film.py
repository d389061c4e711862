"""The modulated block of a TCN as one operation.

Autograd keeps the input and the output of its dilated convolution. The backward pass computes the
normalization, the modulation, the activation and the 1x1 convolution again, in place where
possible.
"""

from typing import Any, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.fast import rows
from drumblender.fast.convolution import Layout
from drumblender.signal import full_precision
from drumblender.signal.operations import operation

Outputs = Tuple[Tensor, Tensor, Tensor, Tensor]
Gradients = Tuple[Optional[Tensor], ...]


@operation
def film_block(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    gamma: Tensor,
    beta: Tensor,
    mix: Tensor,
    mix_bias: Tensor,
    mean: Optional[Tensor],
    variance: Optional[Tensor],
    left: int,
    right: int,
    dilation: int,
    normalize: bool,
    eps: float,
    dtype: torch.dtype,
    in_rows: bool,
) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute ``gelu(gamma * norm(conv(x)) + beta) + mix(x)``, and what the backward pass needs.

    Args:
        x: the signal.
        weight: weight of the dilated convolution.
        bias: bias of the dilated convolution.
        gamma: scale of each channel.
        beta: shift of each channel.
        mix: weight of the 1x1 convolution.
        mix_bias: bias of the 1x1 convolution.
        mean: mean of each channel, by which to normalize. None stands for that of the batch.
        variance: biased variance of each channel, or None as well.
        left: number of zeros in front of the signal.
        right: number of zeros behind it. Together with ``left`` they are as many as the convolution
            takes away.
        dilation: dilation of the convolution.
        normalize: whether to normalize, by a batch norm without affine parameters.
        eps: number that the batch norm adds to variances.
        dtype: type in which the dilated convolution computes.
        in_rows: whether to compute without a derivative, with the channels of a moment side by side
            in memory. To normalize, it needs ``mean`` and ``variance``.

    Shape:
        - x: (B, C, T)
        - gamma, beta: (B, D, 1)
        - mean, variance: (1, D, 1)
        - Output: the result (B, D, T); conv(x) (B, D, T), which is centered when it is normalized;
          mean and variance of the batch (1, D, 1). What was not computed is empty, and so is the
          second with ``in_rows``.
    """
    with full_precision(x):
        if in_rows:
            if normalize:
                assert mean is not None  # see in_rows
                assert variance is not None
                gamma = gamma * (variance + eps).rsqrt()
                beta = beta - gamma * mean
            line = rows.Convolution(weight, None, left, right, dilation, 1, dtype)
            y = _in_rows(x, line, bias, gamma, beta, mix, mix_bias)
            return y, x.new_empty(0), x.new_empty(0), x.new_empty(0)
        layout = Layout(left, right, dilation, 1, weight.shape[-1])
        u = layout.forward(x.to(dtype), weight.to(dtype), bias.to(dtype))
        scale, own_mean, own_variance = gamma, x.new_empty(0), x.new_empty(0)
        if normalize:
            if mean is None or variance is None:
                mean = own_mean = u.mean((0, 2), keepdim=True, dtype=x.dtype)
                u -= mean
                # A norm or var() would add up in an order that loses three digits.
                wide = u.to(x.dtype)
                power = torch.linalg.vecdot(wide, wide)[..., None]
                variance = own_variance = power.mean(0, keepdim=True) / u.shape[2]
            else:
                u -= mean
            scale = gamma * (variance + eps).rsqrt()
        y = torch.baddbmm(mix_bias[:, None], mix.squeeze(-1).expand(len(x), -1, -1), x)
        y += F.gelu(torch.addcmul(beta, u.to(x.dtype), scale))
        return y, u, own_mean, own_variance


@torch.library.register_fake("drumblender::film_block")
def _(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    gamma: Tensor,
    beta: Tensor,
    mix: Tensor,
    mix_bias: Tensor,
    mean: Optional[Tensor],
    variance: Optional[Tensor],
    left: int,
    right: int,
    dilation: int,
    normalize: bool,
    eps: float,
    dtype: torch.dtype,
    in_rows: bool,
) -> Outputs:
    """Say the shapes of the outputs, for compilers."""
    y = x.new_empty(x.shape[0], weight.shape[0], x.shape[-1])
    if in_rows:
        return rows.empty(y), x.new_empty(0), x.new_empty(0), x.new_empty(0)
    shape = (1, weight.shape[0], 1) if normalize and mean is None else (0,)
    return y, torch.empty_like(y, dtype=dtype), x.new_empty(shape), x.new_empty(shape)


def _setup(ctx: Any, inputs: Tuple[Any, ...], output: Outputs) -> None:
    """Keep what the derivative needs."""
    x, weight, _, gamma, beta, mix, _, mean, variance, left, right, dilation, *rest = inputs
    normalize, ctx.eps, _, ctx.in_rows = rest
    _, u, own_mean, own_variance = output
    ctx.by_batch = normalize and mean is None
    if ctx.by_batch:
        variance = own_variance
    ctx.save_for_backward(x, u, weight, gamma, beta, mix, variance if normalize else None)
    ctx.layout = Layout(left, right, dilation, 1, weight.shape[-1])
    ctx.mark_non_differentiable(u, own_mean, own_variance)
    ctx.set_materialize_grads(False)


@once_differentiable
def _backward(ctx: Any, grad: Optional[Tensor], *_: Optional[Tensor]) -> Gradients:
    """Compute the gradients of the arguments of :func:`film_block`."""
    if grad is None:
        return (None,) * 16
    rows.refuse_derivative(ctx.in_rows)
    with full_precision(grad):
        return (*_gradients(ctx, grad.contiguous()), *(None,) * 9)


def _gradients(ctx: Any, grad: Tensor) -> Gradients:
    """Compute the gradients of x, weight, bias, gamma, beta, mix and mix_bias."""
    x, u, weight, gamma, beta, mix, variance = ctx.saved_tensors
    needs_x, needs_weight, needs_bias = ctx.needs_input_grad[:3]
    rstd = None if variance is None else (variance + ctx.eps).rsqrt()
    scale = gamma if rstd is None else gamma * rstd
    dtype, u = u.dtype, u.to(x.dtype)
    batch, channels, length = u.shape
    inner = torch.ops.aten.gelu_backward(grad, torch.addcmul(beta, u, scale))
    grad_beta = inner.sum(-1, keepdim=True)
    along = torch.linalg.vecdot(inner, u).unsqueeze(-1)
    grad_gamma = along if rstd is None else along * rstd
    if ctx.by_batch:
        assert rstd is not None  # what is normalized has a variance
        # The derivative of (u - mean) / sqrt(variance + eps), whose u here is centered already.
        count = batch * length
        shift = (scale * grad_beta).sum(0, keepdim=True) / count
        slope = (scale * along).sum(0, keepdim=True) * rstd.square() / count
        inner = inner.mul_(scale).sub_(shift).addcmul_(u, -slope)
    else:
        inner = inner.mul_(scale)
    grad_bias = None
    if needs_bias:  # Batch statistics take any bias away.
        grad_bias = inner.new_zeros(channels) if ctx.by_batch else inner.sum((0, 2))
    low = (inner.to(dtype), x.to(dtype), weight.to(dtype))
    grad_x, grad_weight = ctx.layout.backward(*low, needs_x, needs_weight)
    del inner, low
    if needs_x:
        grad_x = grad_x.to(x.dtype)
        grad_x.baddbmm_(mix.squeeze(-1).t().expand(batch, -1, -1), grad)
    if needs_weight:
        grad_weight = grad_weight.to(weight.dtype)
    grad_mix = torch.bmm(grad, x.transpose(1, 2)).sum(0).unsqueeze(-1)
    return grad_x, grad_weight, grad_bias, grad_gamma, grad_beta, grad_mix, grad.sum((0, 2))


torch.library.register_autograd("drumblender::film_block", _backward, setup_context=_setup)


def _in_rows(
    x: Tensor,
    line: rows.Convolution,
    bias: Tensor,
    gamma: Tensor,
    beta: Tensor,
    mix: Tensor,
    mix_bias: Tensor,
) -> Tensor:
    """Compute ``gelu(gamma * conv(x) + beta) + mix(x)`` with the modulation inside the weights."""
    lines = x.transpose(1, 2)
    y = rows.mixed(lines, mix, mix_bias)
    for sound, out, scale, shift in zip(lines.split(1), y, gamma, beta):
        shift = torch.addcmul(shift, bias[:, None], scale).squeeze(-1)
        # In 16 bits, what is small beside the shift would be lost.
        inside = shift if line.dtype == x.dtype else None
        scaled = line._replace(weight=line.weight * scale[:, None], bias=inside)
        convolved = scaled(sound)[0]
        out += F.gelu(convolved if inside is shift else convolved.add_(shift))
    return y.transpose(1, 2)
