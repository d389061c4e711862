"""Filtered noise: white noise through a filter bank that changes with time.

The idea is that of the noise part of DDSP (Engel et al., "DDSP: Differentiable Digital Signal
Processing", ICLR 2020). The conventions are those of the published drum models.
"""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drumblender.errors import UsageError
from drumblender.signal import at_least_float32, fit_length, full_precision

# Frames are filtered in groups of so many. Complex products that do not fill the vectors of a
# processor are rounded in another way, so that a sound in blocks would not be that of the whole.
GROUP = 16


def band_impulse_responses(bands: Tensor, window_size: int) -> Tensor:
    """Compute zero-phase impulse responses whose magnitude follows band amplitudes.

    The real inverse FFT of the amplitudes is multiplied by a Hann window about time zero, and then
    padded in the middle to ``window_size``. Negative times lie at the end.

    Args:
        bands: linear amplitudes at frequencies that are evenly spaced from 0 to Nyquist.
        window_size: length of a response, in samples.

    Shape:
        - bands: (..., n_bands)
        - Output: (..., window_size)

    >>> ir = band_impulse_responses(torch.ones(9), 32)
    >>> ir[0].item(), ir.shape, bool(ir[1:].abs().max() < 1e-6)
    (1.0, torch.Size([32]), True)
    """
    ir = torch.fft.irfft(bands.to(torch.promote_types(bands.dtype, torch.float32)))
    length = ir.shape[-1]
    window = torch.hann_window(length, dtype=ir.dtype, device=ir.device)
    ir = torch.roll(ir, length // 2, -1) * window
    return torch.roll(fit_length(ir, window_size), -(length // 2), -1)


def in_groups(frames: Tensor) -> Tensor:
    """Append silent frames (B, K, window) until their number is a multiple of ``GROUP``."""
    return F.pad(frames, (0, 0, 0, -frames.shape[1] % GROUP))


def overlap_add(frames: Tensor, hop_length: int) -> Tensor:
    """Add frames that overlap.

    Args:
        frames: the frames, in the order of time.
        hop_length: distance between the beginnings of two frames, in samples.

    Shape:
        - frames: (B, n_frames, window)
        - Output: (B, (n_frames - 1) * hop_length + window)

    >>> overlap_add(torch.ones(1, 3, 4), 2).tolist()
    [[1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0]]
    """
    _, n_frames, window = frames.shape
    length = (n_frames - 1) * hop_length + window
    y = F.fold(frames.transpose(1, 2), (1, length), (1, window), stride=(1, hop_length))
    return y[:, 0, 0]


class NoiseGenerator(nn.Module):
    """White noise through a filter bank that changes with time.

    Each frame draws uniform white noise in [-1, 1) and convolves it, by FFT, with the impulse
    response of that frame's bands. The first ``window_size`` samples of the result are multiplied
    by a Hann window and added to the other frames, at a distance of half a window. Published
    checkpoints were trained with exactly this. The negative times of the response fall off the
    frame, which leaves a floor some 10 dB below an open band.

    Args:
        window_size: number W of samples in a frame, an even number.

    Shape:
        - bands: (B, n_frames, n_bands), linear amplitudes at frequencies that are evenly spaced
          from 0 to Nyquist, with n_bands <= W / 2 + 1
        - Output: (B, 1, num_samples); zeros follow where the frames do not reach that far

    Raises:
        UsageError: if ``window_size`` is odd or not positive, or if there are more bands than the
            window resolves.

    >>> NoiseGenerator(256)(torch.rand(2, 10, 128), 1280).shape
    torch.Size([2, 1, 1280])
    """

    window: Tensor

    def __init__(self, window_size: int):
        super().__init__()
        if window_size < 2 or window_size % 2:
            raise UsageError(
                f"NoiseGenerator: window_size {window_size} must be even and positive."
            )
        self.window_size = window_size
        self.register_buffer("window", torch.hann_window(window_size), persistent=False)

    @property
    def hop_length(self) -> int:
        """Distance between frames, in samples.

        Frame k is centered on sample (k + 1) ``hop_length``.
        """
        return self.window_size // 2

    def forward(
        self, bands: Tensor, num_samples: int, generator: Optional[torch.Generator] = None
    ) -> Tensor:
        """Draw noise and filter it.

        Args:
            bands: linear band amplitudes.
            num_samples: length of the output.
            generator: source of the noise, on any device. None stands for PyTorch's global one.

        Shape:
            - bands: (B, n_frames, n_bands)
            - Output: (B, 1, num_samples)

        Raises:
            UsageError: if there are more bands than the window resolves.
        """
        size = self.window_size
        if bands.shape[-1] > size // 2 + 1:
            raise UsageError(
                f"NoiseGenerator: {bands.shape[-1]} bands need a window_size of at least "
                f"{2 * (bands.shape[-1] - 1)}, not {size}."
            )
        bands = at_least_float32(bands)
        with full_precision(bands):
            return self._filtered(bands, num_samples, generator)

    def _filtered(
        self, bands: Tensor, num_samples: int, generator: Optional[torch.Generator]
    ) -> Tensor:
        """Draw noise and filter it, in float32 or wider."""
        size = self.window_size
        responses = band_impulse_responses(bands, size)
        # The generator decides the device, so that a seed means the same noise on CPU and GPU.
        device = bands.device if generator is None else generator.device
        shape = (*bands.shape[:2], size)
        noise = torch.rand(shape, generator=generator, device=device, dtype=responses.dtype)
        noise = in_groups(noise.to(bands.device) * 2 - 1)
        responses = in_groups(responses)
        spectrum = torch.fft.rfft(noise, 2 * size) * torch.fft.rfft(responses, 2 * size)
        frames = torch.fft.irfft(spectrum, 2 * size)[..., :size] * self.window.to(responses.dtype)
        return fit_length(overlap_add(frames, size // 2), num_samples).unsqueeze(1)
