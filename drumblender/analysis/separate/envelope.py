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
from drumblender.analysis.separate.problem import Problem, by_size, group_modes, noise_of
from drumblender.analysis.separate.products import Products, solve
from drumblender.analysis.separate.refine import pose

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
    for part in by_size(group, chosen):
        noise = noise_of(floor, part, bands, sample_rate)
        problem, state, wave = pose(bands, part, chosen, noise, skip=0.0)
        share = sample_rate / (4 * RATE)
        problem = problem._replace(
            target=bands.of(part.sound, part.band),
            weight=share * (problem.weight > 0) / (noise + _CALM * noise.amax(1, keepdim=True)),
        )
        products = _products(problem, wave)
        prior = 1 / (SPREAD * state.amplitude.abs().clamp(min=1e-9)) ** 2
        prior = prior[..., None].expand(-1, -1, KNOTS).flatten(1)
        found = solve(products, prior, relative=False).unflatten(1, (-1, KNOTS))
        evidence = _energy(products, found).clamp(min=1e-9)
        # Noise alone gives curves with an energy of KNOTS: that much is taken off (James and
        # Stein).
        trust = (1 - CAUTION * KNOTS / evidence).clamp(min=0)
        factor = trust[..., None] * found / state.amplitude[..., None]
        sound = part.sound[:, None].expand_as(part.member)
        place = sound[part.there], part.member[part.there]
        result = result.index_put(place, factor[part.there])
    return result


def _products(problem: Problem, wave: Tensor) -> Products:
    """Multiply all waves by all bumps, which gives the columns that are fitted.

    Only bumps that are neighbors overlap, so that products of two waves are summed with the weights
    of few pairs of bumps.
    """
    count = wave.shape[1]
    # Where all bands are those of one sound, they share their bumps.
    since = problem.since[:1] if len(problem.onset.unique()) == 1 else problem.since
    bumps = _bumps(since) * (since >= 0)[..., None]  # (1 or G, n, KNOTS)
    pairs = torch.cat([bumps * bumps, bumps[..., 1:] * bumps[..., :-1]], 2)
    target, weight = problem.target[:, None] * problem.weight[:, None], problem.weight[:, None]
    upper = torch.triu_indices(count, count, device=wave.device)

    def arranged(left: Tensor, mirrored: Callable[[Tensor], Tensor]) -> Tensor:
        """Sum the products of waves with the weights of the bumps, (G, P * KNOTS, P * KNOTS)."""
        summed = _summed(left[:, upper[0]] * weighted[:, upper[1]], pairs)
        whole = summed.new_zeros(len(wave), count, count, summed.shape[-1])
        whole[:, upper[1], upper[0]] = mirrored(summed)
        whole[:, upper[0], upper[1]] = summed
        own = whole.new_zeros(len(wave), count, KNOTS, count, KNOTS)
        same, next_one = whole.split([KNOTS, KNOTS - 1], -1)
        knot = torch.arange(KNOTS, device=wave.device)
        own[:, :, knot, :, knot] = same.movedim(-1, 0)
        own[:, :, knot[1:], :, knot[:-1]] = next_one.movedim(-1, 0)
        own[:, :, knot[:-1], :, knot[1:]] = next_one.movedim(-1, 0)
        return own.flatten(3).flatten(1, 2)

    weighted = wave * weight
    own = arranged(wave.conj(), torch.conj)
    right = _summed(wave.conj() * target, bumps).flatten(1)
    if not problem.is_real:
        return Products(own, None, right)
    return Products(0.5 * own, 0.5 * arranged(wave, torch.Tensor.clone), right)


def _summed(rows: Tensor, weights: Tensor) -> Tensor:
    """Sum complex rows (G, R, n) with real weights (1 or G, n, K), complex128 (G, R, K)."""
    made = torch.cat([rows.real, rows.imag], 1)
    made = made @ (weights[0] if len(weights) == 1 else weights)
    return torch.complex(*made.double().chunk(2, 1))


def _energy(products: Products, found: Tensor) -> Tensor:
    """Compute the weighted energy of each curve by itself, (G, P)."""
    size = found.shape[1:]
    index = torch.arange(size[0], device=found.device)

    def blocks(matrix: Tensor) -> Tensor:
        """Take the blocks on the diagonal of a matrix, one for each mode."""
        return matrix.unflatten(2, size).unflatten(1, size)[:, index, :, index].transpose(0, 1)

    total = torch.einsum("gpk,gpkl,gpl->gp", found.conj(), blocks(products.own), found)
    if products.mirror is not None:
        mirror = blocks(products.mirror)
        total = total + torch.einsum("gpk,gpkl,gpl->gp", found, mirror, found)
    return total.real


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
