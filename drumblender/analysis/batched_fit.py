"""Fits the modes of many sounds at once, in PyTorch, as :mod:`.fit` does for one sound.

Each band of each sound is a small problem of least squares. Problems of similar size are padded
with modes of amplitude zero and solved together. A basis holds only the cosines and sines of the
modes. How the envelope points at the two ends of a segment weigh in it, and what makes an envelope
complex, is applied to the products with the basis.
"""

from typing import Dict, List, NamedTuple, Tuple

import torch
from torch import Tensor

from drumblender.analysis import fit
from drumblender.analysis.batched_solve import (
    Problem,
    conjugate_gradients,
    end_weights,
    level_gain,
    segment_places,
)
from drumblender.analysis.subbands import RATE, plan

# Numbers in the bases that are made at once; on the processor they should stay in its caches.
_BASES = 2**26
_BASES_OF_CPU = 2**20
# Members of a band are padded to a multiple of this, frames to a multiple of a part of all: on real
# kits five sizes of problems with 1.5 times the numbers, where a GPU would wait for each size.
_MEMBERS = 8
_FRAME_PARTS = 2


class Modes(NamedTuple):
    """:class:`drumblender.analysis.fit.Modes` of many sounds: (B, K, F), phase (B, K), float64."""

    omega: Tensor
    amplitude: Tensor
    phase: Tensor


class _Bands(NamedTuple):
    """:class:`drumblender.analysis.subbands.Subbands` of many sounds."""

    samples: Tensor  # float32 (B, bands, F + 1, 2, RATE): real and imaginary parts
    power: Tensor  # (B, bands, F)
    centers: Tensor  # float64 (bands,)
    width: float
    frame: float


class _Group(NamedTuple):
    """P bands, of one sound or of several, that are solved together.

    Attributes:
        sound: number of the sound that each band is of (P,).
        band: number of each band in its sound (P,).
        members: numbers of the modes of each band (P, M). Where a band has fewer than M, the number
            is K, which is no mode.
        own: whether the envelope of a mode comes from this band (P, M).
        num_frames: number of frames, from the first on, in which something sounds.
    """

    sound: Tensor
    band: Tensor
    members: Tensor
    own: Tensor
    num_frames: int


def fit_modes(x: Tensor, omega: Tensor, level: Tensor, first: Tensor, last: Tensor) -> Modes:
    """Fit the modes of each sound to its waveform.

    Args:
        x: samples.
        omega: frequency of each mode at the centers of the frames, in rad/sample.
        level: how loud each mode is expected to be. Where it is 0 there is no mode, only padding.
        first: first frame of each sound in which modes may sound.
        last: frame of each sound after the last one in which modes may sound.

    Shape:
        - x: (B, N), float32
        - omega: (B, K, F), float64
        - level: (B, K), float64
        - first, last: (B,)
    """
    num_samples, num_frames = x.shape[-1], omega.shape[-1]
    frame = num_samples / num_frames
    index = torch.arange(num_frames, device=x.device)
    sounding = ((index >= first[:, None]) & (index < last[:, None]))[:, None]  # (B, 1, F)
    exists = level > 0
    mean = (omega * sounding).sum(-1) / (last - first)[:, None]
    ridge, bend = _penalties(mean, level, exists, 2 * torch.pi / frame)
    bands = _split(x, num_frames)
    highest = torch.where(exists, omega.amax(-1), 0).amax(-1)
    groups = _groups(mean, exists, highest, last, bands)
    zero = torch.zeros_like(mean)
    envelope = _solve(bands, groups, omega, zero, ridge, bend, sounding, 2)
    envelope = torch.view_as_complex(envelope.double())

    turned = _fold(omega, envelope.angle(), frame, sounding, first, last)
    before = _phase(omega, frame)
    held = torch.minimum(torch.maximum(index, first[:, None]), last[:, None] - 1)
    omega = turned.gather(-1, held[:, None].expand_as(turned))
    missing = envelope * torch.exp(1j * (before - _phase(omega, frame)))
    phase = (missing.abs() * missing).sum(-1).angle()
    real = _solve(bands, groups, omega, phase, ridge, bend, sounding, 1)[..., 0]
    return Modes(omega, real.double().clamp(min=0), phase + torch.pi / 2)


