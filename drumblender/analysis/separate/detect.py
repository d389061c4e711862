"""Candidates for modes: what stands above the noise floor for long enough.

A signal that is whitened by the noise floor is searched by windows of several lengths from the
onset on. A mode gathers its energy in one bin of the window that is about as long as the mode
sounds. The power of a bin relative to that of noise has an exponential distribution, so that the
threshold is a rate of false alarms.
"""

import math
from typing import List, NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.analysis.separate.damped import GLIDING, Damped

# Windows, in seconds.
LENGTHS = (0.03, 0.08, 0.2, 0.5, 1.2)
# Power relative to noise: 12 dB, once in e^17 bins of noise.
THRESHOLD = 17.0
# Around a candidate, up to where the skirt of a mode of this width (Hz) falls below it, there is no
# other one; those are found when the first has been taken away.
SKIRT = 12.0
# Near a mode that is known already, what is this much weaker is its error (power).
ERROR = 3e-4
LOWEST = 25.0
# Samples after the onset in which a click may be, in seconds.
SKIP = 0.003
_BINS = 2**15


class Windows(NamedTuple):
    """Windows of all lengths for a batch of sounds.

    Attributes:
        values: windows of energy 1 (B, windows, n). They are 0 where they are longer than needed.
        apart: distance of the bins that are evaluated for each window, out of ``bins``.
        bins: number of bins up to Nyquist.
    """

    values: Tensor
    apart: List[int]
    bins: int


class Warped(NamedTuple):
    """Low frequencies of white signals, on the time of a glide, at a part of the rate."""

    signal: Tensor
    windows: Windows


def windows_of(lasts: Tensor, sample_rate: int, factor: int = 1) -> Windows:
    """Make the windows for sounds that last a number of samples (B,), at a part of their rate."""
    lasts, rate, count = lasts // factor, sample_rate / factor, _BINS // factor
    made = []
    shorter = 0
    longest = min(int(LENGTHS[-1] * rate), 2 * count)
    place = torch.arange(longest, device=lasts.device) + 0.5
    for seconds in LENGTHS:
        window = _window(lasts.clamp(8, min(int(seconds * rate), longest)), place)
        window /= window.square().sum(1, keepdim=True).sqrt()
        # Of the windows that are longer than a sound, the shortest is enough.
        made.append(window * (lasts > shorter)[:, None])
        shorter = int(seconds * rate)
    used = max(1, sum(bool(window.any()) for window in made))
    values = torch.stack(made[:used], 1)
    values = values[..., : min(int(LENGTHS[used - 1] * rate), longest)]
    sizes = (2 ** math.ceil(math.log2(int(seconds * rate))) for seconds in LENGTHS)
    return Windows(values, [max(1, count // size) for size in sizes], count)


def candidates(
    white: Tensor,
    windows: Windows,
    warped: Optional[Warped],
    modes: Damped,
    sample_rate: int,
    count: int,
) -> Tuple[Tensor, Tensor]:
    """Find candidates: frequencies in Hz and significances, (B, count). Both are 0 for none.

    Args:
        white: whitened signal from the end of the click on, without the modes that are known.
        windows: the windows for it, from :func:`windows_of`.
        warped: the same on the time of the glide, in which low modes have constant frequency. None
            if nothing glides.
        modes: modes that are known already.
        sample_rate: in Hz.
        count: number of candidates at most.

    Shape:
        - white: (B, N)
    """
    step = sample_rate / 2 / _BINS
    power = _significance(white, windows, _BINS)
    if warped is not None:
        low = min(_BINS, round(GLIDING / step))
        power[..., :low] = _significance(warped.signal, warped.windows, low)
    best = power.amax(1)
    is_peak = torch.zeros_like(best, dtype=torch.bool)
    around, reach = best, 0
    # From the longest window on, because wider maxima are made of narrower ones.
    for number, seconds in reversed(list(enumerate(LENGTHS))):
        wider = max(2, round(1.5 / seconds / step))
        while reach < wider:
            further = min(wider - reach, 2 * reach + 1)
            padded = F.pad(around, (further, further))
            beside = torch.maximum(padded[:, : -2 * further], padded[:, 2 * further :])
            around, reach = torch.maximum(around, beside), reach + further
        is_peak |= (best == around) & (best == power[:, number])
    is_peak &= best > THRESHOLD
    is_peak[:, : math.ceil(LOWEST / step)] = False
    stat, place = torch.where(is_peak, best, 0).topk(count)
    hz = place.double() * step
    stat = stat.double()
    distance = (hz[:, :, None] - hz[:, None]).abs().clamp(min=1e-3)
    hidden = stat[:, :, None] <= stat[:, None] * (SKIRT / distance) ** 2
    hidden &= torch.ones(count, count, dtype=torch.bool, device=hz.device).tril(-1)
    stat = torch.where(hidden.any(2), 0, stat)
    if modes.omega.shape[1]:
        distance = (hz[:, :, None] - modes.omega[:, None] / (2 * math.pi)).abs().clamp(min=SKIRT)
        error = (ERROR * modes.stat[:, None] * (SKIRT / distance) ** 2).amax(-1)
        stat = torch.where(stat < error, 0, stat)
    return hz, stat


def _significance(white: Tensor, windows: Windows, bins: int) -> Tensor:
    """Compute the power of the first bins relative to noise, (B, windows, bins)."""
    size = min(white.shape[-1], windows.values.shape[-1])
    # One transform of all windows is quicker than five, and every so many of its bins are those
    # of a shorter one.
    windowed = white[:, None, :size] * windows.values[..., :size]
    spectrum = torch.fft.rfft(windowed, 2 * windows.bins)[..., :-1]
    found = white.new_zeros(len(white), len(LENGTHS), bins)
    for number, apart in zip(range(windowed.shape[1]), windows.apart):
        some = spectrum[:, number, : bins + 2 * apart : apart]
        power = some.real.square() + some.imag.square()
        found[:, number] = _between(power, apart)[:, :bins]
    return found


def _between(x: Tensor, apart: int) -> Tensor:
    """Interpolate values (B, n) linearly, with so many steps from each to the next one."""
    if apart == 1:
        return x
    x = torch.cat([x[:, :1], x, x[:, -1:]], 1)
    share = (torch.arange(apart, device=x.device) + 0.5) / apart
    y = torch.lerp(x[:, :-1, None], x[:, 1:, None], share).flatten(1)
    return y[:, apart // 2 :]


def _window(lengths: Tensor, place: Tensor) -> Tensor:
    """Make windows that rise in an eighth of their lengths (B,) and fall until their ends."""
    place = place / lengths[:, None]
    angle = torch.where(place < 0.125, 8 * place, (1 - place).clamp(min=0) / 0.875)
    return (0.5 * math.pi * angle).sin().square()
