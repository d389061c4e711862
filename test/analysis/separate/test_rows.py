"""Rows of the synthesizer against sinusoids that begin with their own phases."""

import math

import torch

from drumblender.analysis.separate.rows import Span, arrange
from drumblender.synths import modal_synth

FRAME, FRAMES = 64.0, 200


def span(first, count, omega, phase, amplitude=1.0):
    envelope = amplitude * torch.hann_window(count, periodic=False, dtype=torch.float64)
    return Span(first, torch.full((count,), omega, dtype=torch.float64), envelope, phase)


def play(rows):
    length = int(FRAME * FRAMES)
    return modal_synth(rows[None, 0], rows[None, 1], length, rows[None, 2, :, :1])[0, 0].double()


def expected(spans):
    total = torch.zeros(int(FRAME * FRAMES), dtype=torch.float64)
    n = torch.arange(len(total), dtype=torch.float64)
    for one in spans:
        place = ((n + 0.5) / FRAME - 0.5 - one.first).clamp(0, len(one.omega) - 1)
        left = place.long().clamp(max=len(one.omega) - 2)
        envelope = torch.lerp(one.amplitude[left], one.amplitude[left + 1], place - left)
        # The synthesizer adds the frequency of a sample before it plays it.
        center = (one.first + 0.5) * FRAME - 0.5
        turned = one.omega[0] * (n - center) + one.phase
        total += envelope * torch.sin(turned)
    return total


def test_modes_of_one_row_begin_with_their_own_phases():
    spans = [span(3, 40, 0.2, 0.3), span(60, 40, 0.205, -2.0), span(103, 50, 0.198, 1.0)]
    rows = arrange(spans, 2, FRAMES, FRAME)
    assert rows[1].any(-1).tolist() == [True, False]
    torch.testing.assert_close(play(rows), expected(spans), atol=1e-3, rtol=0)


def test_modes_far_apart_take_rows_of_their_own_while_there_are_some():
    spans = [span(3, 40, 0.2, 0.3), span(60, 40, 0.5, -2.0), span(110, 40, 1.1, 0.5)]
    for count in (3, 1):
        rows = arrange(spans, count, FRAMES, FRAME)
        assert rows[1].any(-1).all()
        torch.testing.assert_close(play(rows), expected(spans), atol=1e-3, rtol=0)


def test_the_quietest_mode_makes_room():
    loud, soft = span(3, 100, 0.2, 0.3), span(3, 100, 0.3, 0.1, amplitude=0.1)
    rows = arrange([loud, soft, span(50, 40, 0.5, 0.0)], 2, FRAMES, FRAME)
    assert not rows[1, 1, 47:50].any()
    assert rows[0, :, 70].tolist() == torch.tensor([0.2, 0.5]).tolist()
    whisper = span(50, 40, 0.5, 0.0, amplitude=1e-4)
    rows = arrange([loud, soft, whisper], 2, FRAMES, FRAME)
    assert not (rows[0] == 0.5).any()


def test_no_modes_are_silence():
    assert not arrange([], 2, 10, FRAME).any()


def test_frequencies_stay_between_zero_and_nyquist():
    spans = [span(3 + 20 * k, 17, 0.004, math.sin(9 * k)) for k in range(8)]
    rows = arrange(spans, 1, FRAMES, FRAME)
    assert (rows[0] > 0).all()
    assert (rows[0] < math.pi).all()
    torch.testing.assert_close(play(rows), expected(spans), atol=1e-3, rtol=0)
