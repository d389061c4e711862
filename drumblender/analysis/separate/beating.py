"""How much modes beat together, as they are and after their decay has been changed.

Modes that add up to one smooth decay may do so by interference. When envelopes are stretched in
time, frequencies stay where they are. The modes then drift apart further while they are heard, and
beat where the recording does not.
"""

import math

import numpy as np

from drumblender.analysis.phase import integral

# Level is smoothed twice by a window of this length, in seconds.
_SMOOTHED = 0.03
# What is this much below the peak is not heard, in dB.
_FAINT = -45.0
# Modes whose mean frequencies are this far from that of the loudest one beat too fast to be heard
# as a change of level, in radians per second.
_FAST = 2 * math.pi * 100
# Of the loudest mode's energy, the part below which a mode does not matter.
LITTLE = 1e-5


def rise_after(modes: np.ndarray, frame: float, sample_rate: int, factor: float) -> float:
    """Compute by how much the level of modes rises again after its peak, in dB.

    Args:
        modes: frequency in rad/sample, amplitude, and phase half a frame before the first frame.
        frame: distance of frames in samples.
        sample_rate: in Hz.
        factor: what the decay is multiplied by first; 1 leaves the modes as they are.

    Shape:
        - modes: (3, M, F), float64
    """
    omega, amplitude, phase = modes[0], modes[1], modes[2, :, :1]
    energy = amplitude**2
    total = energy.sum(1)
    loudest = int(total.argmax())
    heard = total > LITTLE * total[loudest]
    mean = (omega * energy).sum(1) / total.clip(min=1e-30)
    slow = heard & (np.abs(mean - mean[loudest]) < _FAST / sample_rate)
    level = energy[heard & ~slow].sum(0)
    slow[loudest] = False
    turns = integral(omega[slow] - omega[loudest], frame) + phase[slow] - phase[loudest]
    if factor != 1:
        turns = _stretched(turns, int(energy.sum(0).argmax()), factor)
    real = (amplitude[slow] * np.cos(turns)).sum(0) + amplitude[loudest]
    level += real**2 + (amplitude[slow] * np.sin(turns)).sum(0) ** 2
    return rise(_smooth(level, _SMOOTHED * sample_rate / (frame * factor)))


def rise(power: np.ndarray, faint: float = _FAINT) -> float:
    """Return by how much a power (F,) rises again after its peak, in dB, while it is heard.

    >>> round(rise(np.array([0.5, 1.0, 0.1, 0.4, 0.0])), 2)
    6.02
    """
    level = 10 * np.log10(power.clip(min=1e-30))
    level = level[int(level.argmax()) :]
    level = level[: int((level > level[0] + faint).sum())]
    return float((level - np.minimum.accumulate(level)).max())


def _stretched(turns: np.ndarray, moment: int, factor: float) -> np.ndarray:
    """Return the phases (M, F) that modes have drifted apart by when their envelopes come later.

    From a frame on, what was heard in frame t comes a factor later. Beyond the last frame, phases
    drift on as they do in the end.
    """
    count = turns.shape[1]
    frames = np.arange(count)
    later = np.where(frames < moment, frames, moment + factor * (frames - moment))
    within = later.clip(max=count - 1)
    below = within.astype(int).clip(max=count - 2)
    share = within - below
    there = turns[:, below] * (1 - share) + turns[:, below + 1] * share
    return there + (turns[:, -1:] - turns[:, -2:-1]) * (later - within)


def _smooth(power: np.ndarray, frames: float) -> np.ndarray:
    """Smooth a power (F,) twice by a window of so many frames."""
    size = max(1, round(frames)) | 1
    window = np.hanning(size + 2)[1:-1]
    window /= window.sum()
    for _ in range(2):
        power = np.convolve(np.pad(power, size // 2), window, "valid")
    return power
