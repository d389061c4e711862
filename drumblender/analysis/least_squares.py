"""Least squares of many bands at once: sinusoids of known frequency times linear envelopes.

Each segment between two frames sees only the envelope points at its two ends. So the matrix of the
normal equations couples a frame only with its neighbors, and its product with a vector is a batch
of small products. Conjugate gradients [1] need nothing else.

[1] Hestenes and Stiefel, "Methods of conjugate gradients for solving linear systems", J. Research
    of the National Bureau of Standards 49(6), 1952.
"""

from functools import lru_cache
from typing import NamedTuple, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from drumblender.analysis.arrays import arrays
from drumblender.analysis.subbands import RATE

ITERATIONS = 8
# Largest gain by which a band that the modes cannot follow is brought to its level.
LOUDER = 2.0
# Keeps what is divided by above 0.
_TINY = 1e-36
# Numbers that are multiplied at once on a processor, so that they stay in its cache.
_CACHED = 2**16


class Problem(NamedTuple):
    """Modes that are fitted to P bands: M modes each, on F frames or F + 1 segments.

    Where envelopes are complex, so are the rows, of n = RATE samples. Where they are real, n is
    2 * RATE: the real and the imaginary part of each sample, in turn.

    Attributes:
        rows: each mode with amplitude 1 in each segment, and last what is fitted, the band itself
            (P, F + 1, M + 1, n). The imaginary parts of real bands are 0; so are those of their
            modes, if envelopes are real.
        ends: how the envelope points at a segment's two ends weigh in the parts of its samples
            (2, F + 1, 1, 2 * RATE), from :func:`end_weights`.
        is_real: whether the band is real, and not analytic (P,).
        sounding: which frames have envelope points (P, F).
        there: which modes there are (P, M).
    """

    rows: Tensor
    ends: Tensor
    is_real: Tensor
    sounding: Tensor
    there: Tensor


class Normal(NamedTuple):
    """Normal equations of P bands, whose unknowns are the conjugates of envelope points.

    Attributes:
        matrix: what the envelope points of the frame before, of the frame itself and of the frame
            after it contribute to each frame (P, F, M, 3 * M).
        mirror: the same of their conjugates in real bands (R, F, M, 3 * M).
        lowest: numbers of the real bands, if envelopes are complex (R,).
        bends: what the next frames but one contribute (P, F - 2, M).
        inverse: inverse of the diagonal, about; 0 where there is no envelope point (P, F, M).
        right: products of the waves with the target (P, F, M).
    """

    matrix: Tensor
    mirror: Tensor
    lowest: Tensor
    bends: Tensor
    inverse: Tensor
    right: Tensor


def segment_places(device: torch.device) -> Tensor:
    """Return the places of a segment's samples between its two frames, from 0 to 1."""
    return (torch.arange(RATE, device=device) + 0.5) / RATE


@lru_cache(maxsize=8)
def end_weights(count: int, of_all: int, device: torch.device) -> Tensor:
    """Return how the envelope points at the ends of segments weigh in their samples.

    Args:
        count: number F of frames, from the first one of a sound on.
        of_all: number of all frames of the sound.
        device: where to put the weights.

    Shape:
        - Output: (2, F + 1, 1, 2 * RATE), float32, for real and imaginary parts in turn
    """
    tau = segment_places(device).repeat_interleave(2)
    rise = tau.repeat(count + 1, 1)
    fall = 1 - rise
    # The synthesizer holds the first and the last frame to the ends of the signal.
    rise[0], fall[0] = (tau > 0.5).float(), 0
    if count == of_all:
        rise[-1], fall[-1] = 0, (tau < 0.5).float()
    return torch.stack([fall, rise])[:, :, None]


