"""Finds the local maxima of constant-Q spectrograms, and refines them between the bins.

A frame of a CQT that is dominated by one sinusoid has a smooth peak in log magnitude; the parabola
through its three highest points gives the sinusoid's frequency and amplitude to a small fraction
of a bin [1].

[1] Smith and Serra, "PARSHL: an analysis/synthesis program for non-harmonic sounds based on a
    sinusoidal representation", ICMC 1987.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

# Keeps the logarithm of digital silence finite; far under any threshold in use.
FLOOR = 1e-12


class Peaks(NamedTuple):
    """The peaks of all sounds of a batch, ordered by sound, frame and frequency.

    Attributes:
        sound: number of the sound, int64 (P,).
        frame: index of the CQT frame, int64 (P,).
        frequency: frequency in Hz, float64 (P,).
        amplitude: linear amplitude of the sinusoid, float64 (P,).
        phase: phase of the CQT at the peak, in radians, float32 (P,). It is the phase of a cosine
            at the center of the frame.
        num_sounds: number of sounds.
        num_frames: number of frames of each.
    """

    sound: Tensor
    frame: Tensor
    frequency: Tensor
    amplitude: Tensor
    phase: Tensor
    num_sounds: int
    num_frames: int


def pick_peaks(
    spectrogram: Tensor, fmin: float, bins_per_octave: int, threshold_db: float
) -> Peaks:
    """Find the peaks of complex CQTs.

    Args:
        spectrogram: complex CQTs in which a sinusoid of amplitude 1 has magnitude 1.
        fmin: frequency of the lowest bin, in Hz.
        bins_per_octave: number of bins per octave.
        threshold_db: level in dB relative to amplitude 1. Peaks at or below it are left out.

    Shape:
        - spectrogram: (B, bins, frames)

    >>> spectrogram = torch.tensor([[[0.1], [1.0], [0.1]]]) + 0j
    >>> peaks = pick_peaks(spectrogram, 100.0, 12, -80.0)
    >>> round(peaks.frequency.item(), 3), round(peaks.amplitude.item(), 3)
    (105.946, 1.0)
    """
    power = spectrogram.real.square() + spectrogram.imag.square()
    middle = power[:, 1:-1]
    is_peak = (middle > power[:, :-2]) & (middle >= power[:, 2:])
    # What is infinite in one sound must not disturb the order of all peaks.
    is_peak &= (middle > 10 ** (threshold_db / 10)) & (middle < math.inf)
    sound, frame, below = is_peak.transpose(1, 2).nonzero(as_tuple=True)
    left, center, right = (
        0.5 * power[sound, below + step, frame].double().clamp(min=FLOOR**2).log()
        for step in range(3)
    )
    # Not zero: the center is higher than its left neighbor and not lower than the right one.
    curvature = left - 2 * center + right
    offset = 0.5 * (left - right) / curvature
    return Peaks(
        sound=sound,
        frame=frame,
        frequency=fmin * torch.exp2((below + 1 + offset) / bins_per_octave),
        amplitude=torch.exp(center - 0.25 * (left - right) * offset),
        phase=spectrogram[sound, below + 1, frame].angle(),
        num_sounds=len(spectrogram),
        num_frames=spectrogram.shape[-1],
    )
