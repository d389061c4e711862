"""Onsets of a recording: where something begins to sound that was silent before.

In bands on an auditory scale, the level of the next milliseconds is compared with the highest of
the last ones, as in spectral flux with a maximum filter [1]. Noise that fluctuates, partials that
beat and tones that decay rise little above what they were a moment ago. Where rises add up over the
bands, there is an onset.

[1] Boeck and Widmer, "Maximum filter vibrato suppression for onset detection", DAFx 2013.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.signal.auditory import band_shares

# Length of the spectra and their distance in seconds, the first rounded to a power of two.
SECONDS, HOP = 0.0053, 0.00133
BANDS = 16
# Of the levels that are compared, in seconds: mean of so much after, highest of so much before.
AFTER, BEFORE = 0.010, 0.030
# Mean rise of an onset over all bands, in dB; and the rise of a band from which on it counts full.
RISE, MOST = 2.5, 30.0
# Level below which nothing is heard to begin, relative to the loudest frame of all bands, in dB.
AUDIBLE = -50.0
# Where so little power is left of what was before, a sound ends.
CUT = 1e-3
# Onsets are at least so far apart, in seconds.
APART = 0.04
# The first onset is where the recording first exceeds this part of its peak.
FIRST = 0.05
# From the frame of the steepest rise to the onset, in seconds: a spectrum's window hears it early.
_LATE = 0.0015


def first_sample(envelope: Tensor) -> Tensor:
    """Return the first sample at which each envelope exceeds a small part of its peak.

    Shape:
        - envelope: (..., N), not negative
        - Output: (...), 0 for silence

    >>> first_sample(torch.tensor([0.0, 0.01, 0.2, 1.0])).item()
    2
    """
    return (envelope >= FIRST * envelope.amax(-1, keepdim=True)).to(torch.uint8).argmax(-1)


def find_onsets(x: Tensor, sample_rate: int) -> Tensor:
    """Find the onsets of each sound in seconds, (B, K), float64; infinity where there are fewer.

    There is one at least, even in silence.

    Shape:
        - x: (B, N)

    >>> time = torch.arange(48000) / 48000
    >>> hits = sum(((time >= t) * torch.exp((t - time) / 0.05)).nan_to_num() for t in (0.1, 0.5))
    >>> find_onsets((hits * torch.sin(2000 * time))[None], 48000).round(decimals=2)
    tensor([[0.1000, 0.5000]], dtype=torch.float64)
    """
    first = first_sample(x.abs()).double() / sample_rate
    rise = flux(x, sample_rate)
    hop = max(1, round(HOP * sample_rate)) / sample_rate
    reach = math.ceil(APART / hop)
    around = F.max_pool1d(rise[:, None], 2 * reach + 1, 1, reach)[:, 0]
    sound, frame = ((rise > RISE) & (rise == around)).nonzero(as_tuple=True)
    found = [[start] for start in first.tolist()]
    for number, place in zip(sound.tolist(), frame.tolist()):
        onset = place * hop + _LATE
        start = found[number][0]
        apart = all(abs(onset - other) > APART for other in found[number])
        if apart and (onset > start or _falls(x[number], onset, start, sample_rate)):
            found[number].append(onset)
    result = x.new_full((len(x), max(map(len, found))), math.inf, dtype=torch.float64)
    for row, onsets in zip(result, found):
        row[: len(onsets)] = torch.tensor(sorted(onsets), dtype=torch.float64)
    return result


def _falls(x: Tensor, onset: float, start: float, sample_rate: int) -> bool:
    """Return whether what begins quietly is a stroke of its own, not the start of a slow rise."""
    begin, behind, end = (
        int(max(0, seconds) * sample_rate) for seconds in (onset, onset + AFTER, start - AFTER)
    )
    return bool(x[behind:end].abs().max() < x[begin:behind].abs().max())


def flux(x: Tensor, sample_rate: int) -> Tensor:
    """Compute the mean rise of the levels at each frame, in dB, (B, frames).

    Frame f begins at sample ``f * hop``.

    Shape:
        - x: (B, N)
    """
    size = 2 ** max(5, round(math.log2(SECONDS * sample_rate)))
    hop = max(1, round(HOP * sample_rate))
    window = torch.hann_window(size, device=x.device)
    spectrum = torch.stft(x, size, hop, window=window, pad_mode="constant", return_complex=True)
    shares = band_shares(size // 2 + 1, sample_rate, BANDS).to(x.device)
    power = shares @ (spectrum.real.square() + spectrum.imag.square())
    after, before = round(AFTER * sample_rate / hop), round(BEFORE * sample_rate / hop)
    frames = power.shape[-1]
    padded = F.pad(power, (before, after))
    coming = F.avg_pool1d(padded, after, 1)[..., before : before + frames]
    past = F.max_pool1d(padded, before, 1)[..., :frames]
    whole = power.sum(1, keepdim=True)
    lowest = whole.amax(-1, keepdim=True) * 10 ** (AUDIBLE / 10) / BANDS
    lowest = lowest.clamp(min=1e-20)
    rise = 10 * ((coming + lowest) / (past + lowest)).log10()
    rise = rise.clamp(0, MOST).mean(1)
    # Where a sound is cut its spectrum is wide, too.
    loud = F.max_pool1d(F.pad(whole, (before, 0)), before, 1)[..., :frames]
    left = -F.max_pool1d(-F.pad(whole, (0, before)), before, 1)[..., 1 : frames + 1]
    return torch.where((left < CUT * loud)[:, 0], 0, rise)
