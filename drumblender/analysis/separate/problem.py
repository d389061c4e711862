"""The problem of least squares in a frequency band: what is fitted, and to what."""

import math
from typing import List, NamedTuple

import torch
from torch import Tensor

from drumblender.analysis.groups import Group, group_bands, split_group
from drumblender.analysis.separate.bands import RATE, WIDTH, Bands
from drumblender.analysis.separate.damped import Damped
from drumblender.analysis.separate.floor import Floor

# Samples that are computed from one exponential.
BLOCK = 64
# Kinds of bands in a group: analytic ones are numbered from here on.
_ANALYTIC = 2**16


class State(NamedTuple):
    """The unknowns of each band.

    Attributes:
        omega: frequency of each mode in rad/s (G, P).
        rate: rate of its decay in 1/s (G, P).
        amplitude: its complex amplitude at the onset (G, P).
        depth: depth of the glide (G,).
        time: time constant of the glide in seconds (G,).
    """

    omega: Tensor
    rate: Tensor
    amplitude: Tensor
    depth: Tensor
    time: Tensor

    def where(self, here: Tensor, other: "State") -> "State":
        """Return this state in bands where ``here`` (G,) is true, and the other one elsewhere."""
        return State(
            *(torch.where(here.view(-1, *[1] * (a.dim() - 1)), a, b) for a, b in zip(self, other))
        )


class Problem(NamedTuple):
    """The signals that modes are fitted to.

    Attributes:
        target: samples of each band (G, n).
        weight: weight of their squared errors (G, n).
        since: seconds since the onset, float64 (G, n).
        step: seconds from one sample to the next.
        onset: onset in seconds (G,).
        center: frequency by which the band is shifted down, in rad/s (G,).
        is_real: whether the bands are real.
        there: whether each mode exists (G, P).
        glides: whether each mode follows the glide (G, P).
    """

    target: Tensor
    weight: Tensor
    since: Tensor
    step: float
    onset: Tensor
    center: Tensor
    is_real: bool
    there: Tensor
    glides: Tensor

    def waves(self, state: State) -> Tensor:
        """Compute modes of amplitude 1, complex64 (G, P, n)."""
        if self.glides.any():
            return self._gliding(state)
        # An exponential of a long time is one of a multiple of BLOCK times one of less than that.
        power = torch.complex(-state.rate, state.omega - self.center[:, None])
        since = self.since[:, ::BLOCK].clamp(min=-2 * BLOCK / RATE)
        turn = (self.center * self.onset)[:, None, None]
        coarse = torch.exp(power[..., None] * since[:, None] - 1j * turn) * self.there[..., None]
        within = torch.arange(BLOCK, dtype=torch.float64, device=since.device) * self.step
        fine = torch.exp(power[..., None] * within)
        wave = coarse.to(torch.complex64)[..., None] * fine.to(torch.complex64)[..., None, :]
        return wave.flatten(2)[..., : self.target.shape[1]]

    def _gliding(self, state: State) -> Tensor:
        """Compute modes of amplitude 1 in bands with a glide, sample by sample."""
        t, g = self.since.clamp(min=0), state.time[:, None]
        psi = t + state.depth[:, None] * g * (1 - torch.exp(-t / g))
        clock = torch.where(self.glides[..., None], psi[:, None], t[:, None])
        carrier = self.center[:, None] * (self.since + self.onset[:, None])
        phase = state.omega[..., None] * clock - carrier[:, None]
        envelope = torch.exp(-(state.rate[..., None] * t[:, None]).float()) * self.there[..., None]
        return torch.polar(envelope, torch.remainder(phase, 2 * math.pi).float())

    def error(self, wave: Tensor, state: State) -> Tensor:
        """Compute the weighted squared error (G,)."""
        left = self.target - (state.amplitude[:, None].to(wave.dtype) @ wave)[:, 0]
        squared = left.real.square()
        if not self.is_real:
            squared = squared + left.imag.square()
        return (squared * self.weight).sum(1)


def by_size(group: Group, modes: Damped) -> List[Group]:
    """Split a group into parts with about as many modes in each band, so that few rows are empty.

    Bands with glides are apart, because their modes are slower to compute. Real bands, which need
    more products, come first.
    """
    sizes = group.there.sum(1).clamp(min=1)
    glides = (modes.glides[group.sound[:, None], group.member] & group.there).any(1)
    kind = 2 * (2 * sizes.float().log2()).ceil().long() + glides
    return split_group(group, kind + _ANALYTIC * (group.band > 0))


def noise_of(floor: Floor, group: Group, bands: Bands, sample_rate: int) -> Tensor:
    """Compute the noise in each band of a group over time, (G, n), float32."""
    low, high = (((group.band + s) * WIDTH * 2 / sample_rate).clamp(0, 1) for s in (-0.5, 0.5))
    return floor.along(group.sound, low, high, bands.time * sample_rate).float()


def group_modes(modes: Damped, bands: int, everything: bool = False) -> Group:
    """Group modes by bands: those with new or gliding modes, or all with ``everything``."""
    home = (modes.omega / (2 * math.pi * WIDTH)).round().long().clamp(0, bands - 1)
    number = torch.arange(bands, device=home.device)[:, None]
    own = (home[:, None] == number) & (modes.stat > 0)[:, None]
    changes = (modes.amplitude == 0) | modes.glides
    return group_bands(own, (own if everything else own & changes[:, None]).any(-1))
