import math

import pytest
import torch

from drumblender.data import Augmentation
from drumblender.errors import UsageError
from drumblender.parameters import Modes
from drumblender.synths import ModalSynth

N, FRAMES = 9600, 38


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def decaying(frequencies):
    """Decaying sinusoids as audio (B, 1, N) and as modes (B, 3, 2, FRAMES)."""
    frequency = torch.tensor(frequencies).view(-1, 2, 1).expand(-1, 2, FRAMES)
    amplitude = torch.linspace(0.3, 0.0, FRAMES).expand_as(frequency)
    params = torch.stack([frequency, amplitude, torch.full_like(frequency, 0.7)], dim=1)
    return ModalSynth()(params, N), params


def test_modes_still_are_those_of_the_recording():
    audio, params = decaying([[0.05, 0.3], [0.1, 0.9]])
    for seed in range(6):
        augment = Augmentation(num_samples=4800, semitones=4.0, gain_db=6.0)
        heard, modes = augment(audio, params, seeded(seed))
        played = ModalSynth()(modes, 4800)
        error = (heard - played)[..., 100:].square().mean() / heard.square().mean()
        # A resampler rings at the first sample, where the sinusoids begin with a step.
        assert 10 * math.log10(error) < -40


def test_pitch_and_level_change_within_their_limits():
    audio, params = decaying([[0.05, 0.3], [0.1, 0.9]])
    augment = Augmentation(num_samples=4800, semitones=3.0, gain_db=6.0)
    ratios, gains = [], []
    for seed in range(40):
        _, modes = augment(audio, params, seeded(seed))
        ratios.append((modes[:, 0] / 0.05)[0, 0, 0].item())
        gains.append(20 * (modes[:, 1, 0, 0] / 0.3).log10())
    cents = [1200 * math.log2(ratio) for ratio in ratios]
    # Ratios are rounded to whole frames.
    assert max(map(abs, cents)) < 300 + 1200 * math.log2(1 + 1 / 30)
    assert min(cents) < -150
    assert max(cents) > 150
    gains = torch.stack(gains)
    assert gains.abs().max() <= 6.001
    assert gains.std() > 2
    assert (gains[:, 0] != gains[:, 1]).any()


def test_nothing_changes_without_a_change():
    audio, params = decaying([[0.05, 0.3]])
    same = Augmentation()(audio, params)
    assert torch.equal(same[0], audio)
    torch.testing.assert_close(same[1], params)


def test_a_cut_is_a_cut():
    audio, params = decaying([[0.05, 0.3]])
    cut, modes = Augmentation(num_samples=4800)(audio, params)
    assert torch.equal(cut, audio[..., :4800])
    torch.testing.assert_close(modes, params[..., :19])


def test_the_same_seed_draws_the_same():
    audio, params = decaying([[0.05, 0.3]])
    augment = Augmentation(4800, 2.0, 3.0)
    one, same, other = (augment(audio, params, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(one[0], same[0])
    assert torch.equal(one[1], same[1])
    assert not torch.equal(one[0], other[0])


def test_modes_stand_for_the_samples_that_they_stood_for():
    """A pitch up by r moves what was at sample n to n / r."""
    audio, params = decaying([[0.05, 0.3]])
    _, modes = Augmentation(num_samples=4800, semitones=4.0)(audio, params, seeded(3))
    ratio = modes[0, 0, 0, 0] / params[0, 0, 0, 0]
    before, after = Modes(params, N), Modes(modes, 4800)
    torch.testing.assert_close(
        after.times * ratio.double(), before.times[: after.num_frames], atol=1.0, rtol=1e-4
    )


@pytest.mark.parametrize(
    "options", [{"semitones": -1.0}, {"gain_db": float("inf")}, {"num_samples": 0}]
)
def test_impossible_changes_are_refused(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        Augmentation(**options)
