"""Whole models, accelerated: compiled, exported, adapted and measured as plain ones can be."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from drumblender.fast import accelerate
from drumblender.models.encoders import ModalAmpParameters
from drumblender.models.soundstream import SoundStreamAttentionEncoder, SoundStreamEncoder
from drumblender.synths import ModalSynth, NoiseGenerator, TransientTCN
from drumblender.tasks import Blender


@pytest.fixture
def model():
    """A small model of all three parts, with networks that learn for each of them."""
    torch.manual_seed(0)
    return Blender(
        ModalSynth(),
        noise_synth=NoiseGenerator(64),
        transient_synth=TransientTCN(
            1, 8, 1, num_layers=4, kernel_size=5, film_conditioning=True, film_embedding_size=8
        ),
        modal_autoencoder=ModalAmpParameters(6),
        noise_autoencoder=SoundStreamEncoder(1, 4, 12, strides=[4, 8], transpose_output=True),
        transient_autoencoder=SoundStreamAttentionEncoder(1, 4, 8, strides=[4, 8]),
    )


@pytest.fixture
def inputs():
    torch.manual_seed(1)
    return torch.randn(2, 1, 640), torch.rand(2, 3, 6, 11)


def step(function, model, inputs):
    """Output and gradients of all weights; the noise is the same each time."""
    torch.manual_seed(2)
    model.zero_grad()
    y = function(*inputs)
    y.square().sum().backward()
    return [y.detach(), *(p.grad.clone() for p in model.parameters() if p.requires_grad)]


def assert_alike(actual, expected):
    # A gradient that batch statistics take away is rounding in a plain model.
    scale = max(float(b.abs().max()) for b in expected)
    for a, b in zip(actual, expected):
        torch.testing.assert_close(a, b, atol=1e-5 * scale, rtol=1e-4)


@pytest.mark.slow
def test_a_compiled_model_has_the_gradients_of_the_plain_one_in_one_graph(model, inputs):
    expected = step(model, model, inputs)
    quick = accelerate(copy.deepcopy(model))
    compiled = torch.compile(quick, backend="aot_eager", fullgraph=True)
    assert_alike(step(compiled, quick, inputs), expected)
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.parametrize("with_gradient", [True, False])
def test_an_exported_model_carries_the_fast_operations_and_computes_the_same(
    with_gradient, model, inputs
):
    quick = accelerate(model.eval())
    with torch.set_grad_enabled(with_gradient):
        program = torch.export.export(quick, inputs)
        operations = {
            str(node.target)
            for module in program.graph_module.modules()
            for node in getattr(module, "graph", torch.fx.Graph()).nodes
        }
        results = []
        for function in (quick, program.module()):
            torch.manual_seed(2)
            results.append(function(*inputs))
    names = ("bank", "conv", "elu_unit", "film_block")
    assert {f"drumblender.{name}.default" for name in names} <= operations
    torch.testing.assert_close(*results, atol=1e-5, rtol=1e-5)
    assert torch.isfinite(program.module()(*inputs)).all()  # whoever calls it, and however


class LowRank(nn.Module):
    """A frozen convolution and a learned one of rank one beside it (LoRA, Hu et al. 2021)."""

    def __init__(self, conv):
        super().__init__()
        self.conv = conv
        self.down = nn.Conv1d(
            conv.in_channels, 1, conv.kernel_size, conv.stride, dilation=conv.dilation, bias=False
        )
        self.up = nn.Conv1d(1, conv.out_channels, 1, bias=False)

    def forward(self, x):
        return self.conv(x) + self.up(self.down(x))


def test_low_rank_adapters_learn_alike_in_fast_and_plain_models(model, inputs):
    model.requires_grad_(False)
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is nn.Conv1d:
                setattr(parent, name, LowRank(layer))
    quick = accelerate(copy.deepcopy(model))
    expected = step(model, model, inputs)
    assert all(gradient.abs().sum() > 0 for gradient in expected)
    assert_alike(step(quick, quick, inputs), expected)


def test_adapters_may_come_after_the_model_is_accelerated(model, inputs):
    adapted = []
    for first in (False, True):
        torch.manual_seed(3)
        network = accelerate(copy.deepcopy(model), first)
        for parent in list(network.modules()):
            for name, layer in list(parent.named_children()):
                if isinstance(layer, nn.Conv1d):
                    setattr(parent, name, LowRank(layer))
        adapted.append(step(network, network, inputs))
    assert_alike(*adapted)


def test_the_operations_of_a_model_are_counted_as_those_of_the_plain_one(model, inputs):
    counts = []
    for network in (model, accelerate(copy.deepcopy(model))):
        with FlopCounterMode(display=False) as counter:
            network(*inputs).sum().backward()
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


def test_a_hook_hears_what_each_layer_gives(model, inputs):
    """Feature extraction: what hooks see is the same, layer by layer."""
    seen = []
    for network in (model, accelerate(copy.deepcopy(model))):
        heard = {}
        for name, layer in network.named_modules():
            if not list(layer.children()) and name:
                layer.register_forward_hook(
                    lambda _, __, output, name=name, heard=heard: heard.update({name: output})
                )
        torch.manual_seed(2)
        network(*inputs)
        seen.append(heard)
    plain, quick = seen
    assert plain.keys() == quick.keys()
    for name, output in plain.items():
        if isinstance(output, torch.Tensor):
            torch.testing.assert_close(quick[name], output, atol=1e-4, rtol=1e-4)
