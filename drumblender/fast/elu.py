"""The residual unit of the encoders as one operation.

Autograd keeps the input and the first activation. The backward pass computes the 1x1 convolution
and the activation behind it again, in place where possible.
"""

from typing import Any, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.fast import rows
from drumblender.fast.convolution import Layout, elu_backward
from drumblender.signal import full_precision
from drumblender.signal.operations import operation

Gradients = Tuple[Optional[Tensor], ...]


@operation
def elu_unit(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    mix: Tensor,
    mix_bias: Tensor,
    left: int,
    right: int,
    dilation: int,
    in_rows: Optional[torch.dtype],
) -> Tuple[Tensor, Tensor]:
    """Compute ``elu(mix(elu(conv(x)))) + x``, and ``elu(conv(x))``, which the backward pass needs.

    Args:
        x: the signal.
        weight: weight of the dilated convolution.
        bias: bias of the dilated convolution.
        mix: weight of the 1x1 convolution.
        mix_bias: bias of the 1x1 convolution.
        left: number of zeros in front of the signal.
        right: number of zeros behind it. Together with ``left`` they are as many as the convolution
            takes away.
        dilation: dilation of the convolution.
        in_rows: as in :func:`drumblender.fast.convolution.conv`.

    Shape:
        - x: (B, C, T)
        - Output: (B, C, T) both; the second is empty with ``in_rows``
    """
    with full_precision(x):
        if in_rows is not None:
            line = rows.Convolution(weight, bias, left, right, dilation, 1, in_rows)
            lines = x.transpose(1, 2)
            y = rows.elu_(rows.mixed(rows.elu_(line(lines)), mix, mix_bias)).add_(lines)
            return y.transpose(1, 2), x.new_empty(0)
        h = Layout(left, right, dilation, 1, weight.shape[-1]).forward(x, weight, bias)
        h = F.elu(h, inplace=True)
        return _mixed(h, mix, mix_bias).add_(x), h


@torch.library.register_fake("drumblender::elu_unit")
def _(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    mix: Tensor,
    mix_bias: Tensor,
    left: int,
    right: int,
    dilation: int,
    in_rows: Optional[torch.dtype],
) -> Tuple[Tensor, Tensor]:
    """Say the shapes of the outputs, for compilers."""
    y = x.new_empty(x.shape)
    return (y, y.new_empty(y.shape)) if in_rows is None else (rows.empty(y), x.new_empty(0))


def _setup(ctx: Any, inputs: Tuple[Any, ...], output: Tuple[Tensor, Tensor]) -> None:
    """Keep what the derivative needs."""
    x, weight, _, mix, mix_bias, left, right, dilation, in_rows = inputs
    h = output[1]
    ctx.save_for_backward(x, h, weight, mix, mix_bias)
    ctx.layout = Layout(left, right, dilation, 1, weight.shape[-1])
    ctx.mark_non_differentiable(h)
    ctx.set_materialize_grads(False)
    ctx.in_rows = in_rows is not None


@once_differentiable
def _backward(ctx: Any, grad: Optional[Tensor], _: Optional[Tensor]) -> Gradients:
    """Compute the gradients of the arguments of :func:`elu_unit`."""
    if grad is None:
        return (None,) * 9
    rows.refuse_derivative(ctx.in_rows)
    x, h, weight, mix, mix_bias = ctx.saved_tensors
    with full_precision(grad):
        grad = grad.contiguous()
        inner = elu_backward(grad, _mixed(h, mix, mix_bias))
        grad_mix = torch.bmm(inner, h.transpose(1, 2)).sum(0).unsqueeze(-1)
        grad_mix_bias = inner.sum((0, 2))
        inner = torch.matmul(mix.squeeze(-1).t(), inner)
        inner = elu_backward(inner, h)
        needs_x, needs_weight = ctx.needs_input_grad[:2]
        grad_x, grad_weight = ctx.layout.backward(inner, x, weight, needs_x, needs_weight)
        if needs_x:
            grad_x += grad
        grad_bias = inner.sum((0, 2))
    return grad_x, grad_weight, grad_bias, grad_mix, grad_mix_bias, *(None,) * 4


torch.library.register_autograd("drumblender::elu_unit", _backward, setup_context=_setup)


def _mixed(h: Tensor, mix: Tensor, mix_bias: Tensor) -> Tensor:
    """Compute ``elu(mix(h))``."""
    mixed = torch.baddbmm(mix_bias[:, None], mix.squeeze(-1).expand(len(h), -1, -1), h)
    return F.elu(mixed, inplace=True)