def _penalties(
    mean: Tensor, level: Tensor, exists: Tensor, frame_rate: float
) -> Tuple[Tensor, Tensor]:
    """Return the penalties of each mode (B, K), as in :mod:`.fit`."""
    distance = (mean[:, :, None] - mean[:, None]).abs()
    other = exists[:, None] & ~torch.eye(mean.shape[1], dtype=torch.bool, device=mean.device)
    rivals = other & (level[:, None] > fit.RIVAL * level[:, :, None])
    rival = torch.where(rivals, distance, torch.inf).amin(-1)
    share = torch.minimum(rival, fit.MIRROR * mean) / frame_rate
    ratio = level[:, None] / level.clamp(min=1e-30)[:, :, None]
    louder = torch.where(distance < 2 * frame_rate, ratio, 0).amax(-1)
    ridge = fit.RIDGE * louder.square().clamp(max=1e5)
    return ridge, fit.BEND / (torch.pi * share.clamp(fit.SLOWEST, 1)) ** 4


def _phase(omega: Tensor, frame: float) -> Tensor:
    """Return phases at the centers of frames, as in :mod:`.fit`."""
    steps = 0.5 * frame * (omega[..., 1:] + omega[..., :-1])
    return torch.cat([0.5 * frame * omega[..., :1], steps], -1).cumsum(-1) + 0.5 * omega


def _fold(
    omega: Tensor, angle: Tensor, frame: float, sounding: Tensor, first: Tensor, last: Tensor
) -> Tensor:
    """Fold phases into frequencies, as in :mod:`.fit`, in the frames in which each sound lasts."""
    turns = torch.diff(angle, dim=-1, prepend=angle[..., :1]) / (2 * torch.pi)
    left = (angle - 2 * torch.pi * turns.round().cumsum(-1)) * sounding
    index = torch.arange(omega.shape[-1], device=omega.device)
    # Central differences, one-sided at the edges of what sounds.
    to = torch.minimum(index + 1, last[:, None] - 1).clamp(min=0)[:, None].expand_as(left)
    since = torch.maximum(index - 1, first[:, None])
    since = since.clamp(max=omega.shape[-1] - 1)[:, None].expand_as(left)
    over = (to - since).clamp(min=1) * frame
    change = torch.zeros_like(omega)
    for _ in range(fit.FOLDING_STEPS):
        step = (left.gather(-1, to) - left.gather(-1, since)) / over * sounding
        change += step
        left = (left - _phase(step, frame)) * sounding
    return (omega + change).clamp(fit.MARGIN, torch.pi - fit.MARGIN)


def _split(x: Tensor, num_frames: int) -> _Bands:
    """Split sounds into bands, as in :mod:`.subbands`."""
    num_samples = x.shape[-1]
    p = plan(num_samples, num_frames, torch.pi)
    index, inside, weights, share = (
        torch.from_numpy(array).to(x.device) for array in (p.index, p.inside, p.weights, p.share)
    )
    keep = len(p.k) // 2
    spectrum = torch.fft.rfft(x)
    slices = 2 * spectrum[:, index.clamp(0, spectrum.shape[-1] - 1)] * inside
    middle = spectrum[:, : keep + 1]
    slices[:, 0] = torch.cat([middle[:, 1:].flip(-1).conj(), middle], -1)
    slices *= weights
    samples = _inverse(slices, keep, p.length)
    own = _inverse(slices * share, keep, p.length).square().sum(-2).mean(-1)
    centers = torch.from_numpy(p.centers).to(x.device)
    power = 0.5 * (own[..., 1:] + own[..., :-1])
    return _Bands(samples, power, centers, p.width, num_samples / num_frames)


def _inverse(slices: Tensor, keep: int, length: int) -> Tensor:
    """Turn slices of spectra into bands, in segments between the centers of frames."""
    circular = slices.new_zeros(*slices.shape[:-1], length)
    circular[..., : keep + 1] = slices[..., keep:]
    circular[..., length - keep :] = slices[..., :keep]
    bands = torch.view_as_real(torch.fft.ifft(circular))
    bands[:, 0, :, 1] = 0
    half = RATE // 2
    bands = torch.nn.functional.pad(bands, (0, 0, half, half))
    return bands.unflatten(-2, (-1, RATE)).transpose(-1, -2).contiguous()


