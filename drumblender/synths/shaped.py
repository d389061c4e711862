"""Shaped noise: white noise whose short spectra are multiplied by gains that change with time.

In difference to :mod:`drumblender.synths.noise`, whose conventions are those of published models,
the filter has no floor: a closed band is silent. White noise is transformed, shaped and transformed
back with overlapping windows (Allen, "Short term spectral analysis, synthesis, and modification by
discrete Fourier transform", IEEE Trans. ASSP 25(3), 1977).
"""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drumblender.errors import UsageError
from drumblender.signal import at_least_float32, fit_length, full_precision
from drumblender.signal.plain import is_plain
from drumblender.signal.spectra import filter_spectra
from drumblender.synths.white import WhiteNoise


def shaped_noise(
    gains: Tensor,
    num_samples: int,
    window_size: int,
    hop_length: int,
    generator: Optional[torch.Generator] = None,
    white: Optional[Tensor] = None,
) -> Tensor:
    """Draw white noise of variance 1, and multiply its short spectra by gains.

    Frame k is centered on sample (k + 1) ``hop_length``. The first frame holds from sample 0 on,
    so that noise may begin at once. There is silence where there are no frames.

    Args:
        gains: linear gains at frequencies that are evenly spaced from 0 to Nyquist. Between them,
            gains are interpolated. Gains of g everywhere give noise with a root mean square of g.
        num_samples: length N of the noise.
        window_size: length of the Hann window, in samples.
        hop_length: distance between frames, in samples.
        generator: source of the noise, on any device. None stands for PyTorch's global one.
        white: normal white noise of variance 1 to shape. None if it is to be drawn.

    Shape:
        - gains: (B, K, n_bands)
        - white: (B, N)
        - Output: (B, N)

    >>> gains = torch.full((1, 750, 9), 0.1)
    >>> noise = shaped_noise(gains, 96000, 512, 128, torch.Generator().manual_seed(0))
    >>> round(noise.square().mean().sqrt().item(), 2)
    0.1
    """
    gains = gains_of_frames(gains, num_samples // hop_length + 1, window_size)
    if white is None:
        # The generator decides the device, so that a seed means the same noise on CPU and GPU.
        device = gains.device if generator is None else generator.device
        shape = (len(gains), num_samples)
        white = torch.randn(shape, generator=generator, device=device, dtype=gains.dtype)
    return filter_spectra(white.to(gains.device), gains.transpose(1, 2), window_size, hop_length)


def gains_of_frames(gains: Tensor, count: int, window_size: int) -> Tensor:
    """Bring gains to the frames and bins of the short spectra that :func:`shaped_noise` shapes.

    Shape:
        - gains: (B, K, n_bands)
        - Output: (B, count, window_size / 2 + 1)
    """
    bins = window_size // 2 + 1
    if gains.shape[-1] != bins:
        gains = F.interpolate(gains, size=bins, mode="linear", align_corners=True)
    gains = torch.cat([gains[:, :1], gains], dim=1)
    if is_plain():
        return fit_length(gains.transpose(1, 2), count).transpose(1, 2)
    gains = gains[:, :count]
    return F.pad(gains, (0, 0, 0, count - gains.shape[1]))


class ShapedNoise(nn.Module):
    """White noise whose level in each band changes with time, by :func:`shaped_noise`.

    Args:
        window_size: length of the window, in samples.
        hop_length: distance between frames, in samples. It is at most half a window.

    Shape:
        - bands: (B, K, n_bands), linear amplitudes at frequencies that are evenly spaced from 0 to
          Nyquist; amplitudes of 1 everywhere give noise with a root mean square of 1
        - Output: (B, 1, num_samples)

    Raises:
        UsageError: if the windows are too far apart to overlap.

    >>> ShapedNoise(512, 128)(torch.zeros(2, 10, 257), 1280).shape
    torch.Size([2, 1, 1280])
    """

    white = WhiteNoise()

    def __init__(self, window_size: int = 512, hop_length: int = 128):
        super().__init__()
        if not 0 < 2 * hop_length <= window_size:
            raise UsageError(
                f"ShapedNoise: windows of {window_size} samples overlap by half if hop_length is "
                f"at most {window_size // 2}, not {hop_length}; change one of them."
            )
        self.window_size = window_size
        self.hop_length = hop_length

    def forward(
        self,
        bands: Tensor,
        num_samples: int,
        generator: Optional[torch.Generator] = None,
        white: Optional[Tensor] = None,
    ) -> Tensor:
        """Draw noise and shape it, (B, K, n_bands) to (B, 1, num_samples).

        Args:
            bands: linear band amplitudes.
            num_samples: length of the output.
            generator: source of the noise. None stands for PyTorch's global one.
            white: normal white noise of variance 1 to shape. None if it is to be drawn.

        Shape:
            - bands: (B, K, n_bands)
            - white: (B, 1, num_samples)
            - Output: (B, 1, num_samples)
        """
        bands = at_least_float32(bands)
        with full_precision(bands):
            noise = shaped_noise(
                bands,
                num_samples,
                self.window_size,
                self.hop_length,
                generator,
                None if white is None else white[:, 0],
            )
        return noise.unsqueeze(1)
