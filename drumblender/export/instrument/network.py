"""The transient of a drum in blocks, in operations that TorchScript compiles.

It is a causal network as in :mod:`drumblender.fast.causal`, whose modulation is inside of the
weights, or a waveform that was measured.
"""

from typing import Final, List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drumblender.fast.causal import Network


class Layer(nn.Module):
    """A layer ``gelu(shift + conv(x)) + mix(x)`` for each channel of a sound.

    Args:
        taps: weights of the taps from the earliest to the latest one.
        shift: what is added to the convolution.
        mix: weight of the 1x1 convolution.
        mix_bias: bias of the 1x1 convolution.
        dilation: number of samples between taps.

    Shape:
        - taps: (C, K, H, D)
        - shift, mix_bias: (C, D)
        - mix: (C, H, D)
    """

    taps: Tensor
    shift: Tensor
    mix: Tensor
    mix_bias: Tensor

    def __init__(self, taps: Tensor, shift: Tensor, mix: Tensor, mix_bias: Tensor, dilation: int):
        super().__init__()
        self.register_buffer("taps", taps.flatten(1, 2).contiguous())
        self.register_buffer("shift", shift[:, None].contiguous())
        self.register_buffer("mix", mix.contiguous())
        self.register_buffer("mix_bias", mix_bias[:, None].contiguous())
        self.kernel, self.dilation = taps.shape[1], dilation

    def forward(self, x: Tensor, before: Tensor) -> Tuple[Tensor, Tensor]:
        """Compute a block (C, T, H) behind the rows before it, and return what to remember."""
        count = x.shape[1]
        line = torch.cat([before, x], dim=1)
        reached = [
            line[:, tap * self.dilation : tap * self.dilation + count] for tap in range(self.kernel)
        ]
        y = torch.baddbmm(self.shift, torch.cat(reached, dim=2), self.taps)
        return torch.baddbmm(self.mix_bias, x, self.mix) + F.gelu(y), line[:, count:]


class Shaper(nn.Module):
    """A transient: a network that shapes a signal, or a waveform.

    Args:
        networks: network of each channel. None stands for a waveform.
        wave: samples (C, N) that are played if there is no network. Silence follows them.
        window: gain of the first samples. All others are silent. None stands for no such end.
        learned: signal (channels, N) that the network gets beside the input.
    """

    wave: Tensor
    window: Tensor
    learned: Tensor
    first: Tensor
    first_bias: Tensor
    last: Tensor
    last_bias: Tensor

    # The end of a window that never ends.
    NEVER: Final[int] = 2**40

    def __init__(
        self,
        networks: Optional[Sequence[Network]],
        wave: Tensor,
        window: Optional[Tensor] = None,
        learned: Optional[Tensor] = None,
    ):
        super().__init__()
        self.is_network = networks is not None
        self.ends = window is not None
        self.learns = learned is not None
        layers: List[Layer] = []
        ends = [torch.zeros(1, 1, 1), torch.zeros(1, 1, 1)] * 2
        if networks is not None:
            for each in zip(*(network.layers for network in networks)):
                taps, shift, mix, mix_bias = (
                    torch.stack([getattr(layer, name) for layer in each])
                    for name in ("taps", "shift", "mix", "mix_bias")
                )
                layers.append(Layer(taps, shift, mix, mix_bias, each[0].dilation))
            ends = [torch.stack([network.first[k] for network in networks]) for k in (0, 1)]
            ends += [torch.stack([network.last[k] for network in networks]) for k in (0, 1)]
        self.layers = nn.ModuleList(layers)
        names = ("first", "first_bias", "last", "last_bias")
        for name, value in zip(names, ends):
            self.register_buffer(name, value[:, None] if "bias" in name else value)
        self.register_buffer("wave", wave)
        self.register_buffer("window", torch.ones(1) if window is None else window.float())
        self.register_buffer("learned", torch.zeros(1, 1) if learned is None else learned)
        self.reaches = [layer.dilation * (layer.kernel - 1) for layer in layers]

    @torch.jit.ignore
    def silence(self) -> List[Tensor]:
        """Return the memory before the first sample."""
        shape = len(self.first), -1, self.first.shape[2]
        return [torch.zeros(shape[0], reach, shape[2]) for reach in self.reaches]

    def forward(self, x: Tensor, time: int, memory: List[Tensor]) -> Tuple[Tensor, List[Tensor]]:
        """Play a block.

        Args:
            x: the signal that goes into the network.
            time: its first sample.
            memory: what the network remembers.

        Returns:
            The samples, and what the network remembers after them.

        Shape:
            - x: (C, n)
            - Output: (C, n)
        """
        count = x.shape[1]
        if not self.is_network:
            return _cut(self.wave, time, count).expand(len(x), count), memory
        if self.ends and time >= len(self.window):
            return torch.zeros_like(x), memory
        line = x[:, :, None]
        if self.learns:
            learned = _cut(self.learned, time, count).t()
            line = torch.cat([line, learned.expand(len(x), -1, -1)], dim=2)
        line = torch.baddbmm(self.first_bias, line, self.first)
        kept: List[Tensor] = []
        for i, layer in enumerate(self.layers):
            line, after = layer(line, memory[i])
            kept.append(after)
        y = torch.baddbmm(self.last_bias, line, self.last)[:, :, 0]
        if self.ends:
            y = y * _cut(self.window[None], time, count)[0]
        return y, kept


def _cut(x: Tensor, begin: int, count: int) -> Tensor:
    """Return samples (..., count) of a line (..., N). Silence follows it."""
    part = x[..., begin : begin + count]
    return F.pad(part, [0, count - part.shape[-1]])
