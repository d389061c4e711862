"""Convolutional encoders that turn a waveform into features or into one embedding.

They follow the encoder of SoundStream (Zeghidour et al., "SoundStream: An End-to-End Neural Audio
Codec", IEEE/ACM TASLP 30, 2021). The module reads from top to bottom: residual unit, block,
encoder, encoder with attention pooling.
"""

import math
from dataclasses import dataclass
from typing import Iterable, Optional, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from drumblender.models.components import AttentionPooling, FiLM, Pad
from drumblender.signal import fit_length


@dataclass(frozen=True)
class ReceptiveField:
    """The samples of a waveform that a frame of features depends on.

    Attributes:
        before: number of samples before the first of the frame's own samples.
        after: number of samples after the first of the frame's own samples.
        hop_length: distance between frames, in samples.
    """

    before: int = 0
    after: int = 0
    hop_length: int = 1

    def through(self, layers: Iterable[nn.Module]) -> "ReceptiveField":
        """Compute the field of what comes out of further layers.

        Only convolutions and their padding look around in time. Other layers leave the field as it
        is.
        """
        field, padding = self, 0
        for layer in layers:
            if isinstance(layer, Pad):
                padding = layer.padding[0]
            elif isinstance(layer, nn.Conv1d):
                hop, reach = field.hop_length, (layer.kernel_size[0] - 1) * layer.dilation[0]
                field = ReceptiveField(
                    field.before + padding * hop,
                    field.after + (reach - padding) * hop,
                    hop * layer.stride[0],
                )
                padding = 0
        return field


class ResidualUnit(nn.Module):
    """A dilated convolution with a shortcut around it.

    The layers are a dilated convolution, an ELU, a 1x1 convolution, FiLM if there is an embedding,
    and another ELU. The input is added to what comes out.

    Shape:
        - Input: x (B, C, T), embedding (B, E) or None
        - Output: (B, C, T)
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        dilation: int,
        causal: bool,
        film_embedding_size: Optional[int],
        film_batch_norm: bool,
    ):
        super().__init__()
        self.net = nn.Sequential(
            Pad(kernel_size, dilation, causal=causal),
            nn.Conv1d(channels, channels, kernel_size, dilation=dilation),
            nn.ELU(),
            nn.Conv1d(channels, channels, 1),
        )
        self.film = None
        if film_embedding_size is not None:
            self.film = FiLM(film_embedding_size, channels, use_batch_norm=film_batch_norm)
        self.activation = nn.ELU()

    def forward(self, x: Tensor, embedding: Optional[Tensor] = None) -> Tensor:
        """Compute the layers and add the input x (B, C, T)."""
        y = self.net(x)
        if self.film is not None:
            y = self.film(y, embedding)
        return self.activation(y) + x


class EncoderBlock(nn.Module):
    """Three residual units and a strided convolution that doubles the number of channels.

    The units have dilations of 1, 3 and 9. An ELU follows the convolution.

    Shape:
        - Input: x (B, C, T), embedding (B, E) or None
        - Output: (B, 2 C, T // stride)
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        stride: int,
        causal: bool,
        film_embedding_size: Optional[int],
        film_batch_norm: bool,
    ):
        super().__init__()
        self.net = nn.ModuleList(
            ResidualUnit(
                channels, kernel_size, dilation, causal, film_embedding_size, film_batch_norm
            )
            for dilation in (1, 3, 9)
        )
        self.output = nn.Sequential(
            Pad(2 * stride, causal=causal),
            nn.Conv1d(channels, 2 * channels, 2 * stride, stride=stride),
            nn.ELU(),
        )

    def forward(self, x: Tensor, embedding: Optional[Tensor] = None) -> Tensor:
        """Compute the units and the strided convolution, (B, C, T) to (B, 2 C, T // stride)."""
        for unit in self.net:
            x = unit(x, embedding)
        return self.output(x)


