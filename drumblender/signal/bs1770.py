"""How loud short sounds are, by the weighting of ITU-R BS.1770.

The recommendation measures programs in blocks of 400 ms and leaves out quiet ones, which says
little about a drum that is over in 100 ms. Here, loudness is that of the loudest 400 ms (what EBU
R 128 calls the maximum of momentary loudness), with silence before and behind the sound.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchaudio.functional import highpass_biquad, treble_biquad

_WINDOW_S = 0.4
_OFFSET = -0.691  # so that a sine of 997 Hz at full scale has -3.01


def loudness(audio: Tensor, sample_rate: int) -> float:
    """Measure how loud the loudest 400 ms of a sound are, in LUFS. Silence has -inf.

    Args:
        audio: samples of all channels, whose energies add up.
        sample_rate: in Hz.

    Shape:
        - audio: (C, N)

    >>> from drumblender.signal import sine
    >>> tone = sine(997.0, 48_000, 48_000)[None]
    >>> round(loudness(tone, 48_000)), round(loudness(tone.expand(2, -1), 48_000))
    (-3, 0)
    >>> loudness(torch.zeros(1, 10), 48_000)
    -inf
    """
    audio = audio.double()
    peak = float(audio.abs().max()) if audio.numel() else 0.0
    if peak == 0:
        return -math.inf
    energy = k_weighted(audio / peak, sample_rate).square().sum(0)
    window = max(1, round(_WINDOW_S * sample_rate))
    mean = F.pad(energy, (window, window)).cumsum(0)
    loudest = float((mean[window:] - mean[:-window]).max()) / window
    return _OFFSET + 10 * math.log10(loudest) + 20 * math.log10(peak)


def loudness_of(samples: np.ndarray, sample_rate: int) -> float:
    """Measure the :func:`loudness` of samples as files and players have them, in LUFS.

    Args:
        samples: the sound.
        sample_rate: in Hz.

    Shape:
        - samples: (N,) or (N, channels)
    """
    channels = np.ascontiguousarray(samples.reshape(len(samples), -1).T)
    return loudness(torch.from_numpy(channels), sample_rate)


def k_weighted(audio: Tensor, sample_rate: int) -> Tensor:
    """Weight frequencies as BS.1770 does: a shelf for the head, and a high-pass for the bass.

    Args:
        audio: samples.
        sample_rate: in Hz.

    Shape:
        - audio: (..., N)
        - Output: (..., N)
    """
    # The filters of torchaudio clip at full scale, so they get no more than an eighth of it.
    scale = 8 * float(audio.abs().max()) or 1.0
    shelved = treble_biquad(audio / scale, sample_rate, 4.0, 1500.0, 1 / math.sqrt(2))
    return highpass_biquad(shelved, sample_rate, 38.0, 0.5) * scale
