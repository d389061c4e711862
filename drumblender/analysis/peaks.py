"""Finds the local maxima of a constant-Q spectrogram, and refines them between the bins.

A frame of a CQT that is dominated by one sinusoid has a smooth peak in log magnitude; the parabola
through its three highest points gives the sinusoid's frequency and amplitude to a small fraction
of a bin [1].

[1] Smith and Serra, "PARSHL: an analysis/synthesis program for non-harmonic sounds based on a
    sinusoidal representation", ICMC 1987.
"""

from typing import NamedTuple

import numpy as np

# Keeps the logarithm of digital silence finite; far under any threshold in use.
FLOOR = 1e-12


class Peaks(NamedTuple):
    """Peaks of one signal, ordered by frame and, within a frame, by frequency.

    Attributes:
        frame: index of the CQT frame, int (P,).
        frequency: frequency in Hz, float64 (P,).
        amplitude: linear amplitude of the sinusoid, float64 (P,).
        phase: phase of the CQT at the peak, in radians (P,). It is the phase of a cosine at the
            center of the frame.
    """

    frame: np.ndarray
    frequency: np.ndarray
    amplitude: np.ndarray
    phase: np.ndarray


def pick_peaks(
    spectrogram: np.ndarray, fmin: float, bins_per_octave: int, threshold_db: float
) -> Peaks:
    """Find the peaks of a complex CQT.

    Args:
        spectrogram: complex CQT in which a sinusoid of amplitude 1 has magnitude 1.
        fmin: frequency of the lowest bin, in Hz.
        bins_per_octave: number of bins per octave.
        threshold_db: level in dB relative to amplitude 1. Peaks at or below it are left out.

    Shape:
        - spectrogram: (bins, frames)

    >>> peaks = pick_peaks(np.array([[0.1], [1.0], [0.1]], complex), 100.0, 12, -80.0)
    >>> float(peaks.frequency[0].round(3)), float(peaks.amplitude[0].round(3))
    (105.946, 1.0)
    """
    power = np.ascontiguousarray(spectrogram.T.real) ** 2
    power += np.ascontiguousarray(spectrogram.T.imag) ** 2  # (frames, bins)
    middle = power[:, 1:-1]
    is_peak = (middle > power[:, :-2]) & (middle >= power[:, 2:])
    is_peak &= middle > 10 ** (threshold_db / 10)
    frame, bin_index = np.nonzero(is_peak)
    bin_index += 1
    left, center, right = (
        0.5 * np.log(np.maximum(power[frame, bin_index + step].astype(np.float64), FLOOR**2))
        for step in (-1, 0, 1)
    )
    # Not zero: the center is higher than its left neighbor and not lower than the right one.
    curvature = left - 2 * center + right
    offset = 0.5 * (left - right) / curvature
    return Peaks(
        frame=frame,
        frequency=fmin * 2.0 ** ((bin_index + offset) / bins_per_octave),
        amplitude=np.exp(center - 0.25 * (left - right) * offset),
        phase=np.angle(spectrogram[bin_index, frame]).astype(np.float64),
    )
