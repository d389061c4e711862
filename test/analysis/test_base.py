"""What every analysis keeps to, and what happens when one does not."""

import math

import numpy as np
import pytest
import torch

from drumblender.analysis import Analysis, AnalysisSettings
from drumblender.errors import DrumblenderError

SETTINGS = AnalysisSettings(num_modes=4, hop_length=100)


class Constant(Analysis):
    """Gives the same for every sound."""

    version = 1

    def __init__(self, result):
        super().__init__(SETTINGS)
        self.result = result

    def measure(self, audio):
        return self.result


class Loudness(Analysis):
    """One mode at the level of a sound, which counts threads and sounds at once."""

    version = "a"

    def measure(self, audio):
        self.seen = tuple(audio.shape), audio.dtype, torch.get_num_threads()
        modes = torch.zeros(3, 4, len(audio) // 100 + 1, dtype=torch.float64)
        modes[1, 0] = audio.abs().max()
        return modes


class Together(Loudness):
    def measure_together(self, audio):
        self.together = len(audio)
        return super().measure_together(audio)


def test_one_sound_and_several_are_measured_alike():
    sounds = torch.rand(3, 950, dtype=torch.float64)
    analysis = Loudness(SETTINGS)
    found = analysis(sounds)
    assert found.shape == (3, 3, 4, 10)
    assert found.dtype == torch.float32
    assert torch.equal(found[:, 1, 0, 0], sounds.abs().amax(1).float())
    assert torch.equal(analysis(sounds[1]), found[1])
    assert analysis.seen == ((950,), torch.float32, 1)


def test_sounds_are_measured_together_when_that_is_wanted():
    sounds = torch.rand(3, 950)
    analysis = Together(SETTINGS)
    alone = analysis(sounds)
    assert not hasattr(analysis, "together")
    assert torch.equal(analysis(sounds, together=True), alone)
    assert analysis.together == 3
    assert torch.equal(Loudness(SETTINGS)(sounds, together=True), alone)


def test_what_does_not_know_how_to_measure_is_no_analysis():
    class Nothing(Analysis):
        version = 1

    with pytest.raises(TypeError, match="measure"):
        Nothing(SETTINGS)


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        (
            np.zeros((3, 4, 10)),
            r"gives no torch.Tensor \(ndarray\); let it return one \(3, 4, 1",
        ),
        (torch.zeros(3, 4, 9), r"gives a tensor \(3, 4, 9\); let it return \(3, 4, 10\), which is"),
        (torch.zeros(3, 5, 10), r"gives a tensor \(3, 5, 10\)"),
        (torch.full((3, 4, 10), 440.0), "frequencies outside 0 to pi rad/sample; .*hz_to_rad"),
        (torch.full((3, 4, 10), -1e-3), "frequencies outside"),
        (torch.eye(3)[1].neg()[:, None, None].expand(3, 4, 10), "amplitudes below zero; add pi"),
    ],
)
@pytest.mark.parametrize("together", [False, True])
def test_what_cannot_be_played_is_refused_with_the_remedy(result, sentence, together):
    with pytest.raises(DrumblenderError, match=sentence):
        Constant(result)(torch.zeros(2, 950), together)


def test_all_that_can_be_played_and_what_is_no_number_passes():
    highest = torch.tensor([math.pi, 1.0, -9.0])[:, None, None].expand(3, 4, 10)
    assert torch.equal(Constant(highest)(torch.zeros(950)), highest)
    assert Constant(torch.full((3, 4, 10), math.nan))(torch.zeros(950)).isnan().all()
