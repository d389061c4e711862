"""The tonal part of recordings, which rounds of finding modes and fitting all of them take out.

What is found first hides what is quieter beside it. So the residual is searched again, and its
noise floor is measured without the modes that are known.
"""

import math
from dataclasses import replace
from typing import Optional, Tuple

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from drumblender.analysis.separate.bands import RATE, split
from drumblender.analysis.separate.damped import GLIDING, Damped, play
from drumblender.analysis.separate.detect import SKIP, Warped, Windows, candidates, windows_of
from drumblender.analysis.separate.envelope import shape
from drumblender.analysis.separate.floor import noise_floor
from drumblender.analysis.separate.glide import find_glide, unwarped, warp
from drumblender.analysis.separate.refine import refine
from drumblender.signal import fit_length

ROUNDS = 5
STEPS = 3
# Significance below which a fitted mode is taken for noise.
PRUNE = 13.0
# Amplitude at the onset below which a mode is left out, relative to the peak of the recording.
QUIET = 3e-4
# Of a glide at least, in radians: the phase by which it turns the loudest mode, and the phase that
# this mode makes within two time constants, which is more than one cycle.
TURN, WHILE_GLIDING = 1.5, 8.0
HOP = 64
# Rate of a glide's low frequencies, relative to the highest of them.
_OVERSAMPLED = 5
# What is this much quieter than the peak (linear) is not heard at the end of a sound.
INAUDIBLE = 3e-5
# Samples that are looked at, at least.
SHORTEST = 4096


def find_tones(
    x: Tensor, onset: Tensor, end: Tensor, peak: Tensor, sample_rate: int, num_modes: int
) -> Tuple[Damped, Tensor]:
    """Find the modes of each sound, and the curves of their envelopes (see :mod:`.envelope`).

    Args:
        x: sounds.
        onset: time at which modes may begin, in seconds (B,), float64.
        end: end of each sound, in seconds (B,), float64.
        peak: peak of the recording that each sound comes from (B,).
        sample_rate: in Hz.
        num_modes: number of modes of a sound at most.

    Shape:
        - x: (B, N)
    """
    heard = x.abs() > INAUDIBLE * peak[:, None]
    last = (x.shape[-1] - heard.flip(1).to(torch.uint8).argmax(1)).double() / sample_rate
    end = torch.minimum(torch.where(heard.any(1), last, 0), end)
    x = fit_length(x, max(int(end.max() * sample_rate + 0.5), SHORTEST))
    num_samples = x.shape[-1]
    num_frames = num_samples // HOP + 1
    start = (onset * sample_rate).round().long()
    lasts = ((end - onset - SKIP) * sample_rate).long()
    modes = Damped.none(onset, end)
    depth, time = _glides(x, start, sample_rate)
    modes = replace(modes, depth=depth, time=time)
    windows = windows_of(lasts, sample_rate)
    glides = bool(depth.any())
    slow_windows = windows_of(lasts, sample_rate, _slowed(sample_rate)) if glides else None
    residual = x
    done = torch.zeros_like(start, dtype=torch.bool)
    for number in range(ROUNDS + 1):
        floor = noise_floor(residual, sample_rate)
        if number == ROUNDS or done.all():
            break
        white = _from(floor.white, start + round(SKIP * sample_rate))
        warped = _warped(white, slow_windows, modes, sample_rate)
        hz, stat = candidates(white, windows, warped, modes, sample_rate, num_modes)
        if number == 0:
            # A glide is refined with the loudest mode before others are looked for along it.
            loudest = stat == stat.amax(1, keepdim=True)
            stat = torch.where(loudest | (depth == 0)[:, None], stat, 0)
        stat = torch.where(done[:, None], 0, stat)
        if not (stat > 0).any():
            break
        modes = _add(modes, hz, stat, num_modes)
        is_new = modes.amplitude == 0
        steps = 5 * STEPS if number == 0 and depth.any() else STEPS
        modes = refine(residual, modes, floor, sample_rate, steps)
        loud = modes.amplitude.abs() > QUIET * peak[:, None]
        here = (modes.stat > PRUNE) & loud
        # Where a round adds nothing, another one does not, either.
        done = ~(here & is_new).any(1)
        if number == 0 and depth.any():
            # All begins again without such a glide.
            brief = _brief(modes, here)
            modes = replace(modes, depth=torch.where(brief, 0, modes.depth))
            here &= ~brief[:, None]
            done &= ~brief
        modes = modes.keep(here)
        residual = x - play(modes, num_samples, num_frames, sample_rate)
    return modes, shape(residual, modes, floor, sample_rate)


