import math

import pytest
import torch
import torch.nn.functional as F

from drumblender.models.spectral import AttackHead, ModalHead, NoiseHead, SpectralEncoder
from drumblender.parameters import Modes
from drumblender.signal import sine
from drumblender.synths import ModalSynth, ShapedNoise
from drumblender.tasks import Blender

NEPER = 20 / math.log(10)  # dB


def noise(count, length, level):
    return level * torch.randn(count, 1, length, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return SpectralEncoder(num_bands=48, channels=16, num_blocks=2)


@pytest.mark.parametrize("length", [1, 127, 128, 5000])
def test_there_is_a_frame_for_each_hop(encoder, length):
    x = noise(2, length, 0.1)
    assert encoder(x, x).shape == (2, 16 + 48, -(-length // 128))


def test_white_noise_has_the_same_level_in_every_band(encoder):
    x = noise(4, 96_000, 0.1)
    power = (2 * encoder.levels(x, torch.zeros_like(x))[:, 0]).exp().mean((0, 2))
    assert (10 * power.log10()).sub(-20).abs().max() < 0.5


def test_levels_are_those_of_recording_sinusoids_and_what_is_between(encoder):
    tone = sine(2000.0, 9600, 48_000).view(1, 1, -1)
    levels = encoder.levels(tone, tone)[0, ..., 10:60] * NEPER
    assert levels[0].amax(0).min() > 0
    torch.testing.assert_close(levels[0], levels[1])
    assert (levels[2] + 120).abs().max() < 1e-3
    silent = encoder.levels(torch.zeros(1, 1, 640), torch.zeros(1, 1, 640))
    assert (silent * NEPER + 120).abs().max() < 1e-3


def test_a_sound_that_is_cut_where_it_ends_is_heard_as_one_that_is_padded(encoder):
    x = noise(1, 2560, 0.1) * torch.hann_window(5120)[2560:]
    padded = torch.nn.functional.pad(x, (0, 2560))
    cut, whole = encoder(x, 0.5 * x), encoder(padded, 0.5 * padded)
    torch.testing.assert_close(cut, whole[..., : cut.shape[-1]], atol=1e-4, rtol=1e-4)


def test_noise_begins_at_a_level_below_that_of_the_recording(encoder):
    x = noise(1, 48_000, 0.1)
    bands = NoiseHead(16, 48, 257, start=-20.0)(encoder(x, torch.zeros_like(x)))
    made = ShapedNoise(512, 128)(bands, 48_000)
    assert 10 * math.log10(made.detach().square().mean()) == pytest.approx(-40, abs=0.7)


def test_noise_follows_the_level_of_the_recording():
    torch.manual_seed(0)
    head = NoiseHead(16, 48, 257)
    torch.nn.init.normal_(head.head.out.weight)
    features, levels = torch.randn(1, 16, 10), torch.randn(1, 48, 10)
    one, louder = (head(torch.cat([features, levels + add], dim=1)) for add in (0.0, 1.0))
    torch.testing.assert_close(louder, math.e * one)


def test_noise_is_never_far_above_the_recording():
    head = NoiseHead(16, 48, 257, highest=6.0)
    torch.nn.init.constant_(head.head.out.bias, 100.0)
    made = head(torch.zeros(1, 64, 10))
    torch.testing.assert_close(made, torch.full_like(made, 10 ** (6 / 20)))


def test_modes_stay_as_they_are_before_training():
    params = torch.rand(2, 3, 5, 30)
    assert torch.equal(ModalHead(16, 48)(torch.randn(2, 64, 60), params), params)


def test_modes_get_the_gain_of_their_band_and_their_time():
    head = ModalHead(channels=1, num_bands=48, most=12.0)
    head.head = torch.nn.Identity()
    gains = torch.zeros(1, 48, 100)
    gains[:, :24, 50:] = 100.0  # saturates: 12 dB
    head.channels = 48
    params = torch.ones(1, 3, 2, 50)
    params[:, 0, 0], params[:, 0, 1] = 0.01, 3.0
    made = head(gains, params)
    assert torch.equal(made[:, [0, 2]], params[:, [0, 2]])
    assert torch.equal(made[:, 1, 1], params[:, 1, 1])
    level = 20 * made[0, 1, 0].log10()
    assert level[:24].abs().max() < 1e-4
    torch.testing.assert_close(level[27:], torch.full((23,), 12.0), atol=1e-3, rtol=0)


def test_the_embedding_of_the_attack_hears_the_attack_only():
    torch.manual_seed(0)
    head, x = AttackHead(16, num_frames=8, embedding_size=5), torch.randn(2, 64, 20)
    changed = x.clone()
    changed[..., 8:] += 1
    assert torch.equal(head(x), head(changed))
    assert not torch.equal(head(x), head(x + torch.randn(2, 64, 20)))
    assert head(x[..., :3]).shape == (2, 5)


def test_every_weight_learns():
    torch.manual_seed(0)
    encoder = SpectralEncoder(channels=16, num_blocks=2)
    heads = torch.nn.ModuleList([NoiseHead(16), ModalHead(16), AttackHead(16)])
    for head in heads[:2]:
        torch.nn.init.normal_(head.head.out.weight)
    audio = noise(2, 6400, 0.1)
    embedding = encoder(audio, 0.5 * audio)
    made = [heads[0](embedding), heads[1](embedding, torch.rand(2, 3, 4, 25)), heads[2](embedding)]
    sum(x.square().mean() for x in made).backward()
    for name, weight in [*encoder.named_parameters(), *heads.named_parameters()]:
        assert weight.grad is not None, name
        assert weight.grad.any(), name


def test_gains_are_at_their_time_where_modes_describe_more_than_the_recording(encoder):
    head = ModalHead(channels=16, num_bands=48)
    torch.nn.init.normal_(head.head.out.weight)
    model = Blender(modal_synth=ModalSynth(), encoder=encoder, modal_autoencoder=head)
    audio = noise(1, 4800, 0.1)
    modes = Modes(torch.rand(1, 3, 5, 30), 4800 + 2048)  # the analysis hears silence behind a drum
    made = model.encode(audio, modes)["modal"].values
    assert not torch.allclose(made, modes.values)
    assert torch.equal(made, model.encode(F.pad(audio, (0, 2048)), modes)["modal"].values)
