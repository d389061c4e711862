"""Candidates for modes: what stands above the noise floor for long enough.

A signal that is whitened by the noise floor is searched by windows of several lengths from the
onset on. A mode gathers its energy in one bin of the window that is about as long as the mode
sounds. The power of a bin relative to that of noise has an exponential distribution, so that the
threshold is a rate of false alarms.
"""

import math
from typing import NamedTuple, Optional, Tuple

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


class Warped(NamedTuple):
    """Low frequencies of white signals, on the time of a glide, at a part of the rate."""

    signal: Tensor
    factor: int


def candidates(
    white: Tensor,
    warped: Optional[Warped],
    lasts: Tensor,
    modes: Damped,
    sample_rate: int,
    count: int,
) -> Tuple[Tensor, Tensor]:
    """Find candidates: frequencies in Hz and significances, (B, count). Both are 0 for none.

    Args:
        white: whitened signal from the end of the click on, without the modes that are known.
        warped: the same on the time of the glide, in which low modes have constant frequency. None
            if nothing glides.
        lasts: number of samples until each sound ends (B,).
        modes: modes that are known already.
        sample_rate: in Hz.
        count: number of candidates at most.

    Shape:
        - white: (B, N)
    """
    step = sample_rate / 2 / _BINS
    power = _significance(white, lasts, sample_rate, _BINS)
    if warped is not None:
        low = round(GLIDING / step)
        signal, factor = warped
        rate, bins = sample_rate / factor, _BINS // factor
        power[..., :low] = _significance(signal, lasts // factor, rate, bins)[..., :low]
    best, which = power.max(1)
    is_peak = torch.zeros_like(best, dtype=torch.bool)
    for number, seconds in enumerate(LENGTHS):
        reach = max(2, round(1.5 / seconds / step))
        around = F.max_pool1d(best[:, None], 2 * reach + 1, 1, reach)[:, 0]
        is_peak |= (best == around) & (which == number)
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


def _significance(white: Tensor, lasts: Tensor, sample_rate: float, count: int) -> Tensor:
    """Compute the power of each bin relative to noise, (B, windows, count)."""
    found = []
    shorter = 0.0
    for seconds in LENGTHS:
        length = min(int(seconds * sample_rate), 2 * count)
        # Of the windows that are longer than a sound, the shortest is enough.
        used = lasts > int(shorter * sample_rate)
        shorter = seconds
        if not used.any():
            found.append(white.new_zeros(len(white), count))
            continue
        window = _window(lasts.clamp(8, length), min(length, white.shape[-1]))
        bins = min(count, 2 ** math.ceil(math.log2(length)))
        spectrum = torch.fft.rfft(white[:, :length] * window, 2 * bins)[:, :-1]
        power = spectrum.real.square() + spectrum.imag.square()
        power = torch.where(used[:, None], power / window.square().sum(1, keepdim=True), 0)
        found.append(F.interpolate(power[:, None], count, mode="linear")[:, 0])
    return torch.stack(found, 1)


def _window(lengths: Tensor, size: int) -> Tensor:
    """Make windows that rise in an eighth of their lengths (B,) and fall until their ends."""
    place = (torch.arange(size, device=lengths.device) + 0.5) / lengths[:, None]
    angle = torch.where(place < 0.125, 8 * place, (1 - place).clamp(min=0) / 0.875)
    return (0.5 * math.pi * angle).sin().square()
