"""Encoders without a network: parameters that are learned directly, the same for every input.

They take the place of an encoder where a model learns one sound, or where an ablation needs a
constant.
"""

from typing import Sequence

import torch
from torch import Tensor, nn

from drumblender.errors import UsageError


class DummyParameterEncoder(nn.Module):
    """An encoder that gives one learned tensor, whatever its input is.

    Args:
        param_shape: shape of the tensor, without the batch axis.
        ones: whether training starts from ones. Otherwise it starts from standard normal values.

    Shape:
        - Input: (B, ...), of which only B matters
        - Output: (B, *param_shape)

    >>> DummyParameterEncoder([4, 8])(torch.zeros(2, 1, 100)).shape
    torch.Size([2, 4, 8])
    """

    def __init__(self, param_shape: Sequence[int], ones: bool = False):
        super().__init__()
        shape = tuple(param_shape)
        self.param_shape = shape
        self.param = nn.Parameter(torch.ones(shape) if ones else torch.randn(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Repeat the learned tensor for each item of a batch, (B, ...) to (B, *param_shape)."""
        return self.param.expand(x.shape[0], *self.param_shape)


class ModalAmpParameters(nn.Module):
    """One learned gain for each mode, by which the measured amplitudes are multiplied.

    Args:
        num_modes: number of gains. It is at least the number M of modes, which take the first M
            gains.
        ones: whether training starts from gains of one. Otherwise it starts from uniform values in
            [0, 1).

    Shape:
        - Input: x, which may be anything because it is not used; params (B, 3, M, F)
        - Output: (B, 3, M, F)

    Raises:
        UsageError: if there are more modes than gains.

    >>> ModalAmpParameters(64)(None, torch.zeros(2, 3, 64, 10)).shape
    torch.Size([2, 3, 64, 10])
    """

    def __init__(self, num_modes: int, ones: bool = True):
        super().__init__()
        gains = torch.ones if ones else torch.rand
        self.amp_params = nn.Parameter(gains(num_modes))

    def forward(self, x: Tensor, params: Tensor) -> Tensor:
        """Multiply the amplitudes of modal parameters (B, 3, M, F) by the gains."""
        count, modes = len(self.amp_params), params.shape[2]
        if modes > count:
            raise UsageError(
                f"ModalAmpParameters: there are {modes} modes and only {count} gains; set "
                "num_modes to that of the dataset."
            )
        frequency, amplitude, *phase = params.unbind(1)
        amplitude = amplitude * self.amp_params[:modes, None]
        return torch.stack([frequency, amplitude, *phase], dim=1)


class NoiseParameters(nn.Module):
    """Learned band amplitudes for the noise generator, whatever the input is.

    Args:
        param_shape: numbers of frames and of bands.
        scale: factor for the uniform values in [0, 1) that training starts from.

    Shape:
        - Input: (B, ...), of which only B matters
        - Output: (B, frames, bands), linear amplitudes

    >>> NoiseParameters([10, 128])(torch.zeros(2, 1, 100)).shape
    torch.Size([2, 10, 128])
    """

    def __init__(self, param_shape: Sequence[int], scale: float = 1e-3):
        super().__init__()
        self.noise_params = nn.Parameter(torch.rand(tuple(param_shape)) * scale)

    def forward(self, x: Tensor) -> Tensor:
        """Repeat the learned amplitudes for each item of a batch, to (B, frames, bands)."""
        return self.noise_params.expand(x.shape[0], *self.noise_params.shape)