def conjugate_gradients(problem: Problem, ridge: Tensor, bend: Tensor) -> Tensor:
    """Find the envelope points with the least squared error plus penalties.

    Args:
        problem: what is fitted, and to what.
        ridge: penalty on the envelope of each mode.
        bend: penalty on the second difference of the envelope of each mode.

    Shape:
        - ridge, bend: (P, M)
        - Output: (P, F, M)
    """
    normal = _normal(problem, ridge, bend)
    is_complex = normal.right.is_complex()
    xp, (matrix, mirror, lowest, bends, inverse) = arrays(
        normal.matrix,
        normal.mirror,
        normal.lowest,
        *(_twice(values, is_complex) for values in (normal.bends, normal.inverse)),
    )
    # What is searched along, with a frame of nothing at both ends.
    padded = F.pad(torch.zeros_like(normal.right), (0, 0, 1, 1))
    count = padded.shape[-1]
    product = torch.empty_like(normal.right)[..., None]
    solution = torch.zeros_like(_parts(normal.right))
    _, (neighbors, product, image, search, found, residual) = arrays(
        padded.flatten(1).unfold(1, 3 * count, count)[..., None],
        product,
        _parts(product[..., 0]),
        _parts(padded)[:, 1:-1],
        solution,
        _parts(normal.right),
    )
    search += inverse * residual
    energy = (residual * search).sum((1, 2), keepdims=True)
    enough = 1e-7 * energy
    for _ in range(ITERATIONS):
        # Who is done goes on with steps of zero. On a GPU it would cost more to look than to go on.
        going = energy > enough
        if xp is np and not going.any():
            break
        xp.matmul(matrix, neighbors, out=product)
        if len(lowest):
            product[lowest] += xp.matmul(mirror, neighbors[lowest].conj())
        image[:, 2:] += bends * search[:, :-2]
        image[:, :-2] += bends * search[:, 2:]
        step = going * energy / (search * image).sum((1, 2), keepdims=True).clip(min=_TINY)
        found += step * search
        residual -= step * image
        update = inverse * residual
        before, energy = energy, (residual * update).sum((1, 2), keepdims=True)
        search *= going * energy / before.clip(min=_TINY)
        search += update
    if is_complex:
        return torch.view_as_complex(solution.unflatten(-1, (-1, 2))).conj_physical()
    return solution


def _normal(problem: Problem, ridge: Tensor, bend: Tensor) -> Normal:
    """Make the normal equations of a problem with penalties."""
    rows, ends, is_real, sounding, there = problem
    matrix, right = _equations(rows, rows.mH, ends)
    # The energy of an envelope point; real bands have half of that of the others.
    scale = torch.where(is_real, 1, 2)[:, None, None] * (RATE * (2 / 3) * 0.5)
    lowest, mirror = is_real.nonzero()[:, 0], matrix[:0]
    if rows.is_complex() and len(lowest):
        # A real band is the real part of complex modes, which is half the sum with the conjugates.
        # Its equations are doubled.
        scale = torch.where(is_real[:, None, None], 2 * scale, scale)
        right[lowest] *= 2
        mirror, _ = _equations(rows[lowest], rows[lowest].mT, ends)
    ridge, bend = (scale * penalty[:, None].float() for penalty in (ridge, bend))
    # What is not there has no part in the search.
    free = sounding[..., None] & there[:, None]
    return Normal(
        matrix=matrix,
        mirror=mirror,
        lowest=lowest[: len(mirror)],
        bends=_penalize(matrix, ridge, bend, sounding),
        inverse=free / (scale + ridge + 6 * bend),
        right=right,
    )


