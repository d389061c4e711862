"""Fits the envelopes and frequencies of modes to the waveform.

The windows of a constant-Q transform are up to two seconds long at low frequencies: what it shows
at an attack is too quiet and begins too early. Its frequencies are good, though, and with
frequencies given, the waveform is linear in complex envelopes. So:

1. Piecewise-linear complex envelopes on the frame grid are fitted by least squares, with a small
   ridge and a penalty on their curvature.
2. The phase of an envelope is a correction of its mode's frequency; it is folded into the frequency
   as far as frequencies that are linear between frames can follow it.
3. With these frequencies, real envelopes are fitted and cut off at zero.
4. Bands that modes cannot follow, such as noise, come out too quiet; they are brought to their
   level, by at most 6 dB.

The result is what the modal synthesizer plays, and nothing more: frequency and amplitude, linear
between the centers of frames, and one phase.

Least squares with fixed frequencies is classical sinusoidal analysis [1]; here envelopes vary
within frames and all frames are solved at once, by conjugate gradients, band by band.

[1] Stylianou, "Harmonic plus noise models for speech", PhD thesis, ENST Paris, 1996, ch. 3.
"""

from typing import NamedTuple, Tuple

import numpy as np

from drumblender.analysis.least_squares import basis_of, conjugate_gradients, level_gain
from drumblender.analysis.subbands import Subbands, split

# Penalties are relative to the energy of one envelope point.
# Keeps the problem solvable; small enough to bias no amplitude by more than 0.1 %.
RIDGE = 0.001
# Second difference of an envelope that may vary as fast as frames.
BEND = 0.01
# No envelope is held to less than this part of the frame rate: it would miss attacks.
SLOWEST = 0.1
# A mode that is this much quieter than another (linear) does not restrict it.
RIVAL = 0.1
# Distance of a mode to its own negative frequency, in parts of its frequency.
MIRROR = 0.5
# Modes this close to a band's edge (in widths of a band) are fitted along with it, so that what
# they explain is not explained twice; their values come from their own band.
GUEST = 1 / 6
FOLDING_STEPS = 6
# Frequencies stay this far inside (0, pi).
MARGIN = 1e-4


class Modes(NamedTuple):
    """Parameters for the modal synthesizer.

    Attributes:
        omega: frequency in rad/sample (K, F).
        amplitude: linear amplitude, not negative (K, F).
        phase: phase of a sine "before" the first sample, in radians (K,).
    """

    omega: np.ndarray
    amplitude: np.ndarray
    phase: np.ndarray


def fit_modes(x: np.ndarray, omega: np.ndarray, level: np.ndarray, first: int, last: int) -> Modes:
    """Fit modes to a waveform.

    Args:
        x: samples.
        omega: frequency of each mode at the centers of the frames, in rad/sample.
        level: how loud each mode is expected to be, relative to the others.
        first: first frame in which modes may sound.
        last: frame after the last one in which modes may sound.

    Shape:
        - x: (N,)
        - omega: (K, F)
        - level: (K,)

    >>> x = np.sin(0.1 * np.arange(1, 12801)).astype(np.float32)
    >>> modes = fit_modes(x, np.full((1, 51), 0.1003), np.ones(1), 0, 51)
    >>> round(float(modes.omega[0, 25]), 4), round(float(modes.amplitude[0, 25]), 1)
    (0.1, 1.0)
    """
    bands = split(x, omega.shape[1], omega.max())
    sounding = slice(first, last)
    mean = omega[:, sounding].mean(1)
    ridge, bend = _penalties(mean, level, 2 * np.pi / bands.frame)
    zero = np.zeros(len(omega))
    envelope = _solve(bands, omega, zero, mean, ridge, bend, sounding, ("cos", "sin"))
    envelope = envelope[0] + 1j * envelope[1]

    turned = _fold(omega[:, sounding], np.angle(envelope), bands.frame)
    before = _phase(omega, bands.frame)[:, sounding]
    omega = omega.copy()
    omega[:, sounding] = turned
    omega[:, :first] = turned[:, :1]
    omega[:, last:] = turned[:, -1:]
    missing = envelope * np.exp(1j * (before - _phase(omega, bands.frame)[:, sounding]))
    phase = np.angle((np.abs(missing) * missing).sum(1))
    real = _solve(bands, omega, phase, mean, ridge, bend, sounding, ("cos",))[0]
    amplitude = np.zeros_like(omega)
    amplitude[:, sounding] = np.maximum(real, 0)
    # A cosine is a sine a quarter turn ahead.
    return Modes(omega, amplitude, phase + np.pi / 2)


