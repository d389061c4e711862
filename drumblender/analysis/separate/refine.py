"""The fit of damped sinusoids to a recording, by Gauss-Newton steps in frequency bands.

All modes of a band are fitted together, and all bands at once. Amplitudes are linear. Frequencies,
rates of decay and the glide are refined by linearization, with the damping of Levenberg and
Marquardt [1]. Times at which the noise is loud count less.

[1] Nocedal and Wright, "Numerical optimization", 2nd ed., 2006, ch. 10.
"""

import functools
import math
from dataclasses import replace
from typing import Callable, Tuple

import torch
from torch import Tensor

from drumblender.analysis.groups import Group
from drumblender.analysis.separate.bands import RATE, Bands, count_bands, split
from drumblender.analysis.separate.blocks import pose_blocks
from drumblender.analysis.separate.damped import Damped
from drumblender.analysis.separate.detect import SKIP
from drumblender.analysis.separate.floor import Floor
from drumblender.analysis.separate.problem import (
    Problem,
    State,
    by_kind,
    group_modes,
    noise_of,
    pose,
)
from drumblender.analysis.separate.products import Fit, fit_samples, multiply, solve, weigh

# Time constants of decay, in seconds: a shorter one is a click, a longer one does not end.
SHORTEST, LONGEST = 0.006, 100.0
_GUESSES = (0.008, 0.015, 0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 2.0)
# Samples of a band in which a decay is constant while it is guessed.
_GUESSED = 8
# Damping of linear amplitudes, and of what is linearized at first.
_LINEAR, _DAMPING = 1e-6, 1e-3
# A fit has come to its end where its error changes by less than that, in powers of noise, or falls
# by less than this part of what was gained before, from the second step on.
_SETTLED, _SHARE = 1e-3, 0.03
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
    # A band has RATE / sample_rate of the noise, at four times the power where it is analytic.
    share = sample_rate / (4 * RATE)
    made = modes
    for part in by_kind(group, modes):
        glides = bool(modes.glides[part.sound[:, None], part.member][part.there].any())
        if glides:
            state, energy = _refine_gliding(bands, part, modes, made, floor, sample_rate, steps)
        else:
            state, energy = _refine_steady(bands, part, modes, floor, sample_rate, steps)
        made = _put(made, part, state, share * state.amplitude.abs().square() * energy)
    return made


def _refine_steady(
    bands: Bands, group: Group, modes: Damped, floor: Floor, sample_rate: int, steps: int
) -> Tuple[State, Tensor]:
    """Fit bands without a glide. Return their state and the energies of waves relative to noise."""
    blocks, state, noise = pose_blocks(bands, group, modes, floor, SKIP, sample_rate)
    fresh = group.there & (state.amplitude == 0)
    rates = 1 / torch.tensor(_GUESSES, dtype=torch.float64, device=fresh.device)
    if fresh.any():
        count = int(fresh.sum(1).max())
        new = fresh.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :count]
        guessed = blocks.guess(state.omega.gather(1, new), fresh.gather(1, new), rates)
        guessed = state.rate.scatter(1, new, guessed)
        state = state._replace(rate=torch.where(fresh, guessed, state.rate))
    fit = _minimize(blocks.with_known(state).fit, _step, group.there, state, steps)
    return fit.state, blocks.energies(fit.state, 1 / noise)


def _refine_gliding(
    bands: Bands,
    group: Group,
    modes: Damped,
    made: Damped,
    floor: Floor,
    sample_rate: int,
    steps: int,
) -> Tuple[State, Tensor]:
    """Fit bands with a glide, real ones or analytic ones, as :func:`_refine_steady` fits others.

    The modes as far as they are made anew, ``made``, have the glide that the lowest band found.
    """
    noise = noise_of(floor, group, bands.time, sample_rate)
    problem, state = pose(bands, group, modes, noise, SKIP)
    fresh = group.there & (state.amplitude == 0)
    if fresh.any():
        state = state._replace(rate=torch.where(fresh, _guess(problem, state, fresh), state.rate))
    problem = problem.with_known(state)
    # The lowest bands, which come first, have refined the glide.
    state = state._replace(depth=made.depth[group.sound], time=made.time[group.sound])
    step = functools.partial(_step_with_glide, problem) if problem.is_real else _step
    fit = functools.partial(fit_samples, problem, weigh(problem))
    fitted = _minimize(fit, step, group.there, state, steps)
    wave = fitted.wave
    assert wave is not None
    heard = (bands.time > modes.onset[group.sound, None] + SKIP) / noise
    return fitted.state, ((wave.real.square() + wave.imag.square()) * heard[:, None]).sum(2)


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


