"""Filtered noise: white noise through a filter bank that changes with time.

The idea is that of the noise part of DDSP (Engel et al., "DDSP: Differentiable Digital Signal
Processing", ICLR 2020). The conventions are those of the published drum models.
"""

from functools import lru_cache
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from drumblender.errors import UsageError
from drumblender.signal import at_least_float32, fit_length, full_precision
from drumblender.signal.plain import is_plain
from drumblender.synths.white import WhiteNoise

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
        hop_length: distance between the beginnings of two frames, in samples. In the plain form
            (:mod:`drumblender.signal.plain`), the window is a multiple of it.

    Shape:
        - frames: (B, n_frames, window)
        - Output: (B, (n_frames - 1) * hop_length + window)

    >>> overlap_add(torch.ones(1, 3, 4), 2).tolist()
    [[1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0]]
    """
    _, n_frames, window = frames.shape
    if not is_plain():
        length = (n_frames - 1) * hop_length + window
        y = F.fold(frames.transpose(1, 2), (1, length), (1, window), stride=(1, hop_length))
        return y[:, 0, 0]
    pieces = frames.unflatten(-1, (-1, hop_length)).unbind(2)
    last = len(pieces) - 1
    moved = [F.pad(x, (0, 0, i, last - i)) for i, x in enumerate(pieces)]
    return torch.stack(moved).sum(0).flatten(1)


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
    white = WhiteNoise(rows=2, distribution="uniform")

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
        self,
        bands: Tensor,
        num_samples: int,
        generator: Optional[torch.Generator] = None,
        white: Optional[Tensor] = None,
    ) -> Tensor:
        """Draw noise and filter it.

        Args:
            bands: linear band amplitudes.
            num_samples: length of the output.
            generator: source of the noise, on any device. None stands for PyTorch's global one.
            white: noise to filter instead, uniform in [-1, 1). Frames 0, 2, 4, ... take the first
                row, and the others take the second. None if noise is to be drawn.

        Shape:
            - bands: (B, n_frames, n_bands)
            - white: (B, 2, num_samples)
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
            if white is None:
                noise = self._drawn(bands, generator)
            else:
                noise = _frames_of(white.to(bands.device), bands.shape[1], self.hop_length)
            frames = _convolve(noise, bands) * self.window.to(bands.dtype)
            return fit_length(overlap_add(frames, self.hop_length), num_samples).unsqueeze(1)

    def _drawn(self, bands: Tensor, generator: Optional[torch.Generator]) -> Tensor:
        """Draw the noise of each frame, (B, n_frames, window)."""
        # The generator decides the device, so that a seed means the same noise on CPU and GPU.
        device = bands.device if generator is None else generator.device
        shape = (*bands.shape[:2], self.window_size)
        noise = torch.rand(shape, generator=generator, device=device, dtype=bands.dtype)
        return noise.to(bands.device) * 2 - 1


def _frames_of(white: Tensor, n_frames: int, hop_length: int) -> Tensor:
    """Cut two rows of noise into frames that overlap by half and share no sample.

    Shape:
        - white: (B, 2, N)
        - Output: (B, n_frames, 2 hop_length)
    """
    pieces = fit_length(white, (n_frames + 1) * hop_length).unflatten(-1, (-1, hop_length))
    even, odd = torch.cat([pieces[:, :, :-1], pieces[:, :, 1:]], dim=-1).unbind(1)
    is_odd = torch.arange(n_frames, device=white.device)[:, None] % 2 == 1
    return torch.where(is_odd, odd, even)


def _convolve(noise: Tensor, bands: Tensor) -> Tensor:
    """Convolve frames of noise with the impulse responses of their bands, as far as frames reach.

    Shape:
        - noise: (B, n_frames, window)
        - bands: (B, n_frames, n_bands)
        - Output: (B, n_frames or more, window), with silence in those that are more
    """
    size = noise.shape[-1]
    if not is_plain():
        responses = in_groups(band_impulse_responses(bands, size))
        noise = in_groups(noise)
        spectrum = torch.fft.rfft(noise, 2 * size) * torch.fft.rfft(responses, 2 * size)
        return torch.fft.irfft(spectrum, 2 * size)[..., :size]
    matrices = _matrices(bands.shape[-1], size, noise.dtype)
    forward, responses, inverse = (x.to(noise.device) for x in matrices)
    (a, b), (c, d) = (x.chunk(2, dim=-1) for x in (noise @ forward, bands @ responses))
    return torch.cat([a * c - b * d, a * d + b * c], dim=-1) @ inverse


@lru_cache(maxsize=4)
@torch.inference_mode(False)
def _matrices(n_bands: int, size: int, dtype: torch.dtype) -> Tuple[Tensor, Tensor, Tensor]:
    """Make the matrices of the transforms in a convolution of frames.

    Complex numbers are real parts, and imaginary parts behind them.

    Shape:
        - Output: from samples (size, 2 (size + 1)), from bands (n_bands, 2 (size + 1)), and to
          samples (2 (size + 1), size)
    """

    def spectra(x: Tensor) -> Tensor:
        """Transform rows of samples."""
        spectrum = torch.fft.rfft(x, 2 * size)
        return torch.cat([spectrum.real, spectrum.imag], dim=-1)

    responses = band_impulse_responses(torch.eye(n_bands, dtype=torch.float64), size)
    one = torch.eye(size + 1, dtype=torch.complex128)
    inverse = torch.cat([torch.fft.irfft(x, 2 * size) for x in (one, 1j * one)])[:, :size]
    made = spectra(torch.eye(size, dtype=torch.float64)), spectra(responses), inverse
    forward, responses, inverse = (x.to(dtype) for x in made)
    return forward, responses, inverse
