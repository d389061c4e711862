"""Layers of a drum cover all velocities once, whatever a kit says."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from drumblender.kits.kit import HIGHEST, LOWEST, Hit, Zone, even_layers, layers_of

VELOCITIES = st.integers(LOWEST, HIGHEST)
RANGES = st.tuples(VELOCITIES, VELOCITIES).map(sorted)


def covered(layers):
    """All velocities that layers play, in their order."""
    return [v for layer in layers for v in range(layer.low, layer.high + 1)]


def zone(low, high, number=0, turn=None):
    return Zone("drum", low, high, turn, Hit(Path(f"{number}.wav")))


@given(st.lists(RANGES, min_size=1, max_size=30))
def test_every_velocity_plays_exactly_one_layer(ranges):
    layers, _ = layers_of(zone(low, high, i) for i, (low, high) in enumerate(ranges))
    assert covered(layers) == list(range(LOWEST, HIGHEST + 1))
    assert all(layer.hits for layer in layers)


@given(st.integers(1, HIGHEST))
def test_even_layers_do_so_too_and_are_as_many_as_wanted(count):
    ranges = even_layers(count)
    assert len(ranges) == count
    assert [v for low, high in ranges for v in range(low, high + 1)] == list(range(1, 128))


@given(st.lists(st.integers(2, HIGHEST), min_size=1, max_size=16, unique=True))
def test_layers_that_neither_overlap_nor_leave_gaps_stay_as_they_are(starts):
    lows = [1, *sorted(starts)]
    ranges = list(zip(lows, [*(low - 1 for low in lows[1:]), HIGHEST]))
    layers, left_out = layers_of(zone(low, high) for low, high in ranges)
    assert [(layer.low, layer.high) for layer in layers] == ranges
    assert not left_out


def test_layers_that_overlap_are_cut_in_the_middle():
    layers, left_out = layers_of([zone(1, 41, 0), zone(39, 86, 1), zone(85, 127, 2)])
    assert [(layer.low, layer.high) for layer in layers] == [(1, 40), (41, 85), (86, 127)]
    assert not left_out


def test_hits_that_take_turns_share_a_layer_and_others_give_way():
    turns = [zone(1, 127, number, turn) for number, turn in enumerate((2.0, 1.0, 3.0))]
    (layer,), left_out = layers_of(turns)
    assert [hit.file.stem for hit in layer.hits] == ["1", "0", "2"]
    assert not left_out

    (layer,), left_out = layers_of([zone(1, 127, 0), zone(1, 127, 1)])
    assert [hit.file.stem for hit in layer.hits] == ["0"]
    assert left_out
