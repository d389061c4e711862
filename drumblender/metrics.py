"""Metrics that compare trained models. ``drumblender test`` reports them.

Each metric is a ``torchmetrics.Metric``. It keeps a sum and a count, so that the mean over a whole
test set is right with unequal batches and with several processes. It takes a resynthesis and its
target and measures them one item at a time, because spectrograms of a whole batch with a hop of 64
samples would not fit in memory. Signals are taken to be silent before their first sample and after
their last. The metrics leave nothing in a checkpoint, so that any model can be tested with any of
them.

In the formulas, X[k, t] is bin k of frame t of the short-time Fourier transform of the resynthesis,
with a Hann window that is not normalized: a sine of full scale has a peak of n_fft / 4. Y is that
of the target. There are K = n_fft // 2 + 1 bins and T = N // hop_size + 1 frames. All metrics are
finite at silence, and 0 where both signals are silent.

In a ``torchmetrics.MetricCollection``, set ``compute_groups=False``. Otherwise the collection takes
metrics that agree on the first batch, as all do on silence, for copies of one, and reports one
value for all of them.
"""

from abc import abstractmethod

import torch
import torchaudio.functional
from torch import Tensor
from torchmetrics import Metric

from drumblender.signal import exact_products


class MeanOverItems(Metric):
    """Mean over all items of a distance, which a subclass defines for one item.

    Args:
        n_fft: length of the Fourier transform and of the Hann window, in samples.
        hop_size: distance between frames, in samples.
    """

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
        """Measure the items of one batch.

        Shape:
            - input, target: (..., N)

        Raises:
            ValueError: if ``input`` and ``target`` have different shapes.
        """
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
        """Return the mean over all items since the last reset, a scalar.

        It is NaN if there were no items.
        """
        return self.total / self.count

    @abstractmethod
    def distance(self, input: Tensor, target: Tensor) -> Tensor:
        """Measure one resynthesis against its target, both (N,). A subclass defines this."""

    def magnitude(self, x: Tensor) -> Tensor:
        """Compute the magnitude of the short-time Fourier transform, (N,) to (K, T)."""
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

    For one item it is the mean over frames of the root mean square over bins of

        d[k, t] = 10 log10((|X[k, t]|^2 + eps) / (|Y[k, t]|^2 + eps)).

    A gain of g dB gives a distance of |g| dB wherever there is sound. Two silent signals have a
    distance of 0 dB. Against silence, a bin of power P counts with 10 log10(1 + P / eps) dB, which
    is finite and depends on ``eps``.

    Args:
        n_fft: length of the Fourier transform and of the Hann window, in samples. Published figures
            use 8092, which is the default; it is not a slip for 8192.
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
        """Measure one resynthesis against its target, both (N,), in dB."""
        ratio = (self.magnitude(input).square() + self.eps).log10()
        ratio -= (self.magnitude(target).square() + self.eps).log10()
        return 10 * ratio.square().mean(0).sqrt().mean()


class MFCCError(MeanOverItems):
    """Mean absolute difference of mel-frequency cepstral coefficients, a distance of timbre.

    The coefficients of frame t are the orthonormal DCT-II, over mel bands b, of the levels

        L[b, t] = 10 log10(max(sum over k of W[b, k] |X[k, t]|^2, 1e-10)),

    where W are triangular filters on the HTK mel scale up to half the sample rate. Levels more than
    80 dB below the loudest one of an item are raised to there. ``torchaudio.transforms.MFCC``
    computes the same with the same settings. The error is the mean over coefficients and frames.
    Its unit is dB: a gain of g dB moves the zeroth coefficient by sqrt(n_mels) g, and no other one.

    Two silent signals have an error of 0. Silence has a level of -100 dB in every band, so that the
    error of a sound against silence is finite.

    Args:
        sample_rate: in Hz.
        n_mfcc: number of coefficients, including the zeroth, which is the level.
        n_mels: number of mel bands.
        n_fft: length of the Fourier transform and of the Hann window, in samples.
        hop_size: distance between frames, in samples.

    Shape:
        - Input, target: (..., N)
        - Output: scalar, in dB

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
        """Measure one resynthesis against its target, both (N,)."""
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
