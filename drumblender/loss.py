"""Training losses that auraloss does not have.

The spectral loss, multi-resolution STFT, comes from auraloss (Steinmetz and Reiss, "auraloss: Audio
focused loss functions in PyTorch", DMRN+15, 2020). The losses of this module are added to it when
the exact waveform matters, as it does when a model learns one drum by heart.
"""

import contextlib
from dataclasses import dataclass
from typing import Iterator, List, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.errors import UsageError
from drumblender.signal.auditory import average_powers, noise_powers


class FirstOrderDifferenceLoss(torch.nn.Module):
    """L1 distance between the first-order time differences of two signals.

    With reduction ``mean`` it is mean |(x[n] - x[n - 1]) - (y[n] - y[n - 1])|, in units of
    amplitude per sample. The difference is a high-pass filter of gain 2 sin(w / 2) at w rad/sample.
    It weighs the attack and the high frequencies of a drum, which the L1 distance of waveforms
    nearly ignores beside a loud low-frequency decay.

    Two silent signals have a distance of 0. The distance of a signal from silence is the mean size
    of its own differences. A constant offset between signals does not count.

    Args:
        reduction: ``mean`` or ``sum`` over all values, or ``none`` to keep them.

    Raises:
        ValueError: if the reduction is none of these.

    Shape:
        - Input, target: (B, 1, N), or any shape whose last axis is time
        - Output: scalar; (B, 1, N - 1) if ``reduction`` is ``none``

    >>> step, silence = torch.tensor([[[0.0, 0.0, 1.0, 1.0]]]), torch.zeros(1, 1, 4)
    >>> FirstOrderDifferenceLoss(reduction="sum")(step, silence)
    tensor(1.)
    """

    def __init__(self, reduction: str = "mean"):
        super().__init__()
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction must be mean, sum or none, not {reduction!r}.")
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compute the distance of two signals (B, 1, N)."""
        return F.l1_loss(input.diff(dim=-1), target.diff(dim=-1), reduction=self.reduction)


class WeightedLoss(torch.nn.Module):
    """Weighted sum of losses, w_1 L_1(x, y) + w_2 L_2(x, y) + ...

    The unit is that of the losses, which the weights bring to one scale. At silence the sum is
    finite if each loss is.

    Args:
        loss_fns: modules that are called as ``loss_fn(input, target)`` and return a scalar.
        weights: one factor for each loss. All are 1 if they are not given.

    Shape:
        - Input, target: (B, 1, N)
        - Output: scalar

    Raises:
        ValueError: if there is no loss, or if there is not one weight for each loss.

    >>> loss = WeightedLoss([torch.nn.L1Loss(), torch.nn.MSELoss()], [1.0, 10.0])
    >>> loss(torch.zeros(1, 1, 8), torch.full((1, 1, 8), 2.0))
    tensor(42.)
    """

    def __init__(self, loss_fns: List[torch.nn.Module], weights: Optional[List[float]] = None):
        super().__init__()
        if weights is None:
            weights = [1.0] * len(loss_fns)
        if not loss_fns:
            raise ValueError("loss_fns is empty; give at least one loss.")
        if len(weights) != len(loss_fns):
            raise ValueError(
                f"weights has {len(weights)} values for {len(loss_fns)} loss_fns; give one each."
            )
        self.loss_fns = torch.nn.ModuleList(loss_fns)
        # Not a buffer: checkpoints hold what was learned, the configuration holds what was chosen.
        self.weights = list(weights)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compute the sum of the losses of two signals (B, 1, N), a scalar."""
        return sum(w * loss_fn(input, target) for w, loss_fn in zip(self.weights, self.loss_fns))


class BeginningLoss(torch.nn.Module):
    """Another loss on the beginning of sounds, where the attack is.

    In a loss of the whole sound, 100 ms are a small part of the frames.

    Args:
        loss_fn: module that takes two signals and returns a scalar.
        num_samples: number of samples that count.

    Shape:
        - Input, target: (B, 1, N)
        - Output: scalar

    >>> loss = BeginningLoss(torch.nn.L1Loss(), 2)
    >>> loss(torch.tensor([[[1.0, 1.0, 5.0]]]), torch.zeros(1, 1, 3))
    tensor(1.)
    """

    def __init__(self, loss_fn: torch.nn.Module, num_samples: int = 4096):
        super().__init__()
        self.loss_fn = loss_fn
        self.num_samples = num_samples

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of the beginnings of two signals (B, 1, N), a scalar."""
        return self.loss_fn(input[..., : self.num_samples], target[..., : self.num_samples])


class SpectralFluxLoss(torch.nn.Module):
    """Distance between onset strengths, relative to those of the target.

    The onset strength of a frame says how much the magnitudes rose since the frame before, as in
    :class:`~drumblender.metrics.SpectralFluxOnsetError`. The loss of an item is the sum of absolute
    differences over frames, divided by the sum of the target's onset strengths. So quiet sounds
    count as much as loud ones. The loss of silence from silence is 0, and that of silence from
    a sound is 1.

    Args:
        n_fft: length of the Fourier transform and of the Hann window, in samples.
        hop_size: distance between frames, in samples.

    Shape:
        - Input, target: (B, 1, N)
        - Output: scalar

    >>> click = torch.zeros(1, 1, 4096)
    >>> click[..., 1000] = 1.0
    >>> loss = SpectralFluxLoss()
    >>> [round(loss(gain * click, click).item(), 3) for gain in (0.0, 0.5, 1.0)]
    [1.0, 0.5, 0.0]
    """

    window: Tensor

    def __init__(self, n_fft: int = 1024, hop_size: int = 128):
        super().__init__()
        self.n_fft = n_fft
        self.hop_size = hop_size
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compute the distance of two signals (B, 1, N), a scalar."""
        wanted = self._strength(target)
        difference = (self._strength(input) - wanted).abs().sum(-1)
        return (difference / wanted.sum(-1).clamp(min=1e-3)).mean()

    def _strength(self, x: Tensor) -> Tensor:
        """Compute onset strengths, (B, 1, N) to (B, frames)."""
        spectrum = torch.stft(
            x[:, 0],
            self.n_fft,
            self.hop_size,
            window=self.window,
            pad_mode="constant",
            return_complex=True,
        )
        # The derivative of a magnitude is not finite at zero.
        power = spectrum.real.square() + spectrum.imag.square()
        magnitude = power.clamp(min=1e-12).sqrt()
        rise = magnitude.diff(dim=-1, prepend=torch.full_like(magnitude[..., :1], 1e-6))
        return rise.relu().sum(1)


