"""Least squares with damped sinusoids of constant frequency, in blocks of samples.

Within a block, weights are constant. So products of two waves over a block are those of their first
samples times a factor that all blocks have in common, and only these samples have to be computed.
"""

from typing import NamedTuple, Tuple

import torch
from torch import Tensor

from drumblender.analysis.groups import Group
from drumblender.analysis.separate.bands import RATE, Bands
from drumblender.analysis.separate.damped import Damped
from drumblender.analysis.separate.floor import Floor
from drumblender.analysis.separate.problem import CALM, State, noise_of, state_of
from drumblender.analysis.separate.products import Fit, Products, amplitudes, of_slopes

# Samples of a block, and blocks that are computed from one exponential.
SIZE, _FROM_ONE = 8, 8


class Waves(NamedTuple):
    """Modes of amplitude 1, complex128: first samples of blocks times what the blocks share.

    Attributes:
        coarse: first samples of the blocks (G, P, blocks).
        fine: samples of each block relative to its first one (G, P, SIZE).
    """

    coarse: Tensor
    fine: Tensor


class Blocks(NamedTuple):
    """The signals that modes are fitted to, from shortly after the onset on.

    Attributes:
        target: samples, complex128 (G, blocks, SIZE).
        weight: weight of the squared errors of each block, float64 (G, blocks).
        since: seconds from the onset to the first sample of each block (G, blocks).
        step: seconds from one sample to the next.
        turn: phase of the carrier at the onset (G,).
        center: frequency by which the band is shifted down, in rad/s (G,).
        is_real: whether each band is real (G,).
        there: whether each mode exists (G, P).
    """

    target: Tensor
    weight: Tensor
    since: Tensor
    step: float
    turn: Tensor
    center: Tensor
    is_real: Tensor
    there: Tensor

    def waves(self, omega: Tensor, rate: Tensor, there: Tensor) -> Waves:
        """Compute modes of given frequencies and rates of decay, those that exist (G, P)."""
        power = torch.complex(-rate, omega - self.center[:, None])[..., None]
        since = self.since[:, ::_FROM_ONE]
        turn = torch.complex(torch.zeros_like(self.turn), self.turn)[:, None, None]
        coarse = torch.exp(power * since[:, None] - turn) * there[..., None]
        number = torch.arange(max(SIZE, _FROM_ONE), dtype=since.dtype, device=since.device)
        number = number * self.step
        middle = torch.exp(power * (SIZE * number[:_FROM_ONE]))
        coarse = (coarse[..., None] * middle[..., None, :]).flatten(2)
        fine = torch.exp(power * number[:SIZE])
        return Waves(coarse[..., : self.since.shape[1]], fine)

    def with_known(self, state: State) -> "Blocks":
        """Add the modes as they are to the target."""
        waves = self.waves(state.omega, state.rate, state.amplitude != 0)
        known = (waves.coarse * state.amplitude[..., None]).mT @ waves.fine
        target = self.target + known
        target = torch.where(self.is_real[:, None, None], target.real + 0j, target)
        return self._replace(target=target)

    def products(self, waves: Waves, with_slopes: bool) -> Products:
        """Multiply waves by each other and by the target and, if asked for, their slopes, too.

        The slope of a wave is the wave times the time that has passed, which is that at the
        beginning of the block and that from there on.
        """
        count = 3 if with_slopes else 1
        number = torch.arange(SIZE, dtype=self.since.dtype, device=self.since.device) * self.step
        late = torch.stack([number**k for k in range(count)])[:, None]
        early = torch.stack([self.weight * self.since**k for k in range(count)], 1)[:, :, None]
        coarse = (waves.coarse[:, None] * early).flatten(1, 2)  # (G, count * P, blocks)
        fine = (waves.fine[:, None] * late).flatten(1, 2)
        coarse_down, fine_down = coarse.conj().resolve_conj(), fine.conj().resolve_conj()
        size = waves.coarse.shape[1]
        own = _combined(coarse_down @ waves.coarse.mT, fine_down @ waves.fine.mT, count)
        mirror = None
        if self.is_real.any():
            rows = self.is_real.nonzero()[:, 0]
            mirror = torch.zeros_like(own)
            left, right = coarse[rows] @ waves.coarse[rows].mT, fine[rows] @ waves.fine[rows].mT
            mirror[rows] = 0.5 * _combined(left, right, count)
            own = own * torch.where(self.is_real, 0.5, 1.0)[:, None, None]
        # Products of the target with what blocks share, then with their first samples.
        sums = fine_down[:, : (count + 1) // 2 * size] @ self.target.mT
        made = coarse_down[:, :size] * sums[:, :size]
        if with_slopes:
            slopes = coarse_down[:, size : 2 * size] * sums[:, :size]
            made = torch.cat([made, slopes.addcmul_(coarse_down[:, :size], sums[:, size:])], 1)
        return Products(own, mirror, made.sum(2))

    def fit(self, state: State, with_slopes: bool) -> Fit:
        """Fit the amplitudes of modes whose other parameters are given."""
        waves = self.waves(state.omega, state.rate, self.there)
        products = self.products(waves, with_slopes)
        amplitude = amplitudes(products, state.omega.shape[1])
        error = self.power() - products.first(state.omega.shape[1]).gain(amplitude)
        return Fit(state._replace(amplitude=amplitude), products, error)

    def power(self) -> Tensor:
        """Compute the weighted energy of the target (G,)."""
        squared = self.target.real.square() + self.target.imag.square()
        return (squared.sum(2) * self.weight).sum(1)

    def energies(self, state: State, weight: Tensor) -> Tensor:
        """Compute the energies of modes of amplitude 1 with weights of the blocks, (G, P)."""
        coarse, fine = self.waves(state.omega, state.rate, self.there)
        within = (fine.real.square() + fine.imag.square()).sum(2)
        return ((coarse.real.square() + coarse.imag.square()) * weight[:, None]).sum(2) * within

    def guess(self, omega: Tensor, there: Tensor, rates: Tensor) -> Tensor:
        """Find the rate of decay at which each mode explains most (G, P), of those given (R,)."""
        waves = self.waves(omega, torch.zeros_like(omega), there)
        sums = self.target @ waves.fine.conj().mT
        down = waves.coarse.conj() * self.weight[:, None] * sums.mT
        middle = self.since + 0.5 * (SIZE - 1) * self.step
        decay = torch.exp(-middle[:, None] * rates[:, None])
        found = decay @ torch.cat([down.real, down.imag], 1).mT  # (G, rates, 2 P)
        power = found.square().unflatten(2, (2, -1)).sum(2)
        gain = power / (decay.square() @ self.weight[..., None]).clamp(min=1e-20)
        return rates[gain.argmax(1)]


def pose_blocks(
    bands: Bands, group: Group, modes: Damped, floor: Floor, skip: float, sample_rate: int
) -> Tuple[Blocks, State, Tensor]:
    """Pose the problem of fitting modes without a glide.

    Args:
        bands: bands of the residual.
        group: bands with modes.
        modes: modes that the residual is without.
        floor: noise that is expected.
        skip: seconds after the onset that do not count.
        sample_rate: in Hz.

    Returns:
        The problem, its first state, and the noise of its blocks, which is infinite where they do
        not count (G, blocks).
    """
    onset, end = modes.onset[group.sound], modes.end[group.sound]
    step = float(bands.time[1] - bands.time[0]) if len(bands.time) > 1 else 1 / RATE
    first = torch.searchsorted(bands.time, onset + skip, right=True)
    last = torch.searchsorted(bands.time, end)
    counted = torch.div(last - first, SIZE, rounding_mode="floor")
    count = max(1, int(counted.max()))
    number = torch.arange(count * SIZE, device=onset.device)
    index = (first[:, None] + number).clamp(max=len(bands.time) - 1)
    samples = bands.of(group.sound, group.band).gather(1, index).to(torch.complex128)
    begin = (first[:, None] + number[::SIZE]) * step
    noise = noise_of(floor, group, begin + 0.5 * (SIZE - 1) * step, sample_rate).double()
    noise = torch.where(number[:count] < counted[:, None], noise, torch.inf)
    loudest = torch.where(noise.isfinite(), noise, 0).amax(1, keepdim=True)
    state = state_of(modes, group)
    center = bands.centers[group.band]
    blocks = Blocks(
        target=samples.unflatten(1, (count, SIZE)),
        weight=1 / (noise + CALM * loudest),
        since=begin - onset[:, None],
        step=step,
        turn=center * onset,
        center=center,
        is_real=group.band == 0,
        there=group.there,
    )
    return blocks, state, noise


def _combined(coarse: Tensor, fine: Tensor, count: int) -> Tensor:
    """Combine products of first samples and those within blocks, by powers of time (G, P, .).

    Returns:
        Products of waves (G, P, P), or of waves and their slopes (G, 2 P, 2 P).
    """
    if count == 1:
        return coarse * fine
    plain, once, twice = coarse.chunk(3, 1)
    plain_within, once_within, twice_within = fine.chunk(3, 1)
    middle = once * plain_within + plain * once_within
    last = twice * plain_within + 2 * once * once_within + plain * twice_within
    return of_slopes(torch.cat([plain * plain_within, middle, last], 2))
