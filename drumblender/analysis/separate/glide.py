"""The glide of a drum: the warp of time on which its low modes have constant frequency."""

import math
from functools import lru_cache
from typing import NamedTuple, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

# Time constants that are tried, in seconds, and how many of them are looked at closely.
TIMES = tuple(0.01 * 1.25**power for power in range(17))
_TRIED = 6
# Frames in which the loudest frequency is found, in seconds, and the length of their transforms.
_FRAME, _FRAME_BINS = 0.03, 1024
# Fits of a line to these frequencies, and how near it a frequency counts in full, as a part of it.
_REWEIGHTED, _NEAR = 4, 0.02
# On warped time, one mode must leave less than this part of what one leaves on straight time.
BETTER = 0.7
# A glide that leaves less than this part is worth a closer look.
_PROMISING = 0.85
# The closer look goes so many octaves to either side of the depth, and four times as many to either
# side of the time constant.
_STEPS = (0.075, 0.04, 0.02, 0.01)
_DECAYS = (0.06, 0.2)
_LONGEST = 0.7  # seconds
_BINS = 4096
# Last step on the way back from the glide, in seconds. What is still missing is of the order of its
# third power.
_LAST_STEP = 3e-5
# Of the dominant mode in the end, in Hz; without a glide it may be anywhere in the band.
_LOWEST, _HIGHEST = 25.0, 600.0
# Of all energy in the band, the part that the dominant mode must explain.
_DOMINANT = 0.35


def find_glide(low: Tensor, rate: float, since: Tensor) -> Tuple[Tensor, Tensor]:
    """Find the depth (as a factor less one) and the time constant of each sound's glide, (B,) each.

    The depth is 0 where the loudest mode is better explained with constant frequency.

    Args:
        low: lowest band, which is real, from the onset on.
        rate: sample rate of the band, in Hz.
        since: seconds from the onset to each sample.

    Shape:
        - low: (B, n)
        - since: (n,)
    """
    length = int(_LONGEST * rate)
    low = F.pad(low[:, :length], (0, max(0, length - low.shape[-1])))
    first = float(since[0])
    straight = _shares(low, rate, _straight(length, rate, first, low.device))[:, 0]
    deep, slow = _follow(low, rate, first)
    best, depth, time = straight.clone(), torch.zeros_like(deep[:, 0]), slow[:, 0].clone()
    for row in range(len(low)):
        one = low[row : row + 1]
        shares = _shares(one, rate, _plan_of(deep[row], slow[row], length, rate, first))[0]
        index = int(shares.argmax())
        if 1 - shares[index] < _PROMISING * (1 - straight[row]):
            best[row], depth[row], time[row] = _closer(
                one, rate, first, shares[index], deep[row, index], slow[row, index]
            )
    found = (1 - best < BETTER * (1 - straight)) & (best > _DOMINANT)
    return torch.where(found, depth, 0), time


def _follow(low: Tensor, rate: float, first: float) -> Tuple[Tensor, Tensor]:
    """Fit glides to the loudest frequency of short frames, and return the best few of each sound.

    A glide that takes long turns a mode by many cycles, so that a grid of glides would have to be
    fine. The loudest frequency of each frame is coarse, but it leads to the glide. For each of
    ``TIMES``, frequency is a line over exp(-t / time); other modes are its outliers.

    Returns:
        Depths and time constants (B, _TRIED).
    """
    size = round(_FRAME * rate)
    hop = size // 4
    frames = low.unfold(1, size, hop) * torch.hann_window(size, device=low.device)
    spectrum = torch.fft.rfft(frames, _FRAME_BINS).abs()
    lowest = round(_LOWEST / rate * _FRAME_BINS)
    level, place = spectrum[..., lowest:].max(2)  # (B, frames)
    hz = ((place + lowest).double() * rate / _FRAME_BINS)[:, None]
    power = level.double().square().clamp(min=1e-20)[:, None]
    center = first + (torch.arange(frames.shape[1], device=low.device) * hop + size / 2) / rate
    times = torch.tensor(TIMES, dtype=torch.float64, device=low.device)
    fall = torch.exp(-center.double() / times[:, None])  # (times, frames)
    weight = power.expand(-1, len(times), -1)
    for _ in range(_REWEIGHTED):
        weight = weight / weight.sum(2, keepdim=True)
        middle, height = ((weight * x).sum(2, keepdim=True) for x in (fall, hz))
        across = fall - middle
        slope = (weight * across * (hz - height)).sum(2, keepdim=True)
        slope = slope / (weight * across.square()).sum(2, keepdim=True).clamp(min=1e-20)
        final = height - slope * middle
        off = (hz - final - slope * fall).abs()
        error = (weight * off).sum(2)
        weight = power / (1 + off / (_NEAR * hz))
    best = error.argsort(1)[:, :_TRIED]
    depth = ((slope / final.clamp(min=1.0))[..., 0]).clamp(-0.6, 8)
    return depth.gather(1, best), times[best]


