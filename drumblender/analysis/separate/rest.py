"""The division of what tones leave over into a transient and noise.

Noise decays smoothly, so its level after the attack says what it was in the attack. What is louder
than that for a few to some tens of milliseconds after the onset is the transient. Both are
waveforms that add up to what was divided. Levels are measured in bands on an auditory scale [1].

[1] Glasberg and Moore, "Derivation of auditory filter shapes from notched-noise data", Hearing
Research 47, 1990.
"""

import math
from typing import Tuple

import torch
from torch import Tensor

from drumblender.signal.auditory import band_shares

# Length of the spectra in seconds, rounded to a power of two of samples; four in each length.
SECONDS = 0.0053
BANDS = 24
# The transient is whole up to the first time after the onset and over at the second, in seconds.
WHOLE, OVER = 0.008, 0.03
# Level of the noise is taken from these times after the onset, in seconds.
FROM, TO = 0.012, 0.07
# Rise of the noise towards the onset at most, in nepers of power per second (-60 dB in 40 ms).
STEEPEST = 13.8 / 0.04
# Time before an onset that is looked at, in seconds.
BEFORE = 0.01
# Onsets that are looked at together.
_AT_ONCE = 64


def divide(rest: Tensor, onsets: Tensor, sample_rate: int) -> Tuple[Tensor, Tensor]:
    """Divide the rest into transient and noise, (B, N) each, which add up to it.

    Args:
        rest: signals without their tones.
        onsets: in seconds (B, K), in their order; infinity where there are fewer.
        sample_rate: in Hz.

    Shape:
        - rest: (B, N)
    """
    sound, number = onsets.isfinite().nonzero(as_tuple=True)
    onset = onsets[sound, number]
    later = torch.cat([onsets[:, 1:], torch.full_like(onsets[:, :1], math.inf)], 1)[sound, number]
    transient = torch.zeros_like(rest)
    # Only the attacks are looked at.
    length = int((OVER + TO) * sample_rate)
    for rows in torch.arange(len(sound), device=rest.device).split(_AT_ONCE):
        first = (onset[rows] * sample_rate).long() - int(BEFORE * sample_rate)
        place = first[:, None] + torch.arange(length, device=rest.device)
        inside = (place >= 0) & (place < rest.shape[-1])
        at = place.clamp(0, rest.shape[-1] - 1)
        part = rest[sound[rows, None], at] * inside
        since = first / sample_rate - onset[rows]
        attack = _attacks(part, since, later[rows] - onset[rows], number[rows] > 0, sample_rate)
        transient.index_put_((sound[rows, None], at), attack * inside, accumulate=True)
    return transient, rest - transient


def _attacks(
    part: Tensor, begin: Tensor, later: Tensor, follows: Tensor, sample_rate: int
) -> Tensor:
    """Compute the transients of pieces (G, n).

    Args:
        part: the pieces.
        begin: their beginnings in seconds, relative to their onsets (G,).
        later: the next onsets, relative to these (G,).
        follows: whether something sounds before (G,).
        sample_rate: in Hz.
    """
    size = 2 ** max(5, round(math.log2(SECONDS * sample_rate)))
    hop = size // 4
    window = torch.hann_window(size, device=part.device)
    spectrum = torch.stft(part, size, hop, window=window, pad_mode="constant", return_complex=True)
    shares = band_shares(size // 2 + 1, sample_rate, BANDS).to(part.device)
    power = shares @ (spectrum.real.square() + spectrum.imag.square()) + 1e-12
    time = torch.arange(spectrum.shape[-1], device=part.device) * hop / sample_rate
    since = time + begin[:, None]
    half = size / 2 / sample_rate
    expected = _extrapolated(power, since.float(), (later - half).float())
    # The transient of a later stroke is what is louder than before, and does not begin early.
    before = (since < -half).float()[:, None]
    level = (power * before).sum(-1, keepdim=True) / before.sum(-1, keepdim=True).clamp(min=1)
    expected = torch.where(follows[:, None, None], torch.maximum(expected, level), expected)
    tonal = (1 - expected / power).clamp(min=0)
    fade = ((OVER - since) / (OVER - WHOLE)).clamp(0, 1)
    fade = fade * ((later[:, None] - since) / half - 0.5).clamp(0, 1)
    fade = torch.where(follows[:, None] & (since < -half), 0, fade).float()
    gain = shares.T @ (tonal * fade[:, None])
    return torch.istft(spectrum * gain, size, hop, window=window, length=part.shape[-1])


def _extrapolated(power: Tensor, since: Tensor, later: Tensor) -> Tensor:
    """Compute the power of the noise in each band as if it had always decayed at one rate."""
    weight = ((since >= FROM) & (since <= later.clamp(max=TO)[:, None])).float()[:, None]
    total = weight.sum(-1, keepdim=True).clamp(min=1)
    level = power.log()
    middle = (weight * since[:, None]).sum(-1, keepdim=True) / total
    mean = (weight * level).sum(-1, keepdim=True) / total
    around = weight * (since[:, None] - middle)
    slope = (around * level).sum(-1, keepdim=True)
    slope = slope / (around * (since[:, None] - middle)).sum(-1, keepdim=True).clamp(min=1e-9)
    # The mean of logarithms of noise lies below the logarithm of the mean.
    line = mean + 0.3 + slope.clamp(-STEEPEST, 0) * (since[:, None].clamp(min=0) - middle)
    return line.exp()