def level_gain(problem: Problem, wanted: Tensor, envelopes: Tensor) -> Tensor:
    """Return a gain for each frame that brings the modes of a band towards the power of the band.

    Least squares makes whatever it cannot follow, such as noise, too quiet. Where the fit is good,
    the gain is 1. It is 2 at most.

    Args:
        problem: what was fitted, with real envelopes.
        wanted: power of the band around the center of each frame.
        envelopes: envelope points.

    Shape:
        - wanted: (P, F)
        - envelopes: (P, F, M)
        - Output: (P, F)
    """
    points = F.pad(envelopes, (0, 0, 1, 1))
    points = torch.stack([points[:, :-1], points[:, 1:]], 2)
    played = torch.matmul(points, problem.rows[:, :, :-1]) * problem.ends[:, :, 0].transpose(0, 1)
    fitted = played.sum(2).square_().sum(-1) / RATE
    ratio = wanted / (0.5 * (fitted[:, 1:] + fitted[:, :-1]) + 1e-20)
    return ratio.clamp(1, LOUDER**2).sqrt()


def _parts(values: Tensor) -> Tensor:
    """View complex values as their real and imaginary parts, in turn; real ones as they are."""
    return torch.view_as_real(values).flatten(-2) if values.is_complex() else values


def _twice(values: Tensor, is_complex: bool) -> Tensor:
    """Repeat each value for the real and the imaginary part of what is complex."""
    return values.repeat_interleave(2, -1) if is_complex else values


def _penalize(matrix: Tensor, ridge: Tensor, bend: Tensor, sounding: Tensor) -> Tensor:
    """Add the penalties to the matrix of normal equations.

    Returns:
        Coefficients of the frames but one, which the matrix does not hold (P, F - 2, M).
    """
    count = matrix.shape[2]
    real = torch.view_as_real(matrix)[..., 0] if matrix.is_complex() else matrix
    before, own, after = (real.diagonal(i * count, -2, -1) for i in range(3))
    # Of second differences, those within what sounds.
    bends = bend * (sounding[:, 2:] & sounding[:, :-2])[..., None]
    around = F.pad(bends, (0, 0, 2, 2))[:, : matrix.shape[1] + 2]
    pairs = around[:, 1:] + around[:, :-1]
    own += ridge + pairs[:, 1:] + pairs[:, :-1] + 2 * around[:, 1:-1]
    pairs *= 2
    after -= pairs[:, 1:]
    before -= pairs[:, :-1]
    return bends


def _equations(rows: Tensor, others: Tensor, ends: Tensor) -> Tuple[Tensor, Tensor]:
    """Make the normal equations: their matrix and their right side.

    The columns of the matrix are the modes in the frame before each frame, in the frame itself and
    in the one after it.

    Args:
        rows: those of :class:`Problem`.
        others: what they are multiplied by.
        ends: those of :class:`Problem`.

    Shape:
        - others: (P, F + 1, n, M + 1)
        - Output: (P, F, M, 3 * M) and (P, F, M)
    """
    fall, rise = ends
    # The weights of both ends add up to 1 where neither is 0.
    weights = torch.stack([fall * fall, fall * rise, rise * rise], 1)
    count = rows.shape[2] - 1
    matrix = rows.new_empty(len(rows), rows.shape[1] - 1, count, 3 * count)
    right = rows.new_empty(matrix.shape[:3])
    at_once = len(rows)
    if rows.device.type == "cpu":
        at_once = max(1, _CACHED // rows[0].numel())
    for some in range(0, len(rows), at_once):
        part = slice(some, some + at_once)
        weighted = _parts(rows[part, :, :-1])[:, :, None] * weights
        if rows.is_complex():
            weighted = torch.view_as_complex(weighted.unflatten(-1, (-1, 2)))
        products = torch.matmul(weighted.flatten(2, 3), others[part]).unflatten(2, (3, -1))
        before, across, after = products.unbind(2)
        inner = after[:, :-1] + before[:, 1:]
        matrix[part, :, :, :count] = across[:, :-1, :, :count]
        matrix[part, :, :, count : 2 * count] = inner[..., :count]
        matrix[part, :, :, 2 * count :] = across[:, 1:, :, :count]
        right[part] = inner[..., -1] + across[:, :-1, :, -1] + across[:, 1:, :, -1]
    return matrix, right
