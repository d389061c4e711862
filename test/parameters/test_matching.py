import itertools
import math

import numpy as np
import pytest
import torch

from drumblender.parameters.matching import blend_modes, match_modes


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


def test_modes_farther_apart_than_two_octaves_fade():
    a, b = modes([0.01, 0.1]), modes([0.011, 0.5])
    assert match_modes(a, b) == [(0, 0)]
    between = blend_modes(a, b, 0.25)
    assert between[0, 1:, 0].tolist() == pytest.approx([0.1, 0.5])
    assert between[1, 1:, 0].tolist() == pytest.approx([0.75, 0.25])


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


def test_matched_modes_move_in_octaves_decibels_and_the_shorter_way_around():
    a, b = modes([0.1], [0.0]), modes([0.15], [-20.0])
    a[2], b[2] = 3.0, -3.0
    frequency, amplitude, phase = blend_modes(a, b, 0.3)[:, 0, 0].tolist()
    assert frequency == pytest.approx(0.1 * 1.5**0.3, rel=1e-5)
    assert 20 * math.log10(amplitude) == pytest.approx(-6.0, abs=1e-4)
    assert phase == pytest.approx(3.0 + 0.3 * (2 * math.pi - 6.0), abs=1e-5)


@pytest.mark.parametrize("amount", [0.25, 0.5, 0.75])
def test_what_is_matched_rings_out_along_a_line_in_decibels(amount):
    a, b = modes([0.1], [0.0], frames=100), modes([0.12], [-20.0], frames=100)
    b[1, :, 40:] = 0
    level = 20 * blend_modes(a, b, amount, (None, 40))[1, 0].log10()
    ringing = round(40 * (1 - amount))
    expected = torch.full((100,), -120.0)
    expected[:40] = -20.0
    expected[39 : 40 + ringing] = torch.linspace(-20, -120, ringing + 1)
    assert torch.allclose(level, amount * expected, atol=1e-3)
    # The other way around it is the other's.
    again = 20 * blend_modes(b, a, 1 - amount, (40, None))[1, 0].log10()
    assert torch.allclose(level, again, atol=1e-3)


def test_silence_matches_nothing():
    silent = torch.zeros(3, 4, 6)
    assert match_modes(silent, modes([0.1])) == []
    assert blend_modes(silent, silent, 0.5).shape == (3, 0, 6)


@pytest.mark.parametrize("onset", [-0.5, 0.0, 3.7])
def test_modes_of_any_envelope_blend_into_numbers(onset):
    """An onset before the first frame, steep falls, and modes that end before the onset."""
    frames = torch.arange(40.0)
    falls = [torch.exp(-frames / t) for t in (0.3, 1.0, 9.0)]
    falls += [(frames < 3).float(), (frames == 0).float()]
    falls += [(frames > 0) * torch.exp(-frames / t) for t in (6.0, 15.0)]
    for one, other in itertools.product(falls, falls):
        a, b = (
            torch.stack([torch.full((40,), 0.1), x, torch.zeros(40)])[:, None] for x in (one, other)
        )
        made = blend_modes(a, b, 0.5, onset=onset)
        assert torch.isfinite(made).all()
        assert (made[1] >= 0).all()
