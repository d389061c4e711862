"""Fits the envelopes and frequencies of modes to the waveforms of sounds.

The windows of a constant-Q transform are up to two seconds long at low frequencies: what it shows
at an attack is too quiet and begins too early. Its frequencies are good, though, and with
frequencies given, the waveform is linear in complex envelopes. So:

1. Piecewise-linear complex envelopes on the frame grid are fitted by least squares, with a small
   ridge and a penalty on their curvature.
2. The phase of an envelope is a correction of its mode's frequency; it is folded into the frequency
   as far as frequencies that are linear between frames can follow it.
3. With these frequencies, real envelopes are fitted and cut off at zero.
4. Bands that modes cannot follow, such as noise, come out too quiet; they are brought to their
   level, by at most 6 dB.

The result is what the modal synthesizer plays, and nothing more: frequency and amplitude, linear
between the centers of frames, and one phase.

Each band of each sound is a small problem. Problems of similar size are padded with modes of
amplitude zero and solved together.

Least squares with fixed frequencies is classical sinusoidal analysis [1]; here envelopes vary
within frames and all frames are solved at once, by conjugate gradients.

[1] Stylianou, "Harmonic plus noise models for speech", PhD thesis, ENST Paris, 1996, ch. 3.
"""

import math
from typing import List, NamedTuple, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.analysis.groups import Group, group_bands, split_group
from drumblender.analysis.least_squares import (
    Problem,
    conjugate_gradients,
    end_weights,
    level_gain,
    segment_places,
)
from drumblender.analysis.phase import folded, running
from drumblender.analysis.subbands import RATE, Subbands, band_width, split

# Penalties are relative to the energy of one envelope point.
# Keeps the problem solvable; small enough to bias no amplitude by more than 0.1 %.
RIDGE = 0.001
# Second difference of an envelope that may vary as fast as frames.
BEND = 0.01
# No envelope is held to less than this part of the frame rate: it would miss attacks.
SLOWEST = 0.1
# A mode that is this much quieter than another (linear) does not restrict it.
RIVAL = 0.1
# Distance of a mode to its own negative frequency, in parts of its frequency.
MIRROR = 0.5
# Modes this close to a band's edge (in widths of a band) are fitted along with it, so that what
# they explain is not explained twice; their values come from their own band.
GUEST = 1 / 6
# Frequencies stay this far inside (0, pi).
MARGIN = 1e-4
# Numbers in the waves of the bands that are solved at once; on the processor, so many that
# memory stays small.
_AT_ONCE, _ON_CPU = 2**24, 2**20
# Bands are solved together if the numbers of their modes are in the same range of so many, and if
# their sounds end at about the same time, in parts of all frames.
_MEMBERS, _PARTS = 8, 2


class Modes(NamedTuple):
    """Parameters for the modal synthesizer, float64.

    Attributes:
        omega: frequency in rad/sample (B, K, F).
        amplitude: linear amplitude, not negative (B, K, F).
        phase: phase of a sine "before" the first sample, in radians (B, K).
    """

    omega: Tensor
    amplitude: Tensor
    phase: Tensor


class _Part(NamedTuple):
    """Bands that are solved together.

    Attributes:
        group: the bands and their modes.
        own: whether the envelope of each mode comes from this band (P, M).
        num_frames: number of frames, from the first on, in which something sounds.
    """

    group: Group
    own: Tensor
    num_frames: int


