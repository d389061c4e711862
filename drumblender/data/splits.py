"""Splits, which say which sounds train, validate and test: pure functions of a dataset's metadata.

Everything is ordered by a hash of the seed and of a name, never by a library's random generator.
The same seed gives the same splits on every machine and in every version of Python and PyTorch.
Sounds are filtered first and split afterwards, so that every split of a filtered dataset has its
share.
"""

import hashlib
from typing import Dict, Iterable, List, Mapping, Optional, Sequence

from drumblender.errors import UsageError

SPLITS = ("train", "val", "test")
LISTED = "listed"
HELD_OUT_SHARE = 0.1  # of all sounds, for val and for test each; the rest trains

Metadata = Mapping[str, Mapping[str, str]]


def select(
    metadata: Metadata,
    sample_types: Optional[Sequence[str]] = None,
    instruments: Optional[Sequence[str]] = None,
    sample_packs: Optional[Sequence[str]] = None,
) -> List[str]:
    """Select the sounds that have one of the types and of the instruments, and are of these packs.

    Args:
        metadata: maps keys to {``type``, ``sample_pack_key``, ``instrument``, ...}.
        sample_types: ``acoustic``, ``electronic``. None stands for all.
        instruments: ``kick``, ``snare``, ... None stands for all.
        sample_packs: names of packs. None stands for all.

    Returns:
        Their keys, sorted.

    Raises:
        UsageError: if no sound passes the filters.

    >>> metadata = {"a": {"type": "acoustic", "instrument": "kick"},
    ...             "b": {"type": "acoustic", "instrument": "snare"}}
    >>> select(metadata, instruments=["snare", "tom"])
    ['b']
    """
    keys = sorted(metadata)
    for option, field, wanted in (
        ("sample_types", "type", sample_types),
        ("instruments", "instrument", instruments),
        ("sample_packs", "sample_pack_key", sample_packs),
    ):
        if wanted is None:
            continue
        wanted = [wanted] if isinstance(wanted, str) else list(wanted)
        there = sorted({str(metadata[key].get(field)) for key in keys})
        keys = [key for key in keys if metadata[key].get(field) in wanted]
        if not keys:
            raise UsageError(
                f"No sound passes dataset_kwargs.{option}: {wanted}; "
                f"choose among those that are there ({', '.join(there) or 'none'})."
            )
    return keys


def split(
    metadata: Metadata, keys: Sequence[str], strategy: str, seed: int
) -> Dict[str, List[str]]:
    """Divide keys into 80 % train, 10 % val and 10 % test.

    A single sound is in every split, because such a dataset exists to be overfitted. Sounds that
    are the same (``duplicate_of`` in the metadata) stay together and count as the first of them. A
    dataset without such sounds is thus divided as it always was.

    With the strategy ``listed``, the metadata says of each sound in which split it is, and nothing
    else decides.

    Args:
        metadata: maps keys to {``type``, ``sample_pack_key``, ..., ``duplicate_of`` if there is
            one, ``split`` for the strategy ``listed``}.
        keys: keys to divide.
        strategy: ``random``, ``sample_pack`` for splits that share no sample pack, or ``listed``.
        seed: any integer. It changes nothing that is listed.

    Returns:
        The sorted keys of each split, by its name. A split may be empty if there are too few sounds
            or packs.

    Raises:
        UsageError: if the strategy is unknown, or if it is ``listed`` and the metadata of a sound
            names no split.

    >>> metadata = {str(i): {} for i in range(20)}
    >>> [len(part) for part in split(metadata, list(metadata), "random", seed=0).values()]
    [16, 2, 2]
    """
    if strategy not in _STRATEGIES:
        raise UsageError(
            f"dataset_kwargs.split_strategy is {strategy!r}; "
            f"choose one of {', '.join(sorted(_STRATEGIES))}."
        )
    if strategy == LISTED:
        return _listed(metadata, keys, seed)
    same: Dict[str, List[str]] = {}
    for key in sorted(keys):
        same.setdefault(str(metadata[key].get("duplicate_of", key)), []).append(key)
    groups = {members[0]: members for members in same.values()}
    if len(groups) == 1:
        return {name: sorted(keys) for name in SPLITS}
    parts = _STRATEGIES[strategy](metadata, [key for key in keys if key in groups], seed)
    return {name: sorted(key for first in parts[name] for key in groups[first]) for name in SPLITS}


