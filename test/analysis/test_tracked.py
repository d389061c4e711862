"""Sounds measured together, compared with one at a time; how a batch is divided."""

from pathlib import Path

import pytest
import soundfile
import torch

from drumblender.analysis import AnalysisSettings, CQTModalAnalysis, tracked
from drumblender.signal import fit_length
from drumblender.synths import ModalSynth

RATE, LENGTH = 48000, 48000
RECORDINGS = Path(__file__).parents[2] / "audio" / "one-shots"


@pytest.fixture(scope="module")
def alone():
    return CQTModalAnalysis(AnalysisSettings())


@pytest.fixture(scope="module")
def together():
    return CQTModalAnalysis(AnalysisSettings(), batched=True)


def recording(path):
    x, _ = soundfile.read(path, dtype="float32", always_2d=True)
    return fit_length(torch.from_numpy(x[:, 0]), LENGTH)  # whatever its rate


def made_up():
    """A tone at the first sample, one that comes late, a glide, a beat, noise, and silence."""
    time = torch.arange(LENGTH, dtype=torch.float64) / RATE
    late = (time - 0.5).clamp(min=0)
    sounds = [
        0.5 * torch.sin(2 * torch.pi * 60 * time) * torch.exp(-time / 0.2),
        0.3 * torch.sin(2 * torch.pi * 8000 * late) * torch.exp(-late / 0.1),
        0.4 * torch.sin(2 * torch.pi * (300 * time - 10 * torch.exp(-time / 0.1))),
        0.3 * torch.sin(2 * torch.pi * 440 * time) + 0.3 * torch.sin(2 * torch.pi * 470 * time),
        0.1 * torch.randn(LENGTH, generator=torch.Generator().manual_seed(0)),
        torch.zeros(LENGTH),
    ]
    return torch.stack(sounds).float()


def assert_same_modes(found, expected):
    """The same, where it is heard: a mode's frequency means nothing where its amplitude is zero."""
    peak = expected[:, 1].amax().clamp(min=1e-3)
    assert (found[:, 1] - expected[:, 1]).abs().max() < 3e-4 * peak
    heard = expected[:, 1] > 1e-2 * peak
    far = ((found[:, 0] - expected[:, 0]).abs() > 2e-5)[heard]
    # Where a phase turns by half a turn in one frame, rounding decides which way.
    assert far.float().mean() < 1e-3 if heard.any() else True
    synth = ModalSynth()
    y, z = (synth(p, LENGTH)[:, 0].double() for p in (expected, found))
    error = (z - y).square().sum(-1) / y.square().sum(-1).clamp(min=1e-12)
    assert error.max() < 1e-6


def test_known_signals_have_the_same_modes(alone, together):
    x = made_up()
    assert_same_modes(together(x), alone(x))


def test_tracks_of_known_signals_are_the_same():
    plain, x = AnalysisSettings(method="plain"), made_up()
    alone, together = (CQTModalAnalysis(plain, batched=batched) for batched in (False, True))
    torch.testing.assert_close(together(x), alone(x), rtol=1e-4, atol=1e-4)


def test_recordings_have_the_same_modes(alone, together):
    x = torch.stack([recording(path) for path in sorted(RECORDINGS.rglob("*.flac"))[::16]])
    assert len(x) > 4
    assert_same_modes(together(x), alone(x))


def test_a_sound_has_the_same_modes_in_any_batch(together):
    x = made_up()
    expected = together(x)
    for batch in (x[:1], x[2:4], x.flip(0)):
        rows = [int((x == sound).all(-1).nonzero()[0]) for sound in batch]
        assert_same_modes(together(batch), expected[rows])


def test_one_sound_may_come_without_a_batch(together):
    x = made_up()[0]
    assert torch.equal(together(x), together(x[None])[0])


def test_a_sound_that_is_no_sound_disturbs_no_other(together):
    x = made_up()[:3]
    expected = together(x)
    x[1] = 1e38
    found = together(x)
    assert_same_modes(found[::2], expected[::2])


def test_a_batch_that_is_too_large_for_the_device_is_divided(together, monkeypatch):
    x = made_up()
    expected = together(x)
    measure, sizes = together.method._measure, []

    def small_device(part):
        sizes.append(len(part))
        if len(part) > 2:
            raise torch.OutOfMemoryError("no room")
        return measure(part)

    monkeypatch.setattr(together.method, "_measure", small_device)
    assert_same_modes(together(x), expected)
    assert sizes == [6, 3, 1, 1, 1, 1, 1, 1]
    monkeypatch.setattr(tracked, "_MEMORY_OF_CPU", 1)
    del sizes[:]
    together(x[:2])
    assert sizes == [1, 1]


@pytest.mark.parametrize("num_samples", [1, 200, 600, 1000, 7777])
def test_any_length_is_analyzed(alone, together, num_samples):
    x = torch.randn(2, num_samples, generator=torch.Generator().manual_seed(num_samples))
    parameters = together(x)
    assert parameters.shape == (2, 3, 64, num_samples // 256 + 1)
    assert parameters.isfinite().all()
    torch.testing.assert_close(parameters[:, 1], alone(x)[:, 1], rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="hardware: needs a GPU")
def test_a_gpu_finds_the_same_modes(alone):
    x = made_up()
    assert_same_modes(alone(x.cuda()), alone(x))
