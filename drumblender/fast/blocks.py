"""The door to the fast blocks, which knows some modules and when their short cuts hold.

A known module gets another class, a subclass of its own with the same parameters, names and hooks.
Before every call that class looks at the layers that it would pass over. If one of them is not what
it was made for (another activation, a forward hook, a subclass, a parametrization, an option), the
module's own forward calls the layers one after the other.
"""

from typing import TYPE_CHECKING, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from drumblender.fast import rows
from drumblender.fast.causal import Layer, Network, through
from drumblender.fast.convolution import conv
from drumblender.fast.elu import elu_unit
from drumblender.fast.film import film_block
from drumblender.models.components import FiLM, Pad
from drumblender.models.soundstream import ResidualUnit
from drumblender.models.tcn import TCN, TCNBlock
from drumblender.signal import at_least_float32, full_precision

if TYPE_CHECKING:
    from typing_extensions import TypeGuard


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
        start = _padded_conv(self)
        if x.ndim != 3 or start is None or not _is_free(self, *self):
            return super().forward(x)
        pad, convolution = start
        rest = [*self][2:]
        # The derivative needs what the ELU gives, which no other layer may change in place.
        elu = len(rest) == 1 and _is_elu(rest[0])
        weight, bias, dtype = convolution.weight, convolution.bias, _dtype(x)
        geometry = *pad.padding, convolution.dilation[0], convolution.stride[0]
        if rows.are_apt(x):
            x = conv(x, weight, bias, *geometry, elu, dtype)
        else:
            bias = None if bias is None else bias.to(dtype)
            x = conv(x.to(dtype), weight.to(dtype), bias, *geometry, elu, None)
        for layer in () if elu else rest:
            x = layer(x)
        return x


class FastResidualUnit(ResidualUnit):
    """A residual unit without FiLM as one operation."""

    def forward(self, x: Tensor, embedding: Optional[Tensor] = None) -> Tensor:
        """Compute the unit, (B, C, T) to (B, C, T)."""
        layers = self._layers()
        if x.ndim != 3 or layers is None:
            return super().forward(x, embedding)
        pad, convolution, pointwise = layers
        weight, bias = _parameters(convolution)
        mix, mix_bias = _parameters(pointwise)
        geometry = *pad.padding, convolution.dilation[0]
        dtype = _dtype(x)
        if rows.are_apt(x):
            return elu_unit(x, weight, bias, mix, mix_bias, *geometry, dtype)[0]
        tensors = (x, weight, bias, mix, mix_bias)
        x, weight, bias, mix, mix_bias = (tensor.to(dtype) for tensor in tensors)
        return elu_unit(x, weight, bias, mix, mix_bias, *geometry, None)[0]

    def _layers(self) -> Optional[Tuple[Pad, nn.Conv1d, nn.Conv1d]]:
        """Return padding and convolutions if the layers are those that the operation computes."""
        start = _padded_conv(self.net)
        if self.film is not None or len(self.net) != 4 or start is None:
            return None
        pointwise = self.net[3]
        if (
            _is_same_length(*start)
            and _is_elu(self.net[2])
            and _is_usual(pointwise, 1)
            and pointwise.bias is not None
            and _is_elu(self.activation)
            and _is_free(self.net, *self.net, self.activation)
        ):
            return (*start, pointwise)
        return None


class FastTCNBlock(TCNBlock):
    """A dilated convolution, FiLM and GELU, with a 1x1 convolution beside them, as one operation.

    Under autocast the dilated convolution computes in 16 bits. The statistics, the modulation and
    the 1x1 convolution, through which the sound goes, stay in float32.
    """

    def forward(self, x: Tensor, embedding: Optional[Tensor] = None) -> Tensor:
        """Compute the block, (B, C_in, T) to (B, C_out, T)."""
        layers = self._layers()
        if x.ndim != 3 or embedding is None or layers is None:
            return super().forward(x, embedding)
        pad, convolution, film = layers
        norm = film.norm
        with full_precision(x):
            gamma, beta = film.coefficients(at_least_float32(embedding))
        by_batch = norm is not None and norm.training
        mean = variance = None
        if norm is not None and not by_batch:
            mean, variance = (values[None, :, None] for values in _statistics(norm))
        dtype = _dtype(x)
        tensors = (x, *_parameters(convolution), gamma, beta, *_parameters(self.residual))
        x, weight, bias, gamma, beta, mix, mix_bias = (at_least_float32(t) for t in tensors)
        y, _, own_mean, own_variance = film_block(
            x,
            weight,
            bias,
            gamma,
            beta,
            mix,
            mix_bias,
            mean,
            variance,
            *pad.padding,
            convolution.dilation[0],
            norm is not None,
            1.0 if norm is None else norm.eps,
            dtype,
            rows.are_apt(x) and not by_batch,
        )
        if norm is not None and by_batch:
            _track(norm, own_mean, own_variance, y.shape[0] * y.shape[2])
        return y

    def layer(self, embedding: Tensor) -> Optional[Layer]:
        """Return the block as a layer of products with one embedding (1, E), if it is causal."""
        layers = self._layers()
        if layers is None or layers[0].padding[1]:
            return None
        _, convolution, film = layers
        if film.norm is not None and film.norm.training:
            return None
        gamma, beta = (x[0] for x in film.coefficients(at_least_float32(embedding)))
        if film.norm is not None:
            mean, variance = (values[:, None] for values in _statistics(film.norm))
            gamma = gamma * (variance + film.norm.eps).rsqrt()
            beta = beta - gamma * mean
        weight, bias = _parameters(convolution)
        mix, mix_bias = _parameters(self.residual)
        return Layer(
            taps=(weight * gamma[..., None]).permute(2, 1, 0).contiguous(),
            shift=torch.addcmul(beta, bias[:, None], gamma).squeeze(-1),
            dilation=convolution.dilation[0],
            mix=mix.squeeze(-1).t().contiguous(),
            mix_bias=mix_bias,
        )

    def _layers(self) -> Optional[Tuple[Pad, nn.Conv1d, FiLM]]:
        """Return the layers behind each other if they are those that the operation computes."""
        start, film = _padded_conv(self.net), self.film
        if film is None or start is None:
            return None
        if (
            type(film) is FiLM
            and _is_usual_norm(film.norm)
            and self.temporal_film is None
            and type(self.activation) is nn.GELU
            and self.activation.approximate == "none"
            and len(self.net) == 2
            and _is_same_length(*start)
            and _is_usual(self.residual, 1)
            and self.residual.bias is not None
            and _is_free(self.net, *self.net, film, self.activation, self.residual)
            and (film.norm is None or _is_free(film.norm))
        ):
            return (*start, film)
        return None


