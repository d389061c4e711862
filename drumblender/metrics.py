"""Metrics by which trained models are compared. ``drumblender test`` reports them.

Each is a ``torchmetrics.Metric``: it keeps a sum and a count, so that the mean over a whole test
set is right with unequal batches and with several processes. Each takes a resynthesis and its
target and measures them one item at a time, because spectrograms of a whole batch with a hop of 64
samples would not fit in memory. Signals are taken to be silent before their first sample and after
their last. The metrics leave nothing in a checkpoint, so that any model can be tested with any of
them.

In a ``torchmetrics.MetricCollection``, set ``compute_groups=False``: otherwise it takes metrics
that agree on the first batch (all are 0 on silence) for copies of one and reports one for all.
"""

from abc import abstractmethod

import torch
import torchaudio.functional
from torch import Tensor
from torchmetrics import Metric

from drumblender.signal import exact_products


class MeanOverItems(Metric):
    """Mean over all items of ``distance(input, target)``, which a subclass defines for one item."""

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    window: Tensor
    total: Tensor
    count: Tensor

    def __init__(self, n_fft: int, hop_size: int):
        super().__init__()
        self.n_fft = n_fft
        self.hop_size = hop_size
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, input: Tensor, target: Tensor) -> None:
        """Take in one batch: ``input`` and ``target`` of shape (..., N)."""
        if input.shape != target.shape:
            raise ValueError(
                f"input and target have different shapes: {tuple(input.shape)} and "
                f"{tuple(target.shape)}; cut or pad one to the length of the other."
            )
        num_samples = input.shape[-1]
        for x, y in zip(input.reshape(-1, num_samples), target.reshape(-1, num_samples)):
            self.total += self.distance(x.float(), y.float())
            self.count += 1

    def compute(self) -> Tensor:
        """Return the mean over all items since the last reset, a scalar."""
        return self.total / self.count

    @abstractmethod
    def distance(self, input: Tensor, target: Tensor) -> Tensor:
        """Distance between one resynthesis and its target, both (N,). A subclass defines it."""

    def magnitude(self, x: Tensor) -> Tensor:
        """Magnitude of the short-time Fourier transform, (N,) to (n_fft // 2 + 1, frames)."""
        spectrum = torch.stft(
            x,
            self.n_fft,
            self.hop_size,
            window=self.window,
            pad_mode="constant",
            return_complex=True,
        )
        return spectrum.abs()


class LogSpectralDistance(MeanOverItems):
    """Distance between log power spectra, in dB (Gray and Markel, IEEE Trans. ASSP 24(5), 1976).

    The root mean square over frequency of 10 log10((|X|^2 + eps) / (|Y|^2 + eps)), averaged over
    frames and items. A gain of g dB gives a distance of |g| dB wherever there is sound.

    Args:
        n_fft: length of Fourier transform and Hann window, in samples. Published figures use 8092,
            which is the default; it is not a slip for 8192.
        hop_size: distance between frames, in samples.
        eps: power below which a bin counts as silent. With the default window, the default value
            lies 116 dB below a sine of full scale, which is under the noise of 16-bit recordings.

    Shape:
        - Input, target: (..., N)
        - Output: scalar, in dB

    >>> lsd = LogSpectralDistance(n_fft=512)
    >>> noise = torch.rand(2, 1, 4096, generator=torch.Generator().manual_seed(0)) - 0.5
    >>> round(lsd(noise / 10, noise).item(), 1)
    20.0
    """

    def __init__(self, n_fft: int = 8092, hop_size: int = 64, eps: float = 1e-5):
        super().__init__(n_fft, hop_size)
        self.eps = eps

    def distance(self, input: Tensor, target: Tensor) -> Tensor:
        ratio = (self.magnitude(input).square() + self.eps).log10()
        ratio -= (self.magnitude(target).square() + self.eps).log10()
        return 10 * ratio.square().mean(0).sqrt().mean()


class MFCCError(MeanOverItems):
    """Mean absolute difference of mel-frequency cepstral coefficients: a distance of timbre.

    The coefficients are those of ``torchaudio.transforms.MFCC`` with the same settings: power
    spectrogram, triangular filters on the HTK mel scale up to half the sample rate, decibels down
    to 80 dB below the item's loudest point, orthonormal DCT-II.

    Args:
        sample_rate: in Hz.
        n_mfcc: number of coefficients, with the zeroth, which is the level.
        n_mels: number of mel bands.
        n_fft: length of Fourier transform and Hann window, in samples.
        hop_size: distance between frames, in samples.

    Shape:
        - Input, target: (..., N)
        - Output: scalar

    >>> mfcc = MFCCError(sample_rate=16_000, n_mfcc=13, n_mels=40, n_fft=512)
    >>> noise = torch.rand(2, 1, 4096, generator=torch.Generator().manual_seed(0)) - 0.5
    >>> mfcc(noise, noise).item()
    0.0
    """

    bands: Tensor
    dct: Tensor

    def __init__(
        self,
        sample_rate: int = 48_000,
        n_mfcc: int = 40,
        n_mels: int = 128,
        n_fft: int = 2048,
        hop_size: int = 256,
    ):
        super().__init__(n_fft, hop_size)
        bands = torchaudio.functional.melscale_fbanks(
            n_fft // 2 + 1, 0.0, sample_rate / 2, n_mels, sample_rate
        )
        # torchaudio's transform would do, but its buffers are persistent: checkpoints written
        # without this metric would not load with it.
        self.register_buffer("bands", bands, persistent=False)
        self.register_buffer(
            "dct", torchaudio.functional.create_dct(n_mfcc, n_mels, norm="ortho"), persistent=False
        )

    @exact_products()
    def distance(self, input: Tensor, target: Tensor) -> Tensor:
        return (self.mfcc(input) - self.mfcc(target)).abs().mean()

    def mfcc(self, x: Tensor) -> Tensor:
        """Compute the coefficients of one item, (N,) to (frames, n_mfcc)."""
        mel = self.magnitude(x).square().T @ self.bands
        level = torchaudio.functional.amplitude_to_DB(
            mel, multiplier=10.0, amin=1e-10, db_multiplier=0.0, top_db=80.0
        )
        return level @ self.dct


class SpectralFluxOnsetError(MeanOverItems):
    """Mean absolute difference of onset strengths.

    The onset strength of a frame is its spectral flux: how much each bin's magnitude rose since the
    frame before, falls counted as 0, summed over frequency (Dixon, "Onset Detection Revisited",
    DAFx 2006). The frame before the first is silent, so that an attack on the first sample counts.

    Args:
        n_fft: length of Fourier transform and Hann window, in samples.
        hop_size: distance between frames, in samples.
        legacy: take the difference along frequency instead of time. The published figures do, and
            are reproduced that way. It measures how jagged each frame's spectrum is, not when
            sounds begin.

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
        return (self.onset_strength(input) - self.onset_strength(target)).abs().mean()

    def onset_strength(self, x: Tensor) -> Tensor:
        """Compute the onset strength of one item, (N,) to (frames,)."""
        magnitude = self.magnitude(x)
        if self.legacy:
            rise = magnitude.diff(dim=0)
        else:
            rise = magnitude.diff(dim=1, prepend=torch.zeros_like(magnitude[:, :1]))
        return rise.relu().sum(0)
