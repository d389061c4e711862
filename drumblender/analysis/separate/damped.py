"""Damped sinusoids that share a glide: what a struck body does after it is left alone.

Mode m sounds from the onset on as ``Re a_m exp(-t / T_m + i w_m psi(t))`` with
``psi(t) = t + d g (1 - exp(-t / g))``: at the onset all frequencies are 1 + d times as high as in
the end and approach that with time constant g. A skin that is stretched by a hard stroke does so,
and so do synthesized kicks.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Callable, Optional, Tuple

import torch
from torch import Tensor

from drumblender.analysis.phase import folded, running
from drumblender.synths import modal_synth

# Modes below this frequency follow the glide, in Hz.
GLIDING = 2250.0
# Before the onset, the time in seconds beyond which modes are no louder.
EARLY = 0.002


@dataclass(frozen=True)
class Damped:
    """The modes of a batch of sounds, all in float64. A mode of significance 0 does not exist.

    Attributes:
        omega: final frequency in rad/s (B, M).
        rate: rate of decay, 1 / T, in 1/s (B, M).
        amplitude: complex amplitude at the onset (B, M).
        stat: significance: energy relative to that of the noise in its place (B, M).
        onset: onset in seconds (B,).
        end: end of the recording in seconds (B,).
        depth: depth d of the glide (B,).
        time: time constant g of the glide in seconds (B,).
    """

    omega: Tensor
    rate: Tensor
    amplitude: Tensor
    stat: Tensor
    onset: Tensor
    end: Tensor
    depth: Tensor
    time: Tensor

    @staticmethod
    def none(onset: Tensor, end: Tensor) -> "Damped":
        """Make a batch of sounds that have no modes yet."""
        empty = onset.new_zeros(len(onset), 0)
        zero = torch.zeros_like(onset)
        return Damped(empty, empty, empty + 0j, empty, onset, end, zero, zero + 0.05)

    @property
    def glides(self) -> Tensor:
        """Whether each mode follows the glide (B, M)."""
        return (self.omega < 2 * math.pi * GLIDING) & (self.depth != 0)[:, None]

    def rows(self, index: Tensor) -> "Damped":
        """Return the modes of some of the sounds, by number (k,)."""
        return Damped(*(getattr(self, field.name)[index] for field in fields(self)))

    def choose(self, index: Tensor) -> "Damped":
        """Choose modes by their numbers (B, K)."""
        names = ("omega", "rate", "amplitude", "stat")
        return replace(self, **{name: getattr(self, name).gather(1, index) for name in names})

    def keep_places(self, here: Tensor) -> "Damped":
        """Keep the modes where ``here`` (B, M) is true. The rows of the others stay, but empty."""
        return replace(self, stat=torch.where(here, self.stat, 0))

    def keep(self, here: Tensor) -> "Damped":
        """Keep the modes where ``here`` (B, M) is true, in rows without gaps, the loudest first."""
        stat = torch.where(here, self.stat, 0)
        count = int((stat > 0).sum(1).max()) if stat.numel() else 0
        kept = replace(self, stat=stat, amplitude=torch.where(here, self.amplitude, 0))
        return kept.choose(stat.argsort(dim=1, descending=True, stable=True)[:, :count])


def waves(modes: Damped, time: Tensor, factor: Optional[Callable[[Tensor], Tensor]]) -> Tensor:
    """Compute each mode at moments in seconds, as if it had begun at once, (B, M, n), float32.

    Shape:
        - time: (B, n), float64
    """
    since = time - modes.onset[:, None]
    psi, _ = _clock(modes, since)
    angle = modes.omega[..., None] * psi + modes.amplitude.angle()[..., None]
    size = modes.amplitude.abs()[..., None] * torch.exp(
        -modes.rate[..., None] * since.clamp(min=-EARLY)[:, None]
    )
    size = torch.where((modes.stat > 0)[..., None], size, 0).float()
    wave = torch.polar(size, torch.remainder(angle, 2 * math.pi).float())
    if factor is not None:
        wave = wave * factor(since.clamp(min=0)).to(wave.dtype)
    return wave.real


def _clock(modes: Damped, since: Tensor) -> Tuple[Tensor, Tensor]:
    """Return the clock that each mode turns by, psi, and its slope (B, M or 1, n).

    Before the onset modes turn as at the onset.
    """
    passed = since.clamp(min=0)
    if not modes.depth.any():
        return since[:, None], torch.ones_like(since)[:, None]
    fall = torch.exp(-passed / modes.time[:, None])
    glides = modes.glides[..., None]
    slope = torch.where(glides, 1 + (modes.depth[:, None] * fall)[:, None], 1.0)
    excess = (modes.depth * modes.time)[:, None] * (1 - fall)
    psi = torch.where(glides, (passed + excess)[:, None], passed[:, None])
    return psi + slope * (since - passed)[:, None], slope


def frames_of(
    modes: Damped,
    frame: float,
    first: Tensor,
    count: int,
    sample_rate: int,
    factor: Optional[Callable[[Tensor], Tensor]] = None,
) -> Tuple[Tensor, Tensor, Tensor]:
    """Compute the frequency in rad/sample, the amplitude and the first phase of modes in frames.

    Before the onset modes have the frequency of the onset and grow no more than a little, because
    the attack shapes what begins there.

    Args:
        modes: modes to play.
        frame: length of a frame, in samples.
        first: number of the first frame (B,).
        count: number F of frames.
        sample_rate: in Hz.
        factor: function that gives complex factors (B, M, F) of the envelopes for times since the
            onset (B, F).

    Shape:
        - Output: (B, M, F), (B, M, F), (B, M, 1), float64
    """
    index = first[:, None] + torch.arange(count, device=modes.omega.device)
    time = ((index.double() + 0.5) * frame - 0.5) / sample_rate - modes.onset[:, None]
    since = time.clamp(min=0)
    psi, slope = _clock(modes, time)
    omega = modes.omega[..., None] / sample_rate * slope
    wanted = modes.omega[..., None] * psi + modes.amplitude.angle()[..., None]
    size = modes.amplitude.abs()[..., None] * torch.exp(
        -modes.rate[..., None] * time.clamp(min=-EARLY)[:, None]
    )
    if factor is not None:
        varied = factor(since)
        turned = varied.angle()
        wanted, size = wanted + turned, size * varied.abs()
        omega = (omega + folded(turned, frame)).clamp(1e-4, math.pi)
    silent = (omega >= math.pi).any(-1, keepdim=True) | (modes.stat <= 0)[..., None]
    silent = silent | (time > (modes.end - modes.onset)[:, None])[:, None]
    size = torch.where(silent, 0.0, size)
    missing = wanted - running(omega, frame)
    phase = torch.polar(size.square(), missing).sum(-1, keepdim=True).angle()
    amplitude = size * torch.cos(missing - phase).clamp(min=0)
    # A cosine is a sine a quarter turn ahead.
    phase = torch.remainder(phase + 1.5 * math.pi, 2 * math.pi) - math.pi
    return omega, amplitude, phase


def play(modes: Damped, num_samples: int, num_frames: int, sample_rate: int) -> Tensor:
    """Play the modes, which begin at once, (B, N), float32."""
    glides = modes.glides & (modes.stat > 0)
    y = _steady(modes.keep_places(~glides), num_samples, sample_rate)
    if glides.any():
        moving = modes.keep(glides)
        first = torch.zeros_like(modes.onset).long()
        frames = frames_of(moving, num_samples / num_frames, first, num_frames, sample_rate)
        omega, amplitude, phase = (x.float() for x in frames)
        y = y + modal_synth(omega, amplitude, num_samples, phase)[:, 0]
    place = torch.arange(num_samples, device=y.device)
    begun = place >= (modes.onset * sample_rate)[:, None]
    return y * (begun & (place <= (modes.end * sample_rate)[:, None]))


def _steady(modes: Damped, num_samples: int, sample_rate: int) -> Tensor:
    """Play modes of constant frequency (B, N), of which the samples before the onset do not count.

    An exponential at a sample is the one at the beginning of the sample's block times one of the
    distance from there, so that all modes and samples together are one product of matrices.
    """
    if not modes.omega.shape[1]:
        return torch.zeros(len(modes.omega), num_samples, device=modes.omega.device)
    size = math.ceil(math.sqrt(num_samples))
    place = torch.arange(size, dtype=torch.float64, device=modes.omega.device)
    begin = place * size / sample_rate - modes.onset[:, None]
    # Earlier blocks are over before the onset.
    begin = begin.clamp(min=-size / sample_rate)
    heard = (modes.stat > 0) & (modes.omega < math.pi * sample_rate)
    power = torch.complex(-modes.rate, modes.omega)[..., None]
    blocks = torch.where(heard, modes.amplitude, 0)[..., None] * torch.exp(power * begin[:, None])
    within = torch.exp(power * (place / sample_rate))
    left = torch.cat([blocks.real, -blocks.imag], 1).float().mT
    y = left @ torch.cat([within.real, within.imag], 1).float()
    return y.flatten(1)[:, :num_samples]
