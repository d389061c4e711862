import torch

from drumblender.analysis.phase import folded, running
from drumblender.synths import modal_synth


def test_the_running_phase_is_that_of_the_synthesizer():
    frames, frame = 20, 50
    omega = 0.1 + 0.002 * torch.arange(frames, dtype=torch.float64)
    y = modal_synth(omega[None, None], torch.ones(1, 1, frames).double(), frames * frame)[0, 0]
    # The center of a frame lies between two samples.
    at = torch.arange(frames) * frame + frame // 2
    phase = running(omega, frame)
    between = torch.stack([phase - 0.5 * omega, phase + 0.5 * omega], -1).sin()
    torch.testing.assert_close(torch.stack([y[at - 1], y[at]], -1), between, rtol=0, atol=1e-3)


def test_a_phase_is_folded_into_frequencies_whose_phase_it_is():
    frame, time = 64.0, torch.arange(40, dtype=torch.float64)
    angle = torch.stack([0.4 * time, 3 * (time / 8).sin(), 0.02 * time**2])
    wrapped = torch.remainder(angle + torch.pi, 2 * torch.pi) - torch.pi
    phase = running(folded(wrapped, frame), frame)
    moved = phase - angle - (phase - angle).mean(-1, keepdim=True)
    assert moved[:, 2:-2].abs().max() < 0.03


def test_only_frames_that_sound_count():
    angle = torch.randn(3, 30, generator=torch.Generator().manual_seed(0)).double()
    sounding = torch.zeros(3, 30, dtype=torch.bool)
    sounding[:, 5:20] = True
    found = folded(angle, 64.0, sounding)
    torch.testing.assert_close(found[:, 5:20], folded(angle[:, 5:20], 64.0))
    assert not found[:, :5].any()
    assert not found[:, 20:].any()
