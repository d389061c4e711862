"""Building blocks that the TCN and the encoders share: padding, conditioning, gates and pooling."""

from typing import Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drumblender.signal import at_least_float32, full_precision


class Pad(nn.Module):
    """Zero-pad the time axis so that a dilated convolution keeps its length.

    Adds ``dilation * (kernel_size - 1)`` zeros: all in front when causal, otherwise half of them
    (rounded down) on each side.

    Args:
        kernel_size: of the convolution that follows.
        dilation: of the convolution that follows.
        causal: whether an output may depend on later inputs.

    Shape:
        - Input: (..., T)
        - Output: (..., T + dilation * (kernel_size - 1)), one less on odd totals when not causal.

    >>> Pad(7, dilation=3)(torch.zeros(1, 1, 10)).shape
    torch.Size([1, 1, 28])
    """

    def __init__(self, kernel_size: int, dilation: int = 1, causal: bool = True):
        super().__init__()
        total = dilation * (kernel_size - 1)
        self.padding: Tuple[int, int] = (total, 0) if causal else (total // 2, total // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.padding)


class FiLM(nn.Module):
    """Feature-wise linear modulation of channels by an embedding (Perez et al., AAAI 2018).

    ``y = gamma(e) * norm(x) + beta(e)`` with ``[gamma, beta] = W e + b``, one pair per channel.

    Args:
        film_embedding_size: E.
        input_channels: C.
        use_batch_norm: normalize x by a batch norm without affine parameters first.

    Shape:
        - Input: x (B, C, T), embedding (B, E)
        - Output: (B, C, T)

    >>> FiLM(8, 4)(torch.zeros(2, 4, 10), torch.zeros(2, 8)).shape
    torch.Size([2, 4, 10])
    """

    def __init__(self, film_embedding_size: int, input_channels: int, use_batch_norm: bool = True):
        super().__init__()
        self.norm = nn.BatchNorm1d(input_channels, affine=False) if use_batch_norm else None
        self.net = nn.Linear(film_embedding_size, 2 * input_channels)

    def coefficients(self, embedding: Tensor) -> Tuple[Tensor, Tensor]:
        """Scale and shift of each channel, (B, C, 1) both."""
        return self.net(embedding).unsqueeze(-1).chunk(2, dim=1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        gamma, beta = self.coefficients(embedding)
        if self.norm is not None:
            x = self.norm(x)
        return gamma * x + beta


class TFiLM(nn.Module):
    """Temporal FiLM (Birnbaum et al., NeurIPS 2019): a recurrent net modulates blocks of time.

    The signal is max-pooled in blocks, an LSTM runs over the blocks, and its output scales each
    channel of the block. A last block that is not full is padded for the pooling only.

    Args:
        channels: C.
        block_size: samples per block.

    Shape:
        - Input: (B, C, T)
        - Output: (B, C, T)

    >>> TFiLM(4, 8)(torch.zeros(2, 4, 20)).shape
    torch.Size([2, 4, 20])
    """

    def __init__(self, channels: int, block_size: int):
        super().__init__()
        self.block_size = block_size
        self.rnn = nn.LSTM(channels, channels, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.max_pool1d(x, self.block_size, ceil_mode=True)
        scale, _ = self.rnn(pooled.transpose(1, 2))
        scale = scale.transpose(1, 2).repeat_interleave(self.block_size, dim=-1)
        return x * scale[..., : x.shape[-1]]


class GatedActivation(nn.Module):
    """The gate of WaveNet (van den Oord et al., 2016): tanh of one half times sigmoid of the other.

    Shape:
        - Input: (B, 2 C, T)
        - Output: (B, C, T)

    >>> GatedActivation()(torch.zeros(1, 6, 5)).shape
    torch.Size([1, 3, 5])
    """

    def forward(self, x: Tensor) -> Tensor:
        signal, gate = x.chunk(2, dim=1)
        return torch.tanh(signal) * torch.sigmoid(gate)


class AttentionPooling(nn.Module):
    """Pool a sequence to one vector by attention with one learned query.

    Layer norm, then one attention head without biases. The query starts at zero, so that training
    starts from the mean over time.

    Args:
        in_features: E.
        keep_seq_dim: keep the pooled axis, of length one.

    Shape:
        - Input: (B, T, E)
        - Output: (B, E), or (B, 1, E) with ``keep_seq_dim``.

    >>> AttentionPooling(8)(torch.zeros(2, 5, 8)).shape
    torch.Size([2, 8])
    """

    def __init__(self, in_features: int, keep_seq_dim: bool = False):
        super().__init__()
        self.keep_seq_dim = keep_seq_dim
        self.query = nn.Parameter(torch.zeros(1, 1, in_features))
        self.norm = nn.LayerNorm(in_features)
        self.attn = nn.MultiheadAttention(in_features, num_heads=1, bias=False, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        # A sum over hundreds of frames; and on a CPU, attention in 16 bits is many times slower.
        with full_precision(x):
            x = self.norm(at_least_float32(x))
            query = self.query.expand(x.shape[0], -1, -1)
            pooled, _ = self.attn(query, x, x, need_weights=False)
        return pooled if self.keep_seq_dim else pooled.squeeze(1)
