"""Causal TCNs on a CPU where no gradient is needed, all at once or in blocks, with the same result.

A dilated convolution is a sum of matrix products here, one for each tap of its kernel. A tap reads
rows that lie side by side in memory, so that nothing is copied. A product has the same terms in the
same order however many rows it has, so that a signal that goes through the network in blocks comes
out with the same bits as the whole. Each layer keeps the rows that its kernel reaches back to.
"""

from typing import List, NamedTuple, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

# A block has a multiple of so many samples: products of a few rows take other ways through a
# library of linear algebra, and elements that do not fill its vectors do as well.
PIECE = 64
# Samples that go through the network at once, which is what a core's cache likes.
_CHUNK = 8192


class Layer(NamedTuple):
    """A layer ``gelu(shift + conv(x)) + mix(x)``, whose modulation is inside of the weights.

    Attributes:
        taps: weights of the taps from the earliest to the latest one, (K, C, D).
        shift: what is added to the convolution, (D,).
        dilation: number of samples between taps.
        mix: weight (C, D) of the 1x1 convolution.
        mix_bias: bias (D,) of the 1x1 convolution.
    """

    taps: Tensor
    shift: Tensor
    dilation: int
    mix: Tensor
    mix_bias: Tensor

    @property
    def reach(self) -> int:
        """Number of samples that the kernel reaches back."""
        return self.dilation * (len(self.taps) - 1)


class Network(NamedTuple):
    """A causal TCN with one embedding.

    Attributes:
        first: weight (C_in, H) and bias (H,) of the 1x1 convolution in front.
        layers: its layers.
        last: weight (H, C_out) and bias (C_out,) of the 1x1 convolution behind.
    """

    first: Tuple[Tensor, Tensor]
    layers: List[Layer]
    last: Tuple[Tensor, Tensor]


# For each layer, the rows that its kernel reaches back to, (reach, H).
Memory = Tuple[Tensor, ...]


def silence(network: Network) -> Memory:
    """Return the memory before the first sample."""
    return tuple(x.mix.new_zeros(x.reach, len(x.mix)) for x in network.layers)


def block(network: Network, memory: Memory, x: Tensor) -> Tuple[Tensor, Memory]:
    """Let a block of a signal go through a network.

    Args:
        network: the network.
        memory: what the layers remember of the samples before the block.
        x: the block, whose length T is a multiple of ``PIECE``.

    Returns:
        The result (T, C_out), and the memory for the next block.

    Shape:
        - x: (T, C_in)
    """
    count = len(x)
    x = torch.addmm(network.first[1], x, network.first[0])
    kept = []
    for layer, before in zip(network.layers, memory):
        line = torch.cat([before, x])
        kept.append(line[count:])
        y = torch.addmm(layer.shift, line[:count], layer.taps[0])
        for tap in range(1, len(layer.taps)):
            begin = tap * layer.dilation
            y.addmm_(line[begin : begin + count], layer.taps[tap])
        x = torch.addmm(layer.mix_bias, x, layer.mix).add_(F.gelu(y))
    return torch.addmm(network.last[1], x, network.last[0]), tuple(kept)


def through(network: Network, x: Tensor) -> Tensor:
    """Let a whole signal (C_in, T) of any length go through a network, to (C_out, T)."""
    length = x.shape[-1]
    lines = F.pad(x, (0, -length % PIECE)).t().contiguous()
    memory, made = silence(network), []
    for chunk in lines.split(_CHUNK):
        y, memory = block(network, memory, chunk)
        made.append(y)
    return torch.cat(made)[:length].t()
