"""The fit of damped sinusoids to a recording, by Gauss-Newton steps in frequency bands.

All modes of a band are fitted together, and all bands at once. Amplitudes are linear. Frequencies,
rates of decay and the glide are refined by linearization, with the damping of Levenberg and
Marquardt [1]. Times at which the noise is loud count less.

[1] Nocedal and Wright, "Numerical optimization", 2nd ed., 2006, ch. 10.
"""

import math
from dataclasses import replace
from typing import Tuple

import torch
from torch import Tensor

from drumblender.analysis.groups import Group
from drumblender.analysis.separate.bands import RATE, Bands, count_bands, split
from drumblender.analysis.separate.damped import Damped
from drumblender.analysis.separate.detect import SKIP
from drumblender.analysis.separate.floor import Floor
from drumblender.analysis.separate.problem import (
    Problem,
    State,
    by_size,
    group_modes,
    noise_of,
)
from drumblender.analysis.separate.products import Products, multiply, of_waves, solve, weigh

# Time constants of decay, in seconds: a shorter one is a click, a longer one does not end.
SHORTEST, LONGEST = 0.006, 100.0
_GUESSES = (0.008, 0.015, 0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 2.0)
# Samples of a band in which a decay is constant while it is guessed.
_GUESSED = 8
# Of the loudest noise in a band, the part below which weights rise no further.
_CALM = 0.003
# Damping of linear amplitudes, and of what is linearized at first.
_LINEAR, _DAMPING = 1e-6, 1e-3
# Change of an error, in powers of noise, below which a fit has come to its end.
_SETTLED = 1e-3
# Steps at most: of frequency in Hz, of the logarithm of decays and of a glide.
_HZ, _LOG = 3.0, 0.3


def refine(residual: Tensor, modes: Damped, floor: Floor, sample_rate: int, steps: int) -> Damped:
    """Fit the modes to the residual and to what they explain already. New ones have amplitude 0.

    Bands that have neither new nor gliding modes stay as they are.

    Args:
        residual: signal without the modes, as they are.
        modes: modes to fit.
        floor: noise that is expected.
        sample_rate: in Hz.
        steps: number of Gauss-Newton steps.

    Shape:
        - residual: (B, N)
    """
    group = group_modes(modes, count_bands(sample_rate))
    if not group.there.numel():
        return modes
    bands = split(residual, sample_rate, group.band.unique())
    made = modes
    for part in by_size(group, modes):
        noise = noise_of(floor, part, bands, sample_rate)
        problem, state, wave = pose(bands, part, modes, noise, SKIP)
        if problem.glides.any():
            # The lowest bands, which come first, have refined the glide.
            state = state._replace(depth=made.depth[part.sound], time=made.time[part.sound])
            wave = problem.waves(state)
        state, wave = _minimize(problem, state, wave, steps)
        heard = (bands.time > modes.onset[part.sound, None] + SKIP) / noise
        energy = ((wave.real.square() + wave.imag.square()) * heard[:, None]).sum(2)
        # A band has RATE / sample_rate of the noise, at four times the power where it is analytic.
        share = sample_rate / (4 * RATE)
        made = _put(made, part, state, share * state.amplitude.abs().square() * energy)
    return made


