"""The temporal convolutional network (TCN), whose layers an embedding can modulate.

The dilated convolutions follow Bai, Kolter and Koltun, "An Empirical Evaluation of Generic
Convolutional and Recurrent Networks for Sequence Modeling" (2018). FiLM conditions them as in
Steinmetz and Reiss, "Efficient Neural Networks for Real-time Modeling of Analog Dynamic Range
Compression" (AES 2022).
"""

from typing import Optional

import torch
from torch import Tensor, nn

from drumblender.errors import UsageError
from drumblender.models.components import FiLM, GatedActivation, Pad, TFiLM
from drumblender.signal import at_least_float32, full_precision

NORMS = {"batch": nn.BatchNorm1d, "instance": nn.InstanceNorm1d}


def activation_of(name: str) -> nn.Module:
    """Make an activation from its name.

    Args:
        name: "gated", or a class of ``torch.nn`` that needs no arguments, in any case.

    Raises:
        UsageError: if there is no such activation, or if it needs arguments.

    >>> activation_of("relu"), activation_of("ELU")
    (ReLU(), ELU(alpha=1.0))
    """
    lower = name.lower()
    if lower == "gated":
        return GatedActivation()
    if lower == "glu":  # By itself it would halve time.
        return nn.GLU(dim=1)
    names = {known.lower(): known for known in torch.nn.modules.activation.__all__}
    try:
        return getattr(nn, names[lower])()
    except (KeyError, TypeError):
        raise UsageError(
            f"TCN: activation '{name}' is neither gated nor one of torch.nn that needs no "
            "arguments; take for example gelu, relu, elu, tanh or prelu."
        ) from None


class TCNBlock(nn.Module):
    """A dilated convolution with modulation, an activation and a shortcut around them.

    The layers are a dilated convolution, a norm if one is named, FiLM and temporal FiLM if they are
    on, and an activation. A 1x1 convolution of the input is added to what comes out.

    Shape:
        - Input: x (B, C_in, T), embedding (B, E) or None
        - Output: (B, C_out, T)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        dilation: int,
        causal: bool,
        norm: Optional[str],
        activation: str,
        film_conditioning: bool,
        film_embedding_size: int,
        film_batch_norm: bool,
        use_temporal_film: bool,
        temporal_film_block_size: int,
    ):
        super().__init__()
        halves = activation.lower() in ("gated", "glu")
        channels = 2 * out_channels if halves else out_channels
        layers = [
            Pad(kernel_size, dilation, causal=causal),
            nn.Conv1d(in_channels, channels, kernel_size, dilation=dilation),
        ]
        if norm is not None:
            layers.append(NORMS[norm](channels))
        self.net = nn.Sequential(*layers)
        self.film = None
        if film_conditioning:
            self.film = FiLM(film_embedding_size, channels, use_batch_norm=film_batch_norm)
        self.temporal_film = None
        if use_temporal_film:
            self.temporal_film = TFiLM(channels, temporal_film_block_size)
        self.activation = activation_of(activation)
        self.residual = nn.Conv1d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, embedding: Optional[Tensor] = None) -> Tensor:
        """Compute the layers and add the shortcut, (B, C_in, T) to (B, C_out, T).

        Raises:
            ValueError: if the block has FiLM and gets no embedding.
        """
        y = self.net(x)
        with full_precision(x):  # The whole sound goes along here: 16 bits would be heard.
            x, y = at_least_float32(x), at_least_float32(y)
            if self.film is not None:
                if embedding is None:
                    raise ValueError("A block with FiLM needs an embedding; give one.")
                y = self.film(y, at_least_float32(embedding))
            if self.temporal_film is not None:
                y = self.temporal_film(y)
            return self.activation(y) + self.residual(x)


class TCN(nn.Module):
    """A stack of dilated convolutions between two 1x1 convolutions.

    The dilation of layer i is ``dilation_base ** (i % dilation_blocks)``.

    Args:
        in_channels: number C_in of channels of the input.
        hidden_channels: number of channels between the two 1x1 convolutions.
        out_channels: number C_out of channels of the output.
        dilation_base: factor by which the dilation grows from layer to layer.
        dilation_blocks: number of layers after which the dilation starts again from one. None means
            that it never does.
        num_layers: number of layers.
        kernel_size: kernel size of the dilated convolutions.
        causal: whether an output sample depends on no later input sample.
        norm: "batch", "instance" or None. It is independent of FiLM's own norm.
        activation: "gated", or the name of an activation of ``torch.nn`` in any case, such as
            "gelu", "ReLU" or "ELU".
        film_conditioning: whether an embedding, which ``forward`` takes, modulates each layer.
        film_embedding_size: number E of values of that embedding.
        film_batch_norm: whether FiLM normalizes first.
        use_temporal_film: whether temporal FiLM modulates each layer.
        temporal_film_block_size: number of samples in a block of temporal FiLM.

    Shape:
        - Input: x (B, C_in, T), embedding (B, E) or None
        - Output: (B, C_out, T)

    Raises:
        UsageError: if the norm or the activation is unknown, or if the embedding is missing.

    >>> import torch
    >>> TCN(1, 4, 1, num_layers=3)(torch.zeros(2, 1, 100)).shape
    torch.Size([2, 1, 100])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        dilation_base: int = 2,
        dilation_blocks: Optional[int] = None,
        num_layers: int = 8,
        kernel_size: int = 13,
        causal: bool = True,
        norm: Optional[str] = None,
        activation: str = "gelu",
        film_conditioning: bool = False,
        film_embedding_size: int = 128,
        film_batch_norm: bool = True,
        use_temporal_film: bool = False,
        temporal_film_block_size: int = 128,
    ):
        super().__init__()
        if norm is not None and norm not in NORMS:
            raise UsageError(f"TCN: norm '{norm}' is not one of {list(NORMS)} or null.")
        period = dilation_blocks or num_layers
        self.film_conditioning = film_conditioning
        self.in_projection = nn.Conv1d(in_channels, hidden_channels, 1)
        self.out_projection = nn.Conv1d(hidden_channels, out_channels, 1)
        self.net = nn.ModuleList(
            TCNBlock(
                hidden_channels,
                hidden_channels,
                kernel_size,
                dilation_base ** (layer % period),
                causal,
                norm,
                activation,
                film_conditioning,
                film_embedding_size,
                film_batch_norm,
                use_temporal_film,
                temporal_film_block_size,
            )
            for layer in range(num_layers)
        )

    def forward(self, x: Tensor, embedding: Optional[Tensor] = None) -> Tensor:
        """Filter a signal.

        Shape:
            - x: (B, C_in, T)
            - embedding: (B, E) or None
            - Output: (B, C_out, T), float32 or wider

        Raises:
            UsageError: if ``film_conditioning`` is on and there is no embedding.
        """
        if self.film_conditioning and embedding is None:
            raise UsageError(
                "TCN: film_conditioning is on but there is no embedding; configure an encoder "
                "for it (transient_autoencoder) or set film_conditioning: false."
            )
        with full_precision(x):  # As in the blocks.
            x = self.in_projection(at_least_float32(x))
        for block in self.net:
            x = block(x, embedding)
        with full_precision(x):
            return self.out_projection(at_least_float32(x))
