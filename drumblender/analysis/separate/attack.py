"""The attack that all modes of a drum share: how their envelopes begin.

Modes are fitted from after the click on, as if they had begun at once. Around the onset their sum
is given one gain per frame, by least squares with the recording. Where noise and click say more
about a gain than the tones do, it stays near that of a beginning at once.
"""

from typing import Callable, Optional, Tuple

import torch
from torch import Tensor

from drumblender.analysis.separate.damped import Damped, frames_of
from drumblender.synths import modal_synth

# Frames around the onset that have gains of their own: before it and from it on.
BEFORE, AFTER = 2, 5
# Further frames, in which the gains' scatter shows the noise.
_QUIET = 8
# How far a gain is expected to be from its prior.
_SPREAD = 0.5
# Power of noise and click in the attack relative to that behind it.
_LOUDER = 4.0


def parameters_of(
    x: Tensor,
    modes: Damped,
    num_frames: int,
    sample_rate: int,
    factor: Optional[Callable[[Tensor], Tensor]] = None,
) -> Tuple[Tensor, Tensor]:
    """What the modal synthesizer plays (B, 3, M, F), and that sound (B, N), float32.

    Args:
        x: recordings.
        modes: of them.
        num_frames: F.
        sample_rate: in Hz.
        factor: of their envelopes; see :func:`frames_of`.

    Shape:
        - x: (B, N)
    """
    num_samples = x.shape[-1]
    if not modes.omega.shape[1]:
        return x.new_zeros(len(x), 3, 0, num_frames), torch.zeros_like(x)
    omega, amplitude, phase = frames_of(modes, num_samples, num_frames, sample_rate, factor)
    frame = num_samples / num_frames
    center = (torch.arange(num_frames, dtype=torch.float64, device=x.device) + 0.5) * frame - 0.5
    since = center - modes.onset[:, None] * sample_rate
    first = (since < 0).sum(1)
    whole = modal_synth(omega.float(), amplitude.float(), num_samples, phase.float())[:, 0]
    gain = _gains(x, whole, first, frame)
    # gain[:, k] belongs to frame first - BEFORE + k.
    index = torch.arange(num_frames, device=x.device) - first[:, None] + BEFORE
    chosen = gain.double().gather(1, index.clamp(0, gain.shape[1] - 1))
    chosen = torch.where(index < 0, 0.0, torch.where(index >= gain.shape[1], 1.0, chosen))
    amplitude = amplitude * chosen[:, None]
    parameters = torch.stack([omega, amplitude, phase.expand_as(omega)], 1).float()
    parameters = parameters * (modes.stat > 0)[:, None, :, None]
    y = modal_synth(*parameters[:, :2].unbind(1), num_samples, parameters[:, 2, :, :1])[:, 0]
    # What explains less than nothing is no tone.
    better = (x - y).square().sum(1) <= x.square().sum(1)
    parameters[:, 1] *= better[:, None, None]
    return parameters, y * better[:, None]


def _gains(x: Tensor, whole: Tensor, first: Tensor, frame: float) -> Tensor:
    """Gains of the frames around the onset (B, BEFORE + AFTER)."""
    count = BEFORE + AFTER + _QUIET
    frames = torch.arange(count, device=x.device)
    number = first[:, None] - BEFORE + frames  # of each frame
    begin = ((number[:, 0].double() - 0.5) * frame - 0.5).round().long()
    length = int((count + 1) * frame) + 2
    place = begin[:, None] + torch.arange(length, device=x.device)
    inside = (place >= 0) & (place < x.shape[-1])
    at = place.clamp(0, x.shape[-1] - 1)
    target, tones = (signal.gather(1, at).double() * inside for signal in (x, whole))
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
    return gain[:, : BEFORE + AFTER].clamp(0, 1.5).to(x.dtype)
