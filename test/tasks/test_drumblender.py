import functools
import itertools

import pytest
import torch
from auraloss.freq import MultiResolutionSTFTLoss
from torch import nn
from torchmetrics import MeanSquaredError, MetricCollection

from drumblender.data import Augmentation
from drumblender.errors import UsageError
from drumblender.loss import NoiseLevelLoss, PartLoss
from drumblender.models.encoders import DummyParameterEncoder, ModalAmpParameters
from drumblender.models.soundstream import SoundStreamAttentionEncoder, SoundStreamEncoder
from drumblender.parameters import Modes, map_tensors, tensors_of
from drumblender.signal import mix
from drumblender.signal.auditory import noise_levels
from drumblender.synths import ModalSynth, NoiseGenerator, TransientTCN
from drumblender.tasks import DrumBlender

N = 1024


def encoder(cls, size):
    return cls(1, 2, size, strides=[4, 4], **({} if "Att" in cls.__name__ else TRANSPOSED))


TRANSPOSED = {"transpose_output": True}


def model(noise=True, transient=True, **kwargs):
    torch.manual_seed(0)
    parts = {}
    if noise:
        parts.update(
            noise_synth=NoiseGenerator(32),
            noise_autoencoder=encoder(SoundStreamEncoder, 17),
            noise_autoencoder_accepts_audio=True,
        )
    if transient:
        parts.update(
            transient_synth=TransientTCN(
                1, 4, 1, num_layers=2, kernel_size=3, film_conditioning=True, film_embedding_size=6
            ),
            transient_autoencoder=encoder(SoundStreamAttentionEncoder, 6),
            transient_autoencoder_accepts_audio=True,
        )
    return DrumBlender(ModalSynth(), nn.L1Loss(), **{**parts, **kwargs}).eval()


def described(net, batch):
    """The parameters that a model predicts of a batch."""
    audio, params = batch
    return net.encode(audio, Modes(params, audio.shape[-1]))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    params = torch.rand(2, 3, 4, 9, generator=generator)
    params *= torch.tensor([1.0, 0.1, 3.0])[:, None, None]
    return torch.randn(2, 1, N, generator=generator) * 0.1, params


