"""Transient synthesis: a TCN that shapes the attack of the signal that it takes."""

from typing import Optional

import torch
from torch import Tensor, nn

from drumblender.models.tcn import TCN
from drumblender.signal import fit_length


class TransientTCN(nn.Module):
    """A causal TCN that takes the modal signal and gives a signal with its transient.

    An embedding modulates its layers by FiLM.

    Args:
        in_channels: number of channels of the input signal.
        hidden_channels: number of channels inside the TCN.
        out_channels: number of channels of the output signal.
        dilation_base: factor by which the dilation grows from layer to layer.
        dilation_blocks: number of layers after which the dilation starts again from one. None means
            that it never does.
        num_layers: number of layers of the TCN.
        kernel_size: kernel size of the dilated convolutions.
        film_conditioning: whether an embedding modulates the layers.
        film_embedding_size: number E of values of that embedding.
        film_batch_norm: whether FiLM normalizes first.
        transient_conditioning: whether the TCN gets a learned signal at the attack, beside the
            input.
        transient_conditioning_channels: number of channels of the learned signal.
        transient_conditioning_length: length of the learned signal, in samples. Zeros follow it.

    Shape:
        - Input: x (B, in_channels, N), embedding (B, E) or None
        - Output: (B, out_channels, N)

    Raises:
        UsageError: if ``film_conditioning`` is on and there is no embedding.

    >>> synth = TransientTCN(1, 8, 1, num_layers=3, film_conditioning=True, film_embedding_size=4)
    >>> synth(torch.zeros(2, 1, 100), torch.zeros(2, 4)).shape
    torch.Size([2, 1, 100])
    """

    def __init__(
        self,
        in_channels: int = 1,
        hidden_channels: int = 32,
        out_channels: int = 1,
        dilation_base: int = 2,
        dilation_blocks: Optional[int] = None,
        num_layers: int = 8,
        kernel_size: int = 13,
        film_conditioning: bool = False,
        film_embedding_size: int = 128,
        film_batch_norm: bool = True,
        transient_conditioning: bool = False,
        transient_conditioning_channels: int = 32,
        transient_conditioning_length: int = 24000,
    ):
        super().__init__()
        self.transient_conditioning: Optional[nn.Parameter] = None
        if transient_conditioning:
            shape = (1, transient_conditioning_channels, transient_conditioning_length)
            self.transient_conditioning = nn.Parameter(torch.randn(shape))
            in_channels += transient_conditioning_channels
        self.tcn = TCN(
            in_channels,
            hidden_channels,
            out_channels,
            dilation_base,
            dilation_blocks,
            num_layers,
            kernel_size,
            causal=True,
            film_conditioning=film_conditioning,
            film_embedding_size=film_embedding_size,
            film_batch_norm=film_batch_norm,
        )

    def forward(self, x: Tensor, embedding: Optional[Tensor] = None) -> Tensor:
        """Shape the attack of a signal.

        Shape:
            - x: (B, in_channels, N)
            - embedding: (B, E) or None
            - Output: (B, out_channels, N)
        """
        if self.transient_conditioning is not None:
            learned = fit_length(self.transient_conditioning, x.shape[-1])
            x = torch.cat([x, learned.expand(x.shape[0], -1, -1)], dim=1)
        return self.tcn(x, embedding)