def pose(
    bands: Bands, group: Group, modes: Damped, noise: Tensor, skip: float
) -> Tuple[Problem, State, Tensor]:
    """Pose the problem, and guess the decays of new modes for its first state.

    Args:
        bands: bands of the residual.
        group: bands with modes, all of them real or none.
        modes: modes that the residual is without.
        noise: noise of the bands, from :func:`noise_of`.
        skip: seconds after the onset that do not count.

    Returns:
        The problem, its first state and the waves of that.
    """
    pick = group.sound[:, None], group.member
    state = State(
        modes.omega[pick],
        modes.rate[pick],
        torch.where(group.there, modes.amplitude[pick], 0),
        modes.depth[group.sound],
        modes.time[group.sound],
    )
    since = bands.time - modes.onset[group.sound, None]
    counts = (since > skip) & (bands.time < modes.end[group.sound, None])
    weight = counts / (noise + _CALM * noise.amax(1, keepdim=True))
    problem = Problem(
        target=bands.of(group.sound, group.band),
        weight=weight,
        since=since,
        step=float(bands.time[1] - bands.time[0]) if len(bands.time) > 1 else 1 / RATE,
        onset=modes.onset[group.sound],
        center=bands.centers[group.band],
        is_real=bool((group.band == 0).all()),
        there=group.there,
        glides=modes.glides[pick] & group.there,
    )
    fresh = group.there & (state.amplitude == 0)
    if fresh.any():
        state = state._replace(rate=torch.where(fresh, _guess(problem, state, fresh), state.rate))
    wave = problem.waves(state)
    known = (state.amplitude[:, None].to(torch.complex64) @ wave)[:, 0]
    target = problem.target + known
    target = target.real + 0j if problem.is_real else target
    return problem._replace(target=target), state, wave


def _guess(problem: Problem, state: State, fresh: Tensor) -> Tensor:
    """Guess the rate of decay at which each of the fresh modes explains most (G, P)."""
    count = int(fresh.sum(1).max())
    new = fresh.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :count]
    some = problem._replace(there=fresh.gather(1, new), glides=problem.glides.gather(1, new))
    omega = state.omega.gather(1, new)
    steady = some.waves(state._replace(omega=omega, rate=torch.zeros_like(omega)))
    blocks = problem.weight.shape[1] // _GUESSED
    weight = problem.weight[:, : blocks * _GUESSED]
    down = (
        steady[..., : weight.shape[1]].conj()
        * (weight * problem.target[:, : weight.shape[1]])[:, None]
    )
    # As a product, because sums over so few are slow.
    sums = torch.ones(_GUESSED, dtype=down.dtype, device=down.device)
    down = down.unflatten(2, (blocks, _GUESSED)) @ sums
    weight = weight.unflatten(1, (blocks, _GUESSED)) @ sums.real
    middle = problem.since[:, ::_GUESSED][:, :blocks] + 0.5 * (_GUESSED - 1) * problem.step
    rates = 1 / torch.tensor(_GUESSES, dtype=torch.float64, device=steady.device)
    decay = torch.exp(-middle.clamp(min=0)[:, None].float() * rates[:, None].float())
    found = decay @ torch.cat([down.real, down.imag], 1).mT  # (G, guesses, 2 P)
    power = found.square().unflatten(2, (2, -1)).sum(2)
    gain = power / (decay.square() @ weight[..., None]).clamp(min=1e-20)
    return state.rate.scatter(1, new, rates[gain.argmax(1)])


def _minimize(problem: Problem, state: State, wave: Tensor, steps: int) -> Tuple[State, Tensor]:
    """Fit a state, whose waves are given, and return it with its waves."""
    moves = problem.is_real and bool(problem.glides.any())
    weights = weigh(problem)
    products = of_waves(problem, weights, wave, not moves and steps > 0)
    state = state._replace(amplitude=_amplitudes(products, len(wave[0])))
    error = problem.error(wave, state)
    damping = torch.full_like(error, _DAMPING, dtype=torch.float64)
    for number in range(steps):
        step = _step_with_glide if moves else _step
        tried = step(problem, state, wave, products, damping)
        tried_wave = problem.waves(tried)
        tried_products = of_waves(problem, weights, tried_wave, not moves and number + 1 < steps)
        tried = tried._replace(amplitude=_amplitudes(tried_products, len(wave[0])))
        tried_error = problem.error(tried_wave, tried)
        better = tried_error < error
        state = tried.where(better, state)
        wave = torch.where(better[:, None, None], tried_wave, wave)
        if number + 1 < steps:
            products = products.where(better, tried_products)
        settled = (error - tried_error).abs() < _SETTLED
        error = torch.where(better, tried_error, error)
        if settled.all():
            break
        damping = torch.where(better, 0.1 * damping, 30 * damping).clamp(1e-7, 10)
    return state, wave


