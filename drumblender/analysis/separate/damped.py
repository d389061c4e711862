"""Damped sinusoids that share a glide: what a struck body does after it is left alone.

Mode m sounds from the onset on as ``Re a_m exp(-t / T_m + i w_m psi(t))`` with
``psi(t) = t + d g (1 - exp(-t / g))``: at the onset all frequencies are 1 + d times as high as in
the end and approach that with time constant g. A skin that is stretched by a hard stroke does so,
and so do synthesized kicks.
"""

import math
from dataclasses import dataclass, replace
from typing import Tuple

import torch
from torch import Tensor

from drumblender.synths import modal_synth

# Modes below this frequency follow the glide, in Hz.
GLIDING = 2250.0


@dataclass(frozen=True)
class Damped:
    """Modes of a batch of sounds; those of significance 0 are not there. All in float64.

    Attributes:
        omega: final frequency in rad/s (B, M).
        rate: of decay, 1 / T in 1/s (B, M).
        amplitude: complex, at the onset (B, M).
        stat: significance, energy relative to that of the noise in its place (B, M).
        onset: in seconds (B,).
        depth: d of the glide (B,).
        time: g of the glide in seconds (B,).
    """

    omega: Tensor
    rate: Tensor
    amplitude: Tensor
    stat: Tensor
    onset: Tensor
    depth: Tensor
    time: Tensor

    @staticmethod
    def none(onset: Tensor) -> "Damped":
        """No modes yet."""
        empty = onset.new_zeros(len(onset), 0)
        zero = torch.zeros_like(onset)
        return Damped(empty, empty, empty + 0j, empty, onset, zero, zero + 0.05)

    @property
    def glides(self) -> Tensor:
        """Which modes follow the glide (B, M)."""
        return (self.omega < 2 * math.pi * GLIDING) & (self.depth != 0)[:, None]

    def choose(self, index: Tensor) -> "Damped":
        """Modes by number (B, K)."""
        names = ("omega", "rate", "amplitude", "stat")
        return replace(self, **{name: getattr(self, name).gather(1, index) for name in names})

    def keep(self, here: Tensor) -> "Damped":
        """Only modes where ``here`` (B, M) is true, in rows without gaps, the loudest first."""
        stat = torch.where(here, self.stat, 0)
        count = int((stat > 0).sum(1).max()) if stat.numel() else 0
        kept = replace(self, stat=stat, amplitude=torch.where(here, self.amplitude, 0))
        return kept.choose(stat.argsort(dim=1, descending=True, stable=True)[:, :count])


def frames_of(
    modes: Damped, num_samples: int, num_frames: int, sample_rate: int
) -> Tuple[Tensor, Tensor, Tensor]:
    """Frequency in rad/sample, amplitude and phase of the first frame, as they are played.

    Before the onset modes have the frequency of the onset and grow no more than a little, since
    what begins there is shaped by the attack.

    Shape:
        - Output: (B, M, F), (B, M, F), (B, M, 1), float64
    """
    frame = num_samples / num_frames
    index = torch.arange(num_frames, dtype=torch.float64, device=modes.omega.device)
    time = ((index + 0.5) * frame - 0.5) / sample_rate - modes.onset[:, None]
    since = time.clamp(min=0)
    slope = 1 + modes.depth[:, None] * torch.exp(-since / modes.time[:, None])
    slope = torch.where(modes.glides[..., None], slope[:, None], 1.0)
    omega = modes.omega[..., None] / sample_rate * slope
    silent = (omega >= math.pi).any(-1, keepdim=True) | (modes.stat <= 0)[..., None]
    amplitude = modes.amplitude.abs()[..., None] * torch.exp(
        -modes.rate[..., None] * time.clamp(min=-0.002)[:, None]
    )
    amplitude = torch.where(silent, 0.0, amplitude)
    # The synthesizer's phase at the centers of frames; it must be that of the mode at the onset.
    steps = 0.5 * frame * (omega[..., 1:] + omega[..., :-1])
    running = torch.cat([0.5 * frame * omega[..., :1], steps], -1).cumsum(-1) + 0.5 * omega
    first = (time < 0).sum(-1).clamp(max=num_frames - 1)[:, None, None]
    first = first.expand(*omega.shape[:2], 1)
    passed = time.gather(1, first[:, 0]).clamp(min=0)
    glide = modes.depth[:, None] * modes.time[:, None]
    glide = glide * (1 - torch.exp(-passed / modes.time[:, None]))
    turned = modes.omega * (passed + torch.where(modes.glides, glide, 0.0))
    # A cosine is a sine a quarter turn ahead.
    phase = modes.amplitude.angle() + math.pi / 2 + turned - running.gather(-1, first)[..., 0]
    phase = torch.remainder(phase + math.pi, 2 * math.pi) - math.pi
    return omega, amplitude, phase[..., None]


def play(modes: Damped, num_samples: int, num_frames: int, sample_rate: int) -> Tensor:
    """Sum of the modes (B, N), float32; they begin at once."""
    if not modes.omega.shape[1]:
        return torch.zeros(len(modes.omega), num_samples, device=modes.omega.device)
    parameters = (x.float() for x in frames_of(modes, num_samples, num_frames, sample_rate))
    omega, amplitude, phase = parameters
    y = modal_synth(omega, amplitude, num_samples, phase)[:, 0]
    begun = torch.arange(num_samples, device=y.device) >= (modes.onset * sample_rate)[:, None]
    return y * begun
