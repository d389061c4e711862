"""The curve of velocity, and what a softer hit sounds like."""

import numpy as np
import pytest
from small_drums import RATE, drum

import drumblender
from drumblender.kits.velocity import FOLLOWING, level, softer


@pytest.fixture(scope="module")
def sound():
    return drumblender.load().decompose(drum(), RATE, seed=0)


@pytest.mark.parametrize("range_db", [0.0, 20.0, 40.0, 96.0])
def test_the_range_is_kept_and_levels_rise(range_db):
    levels = [level(velocity, range_db) for velocity in range(1, 128)]
    assert levels[0] == pytest.approx(-range_db)
    assert levels[-1] == 0
    assert levels == sorted(levels)


def test_amplitude_is_the_square_of_a_line():
    roots = np.sqrt([10 ** (level(velocity) / 20) for velocity in range(1, 128)])
    assert np.allclose(np.diff(roots, 2), 0, atol=1e-12)


@pytest.mark.parametrize("instrument", [*FOLLOWING, "nothing known"])
def test_a_softer_hit_is_darker_and_may_have_less_attack(sound, instrument):
    change = -12.0
    tilt, attack = FOLLOWING.get(instrument, FOLLOWING[""])
    soft = softer(sound, change, instrument)
    assert soft.brightness < 0
    assert soft.brightness == pytest.approx(tilt * change)
    assert soft.gains["transient"] <= 1
    assert soft.gains["transient"] == pytest.approx(10 ** (attack * change / 20))
    assert soft.gains["modal"] == soft.gains["noise"] == 1
    assert softer(sound, 0, instrument) is sound
