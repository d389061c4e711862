"""Groups of modes of several drums that become one mode each in a mix of them.

Modes of two drums are matched in pairs. Those of more drums are matched as the sequences of a
family are: the two drums that are most alike are joined first, and what is joined is matched by the
means of its modes [1].

Whom a mode goes with then depends on which drums there are, but nothing may jump when one of them
comes or goes. So while a drum weighs little, it follows the groups of the others, and the more it
weighs, the more it has a say in them. Where the groups differ with and without it, a mode shares
its amplitude between them.

[1] Feng and Doolittle, "Progressive sequence alignment as a prerequisite to correct phylogenetic
    trees", Journal of Molecular Evolution 25, 1987.
"""

import itertools
from typing import Dict, FrozenSet, Iterator, List, NamedTuple, Sequence, Tuple

import torch
from torch import Tensor

from drumblender.parameters.matching import Profile, join_profiles, match_profiles, profile_of

# A drum of this weight or more has a full say in what belongs together.
_FULL_SAY = 0.05
# Shares add up to 1 but for rounding.
_ROUNDING = 1e-9

# The row of the mode of each sound in a group, or -1 for a sound that has none in it.
Rows = Tuple[int, ...]


class Groups(NamedTuple):
    """Groups of modes that become one mode each.

    Attributes:
        rows: row of the mode of each sound, or -1 where a sound has none in the group.
        shares: share of its amplitude that a mode gives to the group.
        alone: rows of the modes of each sound that have no partner.

    Shape:
        - rows: (sounds, groups)
        - shares: (groups,)
    """

    rows: Tensor
    shares: Tensor
    alone: List[List[int]]


def group_modes(modes: Sequence[Tensor], weights: Sequence[float]) -> Groups:
    """Find the groups of modes of several sounds.

    A sound of a weight near 0 makes no difference to the groups of the others, and the order of the
    sounds makes none. The groups of two sounds are the pairs of
    :func:`~drumblender.parameters.matching.match_modes`.

    Args:
        modes: modal parameters of each sound.
        weights: weights of the sounds, above 0. Their sum is 1.

    Shape:
        - each of modes: (3, M, F), of any number M

    >>> low, high = (torch.full((3, 1, 4), x) for x in (0.1, 0.12))
    >>> groups = group_modes([low, high], [0.25, 0.75])
    >>> groups.rows.tolist(), groups.shares.tolist(), groups.alone
    ([[0], [0]], [1.0], [[], []])
    """
    profiles = [profile_of(x, sound) for sound, x in enumerate(modes)]
    shares: Dict[Rows, float] = {}
    for leading, share in _sets(weights):
        for members in _divided(profiles, leading):
            rows = tuple(members.get(sound, -1) for sound in range(len(modes)))
            shares[rows] = shares.get(rows, 0.0) + share
    alone: List[List[int]] = [[] for _ in modes]
    groups: Dict[Rows, float] = {}
    for rows, share in shares.items():
        members = {sound: row for sound, row in enumerate(rows) if row >= 0}
        # In other sets of sounds, the mode may have a partner.
        if len(members) == 1 and share > 1 - _ROUNDING:
            for sound, row in members.items():
                alone[sound].append(row)
        else:
            groups[rows] = share
    found = torch.tensor(list(groups), dtype=torch.long).reshape(len(groups), len(modes))
    return Groups(found.T, torch.tensor(list(groups.values()), dtype=torch.float64), alone)


def _sets(weights: Sequence[float]) -> Iterator[Tuple[FrozenSet[int], float]]:
    """Give the sets of sounds that have a say, and the share of each set.

    They are the sounds above each threshold from 0 to that of a full say.
    """
    full = min(_FULL_SAY, 0.5 / len(weights))
    steps = sorted({0.0, full, *(w for w in weights if w < full)})
    for low, high in zip(steps, steps[1:]):
        yield frozenset(i for i, w in enumerate(weights) if w > low), (high - low) / full


def _divided(profiles: Sequence[Profile], leading: FrozenSet[int]) -> List[Dict[int, int]]:
    """Divide the modes of sounds into groups, which the leading sounds decide on."""
    joined = [profiles[sound] for sound in sorted(leading)]
    while len(joined) > 1:
        found = {
            (a, b): match_profiles(joined[a], joined[b])
            for a, b in itertools.combinations(range(len(joined)), 2)
        }
        (a, b), (pairs, _) = min(found.items(), key=lambda item: item[1][1])
        rest = [x for k, x in enumerate(joined) if k not in (a, b)]
        joined = [*rest, join_profiles(joined[a], joined[b], pairs)]
    groups = [dict(members) for members in joined[0].members]
    for sound, profile in enumerate(profiles):
        if sound not in leading:
            pairs, _ = match_profiles(joined[0], profile)
            followed = {j: i for i, j in pairs}
            for j, members in enumerate(profile.members):
                if j in followed:
                    groups[followed[j]].update(members)
                else:
                    groups.append(dict(members))
    return groups