def test_the_four_wirings_of_the_transient_are_what_the_table_says(batch):
    audio, params = batch
    for takes_noise, parallel in itertools.product([False, True], repeat=2):
        net = model(transient_takes_noise=takes_noise, transient_parallel=parallel)
        with torch.no_grad():
            parameters = net.encode(audio, Modes(params, N))
            stems = net.synthesize(parameters, N, generator=torch.Generator().manual_seed(1))
            m, n = stems["modal"], stems["noise"]
            fed = m + n if takes_noise else m
            transformed = net.transient_synth(fed, parameters["transient"])
            expected = transformed
            if parallel:
                expected = m + n + transformed
            elif not takes_noise:
                expected = transformed + n
        torch.testing.assert_close(mix(stems), expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(m, net.modal_synth(params, N))
        assert n.abs().max() > 0


def test_without_noise_and_transient_the_sinusoids_remain(batch):
    audio, params = batch
    net = model(noise=False, transient=False)
    assert torch.equal(net(audio, params), ModalSynth()(params, N))


def test_each_part_can_come_from_another_recording(batch):
    audio, params = batch
    net = model()
    with torch.no_grad():
        both = net.encode(audio, Modes(params, N))
        first, second = (
            {name: map_tensors(lambda x, row=row: x[row], value) for name, value in both.items()}
            for row in (slice(1), slice(1, 2))
        )
        generator = torch.Generator().manual_seed(0)
        stems = net.synthesize({**first, "noise": second["noise"]}, N, generator)
        generator = torch.Generator().manual_seed(0)
        noise = net.noise_synth(both["noise"].amplitudes[1:], N, generator=generator)
    assert torch.equal(stems["noise"], noise)
    assert torch.equal(stems["modal"], ModalSynth()(params[:1], N))


def test_a_generator_makes_the_whole_repeatable(batch):
    net = model()
    parameters = described(net, batch)
    first, second = (
        mix(net.synthesize(parameters, N, torch.Generator().manual_seed(3))) for _ in range(2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(mix(net.synthesize(parameters, N)), first)


def test_a_shared_encoder_feeds_those_that_do_not_take_audio(batch):
    shared = DummyParameterEncoder([6])
    net = model(
        noise=False,
        encoder=shared,
        transient_autoencoder=nn.Linear(6, 6),
        transient_autoencoder_accepts_audio=False,
    )
    expected = net.transient_autoencoder(shared(batch[0]))
    assert torch.equal(described(net, batch)["transient"], expected)


class WithLatent(nn.Module):
    """An encoder that gives (output, latent)."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, *inputs):
        output = self.net(*inputs)
        return output, output.mean()


def test_encoders_may_give_an_output_and_a_latent(batch):
    gains = ModalAmpParameters(4, ones=False)
    nets = {
        "modal_autoencoder": gains,
        "noise_autoencoder": encoder(SoundStreamEncoder, 17),
        "transient_autoencoder": nn.Linear(6, 6),
        "encoder": DummyParameterEncoder([6]),
    }
    options = {"transient_autoencoder_accepts_audio": False}
    usual = model(**nets, **options)
    other = model(**{name: WithLatent(net) for name, net in nets.items()}, **options)
    other.transient_synth.load_state_dict(usual.transient_synth.state_dict())
    expected, actual = described(usual, batch), described(other, batch)
    for name in ("modal", "noise", "transient"):
        (one,), (another,) = tensors_of(expected[name]), tensors_of(actual[name])
        assert torch.equal(one, another)


class Bare(nn.Module):
    """A noise synth that takes bands only, and draws as it likes."""

    def forward(self, bands):
        return torch.rand(len(bands), 1, bands.shape[1] * 16)


class Long(nn.Module):
    def forward(self, bands, num_samples):
        return torch.rand(len(bands), 1, num_samples)


class Keyword(nn.Module):
    def forward(self, bands, num_samples, **options):
        return NoiseGenerator(32)(bands, num_samples, **options)


@pytest.mark.parametrize(("synth", "repeats"), [(Bare, False), (Long, False), (Keyword, True)])
def test_a_noise_synth_need_take_neither_length_nor_generator(synth, repeats, batch):
    net = model(noise_synth=synth())
    assert net.is_repeatable == repeats
    parameters = described(net, batch)

    def draw(generator):
        return net.synthesize(parameters, N + 5, generator)["noise"]

    seeded = [draw([torch.Generator().manual_seed(seed) for seed in (1, 2)]) for _ in range(2)]
    for noise in (draw(None), draw(torch.Generator()), *seeded):
        assert noise.shape == (2, 1, N + 5)
    assert torch.equal(*seeded) == repeats


def test_modal_gains_change_the_sinusoids(batch):
    audio, params = batch
    gains = ModalAmpParameters(4)
    nn.init.constant_(gains.amp_params, 0.5)
    net = model(noise=False, transient=False, modal_autoencoder=gains)
    torch.testing.assert_close(net(audio, params), 0.5 * ModalSynth()(params, N))


def test_every_parameter_receives_a_gradient(batch):
    net = model(modal_autoencoder=ModalAmpParameters(4)).train()
    # A query of zero attends evenly, whatever the keys are; let it look somewhere.
    nn.init.normal_(net.transient_autoencoder.pooling.query)
    torch.nn.functional.mse_loss(net(*batch), batch[0]).backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    # A batch norm takes the bias of the convolution before it away.
    assert all(name.startswith("transient_synth.tcn.net") for name in silent)
    assert all(name.endswith("net.1.bias") for name in silent)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"noise": False, "noise_synth": NoiseGenerator(32)}, "need each other"),
        ({"transient_synth": None}, "no transient_synth"),
        ({"noise": False, "transient_takes_noise": True}, "transient_takes_noise needs"),
        ({"float32_matmul_precision": "low"}, "'low' is not one of"),
    ],
)
def test_a_wiring_that_cannot_work_is_refused(kwargs, message):
    with pytest.raises(UsageError, match=message):
        model(**kwargs)


def test_metrics_see_the_resynthesis_and_the_target(batch):
    metrics = MetricCollection({"mse": MeanSquaredError()})
    net = model(noise=False, test_metrics=metrics)
    net.log = net.log_dict = lambda *args, **kwargs: None  # no trainer is attached
    with torch.no_grad():
        outputs = net.test_step(batch, 0)
    expected = (outputs["resynthesis"] - batch[0]).square().mean()
    torch.testing.assert_close(metrics.compute()["mse"], expected)


def measured(batch):
    """What a dataset might hold of the noise and the transient of a batch."""
    generator = torch.Generator().manual_seed(5)
    transient = torch.randn(2, 1, N, generator=generator) * 0.01
    return {"noise": noise_levels(0.1 * transient[:, 0], 8000), "transient": transient}


def logging(net):
    """A network that logs without a trainer, and what it has logged."""
    logged = {}
    net.log = lambda name, value, **kwargs: logged.update({name: float(value.detach())})
    net.log_dict = lambda values, **kwargs: logged.update(
        {name: float(value.detach()) for name, value in values.items()}
    )
    return net, logged


def test_each_part_has_a_loss_of_its_own(batch):
    parts = {
        "noise": PartLoss(NoiseLevelLoss(8000), 0.1),
        "transient": PartLoss(nn.MSELoss(), 10.0),
    }
    net, logged = logging(model(part_losses=parts))
    with torch.no_grad():
        torch.manual_seed(0)
        outputs = net._step((*batch, measured(batch)), "train")
        torch.manual_seed(0)
        stems = net.synthesize(described(net, batch), N)
    whole = nn.functional.l1_loss(mix(stems), batch[0])
    noise = NoiseLevelLoss(8000)(stems["noise"], measured(batch)["noise"])
    transient = (stems["transient"] - measured(batch)["transient"]).square().mean()
    torch.testing.assert_close(outputs["loss"], whole + 0.1 * noise + 10 * transient)
    torch.testing.assert_close(outputs["resynthesis"], mix(stems))
    assert logged == pytest.approx(
        {
            "train/loss": float(outputs["loss"]),
            "train/loss_resynthesis": float(whole),
            "train/loss_noise": float(noise),
            "train/loss_transient": float(transient),
        },
        rel=1e-5,
    )


def test_the_test_hears_the_whole_sound_only(batch):
    net, logged = logging(model(part_losses={"transient": PartLoss(nn.MSELoss(), 10.0)}))
    with torch.no_grad():
        outputs = net.test_step(batch, 0)
    expected = nn.functional.l1_loss(outputs["resynthesis"], batch[0])
    assert logged == {"test/loss": pytest.approx(float(expected))}


def test_measured_parts_change_nothing_where_no_part_has_a_loss(batch):
    losses = []
    for given in (batch, (*batch, measured(batch))):
        net, logged = logging(model())
        torch.manual_seed(0)
        losses.append(net._step(given, "train")["loss"])
        assert list(logged) == ["train/loss"]
    assert torch.equal(*losses)


def test_a_loss_of_the_modes_compares_them_with_the_measured_ones(batch):
    gains = ModalAmpParameters(4)
    parts = {"modal": PartLoss(nn.MSELoss())}
    net, logged = logging(
        model(noise=False, transient=False, modal_autoencoder=gains, part_losses=parts)
    )
    with torch.no_grad():
        net._step(batch, "train")
        assert logged["train/loss_modal"] == 0
        gains.amp_params.mul_(2)
        net._step(batch, "train")
        energy = ModalSynth()(batch[1], N).square().mean()
    assert logged["train/loss_modal"] == pytest.approx(float(energy), rel=1e-4)


def test_a_part_may_learn_the_rest_of_augmented_recordings(batch):
    parts = {"transient": PartLoss(nn.MSELoss(), 10.0, target="rest")}
    augmentation = Augmentation(gain_db=6.0)
    net, logged = logging(model(part_losses=parts, augmentation=augmentation))
    with torch.no_grad():
        torch.manual_seed(0)
        net._step(batch, "train")
        torch.manual_seed(0)
        stems = net.synthesize(described(net, batch), N)
    rest = batch[0] - ModalSynth()(batch[1], N)
    expected = (stems["transient"] - rest).square().mean()
    assert logged["train/loss_transient"] == pytest.approx(float(expected), rel=1e-5)


def test_a_measured_part_beside_augmentation_and_an_unknown_target_are_refused():
    parts = {"transient": PartLoss(nn.MSELoss())}
    with pytest.raises(UsageError, match="set its target to rest, or leave out part_losses"):
        model(part_losses=parts, augmentation=Augmentation())
    with pytest.raises(UsageError, match="'remains'; choose measured or rest"):
        PartLoss(nn.MSELoss(), target="remains")


@pytest.mark.parametrize(
    ("name", "message"),
    [("nosie", "did you mean noise"), ("modal", "measured and not learned; leave it out")],
)
def test_a_loss_for_a_part_that_cannot_learn_is_refused(name, message):
    with pytest.raises(UsageError, match=message):
        model(part_losses={name: PartLoss(nn.MSELoss())})


def test_a_batch_without_what_was_measured_is_refused_with_the_remedy(batch):
    net, _ = logging(model(part_losses={"noise": PartLoss(NoiseLevelLoss(8000))}))
    with pytest.raises(UsageError, match=r"dataset_class to drumblender.data.AudioWithPartsData"):
        net._step(batch, "train")


@pytest.mark.parametrize("silent", ["target", "parameters", "both"])
def test_silence_in_training_leaves_every_gradient_finite(silent, batch):
    audio, params = batch
    if silent != "parameters":
        audio = torch.zeros_like(audio)
    if silent != "target":
        params = torch.zeros_like(params)
    net = model(modal_autoencoder=ModalAmpParameters(4)).train()
    loss = MultiResolutionSTFTLoss([256, 512], [64, 128], [256, 512])
    loss(net(audio, params), audio).backward()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)


def losses_and_gradients(net, batch):
    torch.manual_seed(0)
    audio, params = batch
    loss = torch.nn.functional.mse_loss(net.train()(audio, params).float(), audio)
    loss.backward()
    return {"loss": loss.detach(), **{name: p.grad for name, p in net.named_parameters()}}


def test_activation_checkpointing_changes_memory_and_nothing_else(batch):
    def kept(net):
        total = 0

        def count(tensor):
            nonlocal total
            total += tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda x: x):
            net.noise_autoencoder.train()(batch[0])
        return total

    usual, saving = model(), model(activation_checkpointing=True)
    assert kept(saving) < 0.5 * kept(usual)
    expected, actual = losses_and_gradients(usual, batch), losses_and_gradients(saving, batch)
    for name in expected:
        torch.testing.assert_close(actual[name], expected[name], rtol=0, atol=0)


@pytest.mark.slow
def test_a_compiled_model_computes_the_same_and_keeps_its_names(batch, monkeypatch):
    # Everything but the C++ compiler, which takes minutes for a model this small.
    compile_fast = functools.partialmethod(nn.Module.compile, backend="aot_eager")
    monkeypatch.setattr(nn.Module, "compile", compile_fast)
    usual, compiled = model(), model(compile=True)
    assert compiled.state_dict().keys() == usual.state_dict().keys()
    expected, actual = losses_and_gradients(usual, batch), losses_and_gradients(compiled, batch)
    for name in expected:
        torch.testing.assert_close(actual[name], expected[name], rtol=1e-3, atol=1e-6)


def test_autocast_leaves_sinusoids_noise_and_loss_in_float32(batch):
    net = model()
    _, params = batch
    with torch.autocast("cpu", torch.bfloat16):
        parameters = described(net, batch)
        stems = net.synthesize(parameters, N)
        bands = parameters["noise"].amplitudes
        assert bands.dtype == torch.bfloat16
        assert torch.equal(stems["modal"], ModalSynth()(params, N))
    assert {stem.dtype for stem in stems.values()} == {torch.float32}
    exact = described(net, batch)["noise"].amplitudes
    assert (bands - exact).norm() < 0.05 * exact.norm()