class FastTCN(TCN):
    """A causal TCN as matrix products if no gradient is needed (:mod:`drumblender.fast.causal`)."""

    def forward(self, x: Tensor, embedding: Optional[Tensor] = None) -> Tensor:
        """Filter a signal, (B, C_in, T) to (B, C_out, T)."""
        exact = rows.are_apt(x) and _dtype(x) == x.dtype and not torch.compiler.is_compiling()
        if x.ndim == 3 and x.numel() and embedding is not None and exact:
            networks = [self.network(row) for row in embedding.split(1)]
            known = [network for network in networks if network is not None]
            if len(known) == len(x):
                return torch.stack([through(*pair) for pair in zip(known, x)])
        return super().forward(x, embedding)

    def network(self, embedding: Tensor) -> Optional[Network]:
        """Return what the TCN computes with an embedding (1, E), or None if it cannot be blocks.

        It has to be causal and in eval mode, and its blocks have to be those that are known.
        """
        first, last = self.in_projection, self.out_projection
        layers = [
            block.layer(embedding) if type(block) is FastTCNBlock else None for block in self.net
        ]
        known = [layer for layer in layers if layer is not None]
        if not (
            len(known) == len(layers)
            and _is_usual(first, 1)
            and _is_usual(last, 1)
            and first.bias is not None
            and last.bias is not None
            and _is_free(first, last, self.net, *self.net)
        ):
            return None
        ends = [(x.weight.squeeze(-1).t().contiguous(), _parameters(x)[1]) for x in (first, last)]
        return Network(ends[0], known, ends[1])


FAST = {
    nn.Conv1d: PointwiseConv,
    nn.Sequential: PaddedConv,
    ResidualUnit: FastResidualUnit,
    TCNBlock: FastTCNBlock,
    TCN: FastTCN,
}


# What else must be true of a module for it to become one of these.
APT = {
    PointwiseConv: lambda module: module.kernel_size == (1,),
    PaddedConv: lambda module: _padded_conv(module) is not None,
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


def _padded_conv(net: nn.Sequential) -> Optional[Tuple[Pad, nn.Conv1d]]:
    """Return the padding and the usual convolution that come first, or None if others do."""
    if len(net) < 2:
        return None
    pad, convolution = net[0], net[1]
    return (pad, convolution) if type(pad) is Pad and _is_usual(convolution) else None


def _is_usual(conv: nn.Module, kernel_size: Optional[int] = None) -> "TypeGuard[nn.Conv1d]":
    """Return whether a module is a convolution of nothing but weight, bias, dilation and stride.

    With a ``kernel_size``, it also has to have that size, and neither dilation nor stride.
    """
    return (
        (type(conv) is nn.Conv1d or type(conv) is PointwiseConv)
        and conv.groups == 1
        and conv.padding == (0,)
        and (kernel_size is None or (conv.kernel_size, conv.stride) == ((kernel_size,), (1,)))
    )


def _is_same_length(pad: Pad, conv: nn.Conv1d) -> bool:
    """Return whether the output is as long as the input, and the convolution has a bias."""
    taken = conv.dilation[0] * (conv.kernel_size[0] - 1)
    return conv.stride == (1,) and conv.bias is not None and sum(pad.padding) == taken


def _parameters(conv: nn.Conv1d) -> Tuple[Tensor, Tensor]:
    """Return the weight of a convolution, and its bias, which it has to have."""
    assert conv.bias is not None
    return conv.weight, conv.bias


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


def _statistics(norm: nn.BatchNorm1d) -> Tuple[Tensor, Tensor]:
    """Return the running mean and variance of a usual norm, (D,) both."""
    assert norm.running_mean is not None  # as _is_usual_norm found
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var


def _track(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor, count: int) -> None:
    """Move a batch norm's running statistics as its own forward would."""
    running_mean, running_variance = _statistics(norm)
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked.add_(1)
    running_mean.lerp_(mean.flatten(), norm.momentum)
    running_variance.lerp_(variance.flatten() * (count / max(count - 1, 1)), norm.momentum)


def _dtype(x: Tensor) -> torch.dtype:
    """Return the type in which autocast would compute a convolution of this tensor.

    Operations get their arguments in this type, because autocast does not look into them.
    """
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