def fit_modes(x: Tensor, omega: Tensor, level: Tensor, first: Tensor, last: Tensor) -> Modes:
    """Fit the modes of each sound to its waveform.

    Args:
        x: samples.
        omega: frequency of each mode at the centers of the frames, in rad/sample.
        level: how loud each mode is expected to be, relative to the others of its sound. Where it
            is 0 there is no mode, only padding.
        first: first frame of each sound in which modes may sound.
        last: frame of each sound after the last one in which modes may sound.

    Shape:
        - x: (B, N), float32
        - omega: (B, K, F), float64
        - level: (B, K), float64
        - first, last: (B,)

    >>> x = torch.sin(0.1 * torch.arange(1.0, 12801.0))
    >>> omega, level = torch.full((1, 1, 51), 0.1003).double(), torch.ones(1, 1).double()
    >>> modes = fit_modes(x[None], omega, level, torch.tensor([0]), torch.tensor([51]))
    >>> round(modes.omega[0, 0, 25].item(), 4), round(modes.amplitude[0, 0, 25].item(), 1)
    (0.1, 1.0)
    """
    num_samples, num_frames, latest = x.shape[-1], omega.shape[-1], int(last.max())
    frame, width = num_samples / num_frames, band_width(num_samples, num_frames)
    # Nothing sounds later.
    omega = omega[..., :latest]
    index = torch.arange(latest, device=x.device)
    sounding = (index >= first[:, None]) & (index < last[:, None])
    mean = (omega * sounding[:, None]).sum(-1) / (last - first)[:, None]
    penalties = _penalties(mean, level, 2 * torch.pi / frame)
    near, own = _members(mean, level > 0, width)
    group = group_bands(near, own.any(-1))
    bands = split(x, num_frames, group.band.unique())
    parts = _parts(group, own, last, latest)
    before = running(omega, frame)
    envelope = _solve(bands, parts, omega, before, penalties, sounding, is_real=False)

    angle = envelope.angle()
    change = folded(angle, frame, sounding[:, None])
    turned = (omega + change).clamp(MARGIN, torch.pi - MARGIN)
    held = torch.minimum(torch.maximum(index, first[:, None]), last[:, None] - 1)
    omega = turned.gather(-1, held[:, None].expand_as(turned))
    after = running(omega, frame)
    missing = angle + before - after
    power = envelope.real.square() + envelope.imag.square()
    phase = torch.atan2((power * missing.sin()).sum(-1), (power * missing.cos()).sum(-1))
    real = _solve(bands, parts, omega, after + phase[..., None], penalties, sounding, is_real=True)
    silent = num_frames - latest
    return Modes(
        torch.cat([omega, omega[..., -1:].expand(-1, -1, silent)], -1),
        F.pad(real.clamp(min=0), (0, silent)),
        phase + torch.pi / 2,  # a cosine is a sine a quarter turn ahead
    )


def _penalties(mean: Tensor, level: Tensor, frame_rate: float) -> Tensor:
    """Return two penalties for each mode: on its envelope, and on the envelope's curvature.

    Both are weights of squares. An envelope may vary so fast that it reaches the next mode, or the
    mode's own negative frequency. Then two modes could explain one sinusoid, and would share it at
    random. So the penalty on curvature holds each envelope to about half the distance. The penalty
    on the envelope itself, the ridge, keeps a quiet mode from explaining what a loud one beside it
    can explain: it is the prior that amplitudes are in proportion to the levels.

    Shape:
        - mean, level: (B, K)
        - Output: (B, K, 2)
    """
    distance = (mean[:, :, None] - mean[:, None]).abs()
    rivals = level[:, None] > (RIVAL * level[:, :, None])
    rivals &= ~torch.eye(mean.shape[1], dtype=torch.bool, device=mean.device)
    rival = torch.where(rivals, distance, torch.inf).amin(-1)
    share = torch.minimum(rival, MIRROR * mean) / frame_rate
    ratio = level[:, None] / level.clamp(min=1e-30)[:, :, None]
    louder = torch.where(distance < 2 * frame_rate, ratio, 0).amax(-1)
    ridge = RIDGE * louder.square().clamp(max=1e5)
    return torch.stack([ridge, BEND / (torch.pi * share.clamp(SLOWEST, 1)) ** 4], -1)


def _members(mean: Tensor, exists: Tensor, width: float) -> Tuple[Tensor, Tensor]:
    """Return which modes are fitted in each band, and which of them belong to it.

    Shape:
        - mean, exists: (B, K)
        - Output: (B, bands, K) each
    """
    number = torch.arange(max(1, math.ceil(torch.pi / width + 0.5)), device=mean.device)[:, None]
    home = (mean / width).round().clamp(max=len(number) - 1)
    own = (home[:, None] == number) & exists[:, None]
    near = (mean[:, None] - number * width).abs() < (0.5 + GUEST) * width
    return (near & exists[:, None]) | own, own