def _closer(
    low: Tensor, rate: float, first: float, best: Tensor, depth: Tensor, time: Tensor
) -> Tuple[Tensor, Tensor, Tensor]:
    """Look around a glide of one sound for a better one, closer and closer."""
    octaves, log_time = (1 + depth).log2(), time.log2()
    for step in _STEPS:
        around = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64) * step
        deep = (octaves + around).repeat_interleave(3).to(low.device)
        slow = (log_time + 4 * around).repeat(3).to(low.device)
        plan = _plan_of(deep.exp2() - 1, slow.exp2(), low.shape[-1], rate, first)
        shares = _shares(low, rate, plan)[0]
        index = int(shares.argmax())
        if shares[index] > best:
            best, octaves, log_time = shares[index], deep[index], slow[index]
    return best, octaves.exp2() - 1, log_time.exp2()


def _shares(low: Tensor, rate: float, plan: "_Plan") -> Tensor:
    """Compute which part of the energy one mode explains on the time of each glide, (B, glides)."""
    left, right = low[:, plan.before], low[:, plan.before + 1]
    x = torch.lerp(left, right, plan.share)[:, :, None] * plan.weight  # (B, glides, decays, n)
    spectrum = torch.fft.rfft(x, _BINS)[..., math.ceil(_LOWEST / rate * _BINS) :]
    power = spectrum.real.square() + spectrum.imag.square()
    highest = torch.where(plan.depth == 0, _BINS, int(_HIGHEST / rate * _BINS))
    bins = torch.arange(power.shape[-1], device=low.device)
    power = power * (bins < highest[:, None, None])
    score = power.amax(-1).amax(-1)
    return 2 * score / low.square().sum(1, keepdim=True).clamp(min=1e-20)


class _Plan(NamedTuple):
    """All glides that are tried, with the samples that they take and their weights.

    Attributes:
        depth: depth of each glide, as a factor less one (glides,).
        time: time constant of each glide in seconds (glides,).
        before: number of the sample before each place (glides, n).
        share: distance of the place from that sample, 0 to 1 (glides, n).
        weight: weight of the place for each decay (glides, decays, n).
    """

    depth: Tensor
    time: Tensor
    before: Tensor
    share: Tensor
    weight: Tensor


@lru_cache(maxsize=4)
@torch.inference_mode(False)
def _straight(length: int, rate: float, first: float, device: torch.device) -> _Plan:
    """Plan a mode of constant frequency. The last few plans are kept."""
    none = torch.zeros(1, dtype=torch.float64, device=device)
    return _plan_of(none, none + TIMES[0], length, rate, first)


def _plan_of(depth: Tensor, time: Tensor, length: int, rate: float, first: float) -> _Plan:
    """Plan glides, given by depth (as a factor less one) and time constant, (glides,) each."""
    depth, time = depth[:, None], time[:, None]
    end = first + length / rate
    turned = (end + depth * time * (1 - torch.exp(-end / time))).max()
    count = min(_BINS, math.ceil(turned * rate))
    psi = torch.arange(count, dtype=torch.float64, device=depth.device) / rate
    t = unwarped(psi, depth, time)
    slope = 1 + depth * torch.exp(-t / time)
    heard = (t >= first) & (t < end - 2 / rate)
    place = ((t - first) * rate).clamp(0, length - 1.001)
    decays = torch.tensor(_DECAYS, dtype=torch.float64, device=depth.device)[:, None]
    envelope = torch.exp(-t[:, None] / decays) * heard[:, None]
    # Each is a sinusoid of energy 1.
    energy = (envelope.square() / slope[:, None]).sum(-1, keepdim=True)
    weight = envelope / slope[:, None] / energy.sqrt()
    before = place.long()
    return _Plan(depth[:, 0], time[:, 0], before, (place - before).float(), weight.float())


def warp(x: Tensor, times: Tensor, rate: float) -> Tensor:
    """Take samples of x (B, N) at other times in seconds, (B, n) or (n,); 0 beyond its ends."""
    place = (times * rate).clamp(0, x.shape[-1] - 1.001).expand(len(x), -1)
    before = place.long()
    left, right = x.gather(1, before), x.gather(1, before + 1)
    y = torch.lerp(left, right, (place - before).to(x.dtype))
    return y * (times * rate <= x.shape[-1] - 1)


def unwarped(psi: Tensor, depth: Tensor, time: Tensor) -> Tensor:
    """Return the time t at which t + d g (1 - exp(-t / g)) is psi, by Halley's method."""
    swept = depth * time
    # Lines that psi keeps to one side of: where it begins, and where it ends up.
    early, late = psi / (1 + depth), psi - swept
    t = torch.where(depth < 0, torch.minimum(early, late), torch.maximum(early, late))
    for _ in range(12):
        fall = torch.exp(-t / time)
        slope = 1 + depth * fall
        step = (t + swept * (1 - fall) - psi) / slope
        bent = step * (slope - 1) / slope
        step = step / (1 + bent / (2 * time))
        t = t - step
        if step.abs().max() < _LAST_STEP:
            break
    return t.clamp(min=0)
