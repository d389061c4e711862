"""Blocks of the networks with a backward of their own: the same mathematics, less memory and time.

Autograd keeps every intermediate of a block and passes over each of them. Here a block keeps its
input and one tensor more; what is cheap (1x1 convolutions, activations, modulation) is computed
again in the backward, in place where possible, and padding is never kept. Dilated convolutions run
with time folded into two axes, in which their backward takes half the time.
"""

from typing import NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from drumblender.models import channels_last
from drumblender.signal import at_least_float32, full_precision

# From this dilation on folding is faster, forward and backward together.
LEAST_FOLDED = 4


class _Layout(NamedTuple):
    """How a padded input (B, C, T + left + right) lies in memory for a dilated convolution.

    With T = n d, sample t sits at (t // d, t % d) of an (n, d) grid, and a convolution of dilation
    d over t is one of dilation 1 along the first axis.
    """

    padding: Tuple[int, int]
    dilation: int
    kernel_size: int

    @property
    def is_folded(self) -> bool:
        return self.dilation >= LEAST_FOLDED

    def pad(self, x: Tensor) -> Tensor:
        left, right = self.padding
        if not self.is_folded:
            return F.pad(x, (left, right)) if left or right else x
        right += -(x.shape[-1] + left + right) % self.dilation
        return F.pad(x, (left, right)).unflatten(-1, (-1, self.dilation))

    def kernel(self, weight: Tensor) -> Tensor:
        return weight.unsqueeze(-1) if self.is_folded else weight

    def shrinkage(self) -> int:
        """By how much a convolution makes the signal shorter."""
        return self.dilation * (self.kernel_size - 1) - sum(self.padding)

    def forward(self, x: Tensor, weight: Tensor, bias: Optional[Tensor]) -> Tensor:
        if not self.is_folded:
            return F.conv1d(self.pad(x), weight, bias, dilation=self.dilation)
        y = F.conv2d(self.pad(x), self.kernel(weight), bias).flatten(2)
        return y[..., : x.shape[-1] - self.shrinkage()].contiguous()

    def backward(
        self, grad: Tensor, x: Tensor, weight: Tensor, needs_x: bool, needs_weight: bool
    ) -> Tuple[Optional[Tensor], Optional[Tensor]]:
        """Gradients of input and weight for the gradient of the output."""
        if not (needs_x or needs_weight):
            return None, None
        padded = self.pad(x)
        if self.is_folded:
            rows = padded.shape[-2] - self.kernel_size + 1
            grad = F.pad(grad, (0, rows * self.dilation - grad.shape[-1]))
            grad = grad.unflatten(-1, (-1, self.dilation))
        dimensions = padded.ndim - 2
        grad_padded, grad_weight, _ = torch.ops.aten.convolution_backward(
            grad,
            padded,
            self.kernel(weight),
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
            left = self.padding[0]
            grad_padded = grad_padded.flatten(2)[..., left : left + x.shape[-1]].contiguous()
        if needs_weight:
            grad_weight = grad_weight.view_as(weight)
        return grad_padded, grad_weight


class _Conv(Function):
    @staticmethod
    def forward(ctx, x, weight, bias, layout):
        ctx.save_for_backward(x, weight)
        ctx.layout = layout
        return layout.forward(x, weight, bias)

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias, _ = ctx.needs_input_grad
        grad = grad.contiguous()
        grads = ctx.layout.backward(grad, x, weight, needs_x, needs_weight)
        return (*grads, grad.sum((0, 2)) if needs_bias else None, None)


def conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    dilation: int = 1,
    padding: Tuple[int, int] = (0, 0),
    stride: int = 1,
) -> Tensor:
    """``F.conv1d`` of a zero-padded signal; what it keeps for the backward is not padded, unless
    there is a stride.

    Shape:
        - x: (B, C, T)
        - weight: (D, C, K)
        - bias: (D,)
        - Output: (B, D, (T + sum(padding) - dilation * (K - 1) - 1) // stride + 1)

    >>> x, w = torch.randn(1, 2, 50), torch.randn(3, 2, 5)
    >>> plain = F.conv1d(F.pad(x, (32, 0)), w, dilation=8)
    >>> torch.allclose(conv1d(x, w, None, 8, (32, 0)), plain, atol=1e-5)
    True
    """
    if channels_last.is_apt(x):
        conv = channels_last.Convolution(
            weight, bias, dilation, padding, _autocast_dtype(x), stride
        )
        with full_precision(x):
            return channels_last.conv1d(x, conv)
    x, weight, bias = _autocast(x, weight, bias)
    if stride > 1:
        return F.conv1d(F.pad(x, padding), weight, bias, stride, dilation=dilation)
    layout = _Layout(padding, dilation, weight.shape[-1])
    if torch.compiler.is_compiling():
        return layout.forward(x, weight, bias)
    return _Conv.apply(x, weight, bias, layout)


class Statistics(NamedTuple):
    """Per channel (1, C, 1): what a batch norm subtracts, and its biased variance."""

    mean: Tensor
    variance: Tensor


