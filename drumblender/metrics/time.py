"""Errors of what happens when: onsets, levels over time, and the attack."""

import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.metrics.base import MeanOverItems, MeanOverSpectra
from drumblender.metrics.spectra import LogSpectralDistance


class SpectralFluxOnsetError(MeanOverSpectra):
    """Mean absolute difference of onset strengths.

    The onset strength of frame t is its spectral flux (Dixon, "Onset Detection Revisited", DAFx
    2006), which says how much the magnitudes rose since the frame before:

        s[t] = sum over k of max(0, |X[k, t]| - |X[k, t - 1]|).

    The frame before the first is silent, so that an attack on the first sample counts. The error is
    the mean over frames. Its unit is that of the magnitudes, so that it grows with the level of the
    sounds.

    Two silent signals have an error of 0. The error of a sound against silence is its mean onset
    strength.

    Args:
        n_fft: length of the Fourier transform and of the Hann window, in samples.
        hop_size: distance between frames, in samples.
        legacy: whether to take the difference along frequency instead of time. The published
            figures do, and are reproduced that way. It measures how jagged the spectrum of each
            frame is, and not when sounds begin.

    Shape:
        - Input, target: (..., N)
        - Output: scalar, in units of magnitude

    >>> click = torch.zeros(1, 1, 8192)
    >>> click[..., 1000] = 1.0
    >>> onset, late = SpectralFluxOnsetError(), click.roll(2000)
    >>> onset(click, click).item(), bool(onset(late, click) > 1)
    (0.0, True)
    """

    def __init__(self, n_fft: int = 1024, hop_size: int = 64, legacy: bool = False):
        super().__init__(n_fft, hop_size)
        self.legacy = legacy

    def distance(self, input: Tensor, target: Tensor) -> Tensor:
        """Measure one resynthesis against its target, both (N,), in units of magnitude."""
        return (self.onset_strength(input) - self.onset_strength(target)).abs().mean()

    def onset_strength(self, x: Tensor) -> Tensor:
        """Compute the onset strength of one item, (N,) to (frames,)."""
        magnitude = self.magnitude(x)
        if self.legacy:
            rise = magnitude.diff(dim=0)
        else:
            rise = magnitude.diff(dim=1, prepend=torch.zeros_like(magnitude[:, :1]))
        return rise.relu().sum(0)


class EnvelopeError(MeanOverItems):
    """Mean absolute difference of root-mean-square (RMS) levels over time.

    The level of frame t is that of the samples x[n] from t hop_size - window_size / 2 on,

        L[t] = 10 log10(mean over window_size samples of x[n]^2 + eps),

    and the error is the mean over frames of |L_x[t] - L_y[t]|. Its unit is dB: a gain of g dB gives
    an error of |g| dB wherever there is sound. Two silent signals have an error of 0 dB. Silence
    has a level of 10 log10(eps), so that the error of a sound against silence is finite.

    Args:
        window_size: number of samples of a frame. The default is 10 ms at 48 kHz.
        hop_size: distance between frames, in samples.
        eps: mean square below which a frame counts as silent. The default value is -80 dB relative
            to amplitude 1.

    Shape:
        - Input, target: (..., N)
        - Output: scalar, in dB

    >>> envelope = EnvelopeError()
    >>> tone = torch.sin(torch.arange(48000) * 0.1)
    >>> round(envelope(tone / 2, tone).item(), 2)
    6.02
    """

    def __init__(self, window_size: int = 480, hop_size: int = 120, eps: float = 1e-8):
        super().__init__()
        self.window_size = window_size
        self.hop_size = hop_size
        self.eps = eps

    def distance(self, input: Tensor, target: Tensor) -> Tensor:
        """Measure one resynthesis against its target, both (N,), in dB."""
        return (self.levels(input) - self.levels(target)).abs().mean()

    def levels(self, x: Tensor) -> Tensor:
        """Compute the level of one item over time, (N,) to (N // hop_size + 1,), in dB."""
        half = self.window_size // 2
        padded = F.pad(x.double(), (half, self.window_size - half))
        frames = padded.unfold(-1, self.window_size, self.hop_size)
        return 10 * (frames.square().mean(-1) + self.eps).log10()


class AttackError(LogSpectralDistance):
    """Log-spectral distance of the attack, which is the first 50 ms, in dB.

    It is the :class:`~drumblender.metrics.LogSpectralDistance` of the first samples of both
    signals, with a window of 5 ms at 48 kHz. Sounds of a dataset begin at their onset. What comes
    later counts for nothing.

    Args:
        sample_rate: in Hz.
        seconds: length of the attack.
        n_fft: length of the Fourier transform and of the Hann window, in samples.
        hop_size: distance between frames, in samples.
        eps: power below which a bin counts as silent. With the default window, the default value
            lies 86 dB below a sine of full scale.

    Shape:
        - Input, target: (..., N)
        - Output: scalar, in dB

    >>> attack = AttackError()
    >>> noise = torch.rand(48000, generator=torch.Generator().manual_seed(0)) - 0.5
    >>> later = torch.where(torch.arange(48000) < 2400, noise, torch.zeros(()))
    >>> attack(later, noise).item()
    0.0
    """

    def __init__(
        self,
        sample_rate: int = 48_000,
        seconds: float = 0.05,
        n_fft: int = 256,
        hop_size: int = 32,
        eps: float = 1e-5,
    ):
        super().__init__(n_fft, hop_size, eps)
        self.num_samples = round(seconds * sample_rate)

    def distance(self, input: Tensor, target: Tensor) -> Tensor:
        """Measure the attack of one resynthesis against that of its target, both (N,), in dB."""
        return super().distance(input[: self.num_samples], target[: self.num_samples])
