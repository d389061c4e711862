"""A convolution of a zero-padded signal, with an ELU behind it on request, as one operation.

Where a derivative may be needed, time is folded into two axes. With T = n d, sample t lies at (t //
d, t % d) of an (n, d) grid. A convolution of dilation d over t is then one of dilation 1 along the
first axis, whose derivatives PyTorch computes in half the time. Autograd keeps the signal without
its padding. :mod:`drumblender.fast.rows` is for the case that no derivative is needed.
"""

from typing import Any, NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.fast import rows
from drumblender.signal import full_precision
from drumblender.signal.operations import operation

# Forward and backward together, folding is faster from this dilation on.
LEAST_FOLDED = 4


class Layout(NamedTuple):
    """The way in which a padded signal lies in memory if a derivative may be needed.

    Attributes:
        left: number of zeros in front of the signal.
        right: number of zeros behind it.
        dilation: number d of samples between the taps of the kernel.
        stride: number of samples between outputs.
        kernel_size: number K of taps of the kernel.
    """

    left: int
    right: int
    dilation: int
    stride: int
    kernel_size: int

    @property
    def is_folded(self) -> bool:
        """Whether time is folded into two axes."""
        return self.dilation >= LEAST_FOLDED and self.stride == 1

    def length(self, num_samples: int) -> int:
        """Compute the length of the output for a signal of ``num_samples``."""
        taken = self.dilation * (self.kernel_size - 1) - self.left - self.right
        return (num_samples - taken - 1) // self.stride + 1

    def empty(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return a tensor of the output's shape, for tracing."""
        return x.new_empty(x.shape[0], weight.shape[0], self.length(x.shape[-1]))

    def forward(self, x: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
        """Convolve.

        Shape:
            - x: (B, C, T)
            - weight: (D, C, K)
            - bias: (D,)
            - Output: (B, D, length(T)), contiguous
        """
        padded = self._pad(x)
        if not self.is_folded:
            options = {"stride": self.stride, "dilation": self.dilation}
            return F.conv1d(padded, weight, bias, **options).contiguous()
        y = F.conv2d(padded, self._kernel(weight), bias).flatten(2)
        return y[..., : self.length(x.shape[-1])].contiguous()

    def backward(
        self, grad: Tensor, x: Tensor, weight: Tensor, needs_x: bool, needs_weight: bool
    ) -> Tuple[Optional[Tensor], Optional[Tensor]]:
        """Compute the gradients of the signal and the weight from that of the output."""
        if not (needs_x or needs_weight):
            return None, None
        padded = self._pad(x)
        if self.is_folded:
            lines = padded.shape[-2] - self.kernel_size + 1
            grad = F.pad(grad, (0, lines * self.dilation - grad.shape[-1]))
            grad = grad.unflatten(-1, (-1, self.dilation))
        dimensions = padded.ndim - 2
        grad_padded, grad_weight, _ = torch.ops.aten.convolution_backward(
            grad,
            padded,
            self._kernel(weight),
            None,
            [1] * dimensions if self.is_folded else [self.stride],
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
        """Add the zeros to a signal, to (B, C, T'), or folded to (B, C, T' / d, d)."""
        left, right = self.left, self.right
        if not self.is_folded:
            return F.pad(x, (left, right)) if left or right else x
        right += -(x.shape[-1] + left + right) % self.dilation
        return F.pad(x, (left, right)).unflatten(-1, (-1, self.dilation))

    def _kernel(self, weight: Tensor) -> Tensor:
        """Return the kernel that goes with the padded signal."""
        return weight.unsqueeze(-1) if self.is_folded else weight


@operation
def conv(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor],
    left: int,
    right: int,
    dilation: int,
    stride: int,
    elu: bool,
    in_rows: Optional[torch.dtype],
) -> Tensor:
    """Convolve a zero-padded signal, ``F.conv1d(F.pad(x, (left, right)), ...)``.

    Args:
        x: the signal.
        weight: weight of the convolution.
        bias: bias of the convolution.
        left: number of zeros in front of the signal.
        right: number of zeros behind it.
        dilation: number of samples between the taps of the kernel.
        stride: number of samples between outputs.
        elu: whether to apply ``F.elu`` to the result.
        in_rows: type in which to compute without a derivative, with the channels of a moment side
            by side in memory. None means to compute with a derivative.

    Shape:
        - x: (B, C, T)
        - weight: (D, C, K)
        - bias: (D,)
        - Output: (B, D, T')

    >>> x, w = torch.randn(1, 2, 50), torch.randn(3, 2, 5)
    >>> plain = F.conv1d(F.pad(x, (32, 0)), w, dilation=8)
    >>> torch.allclose(conv(x, w, None, 32, 0, 8, 1, False, None), plain, atol=1e-5)
    True
    """
    with full_precision(x):
        if in_rows is not None:
            line = rows.Convolution(weight, bias, left, right, dilation, stride, in_rows)
            y = line(x.transpose(1, 2))
            return (rows.elu_(y) if elu else y).transpose(1, 2)
        y = Layout(left, right, dilation, stride, weight.shape[-1]).forward(x, weight, bias)
        if elu:
            y = F.elu(y, inplace=True)
        # Not a view of what the convolution made, which an activation in place could not change.
        return y.new_empty(0).set_(y.untyped_storage(), y.storage_offset(), y.shape, y.stride())


@torch.library.register_fake("drumblender::conv")
def _(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor],
    left: int,
    right: int,
    dilation: int,
    stride: int,
    elu: bool,
    in_rows: Optional[torch.dtype],
) -> Tensor:
    """Say the shape of the output, for compilers."""
    y = Layout(left, right, dilation, stride, weight.shape[-1]).empty(x, weight)
    return y if in_rows is None else rows.empty(y)


def _setup(ctx: Any, inputs: Tuple[Any, ...], output: Tensor) -> None:
    """Keep what the derivative needs."""
    x, weight, _, left, right, dilation, stride, elu, in_rows = inputs
    ctx.save_for_backward(x, weight, output if elu else None)
    ctx.layout = Layout(left, right, dilation, stride, weight.shape[-1])
    ctx.in_rows = in_rows is not None


def _backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
    """Compute the gradients of the arguments of :func:`conv`."""
    rows.refuse_derivative(ctx.in_rows)
    x, weight, activated = ctx.saved_tensors
    needs_x, needs_weight, needs_bias, *_ = ctx.needs_input_grad
    with full_precision(grad):
        grad = grad.contiguous()
        if activated is not None:
            grad = elu_backward(grad, activated)
        grads = ctx.layout.backward(grad, x, weight, needs_x, needs_weight)
        return (*grads, grad.sum((0, 2)) if needs_bias else None, *(None,) * 6)


torch.library.register_autograd("drumblender::conv", _backward, setup_context=_setup)


def elu_backward(grad: Tensor, result: Tensor) -> Tensor:
    """Compute the gradient of the input of an ELU from its result y, where it is 1 or y + 1."""
    return torch.ops.aten.elu_backward(grad, 1.0, 1.0, 1.0, True, result)
