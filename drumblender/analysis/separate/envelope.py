"""Lets loud modes differ from damped sinusoids, as far as a recording shows that they do.

Real drums beat, glide in their own ways and do not decay along a straight line in dB. Each loud
mode may be multiplied by 1 plus a complex curve: changes of amplitude and of phase that may be fast
after the onset and slow later. The curves are found by least squares with the prior that they are
small, so that noise does not move them.
"""

from typing import Callable

import torch
from torch import Tensor

from drumblender.analysis.separate.bands import RATE, split
from drumblender.analysis.separate.damped import Damped
from drumblender.analysis.separate.floor import Floor
from drumblender.analysis.separate.refine import group_modes, noise_of, pose, solve

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
    """The curves of the modes at the knots (B, M, KNOTS), complex128; 0 where a mode is plain.

    Args:
        residual: recordings without the modes.
        modes: of them.
        floor: noise of the residual.
        sample_rate: in Hz.

    Shape:
        - residual: (B, N)
    """
    result = modes.amplitude.new_zeros(*modes.amplitude.shape, KNOTS)
    energy = modes.amplitude.abs().square() / modes.rate
    loud = modes.stat > SIGNIFICANT
    rank = torch.where(loud, energy, 0).argsort(dim=1, descending=True).argsort(dim=1)
    chosen = modes.keep_places(loud & (rank < COUNT))
    bands = split(residual, sample_rate)
    group = group_modes(chosen, len(bands.centers), everything=True)
    if not group.there.numel():
        return result
    noise = noise_of(floor, group, bands, sample_rate)
    problem, state = pose(bands, group, chosen, noise, skip=0.0)
    share = sample_rate / (4 * RATE)
    problem = problem._replace(
        target=bands.samples[group.sound, group.band],
        weight=share * (problem.weight > 0) / (noise + _CALM * noise.amax(1, keepdim=True)),
    )
    wave = problem.waves(state)
    columns = (wave[..., None] * _bumps(problem.since)[:, :, None]).flatten(2)
    prior = 1 / (SPREAD * state.amplitude.abs().clamp(min=1e-9)) ** 2
    prior = prior[..., None].expand(-1, -1, KNOTS).flatten(1)
    found = solve(problem, columns, prior, relative=False).unflatten(1, (-1, KNOTS))
    curve = (columns.unflatten(2, (-1, KNOTS)) * found[:, None].to(columns.dtype)).sum(-1)
    power = curve.real.square() + curve.imag.square() * ~problem.is_real[:, None, None]
    evidence = (power * problem.weight[..., None]).sum(1).clamp(min=1e-9).double()
    # Noise alone gives curves with an energy of KNOTS: that much is taken off (James and Stein).
    trust = (1 - CAUTION * KNOTS / evidence).clamp(min=0)
    factor = trust[..., None] * found / state.amplitude[..., None]
    sound = group.sound[:, None].expand_as(group.member)
    return result.index_put((sound[group.there], group.member[group.there]), factor[group.there])


def factors(coefficients: Tensor) -> Callable[[Tensor], Tensor]:
    """What envelopes are multiplied by, as a function of the times since the onset (B, F)."""

    def factor(since: Tensor) -> Tensor:
        return 1 + coefficients @ _bumps(since).mT.to(coefficients.dtype)

    return factor


def _bumps(since: Tensor) -> Tensor:
    """Bumps over times (..., n), which widen with time and add up to 1, (..., n, KNOTS)."""
    place = torch.log1p(since / EARLY) * PER_E
    knots = torch.arange(KNOTS, device=since.device)
    distance = (place.clamp(max=KNOTS - 1)[..., None] - knots).abs().clamp(max=1)
    return (1 - distance).float()
