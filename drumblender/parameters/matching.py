"""Matching of the modes of two drums.

Matching aligns two sequences, which are the modes of two drums in the order of their frequencies
[1]. Its cost is a distance in octaves and dB.

[1] Needleman and Wunsch, "A general method applicable to the search for similarities in the amino
    acid sequence of two proteins", Journal of Molecular Biology 48, 1970.
"""

import math
import operator
from typing import Dict, List, NamedTuple, Sequence, Tuple

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
    one, other = profile_of(a, 0), profile_of(b, 1)
    pairs, _ = match_profiles(one, other)
    return [(one.members[i][0], other.members[j][1]) for i, j in pairs]


class Profile(NamedTuple):
    """What matching knows of the modes of a sound, or of groups of modes of several sounds.

    Attributes:
        octaves: mean frequencies as powers of 2, from low to high.
        levels: levels in dB relative to the loudest mode.
        members: of each group, the row of the mode of each sound that has one.

    Shape:
        - octaves, levels: (M,)
    """

    octaves: Tensor
    levels: Tensor
    members: List[Dict[int, int]]


def profile_of(modal: Tensor, sound: int) -> Profile:
    """Return the profile of the modes of a sound that are heard.

    Args:
        modal: modal parameters of the sound.
        sound: number of the sound among the members of groups.

    Shape:
        - modal: (3, M, F)
    """
    frequency, amplitude, _ = modal.double()
    energy = amplitude.square().sum(-1)
    mean = (frequency * amplitude.square()).sum(-1) / energy.clamp(min=1e-30)
    rows = torch.nonzero((energy > 0) & (mean > 0))[:, 0]
    rows = rows[mean[rows].argsort()]
    level = 10 * energy[rows].log10()
    level = level - (level.max() if len(rows) else 0)
    return Profile(mean[rows].log2(), level, [{sound: row} for row in rows.tolist()])


def match_profiles(a: Profile, b: Profile) -> Tuple[List[Tuple[int, int]], float]:
    """Find the groups of two profiles that belong together, as :func:`match_modes` does.

    Returns:
        The positions of the groups of each pair, and the distance of the profiles: from 0 for the
        same profiles to 1 for those that have no pairs.
    """
    octaves = (a.octaves[:, None] - b.octaves).abs()
    decibels = (a.levels[:, None] - b.levels).abs()
    # What is heard counts more: the faint modes are many.
    weight_a, weight_b = (10 ** (x.levels / 40) for x in (a, b))
    cost = octaves + decibels / DECIBELS_PER_OCTAVE
    cost = cost * torch.maximum(weight_a[:, None], weight_b)
    cost[octaves > FARTHEST_OCTAVES] = math.inf
    alone_a, alone_b = (FARTHEST_OCTAVES * weight for weight in (weight_a, weight_b))
    pairs, least = _in_order(cost, alone_a, alone_b)
    return pairs, least / max(float(alone_a.sum() + alone_b.sum()), 1e-30)


def join_profiles(a: Profile, b: Profile, pairs: Sequence[Tuple[int, int]]) -> Profile:
    """Join the groups of each pair, and keep those that are in no pair.

    A joined group has the mean of the frequencies of its members on a logarithmic scale, and that
    of their levels.
    """
    groups = {(0, i): [(a, i)] for i in range(len(a.members))}
    groups.update({(1, j): [(b, j)] for j in range(len(b.members))})
    for i, j in pairs:
        groups[0, i] += groups.pop((1, j))

    def mean(group: List[Tuple[Profile, int]], field: str) -> float:
        """Compute the mean over all members of a group."""
        counts = [len(profile.members[k]) for profile, k in group]
        values = [float(getattr(profile, field)[k]) for profile, k in group]
        return sum(map(operator.mul, counts, values)) / sum(counts)

    found = sorted(groups.values(), key=lambda group: mean(group, "octaves"))
    octaves, levels = (
        torch.tensor([mean(group, field) for group in found], dtype=torch.float64)
        for field in ("octaves", "levels")
    )
    members = [{s: r for x, k in group for s, r in x.members[k].items()} for group in found]
    return Profile(octaves, levels, members)


def _in_order(
    cost: Tensor, alone_a: Tensor, alone_b: Tensor
) -> Tuple[List[Tuple[int, int]], float]:
    """Find the pairs of two sequences that cost the least and do not cross, and what they cost.

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
    return pairs[::-1], float(least[-1][-1] + left[-1])
