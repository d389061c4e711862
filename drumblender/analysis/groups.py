"""Groups of frequency bands with about as many modes, which are solved together."""

from typing import Dict, List, NamedTuple

import torch
from torch import Tensor


class Group(NamedTuple):
    """G bands of all sounds that have modes, and up to P modes in each.

    Attributes:
        sound: number of the sound that each band is of (G,).
        band: number of each band in its sound (G,).
        member: numbers of the modes of each band (G, P).
        there: whether each of these modes exists (G, P).
    """

    sound: Tensor
    band: Tensor
    member: Tensor
    there: Tensor


def group_bands(is_member: Tensor, wanted: Tensor) -> Group:
    """Make a group of bands.

    Args:
        is_member: whether a mode belongs to a band; it may to several ones.
        wanted: the bands that are to be in the group.

    Shape:
        - is_member: (B, bands, M), bool
        - wanted: (B, bands), bool
    """
    sound, band = wanted.nonzero(as_tuple=True)
    there = is_member[sound, band]
    count = int(there.sum(1).max()) if there.numel() else 0
    # Members first, in their order.
    there, member = there.to(torch.uint8).sort(dim=1, descending=True, stable=True)
    return Group(sound, band, member[:, :count], there[:, :count] > 0)


def split_group(group: Group, kind: Tensor) -> List[Group]:
    """Split a group by the kinds of its bands, without the rows of modes that no band needs.

    Args:
        group: the bands.
        kind: number of the kind of each band (G,).
    """
    rows: Dict[int, List[int]] = {}
    counts: Dict[int, int] = {}
    found = torch.stack([kind, group.there.sum(1)], 1).tolist()
    for row, (number, count) in enumerate(found):
        rows.setdefault(number, []).append(row)
        counts[number] = max(count, counts.get(number, 0))
    parts = []
    for number in sorted(rows):
        chosen = torch.tensor(rows[number], device=kind.device)
        sound, band, member, there = (values[chosen] for values in group)
        parts.append(Group(sound, band, member[:, : counts[number]], there[:, : counts[number]]))
    return parts
