"""The residual unit of SoundStream's encoder as one operation.

Autograd keeps every intermediate of a block and passes over each of them. Here it keeps the input
and one tensor more; the 1x1 convolution and the activation behind it are computed again in the
backward, in place where possible.
"""

from typing import Tuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.fast.convolution import Layout
from drumblender.signal import full_precision


@torch.library.custom_op("drumblender::elu_unit", mutates_args=())
def elu_unit(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    mix: Tensor,
    mix_bias: Tensor,
    left: int,
    right: int,
    dilation: int,
) -> Tuple[Tensor, Tensor]:
    """``elu(mix(elu(conv(x)))) + x``, and ``elu(conv(x))``, which the backward needs.

    Args:
        x: signal.
        weight: of the dilated convolution.
        bias: of the dilated convolution.
        mix: weight of the 1x1 convolution.
        mix_bias: bias of the 1x1 convolution.
        left: zeros in front of the signal.
        right: zeros behind it; with ``left``, as many as the convolution takes away.
        dilation: of the convolution.

    Shape:
        - x: (B, C, T)
        - Output: (B, C, T) both
    """
    with full_precision(x):
        h = Layout(left, right, dilation, weight.shape[-1]).forward(x, weight, bias)
        h = F.elu(h, inplace=True)
        return _mixed(h, mix, mix_bias).add_(x), h


@elu_unit.register_fake
def _(x, weight, bias, mix, mix_bias, left, right, dilation):
    h = Layout(left, right, dilation, weight.shape[-1]).empty(x, weight)
    return torch.empty_like(h), h


def _setup(ctx, inputs, output):
    x, weight, _, mix, mix_bias, left, right, dilation = inputs
    h = output[1]
    ctx.save_for_backward(x, h, weight, mix, mix_bias)
    ctx.layout = Layout(left, right, dilation, weight.shape[-1])
    ctx.mark_non_differentiable(h)
    ctx.set_materialize_grads(False)


@once_differentiable
def _backward(ctx, grad, _):
    if grad is None:
        return (None,) * 8
    x, h, weight, mix, mix_bias = ctx.saved_tensors
    with full_precision(grad):
        grad = grad.contiguous()
        inner = _elu_backward(grad, _mixed(h, mix, mix_bias))
        grad_mix = torch.bmm(inner, h.transpose(1, 2)).sum(0).unsqueeze(-1)
        grad_mix_bias = inner.sum((0, 2))
        inner = torch.matmul(mix.squeeze(-1).t(), inner)
        inner = _elu_backward(inner, h)
        needs_x, needs_weight = ctx.needs_input_grad[:2]
        grad_x, grad_weight = ctx.layout.backward(inner, x, weight, needs_x, needs_weight)
        if needs_x:
            grad_x += grad
        grad_bias = inner.sum((0, 2))
    return grad_x, grad_weight, grad_bias, grad_mix, grad_mix_bias, None, None, None


elu_unit.register_autograd(_backward, setup_context=_setup)


def _mixed(h: Tensor, mix: Tensor, mix_bias: Tensor) -> Tensor:
    """``elu(mix(h))``."""
    mixed = torch.baddbmm(mix_bias[:, None], mix.squeeze(-1).expand(len(h), -1, -1), h)
    return F.elu(mixed, inplace=True)


def _elu_backward(grad: Tensor, result: Tensor) -> Tensor:
    """The derivative of an ELU is 1 or y + 1, from its result y."""
    return torch.ops.aten.elu_backward(grad, 1.0, 1.0, 1.0, True, result)