def _brief(modes: Damped, here: Tensor) -> Tensor:
    """Return which sounds (B,) have a glide that cannot be told from an attack or a second mode."""
    swept = modes.depth * modes.time
    while_gliding = 2 * modes.time + (1 - math.exp(-2)) * swept
    turn, phase = (torch.where(here, modes.omega * t[:, None], 0) for t in (swept, while_gliding))
    too_short = (turn.abs().amax(1) < TURN) | (phase.amax(1) < WHILE_GLIDING)
    return (modes.depth != 0) & too_short


def _from(x: Tensor, first: Tensor) -> Tensor:
    """Cut signals before a sample of their own, and add silence behind them."""
    index = first[:, None] + torch.arange(x.shape[-1], device=x.device)
    return x.gather(1, index.clamp(max=x.shape[-1] - 1)) * (index < x.shape[-1])


def _glides(x: Tensor, start: Tensor, sample_rate: int) -> Tuple[Tensor, Tensor]:
    """Find the glide of each sound in its lowest band."""
    low = split(x, sample_rate, start.new_zeros(1)).samples[:, 0].real
    first = (start / sample_rate * RATE).round().long() + round(SKIP * RATE)
    since = torch.arange(low.shape[-1], dtype=torch.float64, device=x.device) / RATE + SKIP
    return find_glide(_from(low, first), RATE, since)


def _slowed(sample_rate: int) -> int:
    """Return the factor by which the rate of a glide's low frequencies is lower."""
    return max(1, 2 ** math.floor(math.log2(sample_rate / (_OVERSAMPLED * GLIDING))))


def _warped(
    white: Tensor, windows: Optional[Windows], modes: Damped, sample_rate: int
) -> Optional[Warped]:
    """Put low frequencies on the time of the glide, if there is one."""
    if windows is None or not modes.depth.any():
        return None
    factor = _slowed(sample_rate)
    half = next_fast_len(math.ceil(white.shape[-1] / 2 / factor), real=True)
    spectrum = torch.fft.rfft(white, 2 * half * factor)[:, : half + 1]
    # Noise has variance 1 again.
    low, rate = torch.fft.irfft(spectrum, 2 * half) / factor**0.5, sample_rate / factor
    count = min(low.shape[-1], windows.values.shape[-1])
    psi = torch.arange(count, dtype=torch.float64, device=white.device) / rate
    depth, time = modes.depth[:, None], modes.time[:, None]
    begun = SKIP + depth * time * (1 - torch.exp(-SKIP / time))
    t = unwarped(psi + begun, depth, time)
    slope = 1 + depth * torch.exp(-t / time)
    return Warped(warp(low, t - SKIP, rate) / slope.sqrt().to(white.dtype), windows)


def _add(modes: Damped, hz: Tensor, stat: Tensor, num_modes: int) -> Damped:
    """Add candidates to the modes, and keep the most significant of both."""
    more = replace(
        modes,
        omega=torch.cat([modes.omega, 2 * math.pi * hz], 1),
        rate=torch.cat([modes.rate, torch.full_like(hz, 10.0)], 1),
        amplitude=torch.cat([modes.amplitude, torch.zeros_like(hz) + 0j], 1),
        stat=torch.cat([modes.stat, stat], 1),
    )
    count = min(num_modes, int((more.stat > 0).sum(1).max()))
    order = more.stat.argsort(dim=1, descending=True, stable=True)
    return more.choose(order[:, :count])
