"""The attack that all modes of a drum share: how their envelopes begin.

Modes are fitted from after the click on, as if they had begun at once. Around the onset their sum
is given one gain per frame, by least squares with the recording. Where noise and click say more
about a gain than the tones do, it stays near that of a beginning at once.
"""

from typing import Callable, Optional

import torch
from torch import Tensor

from drumblender.analysis.separate.damped import Damped, waves

# Frames around the onset that have gains of their own: before it and from it on.
BEFORE, AFTER = 2, 5
# Further frames, in which the gains' scatter shows the noise.
_QUIET = 8
# How far a gain is expected to be from its prior.
_SPREAD = 0.5
# Power of noise and click in the attack relative to that behind it.
_LOUDER = 4.0


def shape_attack(
    x: Tensor,
    start: Tensor,
    modes: Damped,
    factor: Optional[Callable[[Tensor], Tensor]],
    amplitude: Tensor,
    first: Tensor,
    frame: float,
    sample_rate: int,
) -> Tensor:
    """Shape the beginning of amplitudes (B, M, F), which is common to all modes.

    Args:
        x: recordings, or pieces of them.
        start: sample of the recording at which each piece begins (B,).
        modes: modes that begin in the piece.
        factor: function of factors of their envelopes, as in :func:`~.damped.frames_of`.
        amplitude: amplitudes of the modes in frames, as if they had begun at once.
        first: number of the first of these frames (B,).
        frame: length of a frame, in samples.
        sample_rate: in Hz.

    Shape:
        - x: (B, N)
        - amplitude: (B, M, F)
    """
    # The first frame whose center is at the onset or behind it.
    onset = ((modes.onset * sample_rate + 0.5) / frame - 0.5).ceil().long().clamp(min=0)
    gain = _gains(x, start, modes, factor, onset, frame, sample_rate)
    # gain[:, k] belongs to frame onset - BEFORE + k.
    index = torch.arange(amplitude.shape[-1], device=x.device) + (first - onset)[:, None] + BEFORE
    chosen = gain.gather(1, index.clamp(0, gain.shape[1] - 1))
    chosen = torch.where(index < 0, 0.0, torch.where(index >= gain.shape[1], 1.0, chosen))
    return amplitude * chosen[:, None]


def _gains(
    x: Tensor,
    start: Tensor,
    modes: Damped,
    factor: Optional[Callable[[Tensor], Tensor]],
    first: Tensor,
    frame: float,
    sample_rate: int,
) -> Tensor:
    """Compute the gains of the frames around the onset, (B, BEFORE + AFTER), float64."""
    count = BEFORE + AFTER + _QUIET
    frames = torch.arange(count, device=x.device)
    number = first[:, None] - BEFORE + frames  # of each frame
    begin = ((number[:, 0].double() - 0.5) * frame - 0.5).round().long()
    length = int((count + 1) * frame) + 2
    place = begin[:, None] + torch.arange(length, device=x.device)
    at = place - start[:, None]
    inside = (at >= 0) & (at < x.shape[-1])
    target = x.gather(1, at.clamp(0, x.shape[-1] - 1)).double() * inside
    sounding = inside & (place <= modes.end[:, None] * sample_rate)
    tones = waves(modes, place.double() / sample_rate, factor).sum(1).double() * sounding
    # Envelopes are linear between the centers of frames; the first frame is held before its center.
    position = (place.double() + 0.5) / frame - 0.5
    position = position.clamp(min=0)
    hat = (1 - (position[:, None] - number[..., None]).abs()).clamp(min=0)  # (B, count, length)
    after = (position - number[:, -1:]).clamp(0, 1)
    target = target - after * tones
    columns = hat * tones[:, None]
    exists = number >= 0
    matrix = columns @ columns.mT
    right = (columns @ target[..., None])[..., 0]
    scale = matrix.diagonal(dim1=1, dim2=2)
    loudest = scale.amax(1, keepdim=True)
    tiny = 1e-3 * loudest + 1e-20
    prior = (number >= first[:, None]).double()
    free = matrix + torch.diag_embed(tiny.expand_as(scale))
    free = torch.linalg.solve(free, right + tiny * prior)
    late = slice(BEFORE + AFTER, None)
    noise = ((free[:, late] - 1).square() * scale[:, late]).mean(1, keepdim=True)
    # Modes may cancel each other, but not around the onset: there the recording decides.
    energy = (hat[:, late] @ target.square()[..., None])[..., 0].mean(1, keepdim=True)
    noise = torch.minimum(noise, energy)
    damping = _LOUDER * noise / _SPREAD**2 + 1e-6 * loudest + 1e-20
    damping = damping * torch.where(exists, 1.0, 1e6)
    damping[:, late] *= 1e6
    gain = torch.linalg.solve(matrix + torch.diag_embed(damping), right + damping * prior)
    return gain[:, : BEFORE + AFTER].clamp(0, 1.5)
