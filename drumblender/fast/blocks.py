"""The door to the fast blocks, which knows some modules and when their short cuts hold.

A known module gets another class, a subclass of its own with the same parameters, names and hooks.
Before every call that class looks at the layers that it would pass over. If one of them is not what
it was made for (another activation, a forward hook, a subclass, a parametrization, an option), the
module's own forward calls the layers one after the other.
"""

from typing import Optional, Tuple

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from drumblender.fast import rows
from drumblender.fast.convolution import conv
from drumblender.fast.elu import elu_unit
from drumblender.fast.film import film_block
from drumblender.models.components import FiLM, Pad
from drumblender.models.soundstream import ResidualUnit
from drumblender.models.tcn import TCNBlock
from drumblender.signal import at_least_float32, full_precision


def accelerate(model: nn.Module, enabled: bool = True) -> nn.Module:
    """Let the known blocks of a model compute the same in less time and memory.

    Parameters, their names and hooks stay as they are. If a layer of a block is exchanged, hooked
    or parametrized later, the block calls its layers again, and that has its effect. Only blocks
    whose class is exactly a known one change. The blocks have first derivatives only, so keep a
    model as it is if you need derivatives of derivatives.

    Args:
        model: any module. It is changed and returned.
        enabled: whether to compute fast. False lets a model compute plainly again.

    >>> block = TCNBlock(4, 4, 3, 1, True, None, "gelu", True, 8, True, False, 0).eval()
    >>> x, e = torch.randn(2, 4, 100), torch.randn(2, 8)
    >>> torch.allclose(block(x, e), accelerate(block)(x, e), atol=1e-5)
    True
    """
    known = FAST if enabled else {fast: plain for plain, fast in FAST.items()}
    for module in model.modules():
        kind = known.get(type(module))
        if kind is not None and APT.get(kind, lambda _: True)(module):
            module.__class__ = kind
    return model


class PointwiseConv(nn.Conv1d):
    """A convolution with a kernel of one, which is one matrix product if no gradient is needed."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, (B, C, T) to (B, D, T)."""
        exact = _dtype(x) == x.dtype
        if exact and rows.are_apt(x) and x.ndim == 3 and _is_usual(self, 1):
            return conv(x, self.weight, self.bias, 0, 0, 1, 1, False, x.dtype)
        return super().forward(x)


class PaddedConv(nn.Sequential):
    """Padding, a convolution and an ELU behind them, as one operation."""

    def forward(self, x: Tensor) -> Tensor:
        """Pad and convolve, (B, C, T) to (B, D, T')."""
        if not (x.ndim == 3 and _starts_with_pad(self) and _is_free(self, *self)):
            return super().forward(x)
        pad, convolution, *rest = self
        # The derivative needs what the ELU gives, which no other layer may change in place.
        elu = len(rest) == 1 and _is_elu(rest[0])
        tensors = x, convolution.weight, convolution.bias
        geometry = *pad.padding, *convolution.dilation, *convolution.stride
        if rows.are_apt(x):
            x = conv(*tensors, *geometry, elu, _dtype(x))
        else:
            x = conv(*_cast(*tensors), *geometry, elu, None)
        for layer in () if elu else rest:
            x = layer(x)
        return x


class FastResidualUnit(ResidualUnit):
    """A residual unit without FiLM as one operation."""

    def forward(self, x: Tensor, embedding: Optional[Tensor] = None) -> Tensor:
        """Compute the unit, (B, C, T) to (B, C, T)."""
        if x.ndim != 3 or not self._is_usual():
            return super().forward(x, embedding)
        pad, convolution, _, mix = self.net
        tensors = x, convolution.weight, convolution.bias, mix.weight, mix.bias
        geometry = *pad.padding, *convolution.dilation
        if rows.are_apt(x):
            return elu_unit(*tensors, *geometry, _dtype(x))[0]
        return elu_unit(*_cast(*tensors), *geometry, None)[0]

    def _is_usual(self) -> bool:
        """Return whether the layers are those that the operation computes."""
        return (
            self.film is None
            and len(self.net) == 4
            and _starts_with_pad(self.net)
            and _is_same_length(self.net[0], self.net[1])
            and _is_elu(self.net[2])
            and _is_usual(self.net[3], 1)
            and self.net[3].bias is not None
            and _is_elu(self.activation)
            and _is_free(self.net, *self.net, self.activation)
        )