def _random(metadata: Metadata, keys: Sequence[str], seed: int) -> Dict[str, List[str]]:
    """Divide keys without regard to sample packs."""
    held_out = max(1, int(HELD_OUT_SHARE * len(keys) + 0.5))
    ordered = _shuffled(keys, seed)
    train = max(1, len(ordered) - 2 * held_out)
    return {
        "train": ordered[:train],
        "val": ordered[train : train + held_out],
        "test": ordered[train + held_out :],
    }


def _by_sample_pack(metadata: Metadata, keys: Sequence[str], seed: int) -> Dict[str, List[str]]:
    """Divide keys by whole sample packs, so that each split has its share of both types.

    The choice is greedy, one type after the other.
    """
    types: Dict[str, Dict[str, List[str]]] = {}
    for key in keys:
        item = metadata[key]
        packs = types.setdefault(str(item.get("type")), {})
        packs.setdefault(str(item.get("sample_pack_key")), []).append(key)

    # The same pack may hold sounds of two types; where it went first it stays.
    home: Dict[str, str] = {}
    parts: Dict[str, List[str]] = {name: [] for name in SPLITS}
    for kind in sorted(types):
        packs = types[kind]
        for pack in sorted(home.keys() & packs.keys()):
            parts[home[pack]] += packs[pack]
        free = [pack for pack in _shuffled(packs, seed) if pack not in home]
        target = HELD_OUT_SHARE * sum(len(members) for members in packs.values())
        # With two packs of a type only one split besides train can have one: the emptier one.
        for name in sorted(("val", "test"), key=lambda name: (len(parts[name]), name != "val")):
            for pack in _fill(free, packs, target):
                home[pack] = name
                free.remove(pack)
                parts[name] += packs[pack]
        for pack in free:
            home[pack] = "train"
            parts["train"] += packs[pack]
    return parts


def _listed(metadata: Metadata, keys: Sequence[str], seed: int) -> Dict[str, List[str]]:
    """Divide keys as their metadata says."""
    parts: Dict[str, List[str]] = {name: [] for name in SPLITS}
    for key in sorted(keys):
        name = metadata[key].get("split")
        if name not in SPLITS:
            raise UsageError(
                f"dataset_kwargs.split_strategy is 'listed', but the metadata of {key} says split "
                f"{name!r}; write one of {', '.join(SPLITS)} there, or choose another strategy."
            )
        parts[name].append(key)
    return parts


def _fill(free: Sequence[str], packs: Mapping[str, Sequence[str]], target: float) -> List[str]:
    """Choose packs that together come close to ``target`` sounds, but leave at least one."""
    spare = len(free) - 1
    chosen: List[str] = []
    count = 0
    for pack in free:
        if len(chosen) < spare and count + len(packs[pack]) <= target:
            chosen.append(pack)
            count += len(packs[pack])
    if len(chosen) < spare:
        # One pack too many may be closer than one too few, and is better than none.
        rest = [pack for pack in free if pack not in chosen]
        smallest = min(rest, key=lambda pack: len(packs[pack]))
        if not chosen or count + len(packs[smallest]) / 2 <= target:
            chosen.append(smallest)
    return chosen


def _shuffled(names: Iterable[str], seed: int) -> List[str]:
    """Order names by a hash of the seed and the name."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())


_STRATEGIES = {"random": _random, "sample_pack": _by_sample_pack, LISTED: _listed}
