import copy

import plain
import pytest
import torch
import torch.nn.functional as F

from drumblender.models import TCN
from drumblender.models.fused import conv1d
from drumblender.models.soundstream import ResidualUnit
from drumblender.models.tcn import TCNBlock


@pytest.mark.parametrize("dilation", [1, 2, 3, 4, 7, 64, 128])
@pytest.mark.parametrize("causal", [True, False])
def test_convolution_equals_the_plain_one_with_its_gradients(dilation, causal):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 700, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 3, 5, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, dtype=torch.float64, requires_grad=True)
    padding = (4 * dilation, 0) if causal else (2 * dilation, 2 * dilation)
    cotangent = torch.randn(2, 4, 700, dtype=torch.float64)
    results = []
    for y in (
        conv1d(x, weight, bias, dilation, padding),
        F.conv1d(F.pad(x, padding), weight, bias, dilation=dilation),
    ):
        results.append((y, *torch.autograd.grad(y, (x, weight, bias), cotangent)))
    for fast, slow in zip(*results):
        torch.testing.assert_close(fast, slow, atol=1e-10, rtol=0)


def tcn_block(dilation=16, film_batch_norm=True, channels=16):
    torch.manual_seed(0)
    shape = channels, channels, 5, dilation
    return TCNBlock(*shape, True, None, "gelu", True, 4, film_batch_norm, False, 0)


def unit(channels=16):
    torch.manual_seed(0)
    return ResidualUnit(channels, 7, 9, False, None, False)


def results_of(module, dtype, batch=2, length=8000):
    """Output and the gradients of input, embedding and every parameter, for a fixed cotangent."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 16, length, generator=generator)
    embedding = torch.randn(batch, 4, generator=generator)
    cotangent = torch.randn(batch, 16, length, generator=generator)
    module = copy.deepcopy(module).to(dtype)
    x, embedding = (t.to(dtype).requires_grad_() for t in (x, embedding))
    y = module(x, embedding)
    y.backward(cotangent.to(dtype))
    named = {"output": y.detach(), "x": x.grad, "embedding": embedding.grad}
    named.update((name, p.grad) for name, p in module.named_parameters())
    named.update(module.named_buffers())
    return {name: value.double() for name, value in named.items() if value is not None}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "module",
    [tcn_block(), tcn_block(2), tcn_block(film_batch_norm=False), unit()],
    ids=["tcn", "narrow tcn", "tcn without norm", "residual unit"],
)
class TestBlocks:
    def test_equal_the_plain_ones_in_float64(self, module, training):
        module.train(training)
        fast = results_of(module, torch.float64)
        with plain.plain():
            slow = results_of(module, torch.float64)
        assert fast.keys() == slow.keys()
        for name in slow:
            torch.testing.assert_close(fast[name], slow[name], atol=1e-9, rtol=1e-9, msg=name)

    def test_are_at_most_twice_as_far_from_the_truth_as_the_plain_ones(self, module, training):
        module.train(training)
        fast = results_of(module, torch.float32)
        with plain.plain():
            slow = results_of(module, torch.float32)
            truth = results_of(module, torch.float64)
        for name, value in truth.items():
            tiny = 1e-7 * value.norm() + 1e-12
            assert (fast[name] - value).norm() <= 2 * (slow[name] - value).norm() + tiny, name


def test_gradients_of_the_blocks_pass_gradcheck():
    for module in (tcn_block(4, channels=2), tcn_block(1, channels=2), unit(2)):
        module = module.double()
        x = torch.randn(2, 2, 20, dtype=torch.float64, requires_grad=True)
        e = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
        parameters = tuple(module.parameters())

        def call(x, e, *_, module=module):
            return module(x, e)

        assert torch.autograd.gradcheck(call, (x, e, *parameters))


def kept_bytes(function):
    """Bytes of all different tensors that autograd keeps, what is passed in aside."""
    storages = {}

    def keep(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        result = function()
    del result
    return sum(storages.values())


def test_a_tcn_keeps_at_most_half_of_what_the_plain_one_does():
    net = TCN(1, 8, 1, num_layers=8, film_conditioning=True, film_embedding_size=4)
    x, embedding = torch.randn(1, 1, 20000), torch.randn(1, 4)
    fast = kept_bytes(lambda: net(x, embedding))
    with plain.plain():
        slow = kept_bytes(lambda: net(x, embedding))
    assert fast <= 0.5 * slow


def test_a_frozen_block_passes_gradients_through_and_gets_none():
    module = tcn_block().requires_grad_(False)
    x = torch.randn(1, 16, 300, requires_grad=True)
    module(x, torch.randn(1, 4)).sum().backward()
    assert x.grad.abs().sum() > 0
    assert all(p.grad is None for p in module.parameters())


@pytest.mark.parametrize(("make", "dtype"), [(tcn_block, torch.float32), (unit, torch.bfloat16)])
def test_autocast_computes_in_16_bits_and_stays_near(make, dtype):
    module = make()
    x, embedding = torch.randn(2, 16, 2000), torch.randn(2, 4)
    exact = module(x, embedding)
    with torch.autocast("cpu", torch.bfloat16):
        y = module(x, embedding)
    # Sound goes through a TCN's block, past its convolution; only features go through an encoder's.
    assert y.dtype == dtype
    assert 1e-4 * exact.norm() < (y - exact).norm() < 0.02 * exact.norm()
    y.float().square().mean().backward()
    assert all(p.grad.dtype == torch.float32 for p in module.parameters())