def _groups(
    mean: Tensor, exists: Tensor, highest: Tensor, last: Tensor, bands: _Bands
) -> List[_Group]:
    """Divide the bands of all sounds into groups of about as many modes and frames."""
    num_modes, num_bands = mean.shape[1], len(bands.centers)
    reached = (highest / bands.width + 0.5).ceil().clamp(1, num_bands)
    home = torch.minimum((mean / bands.width).round(), reached[:, None] - 1)
    number = torch.arange(num_bands, device=mean.device)[:, None]
    own = (home[:, None] == number) & exists[:, None]  # (B, bands, K)
    near = (mean[:, None] - number * bands.width).abs() < (0.5 + fit.GUEST) * bands.width
    near = (near & exists[:, None]) | own
    counts = near.sum(-1) * own.any(-1)
    pairs = torch.cat([counts, last[:, None]], 1).tolist()
    part = -(-bands.power.shape[-1] // _FRAME_PARTS)
    by_size: Dict[Tuple[int, int], List[Tuple[int, int]]] = {}
    for sound, (*members, end) in enumerate(pairs):
        for band, count in enumerate(members):
            if count:
                size = (_rounded(count, _MEMBERS), min(_rounded(end, part), bands.power.shape[-1]))
                by_size.setdefault(size, []).append((sound, band))
    groups = []
    limit = _BASES_OF_CPU if mean.device.type == "cpu" else _BASES
    for (count, num_frames), places in sorted(by_size.items()):
        at_once = max(1, limit // (count * (num_frames + 1) * 2 * RATE))
        for start in range(0, len(places), at_once):
            chunk = torch.tensor(places[start : start + at_once]).to(mean.device)
            sounds, own_band = chunk.unbind(1)
            # Members first, in their order.
            there, members = (
                near[sounds, own_band].long().sort(dim=-1, descending=True, stable=True)
            )
            there, members = there[:, :count], members[:, :count]
            members = torch.where(there > 0, members, num_modes)
            member_of = own[sounds, own_band].gather(-1, members.clamp(max=num_modes - 1))
            groups.append(_Group(sounds, own_band, members, member_of & (there > 0), num_frames))
    return groups


def _rounded(number: int, multiple: int) -> int:
    """Round up to a multiple."""
    return -(-number // multiple) * multiple


def _solve(
    bands: _Bands,
    groups: List[_Group],
    omega: Tensor,
    phase: Tensor,
    ridge: Tensor,
    bend: Tensor,
    sounding: Tensor,
    parts: int,
) -> Tensor:
    """Fit the envelopes of all modes, float32 (B, K, F, parts)."""
    num_sounds, num_modes, num_frames = omega.shape
    pad = (0, 0, 0, 1)  # one mode more, for what is not there
    start = _phase(omega, bands.frame) + phase[..., None]
    start = torch.cat([start[..., :1] - bands.frame * omega[..., :1], start], -1)
    omega = torch.nn.functional.pad(torch.cat([omega[..., :1], omega, omega[..., -1:]], -1), pad)
    start = torch.nn.functional.pad(start, pad)
    penalties = torch.nn.functional.pad(torch.stack([ridge, bend], -1), pad)
    result = bands.samples.new_zeros(num_sounds, num_modes + 1, num_frames, parts)
    for group in groups:
        frames = slice(group.num_frames)
        segments = slice(group.num_frames + 1)
        where = group.sound[:, None], group.members
        problem = Problem(
            basis=_basis(bands, group, omega[where], start[where]),
            ends=end_weights(group.num_frames, num_frames, omega.device),
            is_complex=(group.band > 0)[:, None, None, None],
            exists=(group.members < num_modes)[:, None, None],
            sounding=sounding[group.sound, 0, frames][:, :, None, None],
        )
        target = bands.samples[group.sound, group.band, segments]
        envelopes = conjugate_gradients(problem, target, penalties[where], parts)
        if parts == 1:
            heard = envelopes.clamp(min=0) * group.own[:, None, None]
            wanted = bands.power[group.sound, group.band, frames]
            envelopes = envelopes * level_gain(problem, wanted, heard)[:, :, None, None]
        home = torch.where(group.own, group.members, num_modes)
        result[group.sound[:, None], home, frames] = envelopes.permute(0, 3, 1, 2)
    return result[:, :-1]


def _basis(bands: _Bands, group: _Group, omega: Tensor, start: Tensor) -> Tensor:
    """Make the sinusoids of each segment, the basis of :class:`Problem`."""
    segments = slice(group.num_frames + 1)
    frame, center = bands.frame, bands.centers[group.band][:, None, None]
    left, right = omega[..., :-1][..., segments], omega[..., 1:][..., segments]
    time = torch.arange(group.num_frames + 1, device=omega.device, dtype=torch.float64)
    time = (time - 0.5) * frame - 0.5
    turn = torch.remainder(start[..., segments] - center * time, 2 * torch.pi)
    linear = frame * (left - center) + 0.5 * (right - left)
    bend = 0.5 * frame * (right - left)
    # (P, F' + 1, M, 1)
    turn, linear, bend = (v.float().transpose(1, 2)[..., None] for v in (turn, linear, bend))
    tau = segment_places(omega.device)
    angle = turn + tau * (linear + tau * bend)
    return torch.cat([angle.cos(), angle.sin()], -1)
