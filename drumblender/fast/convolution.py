"""A dilated convolution of a zero-padded signal whose backward takes half the time.

Time is folded into two axes. With T = n d, sample t lies at (t // d, t % d) of an (n, d) grid, and
a convolution of dilation d over t is one of dilation 1 along the first axis, whose derivatives
PyTorch computes much faster. What autograd keeps is the signal without its padding.
"""

from typing import NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.signal import full_precision

# Forward and backward together, folding is faster from this dilation on.
LEAST_FOLDED = 4


class Layout(NamedTuple):
    """How a padded signal lies in memory for a dilated convolution.

    Attributes:
        left: zeros in front of the signal.
        right: zeros behind it.
        dilation: d, between the taps of the kernel.
        kernel_size: K, taps of the kernel.
    """

    left: int
    right: int
    dilation: int
    kernel_size: int

    @property
    def is_folded(self) -> bool:
        return self.dilation >= LEAST_FOLDED

    @property
    def shrinkage(self) -> int:
        """By how many samples the output is shorter than the signal."""
        return self.dilation * (self.kernel_size - 1) - self.left - self.right

    def empty(self, x: Tensor, weight: Tensor) -> Tensor:
        """A tensor of the output's shape, for tracing."""
        return x.new_empty(x.shape[0], weight.shape[0], x.shape[-1] - self.shrinkage)

    def forward(self, x: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
        """Convolve.

        Shape:
            - x: (B, C, T)
            - weight: (D, C, K)
            - bias: (D,)
            - Output: (B, D, T - shrinkage), contiguous
        """
        if not self.is_folded:
            return F.conv1d(self._pad(x), weight, bias, dilation=self.dilation).contiguous()
        y = F.conv2d(self._pad(x), self._kernel(weight), bias).flatten(2)
        return y[..., : x.shape[-1] - self.shrinkage].contiguous()

    def backward(
        self, grad: Tensor, x: Tensor, weight: Tensor, needs_x: bool, needs_weight: bool
    ) -> Tuple[Optional[Tensor], Optional[Tensor]]:
        """Gradients of the signal and the weight for that of the output."""
        if not (needs_x or needs_weight):
            return None, None
        padded = self._pad(x)
        if self.is_folded:
            rows = padded.shape[-2] - self.kernel_size + 1
            grad = F.pad(grad, (0, rows * self.dilation - grad.shape[-1]))
            grad = grad.unflatten(-1, (-1, self.dilation))
        dimensions = padded.ndim - 2
        grad_padded, grad_weight, _ = torch.ops.aten.convolution_backward(
            grad,
            padded,
            self._kernel(weight),
            None,
            [1] * dimensions,
            [0] * dimensions,
            [1] * dimensions if self.is_folded else [self.dilation],
            False,
            [0] * dimensions,
            1,
            [needs_x, needs_weight, False],
        )
        if needs_x:
            end = self.left + x.shape[-1]
            grad_padded = grad_padded.flatten(2)[..., self.left : end].contiguous()
        if needs_weight:
            grad_weight = grad_weight.view_as(weight)
        return grad_padded, grad_weight

    def _pad(self, x: Tensor) -> Tensor:
        left, right = self.left, self.right
        if not self.is_folded:
            return F.pad(x, (left, right)) if left or right else x
        right += -(x.shape[-1] + left + right) % self.dilation
        return F.pad(x, (left, right)).unflatten(-1, (-1, self.dilation))

    def _kernel(self, weight: Tensor) -> Tensor:
        return weight.unsqueeze(-1) if self.is_folded else weight


@torch.library.custom_op("drumblender::padded_conv", mutates_args=())
def padded_conv(
    x: Tensor, weight: Tensor, bias: Optional[Tensor], left: int, right: int, dilation: int
) -> Tensor:
    """``F.conv1d(F.pad(x, (left, right)), weight, bias, dilation=dilation)``.

    >>> x, w = torch.randn(1, 2, 50), torch.randn(3, 2, 5)
    >>> plain = F.conv1d(F.pad(x, (32, 0)), w, dilation=8)
    >>> torch.allclose(padded_conv(x, w, None, 32, 0, 8), plain, atol=1e-5)
    True
    """
    with full_precision(x):
        y = Layout(left, right, dilation, weight.shape[-1]).forward(x, weight, bias)
        # Not a view of what the convolution made, which an activation in place could not change.
        return y.new_empty(0).set_(y)


@padded_conv.register_fake
def _(x, weight, bias, left, right, dilation):
    return Layout(left, right, dilation, weight.shape[-1]).empty(x, weight)


def _setup(ctx, inputs, output):
    x, weight, _, left, right, dilation = inputs
    ctx.save_for_backward(x, weight)
    ctx.layout = Layout(left, right, dilation, weight.shape[-1])


def _backward(ctx, grad):
    x, weight = ctx.saved_tensors
    needs_x, needs_weight, needs_bias, *_ = ctx.needs_input_grad
    with full_precision(grad):
        grad = grad.contiguous()
        grads = ctx.layout.backward(grad, x, weight, needs_x, needs_weight)
        return (*grads, grad.sum((0, 2)) if needs_bias else None, None, None, None)


padded_conv.register_autograd(_backward, setup_context=_setup)
