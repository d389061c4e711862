"""Drums that decay for longer, as a listener hears them."""

import numpy as np
import pytest
import soundfile

import drumblender


def rise(x, rate):
    """By how many dB the smoothed level rises again after its peak, down to -45 dB."""
    window = np.hanning(int(0.03 * rate))
    power = x**2
    for _ in range(2):
        power = np.convolve(power, window / window.sum(), "same")
    level = 10 * np.log10(power + 1e-12)
    level = level[level.argmax() :] - level.max()
    below = np.nonzero(level < -45)[0]
    level = level[: below[0]] if len(below) else level
    return (level - np.minimum.accumulate(level)).max()


@pytest.mark.parametrize("name", ["bd_ada", "bd_klub", "bd_pure", "bd_tek"])
def test_a_recorded_kick_decays_for_longer_without_beating(name, repository):
    path = repository / f"audio/one-shots/bd/kick/{name}.flac"
    recorded, rate = soundfile.read(path, always_2d=True)
    longer = drumblender.load(device="cpu").decompose(path).with_decay(3).render()
    heard = np.atleast_2d(longer).reshape(-1, max(longer.shape))[0].astype(float)
    assert rise(heard, rate) < rise(recorded[:, 0], rate) + 1
