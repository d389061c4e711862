import itertools
import math

import pytest
import torch

from drumblender.parameters import Modes
from drumblender.parameters.between import mix_modes
from drumblender.synths import ModalSynth

RATE = 48_000


def modes(frequencies, levels=None, frames=6):
    """Modal parameters of constant modes: frequency in rad/sample, level in dB."""
    frequency = torch.tensor(frequencies, dtype=torch.float32)[:, None].expand(-1, frames)
    levels = torch.zeros(len(frequencies)) if levels is None else torch.tensor(levels)
    amplitude = (10 ** (levels.float() / 20))[:, None].expand(-1, frames)
    return torch.stack([frequency, amplitude, torch.zeros_like(amplitude)])


def blended(a, b, amount, ends=None, moment=0.0):
    """Blend modal parameters whose frames are samples."""
    pair = [Modes(x, x.shape[-1]) for x in (a, b)]
    return between(pair, amount, ends, moment).values


def between(pair, amount, ends=None, moment=0.0):
    """The modes between two others."""
    return mix_modes(pair, [1 - amount, amount], ends, moment)


def swept(base, size, seconds, attack=0.0, phase=0.0, frame=64, onset=1_000):
    """A mode that glides, with its phase at the onset and 4 ms that are `attack` Hz too high."""
    time = ((torch.arange(1_500).double() + 0.5) * frame - 0.5 - onset) / RATE
    since = time.clamp(min=0)
    hz = base * (1 + size * torch.exp(-since / seconds)) + attack * (time < 0.004)
    values = torch.stack(
        [2 * math.pi * hz / RATE, (time >= 0) * 0.001**since, torch.full_like(hz, phase)]
    )
    modes = Modes(values[:, None].float(), 1_500 * frame, RATE)
    return modes.turned(onset, back=True)


def test_modes_without_a_partner_fade():
    made = blended(modes([0.01, 0.1]), modes([0.011, 0.5]), 0.25)
    assert made[0, 1:, 0].tolist() == pytest.approx([0.1, 0.5])
    turn = math.pi / 8
    assert made[1, 1:, 0].tolist() == pytest.approx([math.cos(turn), math.sin(turn)])


def test_silence_has_no_modes_between():
    silent = torch.zeros(3, 4, 6)
    assert blended(silent, silent, 0.5).shape == (3, 0, 6)


@pytest.mark.parametrize("amount", [0.2, 0.5, 0.9])
def test_glides_become_the_glide_of_middle_parameters(amount):
    a, b = swept(60, 1.1, 0.03), swept(45, 2.6, 0.08)
    made = between([a, b], amount, moment=1_000)
    base, seconds = 60 ** (1 - amount) * 45**amount, 0.03 ** (1 - amount) * 0.08**amount
    middle = swept(base, 2.1 ** (1 - amount) * 3.6**amount - 1, seconds)
    heard = slice(20, 800)
    cents = 1200 * (made.frequency / middle.frequency)[0, heard].log2()
    assert cents.abs().max() < 3
    # The phases stay together, too: their sum over the whole glide is that of the truth.
    tones = [ModalSynth()(x.values[None], x.num_samples)[0, 0] for x in (made, middle)]
    assert (tones[0] - tones[1]).norm() < 0.05 * tones[1].norm()


def test_glides_up_and_down_meet_in_the_middle():
    made = between([swept(100, 0.25, 0.05), swept(100, -0.2, 0.05)], 0.5, moment=1_000)
    assert 1200 * (made.frequency / 100).log2()[0, 20:800].abs().max() < 3


def test_phases_turn_the_way_that_is_shorter_after_the_attack():
    """They are 2.5 apart at the onset, and 2.3 the other way around after 4 ms of 60 Hz more."""
    a, b = swept(500, 0, 0.05, phase=1.0), swept(500, 0, 0.05, attack=60, phase=3.5)
    made = between([a, b], 0.5, moment=1_000)
    later = [x.turned(1_000 + 0.01 * RATE).values[2, 0, 0].item() for x in (a, b, made)]
    way = math.remainder(later[1] - later[0], 2 * math.pi)
    assert way < -2
    assert math.remainder(later[2] - later[0], 2 * math.pi) == pytest.approx(way / 2, abs=0.06)


def test_matched_modes_move_in_octaves_decibels_and_the_shorter_way_around():
    a, b = modes([0.1], [0.0]), modes([0.15], [-20.0])
    a[2], b[2] = 3.0, -3.0
    frequency, amplitude, phase = blended(a, b, 0.3, moment=-1)[:, 0, 0].tolist()
    assert frequency == pytest.approx(0.1 * 1.5**0.3, rel=1e-5)
    assert 20 * math.log10(amplitude) == pytest.approx(-6.0, abs=1e-4)
    assert phase == pytest.approx(3.0 + 0.3 * (2 * math.pi - 6.0), abs=1e-5)