class _FilmBlock(Function):
    @staticmethod
    def forward(
        ctx, x, weight, bias, gamma, beta, mix, mix_bias, layout, normalize, fixed, eps, dtype
    ):
        u = layout.forward(x.to(dtype), weight.to(dtype), bias.to(dtype))
        statistics = fixed
        if normalize:
            if fixed is None:
                mean = u.mean((0, 2), keepdim=True, dtype=x.dtype)
                u -= mean
                # A norm or var() would add up in an order that loses three digits.
                wide = u.to(x.dtype)
                power = torch.linalg.vecdot(wide, wide)[..., None]
                statistics = Statistics(mean, power.mean(0, keepdim=True) / u.shape[2])
            else:
                u -= fixed.mean
            rstd = (statistics.variance + eps).rsqrt()
            scale = gamma * rstd
        else:
            rstd = None
            scale = gamma
        y = torch.baddbmm(mix_bias[:, None], mix.squeeze(-1).expand(len(x), -1, -1), x)
        y += F.gelu(torch.addcmul(beta, u.to(x.dtype), scale))
        ctx.save_for_backward(x, u, weight, mix, scale, beta, rstd)
        ctx.layout, ctx.normalize = layout, normalize and fixed is None
        ctx.set_materialize_grads(False)
        mean, variance = statistics if ctx.normalize else (None, None)
        if ctx.normalize:
            ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    def backward(ctx, grad, *_):
        if grad is None:
            return (None,) * 12
        x, u, weight, mix, scale, beta, rstd = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        grad, dtype, u = grad.contiguous(), u.dtype, u.to(x.dtype)
        batch, channels, length = u.shape
        inner = torch.ops.aten.gelu_backward(grad, torch.addcmul(beta, u, scale))
        grad_beta = inner.sum(-1, keepdim=True)
        along = torch.linalg.vecdot(inner, u).unsqueeze(-1)
        grad_gamma = along if rstd is None else along * rstd
        if ctx.normalize:
            # The derivative of (u - mean) / sqrt(variance + eps), whose u here is centered already.
            count = batch * length
            shift = (scale * grad_beta).sum(0, keepdim=True) / count
            slope = (scale * along).sum(0, keepdim=True) * rstd.square() / count
            inner = inner.mul_(scale).sub_(shift).addcmul_(u, -slope)
        else:
            inner = inner.mul_(scale)
        grad_bias = None
        if needs_bias:  # Batch statistics take any bias away.
            grad_bias = inner.new_zeros(channels) if ctx.normalize else inner.sum((0, 2))
        low = (inner.to(dtype), x.to(dtype), weight.to(dtype))
        grad_x, grad_weight = ctx.layout.backward(*low, needs_x, needs_weight)
        del inner, low
        if needs_x:
            grad_x = grad_x.to(x.dtype)
            grad_x.baddbmm_(mix.squeeze(-1).t().expand(batch, -1, -1), grad)
        grad_mix = torch.bmm(grad, x.transpose(1, 2)).sum(0).unsqueeze(-1)
        grad_mix_bias = grad.sum((0, 2))
        if needs_weight:
            grad_weight = grad_weight.to(weight.dtype)
        grads = (grad_x, grad_weight, grad_bias, grad_gamma, grad_beta, grad_mix, grad_mix_bias)
        return (*grads, None, None, None, None, None)


def film_block(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    gamma: Tensor,
    beta: Tensor,
    mix: Tensor,
    mix_bias: Tensor,
    dilation: int,
    padding: Tuple[int, int],
    normalize: bool,
    fixed: Optional[Statistics] = None,
    eps: float = 1e-5,
) -> Tuple[Tensor, Optional[Statistics]]:
    """``gelu(gamma * norm(conv(x)) + beta) + mix(x)``.

    Keeps x and conv(x). Under autocast the dilated convolution runs in 16 bits; statistics,
    modulation and the path past it, through which the sound goes, stay in float32.

    Args:
        x: input.
        weight: of the dilated convolution.
        bias: of the dilated convolution.
        gamma: scale of each channel.
        beta: shift of each channel.
        mix: weight of the 1x1 convolution.
        mix_bias: bias of the 1x1 convolution.
        dilation: of the convolution.
        padding: zeros before and after the signal, as many in all as the convolution takes away.
        normalize: by a batch norm without affine parameters.
        fixed: statistics to normalize by; those of the batch when None.
        eps: of the batch norm.

    Shape:
        - x: (B, C, T)
        - gamma, beta: (B, D, 1)
        - Output: (B, D, T), and the statistics of the batch where they were used
    """
    layout = _Layout(padding, dilation, weight.shape[-1])
    dtype = _autocast_dtype(x)
    tensors = [at_least_float32(t) for t in (x, weight, bias, gamma, beta, mix, mix_bias)]
    with full_precision(x):
        if channels_last.is_apt(tensors[0]) and (fixed is not None or not normalize):
            x, weight, bias, gamma, beta, mix, mix_bias = tensors
            if fixed is not None:
                gamma = gamma * (fixed.variance + eps).rsqrt()
                beta = beta - gamma * fixed.mean
            conv = channels_last.Convolution(weight, bias, dilation, padding, dtype)
            return channels_last.film_block(x, conv, gamma, beta, mix, mix_bias), None
        if torch.compiler.is_compiling():
            return _traced_film_block(*tensors, layout, normalize, fixed, eps, dtype)
        y, mean, variance = _FilmBlock.apply(*tensors, layout, normalize, fixed, eps, dtype)
    return y, None if mean is None else Statistics(mean, variance)