class NoiseLevelLoss(torch.nn.Module):
    """Distance of noise from measured noise, by their levels in bands that change with time.

    It is the mean of |10 log10((p + f) / (q + f))| over all bands and frames, in dB, where p and q
    are the powers of both in a band, averaged over neighboring frames, and f is the power of the
    floor. Two noises of the same levels have a distance of 1 to 2 dB, because levels of noise
    fluctuate. Silence has a distance of 0 from silence.

    Args:
        sample_rate: in Hz.
        floor: level in dB relative to amplitude 1. What lies below it hardly counts.
        smooth: number of frames on either side over which powers are averaged, so that the level
            of the noise counts and not the chance by which it fluctuates.

    Shape:
        - Input: noise (B, 1, N)
        - Target: levels (B, bands, N // level_hop + 1), as
          :func:`~drumblender.signal.auditory.noise_levels` measures them without averaging
        - Output: scalar

    >>> noise = 0.1 * torch.randn(1, 1, 24000, generator=torch.Generator().manual_seed(0))
    >>> levels = noise_powers(noise[:, 0], 48000).sqrt()
    >>> [round(NoiseLevelLoss()(gain * noise, levels).item(), 1) for gain in (1, 10)]
    [0.0, 20.0]
    """

    def __init__(self, sample_rate: int = 48_000, floor: float = -80.0, smooth: int = 4):
        super().__init__()
        self.sample_rate = sample_rate
        self.floor = floor
        self.smooth = smooth

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compute the distance of noise (B, 1, N) from levels (B, bands, frames), a scalar.

        Raises:
            UsageError: if the levels are those of another sample rate.
        """
        power = noise_powers(input[:, 0], self.sample_rate, target.shape[1], self.smooth)
        if power.shape != target.shape:
            raise UsageError(
                f"NoiseLevelLoss: there are {target.shape[-1]} frames of levels for "
                f"{input.shape[-1]} samples, and {power.shape[-1]} at its sample_rate of "
                f"{self.sample_rate} Hz; set it to that of the dataset."
            )
        floor = 10 ** (self.floor / 10)
        wanted = average_powers(target.square(), self.smooth)
        return 10 * ((power + floor) / (wanted + floor)).log10().abs().mean()


@dataclass(frozen=True)
class PartLoss:
    """The loss of one part of a model, which counts beside the loss of the whole sound.

    Attributes:
        loss_fn: module that takes what the part contributes to the sound and a target, and returns
            a scalar.
        weight: factor of this loss.
        target: ``measured`` for what the dataset holds of this part, or ``rest`` for what the
            sinusoids leave of the recording. The rest needs no measurement, and is there for
            augmented recordings, too.

    Raises:
        UsageError: if the target is neither of them.
    """

    loss_fn: torch.nn.Module
    weight: float = 1.0
    target: str = "measured"

    def __post_init__(self) -> None:
        if self.target not in ("measured", "rest"):
            raise UsageError(f"PartLoss: target is {self.target!r}; choose measured or rest.")


@contextlib.contextmanager
def long_enough(num_samples: int) -> Iterator[None]:
    """Say in a sentence that sounds are too short for the windows of a loss.

    PyTorch centers the first window of an STFT on the first sample, and reflects half of a window
    there. A sound of fewer samples cannot be reflected.

    Args:
        num_samples: length of the sounds.

    Raises:
        UsageError: if a window is too long for them.
    """
    try:
        yield
    except RuntimeError as error:
        if "Padding size" not in str(error):
            raise
        raise UsageError(
            f"Model: loss_fn has windows that are too long for sounds of {num_samples} samples; "
            "set num_samples to more than half of the longest window, or choose a loss with "
            "shorter ones."
        ) from error
