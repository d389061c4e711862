"""Splits a signal into frequency bands at a low rate, on a grid that fits the frames of modes.

The fit of envelopes solves one small least-squares problem per band instead of a large one: modes
more than a few hundred Hz apart do not see each other, and a band of 1.5 kHz needs only one complex
sample where the signal has sixteen.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

# Samples of a band per frame of modes.
RATE = 16


class Subbands(NamedTuple):
    """A signal split into bands, each in segments between the centers of frames.

    Attributes:
        samples: samples of the bands, complex64 (bands, F + 1, RATE). Segment s lies between the
            centers of frames s - 1 and s. Band 0 is real.
        power: power of each band around the center of each frame, float32 (bands, F). Here bands
            do not overlap: each has only its own share of the signal.
        centers: frequency by which each band was shifted down, in rad/sample (bands,).
        width: distance between the centers of bands, in rad/sample.
        frame: distance between the centers of frames, in samples (N / F, in general no integer).
    """

    samples: np.ndarray
    power: np.ndarray
    centers: np.ndarray
    width: float
    frame: float


@dataclass(frozen=True)
class Plan:
    """Which bins of a spectrum make the bands, and with which weights.

    Attributes:
        length: number of samples of each band.
        k: numbers of the bins of a band, counted from its center (n,).
        index: numbers of the same bins in the spectrum of the signal (bands, n).
        inside: whether the spectrum has these bins (bands, n).
        weights: weights of the bins, complex64 (n,).
        share: further weights that leave each band only its own share, float32 (n,).
        centers: the same as in :class:`Subbands`.
        width: the same as in :class:`Subbands`.
    """

    length: int
    k: np.ndarray
    index: np.ndarray
    inside: np.ndarray
    weights: np.ndarray
    share: np.ndarray
    centers: np.ndarray
    width: float


def plan(num_samples: int, num_frames: int, highest: float) -> Plan:
    """Plan how to split a signal into bands. The arguments are those of :func:`split`.

    >>> plan(96000, 376, 0.5).index.shape
    (4, 6015)
    """
    length = num_frames * RATE
    num_bins = num_samples // 2 + 1
    keep = min((length - 1) // 2, num_bins - 1)
    k = np.arange(-keep, keep + 1)
    distance = length / num_samples * np.pi  # rad/sample
    reach = 3 * np.abs(k) / (keep + 1)
    taper = 0.5 - 0.5 * np.cos(np.pi * np.clip(3 - reach, 0, 1))
    # Neighboring shares add up to one where they cross, at half the distance of the bands.
    share = 0.5 - 0.5 * np.cos(np.pi * np.clip(2 - reach, 0, 1))
    # Sample n stands for the time n + 1/2, and so does each sample of a band for the middle of its
    # cell: the grids are offset by half the difference of the cells.
    offset = 0.5 * num_samples / length - 0.5
    weights = (taper * np.exp(2j * np.pi * k * offset / num_samples)).astype(np.complex64)
    shifts = np.arange(band_count(highest, distance)) * distance * num_samples / (2 * np.pi)
    shifts = np.rint(shifts).astype(int)
    index = shifts[:, None] + k
    return Plan(
        length=length,
        k=k,
        index=index,
        # Above band 0 negative frequencies are left out and positive ones doubled.
        inside=(index >= 0) & (index < num_bins),
        weights=weights * np.float32(length / num_samples),
        share=share.astype(np.float32),
        centers=2 * np.pi * shifts / num_samples,
        width=distance,
    )


def band_count(highest: float, width: float) -> int:
    """Return how many bands it takes to reach the highest frequency."""
    return max(1, int(np.ceil(highest / width + 0.5)))


def split(x: np.ndarray, num_frames: int, highest: float) -> Subbands:
    """Split a signal into bands.

    Bands are flat over 4/3 of their distance and keep twice their distance in all, so that a mode
    near the edge of its band and its neighbors beyond are seen whole. The bands above band 0 are
    analytic; band 0 stays real, because a low tone that starts at once has no analytic envelope.

    Args:
        x: samples.
        num_frames: number F of frames of modal parameters for the signal.
        highest: frequency that the bands have to reach, in rad/sample.

    Shape:
        - x: (N,)

    >>> split(np.ones(96000, np.float32), 376, 0.5).samples.shape
    (4, 377, 16)
    """
    p = plan(len(x), num_frames, highest)
    spectrum = np.fft.rfft(x).astype(np.complex64)
    keep = len(p.k) // 2
    slices = 2 * np.where(p.inside, spectrum[np.clip(p.index, 0, len(spectrum) - 1)], 0)
    slices[0] = np.concatenate([spectrum[keep:0:-1].conj(), spectrum[: keep + 1]])
    slices *= p.weights
    samples = _inverse(slices, p.k, p.length)
    own = np.square(np.abs(_inverse(slices * p.share, p.k, p.length))).mean(-1)
    return Subbands(
        samples=samples,
        power=0.5 * (own[:, 1:] + own[:, :-1]),
        centers=p.centers,
        width=p.width,
        frame=len(x) / num_frames,
    )


def _inverse(slices: np.ndarray, k: np.ndarray, length: int) -> np.ndarray:
    """Turn slices of a spectrum into bands, in segments between the centers of frames."""
    circular = np.zeros((len(slices), length), np.complex64)
    circular[:, k] = slices
    bands = np.fft.ifft(circular).astype(np.complex64)
    bands[0].imag = 0
    # Segments lie between centers of frames: half a frame of nothing at both ends.
    bands = np.pad(bands, ((0, 0), (RATE // 2, RATE // 2)))
    return bands.reshape(len(bands), -1, RATE)
