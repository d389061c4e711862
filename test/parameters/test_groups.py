import itertools

import numpy as np
import pytest
import torch

from drumblender.parameters.groups import group_modes
from drumblender.parameters.matching import match_modes


def modes(*frequencies, frames=4):
    """Modal parameters of modes that sound all the time."""
    values = torch.ones(3, len(frequencies), frames)
    values[0] = torch.tensor(frequencies, dtype=torch.float32)[:, None]
    return values


def drawn(seed, most=8):
    rng = np.random.default_rng(seed)
    return modes(*np.exp(rng.uniform(-5, -1, rng.integers(0, most))).tolist())


def as_dict(groups):
    """The share of each group by its rows, and of each mode that is alone."""
    found = {tuple(r): s for r, s in zip(groups.rows.T.tolist(), groups.shares.tolist())}
    count = len(groups.alone)
    for sound, rows in enumerate(groups.alone):
        found.update({tuple(r if k == sound else -1 for k in range(count)): 1.0 for r in rows})
    return {rows: pytest.approx(share, abs=1e-6) for rows, share in found.items()}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("weight", [0.001, 0.3])
def test_the_groups_of_two_sounds_are_their_pairs(seed, weight):
    a, b = drawn(seed), drawn(100 + seed)
    groups = group_modes([a, b], [weight, 1 - weight])
    pairs = match_modes(a, b)
    assert sorted(zip(*groups.rows.tolist())) == sorted(pairs)
    assert groups.shares.tolist() == pytest.approx([1] * len(pairs))
    matched = [{pair[k] for pair in pairs} for k in (0, 1)]
    assert [sorted(x) for x in groups.alone] == [
        [i for i in range(x.shape[1]) if i not in found] for x, found in zip((a, b), matched)
    ]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("weights", [[0.4, 0.3, 0.2, 0.1], [0.9, 0.06, 0.03, 0.01]])
def test_every_mode_gives_all_of_itself_to_groups_of_one_mode_of_each_sound(seed, weights):
    sounds = [drawn(10 * seed + k) for k in range(4)]
    groups = group_modes(sounds, weights)
    for sound, values in enumerate(sounds):
        given = torch.zeros(values.shape[1], dtype=torch.float64)
        there = groups.rows[sound] >= 0
        given.index_add_(0, groups.rows[sound][there], groups.shares[there])
        given[groups.alone[sound]] += 1
        assert torch.allclose(given, torch.ones_like(given))


def test_the_nearest_sounds_go_together_first():
    """Alone, the lowest drum goes with the first tone of the highest one."""
    low, middle, high = modes(0.1), modes(0.15, 0.33), modes(0.16, 0.34)
    groups = group_modes([low, middle, high], [1 / 3] * 3)
    assert set(as_dict(groups)) == {(0, 0, 0), (-1, 1, 1)}
    # Their mean is matched: 0.2 has 0.16 and 0.34 beside it, and 0.34 is farther from 0.12.
    groups = group_modes([modes(0.12), modes(0.2), modes(0.16, 0.34)], [1 / 3] * 3)
    assert set(as_dict(groups)) == {(0, 0, 0), (-1, -1, 1)}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("weights", [[0.4, 0.3, 0.2, 0.1], [0.9, 0.06, 0.03, 0.01]])
def test_the_order_of_the_sounds_makes_no_difference(seed, weights):
    sounds = [drawn(10 * seed + k) for k in range(4)]
    expected = as_dict(group_modes(sounds, weights))
    for order in itertools.permutations(range(4)):
        groups = group_modes([sounds[k] for k in order], [weights[k] for k in order])
        moved = {
            tuple(rows[order.index(k)] for k in range(4)): share
            for rows, share in as_dict(groups).items()
        }
        assert moved == expected


@pytest.mark.parametrize("seed", range(10))
def test_a_sound_of_nearly_no_weight_makes_no_difference_to_the_others(seed):
    sounds = [drawn(10 * seed + k) for k in range(4)]
    for weights in ([0.5, 0.3, 0.2], [0.97, 0.02, 0.01]):
        without = as_dict(group_modes(sounds[:3], weights))
        groups = group_modes(sounds, [*weights, 1e-9])
        found = {}
        for rows, share in as_dict(groups).items():
            if any(row >= 0 for row in rows[:3]):
                found[rows[:3]] = found.get(rows[:3], 0) + share.expected
        assert {rows: share for rows, share in found.items() if share > 1e-6} == without


def test_silence_is_in_no_group():
    groups = group_modes([torch.zeros(3, 2, 4), modes(0.1), torch.zeros(3, 0, 4)], [0.2, 0.3, 0.5])
    assert groups.rows.shape == (3, 0)
    assert groups.alone == [[], [0], []]
