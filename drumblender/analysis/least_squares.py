"""Least squares of one band: sinusoids of known frequency times piecewise-linear envelopes.

Each segment between two frames sees only the envelope points at its two ends, so the matrix of the
problem is a stack of small ones and its product with a vector a batch of small products. Conjugate
gradients need nothing else.
"""

import numpy as np

from drumblender.analysis.subbands import RATE

ITERATIONS = 8
# Largest gain by which a band that the modes cannot follow is brought to its level.
LOUDER = 2.0


def basis_of(
    frame: float,
    omega: np.ndarray,
    start: np.ndarray,
    center: float,
    sounding: slice,
    parts: tuple,
    is_real: bool,
) -> np.ndarray:
    """Make the matrix of each segment, which turns envelope points into samples of the band.

    The rows of a matrix are the samples: real parts, then imaginary parts. Its columns are the
    envelope points, first those at the beginning of the segment, then those at its end. Each half
    has the cosines of all modes, then the sines.

    Args:
        frame: distance between frames, in samples.
        omega: frequencies of the modes at the centers of frames, in rad/sample.
        start: phases of the modes at the centers of frames, in radians.
        center: frequency by which the band is shifted down, in rad/sample.
        sounding: the frames that have envelope points.
        parts: "cos" and, for complex envelopes, "sin".
        is_real: whether the band is real, and not analytic.

    Shape:
        - omega, start: (K, F)
        - Output: (segments, rows, 2 * columns)
    """
    left = np.concatenate([omega[:, :1], omega], 1)[:, sounding.start : sounding.stop + 1].T
    right = np.concatenate([omega, omega[:, -1:]], 1)[:, sounding.start : sounding.stop + 1].T
    start = np.concatenate([start[:, :1] - frame * omega[:, :1], start], 1)
    time = (np.arange(omega.shape[1] + 1) - 0.5) * frame - 0.5
    start = (start - center * time)[:, sounding.start : sounding.stop + 1].T
    tau = ((np.arange(RATE) + 0.5) / RATE).astype(np.float32)[:, None]
    linear = (frame * (left - center) + 0.5 * (right - left)).astype(np.float32)[:, None]
    bend = (0.5 * frame * (right - left)).astype(np.float32)[:, None]
    angle = np.remainder(start, 2 * np.pi).astype(np.float32)[:, None] + tau * (linear + tau * bend)
    cos, sin = np.cos(angle), np.sin(angle)
    columns = {"cos": (cos, sin), "sin": (-sin, cos)}
    values = np.concatenate([columns[part][0] for part in parts], -1)
    if not is_real:
        values = np.concatenate([values, np.concatenate([columns[p][1] for p in parts], -1)], 1)
    # The synthesizer holds the first and the last frame to the ends of the signal.
    rise = np.tile(tau, (len(values), 1, 1))
    if sounding.start == 0:
        rise[0] = tau > 0.5
    fall = 1 - rise
    if sounding.start == 0:
        fall[0] = 0
    if sounding.stop == omega.shape[1]:
        rise[-1], fall[-1] = 0, tau < 0.5
    repeat = 1 if is_real else 2
    return np.concatenate([values * np.tile(w, (1, repeat, 1)) for w in (fall, rise)], -1)


def conjugate_gradients(
    basis: np.ndarray, target: np.ndarray, ridge: np.ndarray, bend: np.ndarray
) -> np.ndarray:
    """Find the envelope points with the least squared error plus penalties.

    Args:
        basis: matrix of each segment, from :func:`basis_of`.
        target: samples of the band in each segment.
        ridge: penalty on the envelope of each column.
        bend: penalty on the second difference of the envelope of each column.

    Shape:
        - basis: (segments, rows, 2 * columns)
        - target: (segments, rows)
        - ridge, bend: (columns,)
        - Output: (frames, columns), where frames = segments - 1
    """
    frames, columns = len(basis) - 1, basis.shape[-1] // 2
    scale = basis.shape[1] * (2 / 3) * 0.5
    ridge, bend = (scale * ridge).astype(np.float32), (scale * bend).astype(np.float32)

    def gather(y: np.ndarray) -> np.ndarray:
        """Apply the transposed matrix, from segments to envelope points."""
        g = np.matmul(y[:, None], basis)[:, 0]
        return g[:-1, columns:] + g[1:, :columns]

    def normal(c: np.ndarray) -> np.ndarray:
        """Apply the matrix of the normal equations."""
        padded = np.zeros((frames + 2, columns), np.float32)
        padded[1:-1] = c
        ends = np.concatenate([padded[:-1], padded[1:]], -1)
        out = gather(np.matmul(basis, ends[..., None])[..., 0]) + ridge * c
        slopes = c[1:] - c[:-1]
        bends = bend * (slopes[1:] - slopes[:-1])
        out[2:] += bends
        out[1:-1] -= 2 * bends
        out[:-2] += bends
        return out

    right = gather(target)
    solution = np.zeros_like(right)
    residual = right
    inverse = 1 / (scale + ridge + 6 * bend)
    search = inverse * residual
    energy = first = np.vdot(residual, search)
    for _ in range(ITERATIONS):
        if not energy > 1e-7 * first:
            break
        image = normal(search)
        step = energy / np.vdot(search, image)
        solution += step * search
        residual = residual - step * image
        update = inverse * residual
        energy, last = np.vdot(residual, update), energy
        search = update + (energy / last) * search
    return solution


def level_gain(basis: np.ndarray, wanted: np.ndarray, envelopes: np.ndarray) -> np.ndarray:
    """Return a gain for each frame that brings the modes of a band towards the power of the band.

    Least squares makes whatever it cannot follow, such as noise, too quiet. Where the fit is good,
    the gain is 1. It is 2 at most.

    Args:
        basis: matrix of each segment, from :func:`basis_of`.
        wanted: power of the band around the center of each frame.
        envelopes: envelope points.

    Shape:
        - basis: (segments, rows, 2 * columns)
        - wanted: (frames,)
        - envelopes: (frames, columns)
        - Output: (frames,)
    """
    padded = np.pad(envelopes, ((1, 1), (0, 0)))
    ends = np.concatenate([padded[:-1], padded[1:]], -1)
    fitted = np.square(np.matmul(basis, ends[..., None])).sum((1, 2)) / RATE
    ratio = wanted / (0.5 * (fitted[1:] + fitted[:-1]) + 1e-20)
    return np.sqrt(np.clip(ratio, 1, LOUDER**2))
