import math

import numpy as np
import pytest
import scipy.optimize
import torch

from drumblender.parameters.glides import fit_glides

SINCE = torch.arange(600).double() - 30


def course(base, size, time):
    return base * (1 + size * torch.exp(-SINCE.clamp(min=0) / time))


def test_glides_are_those_that_scipy_finds():
    """Of frequencies with errors, weighted by amplitude."""
    rng = np.random.default_rng(0)
    amplitude = torch.exp(-SINCE / 150)
    for base, size, time in [(0.01, 1.2, 40), (0.02, -0.3, 90), (0.3, 0.1, 12), (0.05, 0.02, 60)]:
        frequency = course(base, size, time) + 0.002 * base * torch.from_numpy(rng.normal(size=600))
        heard = SINCE >= 0

        def model(x, base, size, time):
            return base * (1 + size * np.exp(-x / time))

        expected, _ = scipy.optimize.curve_fit(
            model,
            SINCE[heard].numpy(),
            frequency[heard].numpy(),
            (base, size, time),
            amplitude[heard].numpy() ** -0.5,
        )
        found = fit_glides(frequency[None], amplitude[None], 30.0)
        assert [x.item() for x in found] == pytest.approx(expected.tolist(), rel=2e-3)
        assert torch.allclose(
            found.base[:, None] * found.factor(SINCE), course(*expected)[None], rtol=1e-3
        )


def test_what_strays_in_an_attack_is_no_glide():
    stray = torch.where(SINCE < 8, 0.03, 0.02).double()
    found = fit_glides(stray[None], torch.exp(-SINCE / 150)[None], 30.0, settled=10.0)
    assert found.base.item() == pytest.approx(0.02)
    assert (found.size.item(), found.time.item()) == (0.0, math.inf)


@pytest.mark.parametrize("cents", [5.0, 80.0])
def test_vibrato_and_silence_do_not_glide(cents):
    wobble = 0.02 * 2 ** (cents / 1200 * torch.sin(SINCE / 20))
    frequency = torch.stack([wobble, torch.full_like(wobble, 0.02), torch.zeros_like(wobble)])
    amplitude = torch.stack([torch.exp(-SINCE / 300), torch.zeros(600), torch.zeros(600)])
    found = fit_glides(frequency, amplitude, 30.0, 10.0)
    assert not found.size.any()
    assert torch.isfinite(found.factor(SINCE)).all()