class FastTCNBlock(TCNBlock):
    """A dilated convolution, FiLM and GELU, with a 1x1 convolution beside them, as one operation.

    Under autocast the dilated convolution computes in 16 bits. The statistics, the modulation and
    the 1x1 convolution, through which the sound goes, stay in float32.
    """

    def forward(self, x: Tensor, embedding: Optional[Tensor] = None) -> Tensor:
        """Compute the block, (B, C_in, T) to (B, C_out, T)."""
        if x.ndim != 3 or not self._is_usual():
            return super().forward(x, embedding)
        pad, convolution = self.net
        norm = self.film.norm
        with full_precision(x):
            gamma, beta = self.film.coefficients(at_least_float32(embedding))
        mean = variance = None
        if norm is not None and not norm.training:
            mean, variance = norm.running_mean[None, :, None], norm.running_var[None, :, None]
        mix = self.residual.weight, self.residual.bias
        tensors = x, convolution.weight, convolution.bias, gamma, beta, *mix
        tensors = tuple(at_least_float32(t) for t in tensors)
        by_batch = norm is not None and norm.training
        y, _, *own = film_block(
            *tensors,
            mean,
            variance,
            *pad.padding,
            *convolution.dilation,
            norm is not None,
            1.0 if norm is None else norm.eps,
            _dtype(x),
            rows.are_apt(tensors[0]) and not by_batch,
        )
        if by_batch:
            _track(norm, *own, y.shape[0] * y.shape[2])
        return y

    def _is_usual(self) -> bool:
        """Return whether the layers are those that the operation computes."""
        return (
            self.film is not None
            and type(self.film) is FiLM
            and _is_usual_norm(self.film.norm)
            and self.temporal_film is None
            and type(self.activation) is nn.GELU
            and self.activation.approximate == "none"
            and len(self.net) == 2
            and _starts_with_pad(self.net)
            and _is_same_length(self.net[0], self.net[1])
            and _is_usual(self.residual, 1)
            and self.residual.bias is not None
            and _is_free(self.net, *self.net, self.film, self.activation, self.residual)
            and (self.film.norm is None or _is_free(self.film.norm))
        )


FAST = {
    nn.Conv1d: PointwiseConv,
    nn.Sequential: PaddedConv,
    ResidualUnit: FastResidualUnit,
    TCNBlock: FastTCNBlock,
}


# What else must be true of a module for it to become one of these.
APT = {
    PointwiseConv: lambda module: module.kernel_size == (1,),
    PaddedConv: lambda module: _starts_with_pad(module),
}


def _is_free(*layers: nn.Module) -> bool:
    """Return whether no hook listens to the calls of these layers, or to those of all modules."""
    return not torch_module._has_any_global_hook() and not any(
        layer._forward_hooks
        or layer._forward_pre_hooks
        or layer._backward_hooks
        or layer._backward_pre_hooks
        or "forward" in layer.__dict__
        for layer in layers
    )


def _starts_with_pad(net: nn.Sequential) -> bool:
    """Return whether padding and a usual convolution come first."""
    return len(net) > 1 and type(net[0]) is Pad and _is_usual(net[1])


def _is_usual(conv: nn.Module, kernel_size: Optional[int] = None) -> bool:
    """Return whether a module is a convolution of nothing but weight, bias, dilation and stride.

    With a ``kernel_size``, it also has to have that size, and neither dilation nor stride.
    """
    return (
        type(conv) in (nn.Conv1d, PointwiseConv)
        and conv.groups == 1
        and conv.padding == (0,)
        and (kernel_size is None or (conv.kernel_size, conv.stride) == ((kernel_size,), (1,)))
    )


def _is_same_length(pad: Pad, conv: nn.Module) -> bool:
    """Return whether the output is as long as the input, and the convolution has a bias."""
    taken = conv.dilation[0] * (conv.kernel_size[0] - 1)
    usual = _is_usual(conv) and conv.stride == (1,) and conv.bias is not None
    return usual and sum(pad.padding) == taken


def _is_elu(layer: nn.Module) -> bool:
    """Return whether a layer is an ELU as the operations compute it."""
    return type(layer) is nn.ELU and layer.alpha == 1.0


def _is_usual_norm(norm: Optional[nn.Module]) -> bool:
    """Return whether a norm is none, or one whose statistics come from this process's batches."""
    return norm is None or (
        type(norm) is nn.BatchNorm1d
        and norm.weight is None
        and norm.running_mean is not None
        and norm.momentum is not None
    )


def _track(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor, count: int) -> None:
    """Move a batch norm's running statistics as its own forward would."""
    norm.num_batches_tracked.add_(1)
    norm.running_mean.lerp_(mean.flatten(), norm.momentum)
    norm.running_var.lerp_(variance.flatten() * (count / max(count - 1, 1)), norm.momentum)


def _cast(*tensors: Optional[Tensor]) -> Tuple[Optional[Tensor], ...]:
    """Cast the arguments of a convolution as autocast does, which does not look into operations."""
    dtype = _dtype(tensors[0])
    return tuple(None if t is None else t.to(dtype) for t in tensors)


def _dtype(x: Tensor) -> torch.dtype:
    """Return the type in which autocast would compute a convolution of this tensor."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