class SoundStreamEncoder(nn.Module):
    """A network from a waveform to a sequence of features, one every ``prod(strides)`` samples.

    Args:
        input_channels: number of channels of the waveform.
        hidden_channels: number of channels after the first convolution. Each stride doubles it.
        output_channels: number E of features in a frame.
        kernel_size: kernel size of the first convolution and of the residual units.
        strides: stride of each block.
        causal: whether a frame depends on no later sample.
        film_conditioning: whether an embedding, which ``forward`` takes, modulates the residual
            units.
        film_embedding_size: number of values of that embedding.
        film_batch_norm: whether FiLM normalizes first.
        transpose_output: whether the output is (B, frames, E) instead of (B, E, frames).

    Shape:
        - Input: (B, input_channels, T)
        - Output: (B, E, T // prod(strides)), or (B, T // prod(strides), E) with
          ``transpose_output``

    Attributes:
        activation_checkpointing: whether only the input of each block is kept for the backward
            pass, which then runs the block again. It has no effect with ``film_batch_norm``.

    >>> import torch
    >>> SoundStreamEncoder(1, 4, 16, strides=[2, 4])(torch.zeros(1, 1, 64)).shape
    torch.Size([1, 16, 8])
    """

    activation_checkpointing = False

    def __init__(
        self,
        input_channels: int = 1,
        hidden_channels: int = 16,
        output_channels: int = 128,
        kernel_size: int = 7,
        strides: Sequence[int] = (2, 2, 4, 8),
        causal: bool = False,
        film_conditioning: bool = False,
        film_embedding_size: int = 128,
        film_batch_norm: bool = False,
        transpose_output: bool = False,
    ):
        super().__init__()
        self.transpose_output = transpose_output
        self.film_conditioning = film_conditioning
        # A block that runs twice would move its batch norms' running statistics twice.
        self.film_batch_norm = film_conditioning and film_batch_norm
        self.input = nn.Sequential(
            Pad(kernel_size, causal=causal),
            nn.Conv1d(input_channels, hidden_channels, kernel_size),
        )
        self.encoder_blocks = nn.ModuleList(
            EncoderBlock(
                hidden_channels * 2**i,
                kernel_size,
                stride,
                causal,
                film_embedding_size if film_conditioning else None,
                film_batch_norm,
            )
            for i, stride in enumerate(strides)
        )
        self.output = nn.Sequential(
            Pad(3, causal=causal),
            nn.Conv1d(hidden_channels * 2 ** len(strides), output_channels, 3),
        )

    def forward(self, x: Tensor, embedding: Optional[Tensor] = None) -> Tensor:
        """Encode a waveform.

        Shape:
            - x: (B, input_channels, T)
            - embedding: (B, film_embedding_size) or None
            - Output: (B, E, T // prod(strides)), or transposed with ``transpose_output``
        """
        x = self.input(x)
        for block in self.encoder_blocks:
            if self.activation_checkpointing and self.training and not self.film_batch_norm:
                x = checkpoint(block, x, embedding, use_reentrant=False)
            else:
                x = block(x, embedding)
        x = self.output(x)
        return x.transpose(1, 2) if self.transpose_output else x

    def receptive_field(self) -> Optional[ReceptiveField]:
        """Compute which samples a frame depends on.

        Returns:
            The field. It is None if a layer has been exchanged for one whose reach is not known.
        """
        field = ReceptiveField().through(self.input)
        for block in self.encoder_blocks:
            for unit in block.net if isinstance(block, EncoderBlock) else ():
                field = field.through(unit.net if isinstance(unit, ResidualUnit) else ())
            field = field.through(block.output if isinstance(block, EncoderBlock) else ())
        field = field.through(self.output)
        return field if all(_is_known(module) for module in self.modules()) else None

    def forward_padded(self, x: Tensor, num_samples: int) -> Tensor:
        """Encode a waveform that silence follows, as far as frames depend on the waveform.

        Args:
            x: the waveform.
            num_samples: length with the silence. Frames that depend on nothing but silence are left
                out.

        Shape:
            - x: (B, input_channels, T)
            - Output: as that of ``forward``, with fewer frames
        """
        field = self.receptive_field()
        if field is not None:
            heard = field.hop_length * math.ceil((x.shape[-1] + field.after) / field.hop_length)
            num_samples = min(num_samples, heard)
        return self(fit_length(x, num_samples))


class SoundStreamAttentionEncoder(nn.Module):
    """A network from a waveform to one embedding.

    It is a :class:`SoundStreamEncoder` whose features are pooled by attention. The arguments are
    those of :class:`SoundStreamEncoder`. ``transpose_output`` changes nothing; it is accepted
    because published configurations name it.

    Shape:
        - Input: (B, input_channels, T)
        - Output: (B, output_channels)

    >>> import torch
    >>> SoundStreamAttentionEncoder(1, 4, 16, strides=[2, 4])(torch.zeros(3, 1, 64)).shape
    torch.Size([3, 16])
    """

    def __init__(
        self,
        input_channels: int = 1,
        hidden_channels: int = 16,
        output_channels: int = 128,
        kernel_size: int = 7,
        strides: Sequence[int] = (2, 2, 4, 8),
        causal: bool = False,
        film_conditioning: bool = False,
        film_embedding_size: int = 128,
        film_batch_norm: bool = False,
        transpose_output: bool = False,
    ):
        super().__init__()
        self.film_conditioning = film_conditioning
        self.encoder = SoundStreamEncoder(
            input_channels,
            hidden_channels,
            output_channels,
            kernel_size,
            strides,
            causal,
            film_conditioning,
            film_embedding_size,
            film_batch_norm,
            transpose_output=True,
        )
        self.pooling = AttentionPooling(output_channels)

    def forward(self, x: Tensor, embedding: Optional[Tensor] = None) -> Tensor:
        """Encode a waveform (B, input_channels, T) into an embedding (B, output_channels)."""
        return self.pooling(self.encoder(x, embedding))

    def forward_padded(self, x: Tensor, num_samples: int) -> Tensor:
        """Encode a waveform that silence follows.

        Frames that depend on nothing but silence are all equal. One of them is computed and
        repeated.

        Args:
            x: the waveform.
            num_samples: length with the silence.

        Shape:
            - x: (B, input_channels, T)
            - Output: (B, output_channels)
        """
        field = self.encoder.receptive_field()
        if field is not None:
            hop = field.hop_length
            cut = math.ceil((x.shape[-1] + field.before) / hop)  # the first of these frames
            short = hop * (cut + 1 + math.ceil(field.after / hop))
            missing, rest = divmod(num_samples - short, hop)
            if missing > 0 and not rest:
                frames = self.encoder(fit_length(x, short))
                silence = frames[:, cut : cut + 1].expand(-1, missing, -1)
                return self.pooling(torch.cat([frames[:, :cut], silence, frames[:, cut:]], 1))
        return self(fit_length(x, num_samples))


def _is_known(module: nn.Module) -> bool:
    """Return whether the reach in time of a module inside an encoder is known."""
    of_the_house = (SoundStreamEncoder, EncoderBlock, ResidualUnit, FiLM, Pad)
    of_pytorch = (nn.Sequential, nn.ModuleList, nn.Conv1d, nn.Linear, nn.BatchNorm1d)
    is_activation = type(module).__module__ == nn.ELU.__module__
    return is_activation or isinstance(module, (*of_the_house, *of_pytorch))