def _penalties(
    mean: np.ndarray, level: np.ndarray, frame_rate: float
) -> Tuple[np.ndarray, np.ndarray]:
    """Return two penalties for each mode: on its envelope, and on the envelope's curvature.

    Both are weights of squares. An envelope may vary so fast that it reaches the next mode, or the
    mode's own negative frequency. Then two modes could explain one sinusoid, and would share it at
    random. So the penalty on curvature holds each envelope to about half the distance. The penalty
    on the envelope itself, the ridge, keeps a quiet mode from explaining what a loud one beside it
    can explain: it is the prior that amplitudes are in proportion to the levels.
    """
    distance = np.abs(mean[:, None] - mean)
    np.fill_diagonal(distance, np.inf)
    rival = np.where(level > RIVAL * level[:, None], distance, np.inf).min(1)
    share = np.clip(np.minimum(rival, MIRROR * mean) / frame_rate, SLOWEST, 1)
    np.fill_diagonal(distance, 0)
    louder = np.where(distance < 2 * frame_rate, level / level[:, None], 0).max(1)
    ridge = RIDGE * np.minimum(louder**2, 1e5)
    return ridge, BEND / (np.pi * share) ** 4


def _phase(omega: np.ndarray, frame: float) -> np.ndarray:
    """Return the phase at the centers of frames, where frequency is linear between them.

    The phase is the running sum of the frequency. The sum of the synthesizer includes the sample
    itself, which is half a step more than the integral up to it.
    """
    steps = 0.5 * frame * (omega[:, 1:] + omega[:, :-1])
    integral = np.cumsum(np.concatenate([0.5 * frame * omega[:, :1], steps], 1), 1)
    return integral + 0.5 * omega


def _fold(omega: np.ndarray, angle: np.ndarray, frame: float) -> np.ndarray:
    """Fold a phase into frequencies: their phase is that of ``omega`` plus ``angle``.

    One central difference would smooth the phase by cos^2. It is repeated on the rest, which
    restores all but the fastest turns. These are left out, because noise would make them explode.
    """
    left = np.unwrap(angle, axis=1)
    change = np.zeros_like(omega)
    for _ in range(FOLDING_STEPS):
        step = np.gradient(left, axis=1) / frame if left.shape[1] > 1 else np.zeros_like(left)
        change += step
        left = left - _phase(step, frame)
    return np.clip(omega + change, MARGIN, np.pi - MARGIN)


def _solve(
    bands: Subbands,
    omega: np.ndarray,
    phase: np.ndarray,
    mean: np.ndarray,
    ridge: np.ndarray,
    bend: np.ndarray,
    sounding: slice,
    parts: tuple,
) -> np.ndarray:
    """Fit the envelopes (parts, K, sounding frames) of all modes, band by band."""
    start = _phase(omega, bands.frame)
    result = np.zeros((len(parts), len(omega), sounding.stop - sounding.start), np.float32)
    home = np.clip(np.rint(mean / bands.width), 0, len(bands.centers) - 1).astype(int)
    for band, center in enumerate(bands.centers):
        near = np.abs(mean - band * bands.width) < (0.5 + GUEST) * bands.width
        members = np.flatnonzero(near | (home == band))
        own = home[members] == band
        if own.any():
            basis = basis_of(
                bands.frame,
                omega[members],
                start[members] + phase[members, None],
                center,
                sounding,
                parts,
                is_real=band == 0,
            )
            target = bands.samples[band, sounding.start : sounding.stop + 1]
            target = target.real if band == 0 else np.concatenate([target.real, target.imag], 1)
            envelopes = conjugate_gradients(
                basis,
                target,
                np.tile(ridge[members], len(parts)),
                np.tile(bend[members], len(parts)),
            )
            if len(parts) == 1:
                heard = np.where(own, np.maximum(envelopes, 0), 0)
                envelopes *= level_gain(basis, bands.power[band, sounding], heard)[:, None]
            envelopes = envelopes.T.reshape(len(parts), len(members), -1)
            result[:, members[own]] = envelopes[:, own]
    return result
