"""Distances of spectra: of all bins, of several resolutions, and of mel bands."""

import torch
import torchaudio.functional
from torch import Tensor

from drumblender.metrics.base import MeanOverItems, MeanOverSpectra
from drumblender.signal import exact_products


class MultiResolutionSTFTError(MeanOverItems):
    """Multi-resolution STFT distance (MSS), the figure by which resyntheses are mostly compared.

    It is ``auraloss.freq.MultiResolutionSTFTLoss`` with its default arguments (Steinmetz and Reiss,
    "auraloss: Audio focused loss functions in PyTorch", DMRN+15, 2020; after Yamamoto et al.,
    "Parallel WaveGAN", ICASSP 2020), computed of one item at a time. For each of three resolutions
    (Fourier transforms of 1024, 2048 and 512 samples, Hann windows of 600, 1200 and 240, hops of
    120, 240 and 50), it adds the spectral convergence ||Y| - |X|| / ||Y|| (Frobenius norms) and the
    mean of |ln |X[k, t]| - ln |Y[k, t]||. The result is the mean over resolutions. Magnitudes below
    1e-4 are raised to there.

    It has no unit. Two silent signals have a distance of 0. Silence has a spectral convergence of 1
    from a sound. Against a silent target the distance is finite, and large.

    Shape:
        - Input, target: (..., N). Fewer than 2048 samples are followed by silence.
        - Output: scalar

    >>> mss = MultiResolutionSTFTError()
    >>> noise = torch.rand(2, 1, 4096, generator=torch.Generator().manual_seed(0)) - 0.5
    >>> mss(noise, noise).item()
    0.0
    """

    def __init__(self) -> None:
        super().__init__()
        from auraloss.freq import MultiResolutionSTFTLoss

        # Its windows are no buffers: it leaves nothing in a checkpoint.
        self.loss = MultiResolutionSTFTLoss()

    def distance(self, input: Tensor, target: Tensor) -> Tensor:
        """Measure one resynthesis against its target, both (N,)."""
        missing = max(0, 2048 - input.shape[-1])  # shorter ones cannot be reflected at their ends
        x, y = (torch.nn.functional.pad(x, (0, missing))[None, None] for x in (input, target))
        return self.loss(x, y)


class LogSpectralDistance(MeanOverSpectra):
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
        return (self._levels(input) - self._levels(target)).square().mean(1).sqrt().mean()

    def _levels(self, x: Tensor) -> Tensor:
        """Compute log power spectra, (N,) to (frames, bins), in dB."""
        half = self.n_fft // 2
        padded = torch.nn.functional.pad(x, (half, half))
        frames = padded.unfold(-1, self.n_fft, self.hop_size)
        # A few frames at a time stay in the processor's cache, which takes a quarter less time.
        together = 16 if x.device.type == "cpu" else len(frames)
        levels = []
        for some in frames.split(together):
            power = torch.fft.rfft(some * self.window).abs().square()
            levels.append(power.add_(self.eps).log10_().mul_(10))
        return torch.cat(levels)


class MFCCError(MeanOverSpectra):
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
        self.register_buffer("bands", _mel_filters(n_fft, n_mels, sample_rate), persistent=False)
        # torchaudio's transform would do, but its buffers are persistent: checkpoints written
        # without this metric would not load with it.
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


class LogMelError(MeanOverSpectra):
    """Mean absolute difference of levels in mel bands, the log-mel L1 distance of neural codecs.

    It is the mean over bands b and frames t of |L_x[b, t] - L_y[b, t]|, where

        L[b, t] = 10 log10(sum over k of W[b, k] |X[k, t]|^2 + eps),

    and W are triangular filters of height 1 on the HTK mel scale up to half the sample rate, as
    ``torchaudio.transforms.MelSpectrogram`` has them. Its unit is dB: a gain of g dB gives an error
    of |g| dB wherever there is sound. Two silent signals have an error of 0 dB. Against silence, a
    band of power P counts with 10 log10(1 + P / eps) dB, which is finite.

    Args:
        sample_rate: in Hz.
        n_mels: number of mel bands.
        n_fft: length of the Fourier transform and of the Hann window, in samples.
        hop_size: distance between frames, in samples.
        eps: power below which a band counts as silent. The default value lies 104 dB below the peak
            of a sine of full scale with the default window.

    Shape:
        - Input, target: (..., N)
        - Output: scalar, in dB

    >>> mel = LogMelError(n_mels=40)
    >>> noise = torch.rand(2, 1, 48000, generator=torch.Generator().manual_seed(0)) - 0.5
    >>> round(mel(noise / 10, noise).item(), 1)
    20.0
    """

    bands: Tensor

    def __init__(
        self,
        sample_rate: int = 48_000,
        n_mels: int = 80,
        n_fft: int = 2048,
        hop_size: int = 256,
        eps: float = 1e-5,
    ):
        super().__init__(n_fft, hop_size)
        self.eps = eps
        self.register_buffer("bands", _mel_filters(n_fft, n_mels, sample_rate), persistent=False)

    @exact_products()
    def distance(self, input: Tensor, target: Tensor) -> Tensor:
        """Measure one resynthesis against its target, both (N,), in dB."""
        return (self.levels(input) - self.levels(target)).abs().mean()

    def levels(self, x: Tensor) -> Tensor:
        """Compute the levels of one item in mel bands, (N,) to (frames, n_mels), in dB."""
        return 10 * (self.magnitude(x).square().T @ self.bands + self.eps).log10()


def _mel_filters(n_fft: int, n_mels: int, sample_rate: int) -> Tensor:
    """Make triangular filters on the HTK mel scale up to half the sample rate, (bins, n_mels)."""
    return torchaudio.functional.melscale_fbanks(
        n_fft // 2 + 1, 0.0, sample_rate / 2, n_mels, sample_rate
    )
