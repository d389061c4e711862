"""Building blocks that the TCN and the encoders share: padding, conditioning, gates and pooling."""

from typing import Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drumblender.signal import at_least_float32, full_precision


class Pad(nn.Module):
    """Zeros around a signal, which let a dilated convolution keep its length.

    The layer adds ``dilation * (kernel_size - 1)`` zeros to the time axis. A causal layer puts all
    of them in front. Another one puts half of them, rounded down, on each side.

    Args:
        kernel_size: size of the kernel of the convolution that follows.
        dilation: dilation of the convolution that follows.
        causal: whether all zeros come first, so that an output depends on no later input.

    Shape:
        - Input: (..., T)
        - Output: (..., T + dilation * (kernel_size - 1)); one sample less when that number of zeros
          is odd and the layer is not causal

    >>> Pad(7, dilation=3)(torch.zeros(1, 1, 10)).shape
    torch.Size([1, 1, 28])
    """

    def __init__(self, kernel_size: int, dilation: int = 1, causal: bool = True):
        super().__init__()
        total = dilation * (kernel_size - 1)
        self.padding: Tuple[int, int] = (total, 0) if causal else (total // 2, total // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Pad a signal, (..., T) to (..., T + zeros).

        Reasoning with a General Conditioning Layer", AAAI 2018).
        """
        return F.pad(x, self.padding)


class FiLM(nn.Module):
    """Feature-wise linear modulation: an embedding scales and shifts the channels of a signal.

    ``y = gamma(e) * norm(x) + beta(e)`` with ``[gamma, beta] = W e + b``. Each channel has one
    gamma and one beta. See Perez et al., "FiLM: Visual Reasoning with a General Conditioning Layer"
    (AAAI 2018).

    Args:
        film_embedding_size: number E of values of the embedding e.
        input_channels: number C of channels of x.
        use_batch_norm: whether norm is a batch norm without affine parameters. Otherwise it does
            nothing.

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
        """Compute the scale and the shift of each channel.

        Shape:
            - embedding: (B, E)
            - Output: two tensors (B, C, 1)
        """
        return self.net(embedding).unsqueeze(-1).chunk(2, dim=1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Scale and shift the channels of x (B, C, T) as an embedding (B, E) says."""
        gamma, beta = self.coefficients(embedding)
        if self.norm is not None:
            x = self.norm(x)
        return gamma * x + beta


class TFiLM(nn.Module):
    """Temporal FiLM: a recurrent network modulates blocks of time.

    The signal is max-pooled in blocks. An LSTM runs over the blocks, and its output scales each
    channel of its block. A last block that is not full is padded for the pooling only. The idea is
    that of Birnbaum et al., "Temporal FiLM: Capturing Long-Range Sequence Dependencies with
    Feature-Wise Modulations" (NeurIPS 2019).

    Args:
        channels: number C of channels.
        block_size: number of samples in a block.

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
        """Scale the blocks of a signal (B, C, T)."""
        pooled = F.max_pool1d(x, self.block_size, ceil_mode=True)
        scale, _ = self.rnn(pooled.transpose(1, 2))
        scale = scale.transpose(1, 2).repeat_interleave(self.block_size, dim=-1)
        return x * scale[..., : x.shape[-1]]


class GatedActivation(nn.Module):
    """The gate of WaveNet: tanh of one half of the channels times the sigmoid of the other half.

    See van den Oord et al., "WaveNet: A Generative Model for Raw Audio" (2016).

    Shape:
        - Input: (B, 2 C, T)
        - Output: (B, C, T)

    >>> GatedActivation()(torch.zeros(1, 6, 5)).shape
    torch.Size([1, 3, 5])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Multiply the two halves of the channels, (B, 2 C, T) to (B, C, T)."""
        signal, gate = x.chunk(2, dim=1)
        return torch.tanh(signal) * torch.sigmoid(gate)


class AttentionPooling(nn.Module):
    """A layer that pools a sequence to one vector by attention with one learned query.

    The sequence passes a layer norm and one attention head (Vaswani et al., "Attention Is All You
    Need", NeurIPS 2017) that has no biases. The query is zero at first, so that training begins
    with the mean over time.

    Args:
        in_features: number E of features.
        keep_seq_dim: whether the result keeps the pooled axis, with a length of one.

    Shape:
        - Input: (B, T, E)
        - Output: (B, E), or (B, 1, E) with ``keep_seq_dim``

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
        """Pool a sequence (B, T, E) over time. The result is float32 or wider."""
        # A sum over hundreds of frames; and on a CPU, attention in 16 bits is many times slower.
        with full_precision(x):
            x = self.norm(at_least_float32(x))
            query = self.query.expand(x.shape[0], -1, -1)
            pooled, _ = self.attn(query, x, x, need_weights=False)
        return pooled if self.keep_seq_dim else pooled.squeeze(1)