@pytest.mark.parametrize("amount", [0.25, 0.5, 0.75])
def test_what_is_matched_rings_out_along_a_line_in_decibels(amount):
    a, b = modes([0.1], [0.0], frames=100), modes([0.12], [-20.0], frames=100)
    b[1, :, 40:] = 0
    level = 20 * blended(a, b, amount, (100, 40))[1, 0].log10()
    ringing = round(40 * (1 - amount))
    expected = torch.full((100,), -120.0)
    expected[:40] = -20.0
    expected[39 : 40 + ringing] = torch.linspace(-20, -120, ringing + 1)
    assert torch.allclose(level, amount * expected, atol=1e-3)
    # The other way around it is the other's.
    again = 20 * blended(b, a, 1 - amount, (40, 100))[1, 0].log10()
    assert torch.allclose(level, again, atol=1e-3)


@pytest.mark.parametrize("onset", [-0.5, 0.0, 3.7])
def test_modes_of_any_envelope_blend_into_numbers(onset):
    """An onset before the first frame, steep falls, and modes that end before the onset."""
    frames = torch.arange(40.0)
    falls = [torch.exp(-frames / t) for t in (0.3, 1.0, 9.0)]
    falls += [(frames < 3).float(), (frames == 0).float()]
    falls += [(frames > 0) * torch.exp(-frames / t) for t in (6.0, 15.0)]
    for one, other in itertools.product(falls, falls):
        a, b = (
            torch.stack([torch.full((40,), 0.1), x, torch.zeros(40)])[:, None] for x in (one, other)
        )
        made = blended(a, b, 0.5, moment=onset)
        assert torch.isfinite(made).all()
        assert (made[1] >= 0).all()


def circles(*phases, hz=300.0):
    """Modes of one frequency, with their phases at sample 0."""
    made = [swept(hz, 0, 0.05, phase=phase, onset=0) for phase in phases]
    return made


def amplitudes(pair_or_more, weights):
    mixed = mix_modes(pair_or_more, weights, moment=0)
    return mixed.amplitude.sum(0)[0].item() / pair_or_more[0].amplitude[0, 0].item()


def test_three_drums_meet_at_the_geometric_means():
    found = [swept(60, 1.1, 0.03), swept(45, 2.6, 0.08), swept(80, 0.4, 0.05)]
    weights = [0.5, 0.2, 0.3]

    def mean(*values):
        return math.prod(value**weight for value, weight in zip(values, weights))

    made = mix_modes(found, weights, moment=1_000)
    truth = swept(mean(60, 45, 80), mean(2.1, 3.6, 1.4) - 1, mean(0.03, 0.08, 0.05))
    assert made.values.shape[1] == 1
    cents = 1200 * (made.frequency / truth.frequency)[0, 20:800].log2()
    assert cents.abs().max() < 3
    tones = [ModalSynth()(x.values[None], x.num_samples)[0, 0] for x in (made, truth)]
    assert (tones[0] - tones[1]).norm() < 0.05 * tones[1].norm()


def test_phases_that_lie_on_one_side_have_their_mean():
    made = mix_modes(circles(6.0, 0.1, 1.0), [0.5, 0.2, 0.3], moment=0)
    phase = made.turned(0).values[2, 0, 0].item()
    expected = 0.5 * (6.0 - 2 * math.pi) + 0.2 * 0.1 + 0.3 * 1.0
    assert math.remainder(phase - expected, 2 * math.pi) == pytest.approx(0, abs=1e-4)


def test_opposite_phases_do_not_cancel_each_other_in_a_blend():
    for amount in (0.1, 0.5, 0.8):
        assert amplitudes(circles(0.3, 0.3 + math.pi), [1 - amount, amount]) == pytest.approx(1)


def test_phases_around_the_circle_are_heard_except_next_to_one_point():
    third = 2 * math.pi / 3
    sounds = circles(0, third, 2 * third)
    for weights in ([0.6, 0.2, 0.2], [0.1, 0.5, 0.4], [0.45, 0.45, 0.1]):
        assert amplitudes(sounds, weights) == pytest.approx(1, abs=1e-3)
    # All turn the shorter way around on the edges, so there is no phase in the middle.
    assert amplitudes(sounds, [1 / 3] * 3) < 0.05
    near, nearer = (amplitudes(sounds, [1 / 3 + x, 1 / 3 - x, 1 / 3]) for x in (0.02, 0.01))
    assert 0 < nearer < near < 0.5


def test_what_has_no_partner_keeps_its_power_in_all():
    """Each of four drums has a tone that no other one has."""
    sounds = [Modes(modes([0.002 * 6**k]), 6) for k in range(4)]
    made = mix_modes(sounds, [0.25] * 4)
    assert made.amplitude[:, 0].square().tolist() == pytest.approx([0.25] * 4)
    made = mix_modes(sounds, [0.4, 0.3, 0.2, 0.1])
    assert made.amplitude[:, 0].square().sum().item() == pytest.approx(1)