def _traced_film_block(
    x, weight, bias, gamma, beta, mix, mix_bias, layout, normalize, fixed, eps, dtype
):
    """What a compiler sees: it fuses and recomputes by itself, and derives wrong gradients here
    from a backward of our own (PyTorch 2.11)."""
    u = layout.forward(x.to(dtype), weight.to(dtype), bias.to(dtype)).to(x.dtype)
    statistics = fixed
    if normalize:
        if fixed is None:
            mean = u.mean((0, 2), keepdim=True)
            statistics = Statistics(mean, (u - mean).square().mean((0, 2), keepdim=True))
        gamma = gamma * (statistics.variance + eps).rsqrt()
        u = u - statistics.mean
    y = F.gelu(torch.addcmul(beta, u, gamma)) + F.conv1d(x, mix, mix_bias)
    if not normalize or fixed is not None:
        return y, None
    return y, Statistics(statistics.mean.detach(), statistics.variance.detach())


class _EluUnit(Function):
    @staticmethod
    def forward(ctx, x, weight, bias, mix, mix_bias, layout):
        h = F.elu(layout.forward(x, weight, bias), inplace=True)
        ctx.save_for_backward(x, h, weight, mix, mix_bias)
        ctx.layout = layout
        return _mixed(h, mix, mix_bias).add_(x)

    @staticmethod
    def backward(ctx, grad):
        x, h, weight, mix, mix_bias = ctx.saved_tensors
        grad = grad.contiguous()
        # From the result y of an ELU its derivative is 1 or y + 1.
        inner = _elu_backward(grad, _mixed(h, mix, mix_bias))
        grad_mix = torch.bmm(inner, h.transpose(1, 2)).sum(0).unsqueeze(-1)
        grad_mix_bias = inner.sum((0, 2))
        inner = torch.matmul(mix.squeeze(-1).t(), inner)
        inner = _elu_backward(inner, h)
        needs_x, needs_weight = ctx.needs_input_grad[:2]
        grad_x, grad_weight = ctx.layout.backward(inner, x, weight, needs_x, needs_weight)
        if needs_x:
            grad_x += grad
        return grad_x, grad_weight, inner.sum((0, 2)), grad_mix, grad_mix_bias, None


def _mixed(h: Tensor, mix: Tensor, mix_bias: Tensor) -> Tensor:
    mixed = torch.baddbmm(mix_bias[:, None], mix.squeeze(-1).expand(len(h), -1, -1), h)
    return F.elu(mixed, inplace=True)


def _elu_backward(grad: Tensor, result: Tensor) -> Tensor:
    return torch.ops.aten.elu_backward(grad, 1.0, 1.0, 1.0, True, result)


def elu_(x: Tensor) -> Tensor:
    """``F.elu`` in place.

    >>> elu_(torch.tensor([-1.0, 2.0]).double()).round(decimals=3).tolist()
    [-0.632, 2.0]
    """
    return channels_last.elu_(x) if channels_last.is_apt(x) else F.elu(x, inplace=True)


def elu_unit(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    mix: Tensor,
    mix_bias: Tensor,
    dilation: int,
    padding: Tuple[int, int],
) -> Tensor:
    """``elu(mix(elu(conv(x)))) + x``, the residual unit of SoundStream's encoder.

    Keeps x and elu(conv(x)).

    Args:
        x: input.
        weight: of the dilated convolution.
        bias: of the dilated convolution.
        mix: weight of the 1x1 convolution.
        mix_bias: bias of the 1x1 convolution.
        dilation: of the convolution.
        padding: zeros before and after the signal, as many in all as the convolution takes away.

    Shape:
        - x: (B, C, T)
        - Output: (B, C, T)
    """
    if channels_last.is_apt(x):
        conv = channels_last.Convolution(weight, bias, dilation, padding, _autocast_dtype(x))
        with full_precision(x):
            return channels_last.elu_unit(x, conv, mix, mix_bias)
    layout = _Layout(padding, dilation, weight.shape[-1])
    x, weight, bias, mix, mix_bias = _autocast(x, weight, bias, mix, mix_bias)
    if torch.compiler.is_compiling():
        return F.elu(F.conv1d(F.elu(layout.forward(x, weight, bias)), mix, mix_bias)) + x
    return _EluUnit.apply(x, weight, bias, mix, mix_bias, layout)


def _autocast(*tensors: Optional[Tensor]) -> Tuple[Optional[Tensor], ...]:
    """What autocast does to the arguments of a convolution, which it cannot see in here."""
    dtype = _autocast_dtype(tensors[0])
    return tuple(None if t is None else t.to(dtype) for t in tensors)


def _autocast_dtype(x: Tensor) -> torch.dtype:
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
