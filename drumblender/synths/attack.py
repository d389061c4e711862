"""A transient network that works on the attack only."""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drumblender.models.tcn import TCN


class AttackTCN(nn.Module):
    """A causal TCN that shapes the beginning of a signal, and is silent after it.

    A transient is over within some tens of milliseconds. A network that computes no more of it
    takes a fraction of the time, and cannot learn what is not of the attack. Before training the
    network is silent, so that beside other parts (:class:`~drumblender.tasks.wiring.Parallel`) it
    begins by changing nothing.

    Args:
        length: number of samples that the network works on.
        fade: number of samples before ``length`` over which its output fades out.
        hidden_channels: number of channels inside the TCN.
        num_layers: number of layers, whose dilation doubles from layer to layer.
        kernel_size: kernel size of the dilated convolutions.
        film_embedding_size: number E of values of the embedding that modulates the layers.

    Shape:
        - Input: x (B, 1, N), embedding (B, E)
        - Output: (B, 1, N)

    >>> synth = AttackTCN(length=64, fade=16, film_embedding_size=4)
    >>> y = synth(torch.ones(2, 1, 100), torch.ones(2, 4))
    >>> y.shape, bool(y.any())
    (torch.Size([2, 1, 100]), False)
    """

    window: Tensor

    def __init__(
        self,
        length: int = 4096,
        fade: int = 1024,
        hidden_channels: int = 16,
        num_layers: int = 6,
        kernel_size: int = 7,
        film_embedding_size: int = 64,
    ):
        super().__init__()
        self.length = length
        self.tcn = TCN(
            1,
            hidden_channels,
            1,
            num_layers=num_layers,
            kernel_size=kernel_size,
            film_conditioning=True,
            film_embedding_size=film_embedding_size,
            film_batch_norm=False,
        )
        nn.init.zeros_(self.tcn.out_projection.weight)
        if self.tcn.out_projection.bias is not None:
            nn.init.zeros_(self.tcn.out_projection.bias)
        falling = torch.hann_window(2 * fade)[fade:]
        window = torch.cat([torch.ones(length - fade), falling])
        self.register_buffer("window", window, persistent=False)

    def forward(self, x: Tensor, embedding: Optional[Tensor] = None) -> Tensor:
        """Shape the attack of a signal (B, 1, N) by an embedding (B, E), to (B, 1, N)."""
        attack = self.tcn(x[..., : self.length], embedding)
        attack = attack * self.window[: attack.shape[-1]]
        return F.pad(attack, (0, x.shape[-1] - attack.shape[-1]))
