"""Matching of the modes of two drums.

Matching aligns two sequences, which are the modes of two drums in the order of their frequencies
[1]. Its cost is a distance in octaves and dB.

[1] Needleman and Wunsch, "A general method applicable to the search for similarities in the amino
    acid sequence of two proteins", Journal of Molecular Biology 48, 1970.
"""

import math
from typing import List, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

# Modes further apart than this are not one and the same, but fade.
FARTHEST_OCTAVES = 2.0
# A difference in level that weighs as much as an octave.
DECIBELS_PER_OCTAVE = 30.0


def match_modes(a: Tensor, b: Tensor) -> List[Tuple[int, int]]:
    """Find the modes of two sounds that belong together.

    The order of frequencies is kept: of two modes of one drum, the higher one never goes to a lower
    one of the other drum, so that no partials cross. Among such pairs, those are taken that have
    the least sum of distances in octaves, weighted by loudness. A difference in level adds to the
    distance: the fundamental of one drum shall be matched with the fundamental of the other, not
    with a faint mode that happens to lie nearer. The modes of a pair are at most two octaves apart.
    A mode that has no partner costs as much as one that is two octaves away.

    Args:
        a: modal parameters of one sound.
        b: modal parameters of the other sound.

    Returns:
        For each pair, from low to high frequencies, the row of the mode in ``a`` and the row of
        the mode in ``b``.

    Shape:
        - a: (3, M, F)
        - b: (3, L, G)

    >>> a = torch.ones(3, 2, 5) * torch.tensor([0.1, 0.2])[:, None]
    >>> match_modes(a, a.flip(1))
    [(0, 1), (1, 0)]
    """
    rows_a, log_a, level_a = _summarize(a)
    rows_b, log_b, level_b = _summarize(b)
    octaves = (log_a[:, None] - log_b).abs()
    decibels = (level_a[:, None] - level_b).abs()
    # What is heard counts more: the faint modes are many.
    weight_a, weight_b = (10 ** (level / 40) for level in (level_a, level_b))
    cost = octaves + decibels / DECIBELS_PER_OCTAVE
    cost = cost * torch.maximum(weight_a[:, None], weight_b)
    cost[octaves > FARTHEST_OCTAVES] = math.inf
    alone_a, alone_b = (FARTHEST_OCTAVES * weight for weight in (weight_a, weight_b))
    return [(int(rows_a[i]), int(rows_b[j])) for i, j in _in_order(cost, alone_a, alone_b)]


def _in_order(cost: Tensor, alone_a: Tensor, alone_b: Tensor) -> List[Tuple[int, int]]:
    """Find the pairs of two sequences that cost the least and do not cross.

    Args:
        cost: cost of each pair.
        alone_a, alone_b: cost of what has no partner.

    Shape:
        - cost: (M, L)
        - alone_a: (M,)
        - alone_b: (L,)
    """
    # What the first i and the first j cost, less all of the first j alone, so that leaving more of
    # them alone is a running minimum.
    left = F.pad(alone_b.cumsum(0), (1, 0))
    least = [torch.zeros_like(left)]
    for row, alone in zip(cost, alone_a):
        paired = F.pad(least[-1][:-1] + row - alone_b, (1, 0), value=math.inf)
        least.append(torch.minimum(paired, least[-1] + alone).cummin(0).values)
    pairs, i, j = [], len(alone_a), len(alone_b)
    while i and j:
        if least[i][j] == least[i][j - 1]:
            j -= 1
        elif least[i][j] == least[i - 1][j] + alone_a[i - 1]:
            i -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs[::-1]


def _summarize(modal: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    """Return rows, log2 of the mean frequency and level in dB of the modes that sound.

    Modes come in the order of their frequencies. Levels are relative to the loudest mode.
    """
    frequency, amplitude, _ = modal.double()
    energy = amplitude.square().sum(-1)
    mean = (frequency * amplitude.square()).sum(-1) / energy.clamp(min=1e-30)
    rows = torch.nonzero((energy > 0) & (mean > 0))[:, 0]
    rows = rows[mean[rows].argsort()]
    level = 10 * energy[rows].log10()
    return rows, mean[rows].log2(), level - (level.max() if len(rows) else 0)
