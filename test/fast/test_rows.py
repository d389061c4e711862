import pytest
import torch
import torch.nn.functional as F

from drumblender.fast import accelerate, rows
from drumblender.fast.convolution import conv
from drumblender.fast.elu import elu_unit
from drumblender.fast.film import film_block
from drumblender.models import TCN
from drumblender.models.soundstream import SoundStreamEncoder

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="hardware: no oneDNN"
)


def tcn(**options):
    options = {"film_conditioning": True, "film_embedding_size": 4, "kernel_size": 5, **options}
    return TCN(1, 8, 1, num_layers=5, **options)


def encoder(**options):
    return SoundStreamEncoder(1, 8, 12, strides=[2, 4, 8], **options)


NETWORKS = {
    "tcn": lambda: tcn(),
    "tcn without norm": lambda: tcn(film_batch_norm=False),
    "tcn that is not causal": lambda: tcn(causal=False),
    "gated tcn": lambda: tcn(activation="gated"),
    "encoder": lambda: encoder(),
    "causal encoder": lambda: encoder(causal=True),
    "modulated encoder": lambda: encoder(film_conditioning=True, film_embedding_size=4),
}


@pytest.fixture(params=NETWORKS)
def network(request):
    torch.manual_seed(0)
    network = accelerate(NETWORKS[request.param]().eval())
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return network


def played(network, batch=3, length=1000, dtype=torch.float32):
    """What a network gives fast without a gradient, and plainly with one."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 1, length, generator=generator).to(dtype)
    embedding = torch.randn(batch, 4, generator=generator).to(dtype)
    network = network.to(dtype)
    with torch.no_grad():
        fast = network(x, embedding)
    slow = accelerate(network, enabled=False)(x, embedding).detach()
    accelerate(network)
    network.float()
    return fast, slow


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("length", [64, 1000, 4099])
def test_networks_give_the_same_without_a_gradient(network, batch, length):
    fast, slow = played(network, batch, length)
    torch.testing.assert_close(fast, slow, atol=1e-5 * float(slow.abs().max()), rtol=0)


def test_they_are_as_near_to_the_truth_as_with_a_gradient(network):
    truth, _ = played(network, dtype=torch.float64)
    fast, slow = ((y.double() - truth).norm() / truth.norm() for y in played(network))
    assert fast < 4 * slow
    assert fast < 2e-6


def test_channels_lie_side_by_side_from_block_to_block():
    x = torch.randn(1, 8, 500)
    block = accelerate(encoder()).encoder_blocks[0]
    assert block(x).stride() != (8, 1, 16)
    with torch.inference_mode():
        assert block(x).stride()[1:] == (1, 16)


def test_autocast_rounds_no_more_than_with_a_gradient(network):
    exact, _ = played(network)
    with torch.autocast("cpu", torch.bfloat16):
        fast, slow = ((y.float() - exact).norm() / exact.norm() for y in played(network))
    assert 1e-4 < fast < 1.2 * slow


def test_elu_is_that_of_pytorch():
    x = torch.cat([torch.linspace(-90, 5, 100_001), torch.tensor([0.0, -0.0, 1e30, -torch.inf])])
    x = torch.cat([x, torch.logspace(-30, 1, 1000), -torch.logspace(-30, 1, 1000)])
    ours = rows.elu_(x.clone())
    torch.testing.assert_close(ours.double(), F.elu(x.double()), atol=2e-7, rtol=1e-6)
    assert rows.elu_(torch.tensor([torch.nan])).isnan()


def unit_arguments(t):
    return t(2, 3, 30), t(3, 3, 5), t(3), t(3, 3, 1), t(3), 8, 8, 4, torch.float32


def film_arguments(t, *statistics):
    tensors = t(2, 3, 30), t(3, 3, 5), t(3), t(2, 3, 1), t(2, 3, 1), t(3, 3, 1), t(3)
    normalize = statistics[0] is not None
    return (*tensors, *statistics, 16, 0, 4, normalize, 1e-5, torch.float32, True)


def conv_arguments(t, channels=3, kernel_size=5, dilation=4, stride=1, elu=False):
    tensors = t(2, channels, 30), t(4, channels, kernel_size), None if stride > 1 else t(4)
    return *tensors, 8, 8, dilation, stride, elu, torch.float32


OPERATIONS = {
    "convolution": lambda t: (conv, conv_arguments(t)),
    "convolution and elu": lambda t: (conv, conv_arguments(t, elu=True)),
    "strided": lambda t: (conv, conv_arguments(t, 3, 6, 1, 3)),
    "one channel": lambda t: (conv, conv_arguments(t, 1, 7, 1)),
    "elu unit": lambda t: (elu_unit, unit_arguments(t)),
    "film block": lambda t: (film_block, film_arguments(t, None, None)),
    "film block, fixed statistics": lambda t: (
        film_block,
        film_arguments(t, t(1, 3, 1), t(1, 3, 1).exp()),
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_keep_what_they_promise_to_compilers(name):
    torch.manual_seed(0)
    operation, arguments = OPERATIONS[name](torch.randn)
    torch.library.opcheck(operation, arguments)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_derivative_is_refused_instead_of_wrong(name):
    operation, (x, *rest) = OPERATIONS[name](torch.randn)
    result = operation(x.requires_grad_(), *rest)
    y = result if isinstance(result, torch.Tensor) else result[0]
    with pytest.raises(RuntimeError, match="without a derivative"):
        y.sum().backward()
