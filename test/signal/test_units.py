import pytest

from drumblender.signal import hz_to_rad, rad_to_hz


def test_frequency_conversions_undo_each_other():
    assert rad_to_hz(hz_to_rad(440.0, 44100), 44100) == pytest.approx(440.0)
