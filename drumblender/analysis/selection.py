"""Chooses which tracks become modes.

A synthesizer has room for fewer modes than a drum has tracks. The loudest are mostly neighbors of
each other at low frequencies, where one mode could stand for several: an envelope on the frame grid
covers a band about as wide as the frame rate. Chosen for coverage, modes explain far more of the
sound.
"""

from typing import List, Tuple

import numpy as np

from drumblender.analysis.peaks import Peaks
from drumblender.analysis.tracking import Tracks

# A chosen mode takes weight off candidates that are nearer than this many frame rates.
SPACING = 1.6
# Within one frame rate, what is this much quieter (linear) is a side lobe or the attack's splatter.
MASKED = 0.15
# Frames are left out of a track while they are within this many window lengths (roughly) of the
# beginning, whose reflection in the CQT distorts them.
EDGE = 0.1


def choose_modes(
    peaks: Peaks,
    tracks: Tracks,
    times: np.ndarray,
    frame_times: np.ndarray,
    rate: float,
    resolution: float,
    count: int,
) -> Tuple[np.ndarray, np.ndarray]:
    """Choose which tracks become modes.

    Candidates are the tracks and also, at constant frequency, bands of one frame rate that hold
    peaks of no track. They are chosen one after the other by weight. The weight of a candidate is
    the sum of the amplitudes of its peaks; with the sum of energies, quiet modes that are long or
    wide would not count. A chosen candidate takes weight off its neighbors. A mode holds its
    frequency before its first peak and after its last.

    Args:
        peaks: all peaks.
        tracks: the tracks that they form.
        times: time of each frame of the peaks, in seconds.
        frame_times: time of each frame of the result, in seconds.
        rate: rate of the frames of the result, in Hz.
        resolution: resolution of the peaks, in octaves. Peaks that are nearer belong to one
            sinusoid.
        count: largest number of modes.

    Returns:
        The frequencies of the chosen modes, in Hz, and their levels. A level is the square root of
        the energy of the peaks.

    Shape:
        - Output: (K, len(frame_times)) and (K,), K <= count
    """
    weight = peaks.amplitude
    free = np.ones(len(weight), bool)
    for index in range(len(tracks.start)):
        free[tracks[index]] = False
    cell = np.rint(peaks.frequency[free] / rate).astype(int)
    mass = np.concatenate([tracks.total(weight), np.bincount(cell, weight[free])])
    pitch = weight * peaks.frequency
    moment = np.concatenate([tracks.total(pitch), np.bincount(cell, pitch[free])])
    center = moment / np.maximum(mass, 1e-30)
    power = peaks.amplitude**2
    loud = np.sqrt(np.concatenate([tracks.total(power), np.bincount(cell, power[free])]))
    rows: List[np.ndarray] = []
    levels: List[float] = []
    while len(rows) < count and mass.any():
        best = int(np.argmax(mass))
        if best < len(tracks.start):
            known = tracks[best]
            seen = times[peaks.frame[known]] * peaks.frequency[known] > EDGE / resolution
            known = known[seen] if seen.any() else known[-1:]
            row = np.interp(frame_times, times[peaks.frame[known]], peaks.frequency[known])
        else:
            row = np.full(len(frame_times), center[best])
        rows.append(row)
        levels.append(loud[best])
        distance = np.abs(center - center[best]) / rate
        mass *= np.clip(distance / SPACING, 0, 1) ** 2
        same = np.abs(np.log2(np.maximum(center, 1e-9) / center[best])) < resolution
        masked = loud < MASKED * loud[best]
        mass[(distance < 1) & (masked | same)] = 0
        mass[best] = 0
    return np.array(rows).reshape(-1, len(frame_times)), np.array(levels)
