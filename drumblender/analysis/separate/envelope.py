"""Envelopes of loud modes that differ from a damped sinusoid, as far as a recording shows it.

Real drums beat, glide in their own ways and do not decay along a straight line in dB. Each loud
mode may be multiplied by 1 plus a complex curve, which changes amplitude and phase. The curve may
be fast after the onset, and is slow later. Curves are found by least squares with the prior that
they are small, so that noise does not move them.
"""

from typing import Callable

import torch
from torch import Tensor

from drumblender.analysis.separate.bands import RATE, count_bands, split
from drumblender.analysis.separate.damped import Damped
from drumblender.analysis.separate.floor import Floor
from drumblender.analysis.separate.problem import Problem, group_modes, noise_of
from drumblender.analysis.separate.refine import Products, multiply, pose, solve

# Knots of the curves: first a few ms apart, then at equal steps of the logarithm of time.
EARLY, PER_E, KNOTS = 0.004, 2.0, 12
# How far curves are expected to be from 0.
SPREAD = 2.0
# Only modes that are this significant (energy relative to noise), and only so many of a sound.
SIGNIFICANT = 1000.0
COUNT = 16
# How much of the energy that noise gives to a curve is taken off.
CAUTION = 0.25
# Of the loudest noise in a band, the part below which weights rise no further.
_CALM = 0.1


def shape(residual: Tensor, modes: Damped, floor: Floor, sample_rate: int) -> Tensor:
    """Measure the curves of the modes at the knots; 0 where a mode is plain.

    Args:
        residual: recordings without the modes.
        modes: the modes.
        floor: noise of the residual.
        sample_rate: in Hz.

    Shape:
        - residual: (B, N)
        - Output: (B, M, KNOTS), complex128
    """
    result = modes.amplitude.new_zeros(*modes.amplitude.shape, KNOTS)
    energy = modes.amplitude.abs().square() / modes.rate
    loud = modes.stat > SIGNIFICANT
    rank = torch.where(loud, energy, 0).argsort(dim=1, descending=True).argsort(dim=1)
    chosen = modes.keep_places(loud & (rank < COUNT))
    group = group_modes(chosen, count_bands(sample_rate), everything=True)
    if not group.there.numel():
        return result
    bands = split(residual, sample_rate, group.band.unique())
    noise = noise_of(floor, group, bands, sample_rate)
    problem, state = pose(bands, group, chosen, noise, skip=0.0)
    share = sample_rate / (4 * RATE)
    problem = problem._replace(
        target=bands.of(group.sound, group.band),
        weight=share * (problem.weight > 0) / (noise + _CALM * noise.amax(1, keepdim=True)),
    )
    products = _products(problem, problem.waves(state))
    prior = 1 / (SPREAD * state.amplitude.abs().clamp(min=1e-9)) ** 2
    prior = prior[..., None].expand(-1, -1, KNOTS).flatten(1)
    found = solve(products, prior, relative=False).unflatten(1, (-1, KNOTS))
    evidence = _energy(products, found).clamp(min=1e-9)
    # Noise alone gives curves with an energy of KNOTS: that much is taken off (James and Stein).
    trust = (1 - CAUTION * KNOTS / evidence).clamp(min=0)
    factor = trust[..., None] * found / state.amplitude[..., None]
    sound = group.sound[:, None].expand_as(group.member)
    return result.index_put((sound[group.there], group.member[group.there]), factor[group.there])


def _products(problem: Problem, wave: Tensor) -> Products:
    """Multiply all waves by all bumps, which gives the columns that are fitted.

    Between two knots only two bumps are not 0, so that sums are short.
    """
    count = wave.shape[1]
    shape = len(wave), count, KNOTS, count, KNOTS
    own = wave.new_zeros(shape, dtype=torch.complex128)
    mirror, right = torch.zeros_like(own), own[..., 0, 0].clone()
    place = _place(problem.since).floor().clamp(max=KNOTS - 1)
    for knot in range(KNOTS):
        here = (place == knot) & (problem.since >= 0)
        first = here.to(torch.uint8).argmax(1)
        length = int(here.sum(1).max())
        if not length:
            continue
        at = first[:, None] + torch.arange(length, device=wave.device)
        at = at.clamp(max=wave.shape[-1] - 1)
        weight = problem.weight.gather(1, at) * here.gather(1, at)
        part = problem._replace(target=problem.target.gather(1, at), weight=weight)
        some = wave.gather(2, at[:, None].expand(-1, count, -1))
        knots = slice(knot, min(knot + 2, KNOTS))
        bumps = _bumps(problem.since.gather(1, at).clamp(min=0))[..., knots].mT
        columns = (some[:, :, None] * bumps[:, None]).flatten(1, 2)
        found, size = multiply(part, columns), (count, len(bumps[0]))
        own[:, :, knots, :, knots] += found.own.unflatten(2, size).unflatten(1, size)
        mirror[:, :, knots, :, knots] += found.mirror.unflatten(2, size).unflatten(1, size)
        right[:, :, knots] += found.right.unflatten(1, size)
    return Products(own.flatten(3).flatten(1, 2), mirror.flatten(3).flatten(1, 2), right.flatten(1))


def _energy(products: Products, found: Tensor) -> Tensor:
    """Compute the weighted energy of each curve by itself, (G, P)."""
    size = found.shape[1:]
    index = torch.arange(size[0], device=found.device)

    def blocks(matrix: Tensor) -> Tensor:
        """Take the blocks on the diagonal of a matrix, one for each mode."""
        return matrix.unflatten(2, size).unflatten(1, size)[:, index, :, index].transpose(0, 1)

    own = torch.einsum("gpk,gpkl,gpl->gp", found.conj(), blocks(products.own), found)
    mirror = torch.einsum("gpk,gpkl,gpl->gp", found, blocks(products.mirror), found)
    return (own + mirror).real


def factors(coefficients: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the function that gives factors of envelopes at times since the onset (B, F)."""

    def factor(since: Tensor) -> Tensor:
        """Return the factors at times since the onset."""
        return 1 + coefficients @ _bumps(since).mT.to(coefficients.dtype)

    return factor


def _bumps(since: Tensor) -> Tensor:
    """Compute bumps over times (..., n), which widen with time and add up to 1, (..., n, KNOTS)."""
    place = _place(since)
    knots = torch.arange(KNOTS, device=since.device)
    distance = (place.clamp(max=KNOTS - 1)[..., None] - knots).abs().clamp(max=1)
    return (1 - distance).float()


def _place(since: Tensor) -> Tensor:
    """Convert times to numbers of knots."""
    return torch.log1p(since.clamp(min=0) / EARLY) * PER_E
