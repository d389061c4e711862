"""Carriers of modes whose attacks are shaken."""

import math

import pytest
import torch

from drumblender.parameters.carriers import fit_carriers, weighted_median

FRAME, ONSET = 64.0, 10.0
SINCE = torch.arange(1_500).double() - ONSET


def shaken(base, size=0.0, time=100.0, phase=0.4, strength=0.0, lasting=25, ends=150.0):
    """A mode whose frequency swings about its carrier at first, as measured by its phases."""
    course = base * (1 + size * torch.exp(-SINCE.clamp(min=0) / time))
    since = SINCE.clamp(min=0)
    # A phase that a passing partial moves to and fro, and that comes back.
    swing = strength * torch.exp(-since / lasting) * torch.cos(since / 4)
    steps = torch.diff(swing, append=swing[-1:]) / FRAME * (SINCE >= 0)
    amplitude = torch.exp(-since / ends) * (SINCE >= 0)
    start = torch.full_like(amplitude, phase + strength)
    return torch.stack([course + steps, amplitude, start])[:, None]


@pytest.mark.parametrize(("size", "strength"), [(0.0, 0.8), (1.1, 0.4), (-0.2, 0.3)])
def test_the_carrier_is_what_a_mode_does_after_its_attack(size, strength):
    """Although its phase at the onset is off, and a good part of its energy is in the attack."""
    base = 2 * math.pi * 60 / 48_000
    values = shaken(base, size, strength=strength, lasting=12, ends=100)
    carriers = fit_carriers(values, ONSET, FRAME, settled=4.5)
    assert carriers.glides.base.item() == pytest.approx(base, rel=0.01)
    assert carriers.glides.size.item() == pytest.approx(size, abs=0.05)
    assert math.remainder(carriers.phase.item() - 0.4, 2 * math.pi) == pytest.approx(0, abs=0.1)


def test_the_carrier_and_the_detour_are_the_frequency():
    values = torch.cat([shaken(0.01, 0.5, strength=1.0), shaken(0.3), 0 * shaken(0.2)], 1)
    values[0, 2] = 0.2
    carriers = fit_carriers(values, ONSET, FRAME)
    course = carriers.glides.base.clamp(min=1e-9)[:, None] * carriers.glides.factor(SINCE)
    assert torch.allclose(course * carriers.detour.exp(), values[0].double(), rtol=1e-6)
    assert carriers.weight.sum(-1).tolist() == pytest.approx([1, 1, 0])


def test_a_mode_that_begins_late_has_a_carrier():
    since = torch.arange(4_000).double()
    late = torch.stack([torch.full_like(since, 0.05), (since > 3_000).double(), 0 * since])
    carriers = fit_carriers(late[:, None], 0.0, FRAME)
    assert carriers.glides.base.item() == pytest.approx(0.05)


def test_the_weighted_median_is_that_of_repeated_numbers():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(3, 15, generator=generator)
    counts = torch.randint(0, 5, (3, 15), generator=generator)
    counts[:, 0] += 1 - counts.sum(-1) % 2
    for row, count, found in zip(x, counts, weighted_median(x, counts.float())):
        assert found.item() == row.repeat_interleave(count).median()
