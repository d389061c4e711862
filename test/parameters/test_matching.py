import itertools
import math

import numpy as np
import pytest
import torch

from drumblender.parameters.matching import match_modes


def modes(frequencies, levels=None, frames=6):
    """Modal parameters of constant modes: frequency in rad/sample, level in dB."""
    frequency = torch.tensor(frequencies, dtype=torch.float32)[:, None].expand(-1, frames)
    levels = torch.zeros(len(frequencies)) if levels is None else torch.tensor(levels)
    amplitude = (10 ** (levels.float() / 20))[:, None].expand(-1, frames)
    return torch.stack([frequency, amplitude, torch.zeros_like(amplitude)])


def test_the_same_modes_in_another_order_find_each_other():
    rng = np.random.default_rng(0)
    a = modes(np.exp(rng.uniform(-4, 0, 20)).tolist(), rng.uniform(-40, 0, 20).tolist())
    order = torch.from_numpy(rng.permutation(20))
    pairs = dict(match_modes(a, a[:, order]))
    assert len(pairs) == 20
    for i, j in pairs.items():
        assert order[j] == i


def test_the_matching_is_the_best_of_all():
    rng = np.random.default_rng(1)
    for _ in range(5):
        a, b = (np.exp2(rng.uniform(-5, -4.2, 5)) for _ in range(2))

        def cost(pairs, a=a, b=b):
            return sum(abs(np.log2(a[i] / b[j])) for i, j in pairs)

        best = min(cost(enumerate(p)) for p in itertools.permutations(range(5)))
        found = match_modes(modes(a.tolist()), modes(b.tolist()))
        assert len(found) == 5
        assert cost(found) == pytest.approx(best, abs=1e-5)


def test_modes_farther_apart_than_two_octaves_are_not_matched():
    assert match_modes(modes([0.01, 0.1]), modes([0.011, 0.5])) == [(0, 0)]


def test_loud_modes_go_to_loud_ones_and_faint_ones_between_them_fade():
    kick, tom = modes([0.010, 0.017], [0.0, -50.0]), modes([0.0105, 0.018], [-50.0, 0.0])
    assert match_modes(kick, tom) == [(0, 1)]


def test_partials_go_in_their_order_although_others_are_nearer():
    """The fifth of one is near to the sixth of the other, as in two cowbells."""
    a, b = [0.086, 0.126, 0.216, 0.291, 0.355, 0.431], [0.069, 0.0995, 0.173, 0.233, 0.291, 0.35]
    assert match_modes(modes(a), modes(b)) == [(i, i) for i in range(6)]


def test_no_pairs_that_keep_the_order_cost_less():
    """Compare with all of them. A mode that is left alone costs two octaves."""
    rng = np.random.default_rng(2)
    for _ in range(20):
        a, b = (np.exp2(rng.uniform(-8, -3, rng.integers(1, 6))) for _ in range(2))

        def cost(pairs, a=a, b=b):
            ways = [abs(np.log2(a[i] / b[j])) for i, j in pairs]
            alone = len(a) + len(b) - 2 * len(ways)
            return sum(math.inf if way > 2 else way for way in ways) + 2 * alone

        orders = np.argsort(a), np.argsort(b)
        least = min(
            cost(zip(one, other))
            for count in range(min(len(a), len(b)) + 1)
            for one in itertools.combinations(orders[0], count)
            for other in itertools.combinations(orders[1], count)
        )
        assert cost(match_modes(modes(a.tolist()), modes(b.tolist()))) == pytest.approx(least)


def test_silence_matches_nothing():
    silent = torch.zeros(3, 4, 6)
    assert match_modes(silent, modes([0.1])) == []