def _step(
    problem: Problem, state: State, wave: Tensor, products: Products, damping: Tensor
) -> State:
    """Compute frequencies and decays after one step."""
    count = state.omega.shape[1]
    ridge = damping[:, None].expand(-1, 2 * count).clone()
    ridge[:, :count] = _LINEAR
    by = torch.cat([torch.ones_like(state.amplitude), state.amplitude], 1)
    change = solve(products.scaled(by), ridge)[:, count:]
    return _moved(state, change / _too_long(problem, state, change))


def _step_with_glide(
    problem: Problem, state: State, wave: Tensor, products: Products, damping: Tensor
) -> State:
    """Compute frequencies, decays and, in the lowest band, the glide after one step."""
    count = state.omega.shape[1]
    moves = problem.glides.any(1) & problem.is_real
    sounding = wave * state.amplitude[..., None].to(wave.dtype)
    passed = problem.since.clamp(min=0).float()[:, None]
    length, deep = state.time[:, None, None].float(), state.depth[:, None, None].float()
    fall = torch.exp(-passed / length)
    turning = 1j * sounding * (state.omega * problem.glides)[..., None].to(wave.dtype)
    turning = turning.sum(1, keepdim=True) * moves[:, None, None]
    by_time = turning * deep * (length * (1 - fall) - passed * fall)
    # A glide and a frequency are all but the same for a while.
    columns = torch.cat([wave, sounding * passed, turning * length * (1 - fall), by_time], 1)
    columns = columns.to(torch.complex128)
    ridge = damping[:, None].expand(-1, columns.shape[1]).clone()
    ridge[:, :count] = _LINEAR
    solution = solve(multiply(problem, columns), ridge)
    change = solution[:, count : 2 * count]
    turn = solution[:, -2:].real * moves[:, None]
    length = _too_long(problem, state, change)
    whole = (turn.abs() / _LOG).amax(1).maximum(length.amax(1))
    length = torch.where(moves[:, None], whole[:, None], length)
    deeper, longer = (turn / whole[:, None]).unbind(1)
    state = state._replace(
        depth=(state.depth + deeper).clamp(-0.6, 8),
        time=(state.time * longer.exp()).clamp(0.005, 0.4),
    )
    return _moved(state, change / length)


def _too_long(problem: Problem, state: State, change: Tensor) -> Tensor:
    """Return how many times longer than allowed each step is, at least 1 (G, P)."""
    length = (change.imag.abs() / (2 * math.pi * _HZ)).maximum(
        change.real.abs() / (0.5 * state.rate)
    )
    return torch.where(problem.there, length, 0).clamp(min=1)


def _moved(state: State, change: Tensor) -> State:
    """Change frequencies and rates of decay within their limits."""
    omega = (state.omega + change.imag).clamp(min=2 * math.pi * 20)
    rate = (state.rate - change.real).clamp(1 / LONGEST, 1 / SHORTEST)
    return state._replace(omega=omega, rate=rate)


def _amplitudes(products: Products, count: int) -> Tensor:
    """Compute the amplitudes of modes whose other parameters are known."""
    ridge = torch.full((1, count), 1e-4, dtype=torch.float64, device=products.own.device)
    return solve(products.first(count), ridge)


def _put(modes: Damped, group: Group, state: State, stat: Tensor) -> Damped:
    """Replace the modes of the groups."""
    # What is not there goes to a column of its own, which is cut off.
    sound = group.sound[:, None].expand_as(group.member)
    place = torch.where(group.there, group.member, modes.omega.shape[1])

    def put(old: Tensor, new: Tensor) -> Tensor:
        """Replace a parameter of the modes."""
        return torch.cat([old, old[:, :1]], 1).index_put((sound, place), new)[:, :-1]

    lowest = (group.band == 0).nonzero()[:, 0]
    index = (group.sound[lowest],)
    return replace(
        modes,
        omega=put(modes.omega, state.omega),
        rate=put(modes.rate, state.rate),
        amplitude=put(modes.amplitude, state.amplitude),
        stat=put(modes.stat, stat),
        depth=modes.depth.index_put(index, state.depth[lowest]),
        time=modes.time.index_put(index, state.time[lowest]),
    )