def _parts(group: Group, own: Tensor, last: Tensor, num_frames: int) -> List[_Part]:
    """Divide the bands of all sounds into parts of about as many modes and frames."""
    sizes, ends = group.there.sum(1), last[group.sound]
    kind = _PARTS * ((sizes - 1) // _MEMBERS) + _PARTS * ends // (num_frames + 1)
    parts = []
    for part in split_group(group, kind):
        latest = int(last[part.sound].max())
        numbers = part.member.shape[1] * (latest + 1) * RATE
        at_once = max(1, (_ON_CPU if own.device.type == "cpu" else _AT_ONCE) // numbers)
        for some in zip(*(values.split(at_once) for values in part)):
            bands = Group(*some)
            is_own = own[bands.sound, bands.band].gather(-1, bands.member)
            parts.append(_Part(bands, is_own & bands.there, latest))
    return parts


def _solve(
    bands: Subbands,
    parts: List[_Part],
    omega: Tensor,
    start: Tensor,
    penalties: Tensor,
    sounding: Tensor,
    is_real: bool,
) -> Tensor:
    """Fit the envelopes of all modes.

    Args:
        bands: the sounds.
        parts: which bands are solved together.
        omega: frequency of each mode at the centers of the frames, in rad/sample (B, K, F).
        start: phase of a cosine there (B, K, F).
        penalties: from :func:`_penalties`.
        sounding: the frames that have envelope points (B, F).
        is_real: whether envelopes are real.

    Shape:
        - Output: (B, K, F), float64 or complex128
    """
    num_sounds, num_modes, num_frames = omega.shape
    all_frames = bands.power.shape[-1]
    start = torch.cat([start[..., :1] - bands.frame * omega[..., :1], start], -1)
    omega = torch.cat([omega[..., :1], omega, omega[..., -1:]], -1)
    # One mode more, for what is not there.
    dtype = torch.float32 if is_real else torch.complex64
    result = omega.new_zeros(num_sounds, num_modes + 1, num_frames, dtype=dtype)
    for group, own, latest in parts:
        where = group.sound[:, None], group.member
        place = group.sound, bands.places(group.band)
        is_lowest = group.band == 0
        rows = _rows(
            bands.samples[place][:, : latest + 1],
            omega[..., : latest + 2][where],
            start[..., : latest + 1][where],
            (group.band * bands.width)[:, None, None],
            bands.frame,
        )
        if is_real:
            rows = torch.view_as_real(rows)
            rows[is_lowest, ..., 1] = 0
            rows = rows.flatten(-2)
        problem = Problem(
            rows=rows,
            ends=end_weights(latest, all_frames, rows.device),
            is_real=is_lowest,
            sounding=sounding[group.sound, :latest],
            there=group.there,
        )
        envelopes = conjugate_gradients(problem, *penalties[where].unbind(-1))
        if is_real:
            heard = envelopes.clamp(min=0) * own[:, None]
            wanted = bands.power[place][:, :latest]
            envelopes = envelopes * level_gain(problem, wanted, heard)[..., None]
        home = torch.where(own, group.member, num_modes)
        result[group.sound[:, None], home, :latest] = envelopes.mT
    return result[:, :-1].to(torch.float64 if is_real else torch.complex128)


def _rows(target: Tensor, omega: Tensor, start: Tensor, center: Tensor, frame: float) -> Tensor:
    """Make the rows of :class:`Problem`: modes of amplitude 1, and the bands.

    Args:
        target: samples of the bands, complex64 (P, F + 1, RATE).
        omega: frequencies at both ends of the segments (P, M, F + 2).
        start: phases at their beginnings (P, M, F + 1).
        center: frequency by which each band is shifted down, in rad/sample (P, 1, 1).
        frame: distance between frames, in samples.

    Shape:
        - Output: (P, F + 1, M + 1, RATE), complex64
    """
    left, right = omega[..., :-1], omega[..., 1:]
    time = torch.arange(start.shape[-1], device=omega.device, dtype=torch.float64)
    time = (time - 0.5) * frame - 0.5
    turn = torch.remainder(start - center * time, 2 * torch.pi)
    linear = frame * (left - center) + 0.5 * (right - left)
    bend = 0.5 * frame * (right - left)
    polynomial = torch.stack([turn, linear, bend], -1).float().transpose(1, 2)
    tau = segment_places(omega.device)
    angle = torch.matmul(polynomial, torch.stack([torch.ones_like(tau), tau, tau * tau]))
    rows = target.new_empty(*angle.shape[:2], angle.shape[2] + 1, RATE)
    rows[:, :, -1] = target
    parts = torch.view_as_real(rows)[:, :, :-1]
    torch.cos(angle, out=parts[..., 0])
    torch.sin(angle, out=parts[..., 1])
    return rows
