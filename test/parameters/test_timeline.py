"""Timelines, which say when a sound happens."""

import math

import pytest
import torch

from drumblender.parameters import Timeline


def test_a_timeline_of_several_strokes_stretches_each():
    loop = Timeline(48_000, 0, 48_000, 1.0, onsets=(1_000.0, 20_000.0))
    source = loop.stretch_map(1_500.0, 0.5)
    time = torch.tensor([1_200.0, 2_000.0, 15_000.0, 20_000.0, 20_600.0])
    assert source(time).tolist() == [1_200.0, 2_500.0, math.inf, 20_000.0, 20_700.0]
    assert loop.stretched(1_500.0, 2.0).seconds == pytest.approx((20_500 + 2 * 27_500) / 48_000)