def _minimize(
    fit: Callable[[State, bool], Fit],
    make_step: Callable[[Fit, Tensor, Tensor], State],
    there: Tensor,
    state: State,
    steps: int,
) -> Fit:
    """Fit a state.

    Args:
        fit: function that fits the amplitudes of a state and tells whether slopes are needed.
        make_step: function that makes a step from a fit, with a damping.
        there: whether each mode exists (G, P).
        state: the first state.
        steps: number of steps at most.
    """
    made = fit(state, steps > 0)
    damping = torch.full_like(made.error, _DAMPING)
    total = torch.zeros_like(made.error)
    for number in range(steps):
        tried = fit(make_step(made, there, damping), number + 1 < steps)
        gain = made.error - tried.error
        better = gain > 0
        if number + 1 == steps:
            tried = tried._replace(products=made.products)
        made = tried if better.all() else made.where(better, tried)
        total = total + gain.clamp(min=0)
        settled = gain.abs() < _SETTLED
        if number:
            settled |= better & (gain < _SHARE * total)
        if settled.all():
            break
        damping = torch.where(better, 0.1 * damping, 30 * damping).clamp(1e-7, 10)
    return made


def _step(fit: Fit, there: Tensor, damping: Tensor) -> State:
    """Compute frequencies and decays after one step."""
    state, count = fit.state, fit.state.omega.shape[1]
    ridge = damping[:, None].expand(-1, 2 * count).clone()
    ridge[:, :count] = _LINEAR
    by = torch.cat([torch.ones_like(state.amplitude), state.amplitude], 1)
    change = solve(fit.products.scaled(by), ridge)[:, count:]
    return _moved(state, change / _too_long(there, state, change))


def _step_with_glide(problem: Problem, fit: Fit, there: Tensor, damping: Tensor) -> State:
    """Compute frequencies, decays and the glide after one step in the lowest band."""
    state, wave = fit.state, fit.wave
    assert wave is not None
    count = state.omega.shape[1]
    sounding = wave * state.amplitude[..., None].to(wave.dtype)
    passed = problem.since.clamp(min=0).float()[:, None]
    length, deep = state.time[:, None, None].float(), state.depth[:, None, None].float()
    fall = torch.exp(-passed / length)
    turning = 1j * sounding * (state.omega * problem.glides)[..., None].to(wave.dtype)
    turning = turning.sum(1, keepdim=True)
    by_time = turning * deep * (length * (1 - fall) - passed * fall)
    # A glide and a frequency are all but the same for a while.
    columns = torch.cat([wave, sounding * passed, turning * length * (1 - fall), by_time], 1)
    columns = columns.to(torch.complex128)
    ridge = damping[:, None].expand(-1, columns.shape[1]).clone()
    ridge[:, :count] = _LINEAR
    solution = solve(multiply(problem, columns), ridge)
    change = solution[:, count : 2 * count]
    turn = solution[:, -2:].real
    whole = (turn.abs() / _LOG).amax(1).maximum(_too_long(there, state, change).amax(1))
    deeper, longer = (turn / whole[:, None]).unbind(1)
    state = state._replace(
        depth=(state.depth + deeper).clamp(-0.6, 8),
        time=(state.time * longer.exp()).clamp(0.005, 0.4),
    )
    return _moved(state, change / whole[:, None])


def _too_long(there: Tensor, state: State, change: Tensor) -> Tensor:
    """Return how many times longer than allowed each step is, at least 1 (G, P)."""
    length = (change.imag.abs() / (2 * math.pi * _HZ)).maximum(
        change.real.abs() / (0.5 * state.rate)
    )
    return torch.where(there, length, 0).clamp(min=1)


def _moved(state: State, change: Tensor) -> State:
    """Change frequencies and rates of decay within their limits."""
    omega = (state.omega + change.imag).clamp(min=2 * math.pi * 20)
    rate = (state.rate - change.real).clamp(1 / LONGEST, 1 / SHORTEST)
    return state._replace(omega=omega, rate=rate)


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
