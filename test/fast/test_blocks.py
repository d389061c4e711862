"""Fast blocks against plain ones: values, derivatives, memory, and what may be done to them."""

import copy
import functools
import io
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize
from torch.utils.flop_counter import FlopCounterMode

from drumblender.fast import accelerate
from drumblender.fast.convolution import conv
from drumblender.fast.elu import elu_unit
from drumblender.fast.film import film_block
from drumblender.models import TCN
from drumblender.models.components import Pad
from drumblender.models.soundstream import EncoderBlock, ResidualUnit, SoundStreamEncoder
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
        conv(x, weight, bias, *padding, dilation, 1, False, None),
        F.conv1d(F.pad(x, padding), weight, bias, dilation=dilation),
    ):
        results.append((y, *torch.autograd.grad(y, (x, weight, bias), cotangent)))
    for fast, slow in zip(*results):
        torch.testing.assert_close(fast, slow, atol=1e-10, rtol=0)


def tcn_block(dilation=16, film_batch_norm=True, channels=16, activation="gelu"):
    torch.manual_seed(0)
    shape = channels, channels, 5, dilation
    return TCNBlock(*shape, True, None, activation, True, 4, film_batch_norm, False, 0)


def unit(channels=16):
    torch.manual_seed(0)
    return ResidualUnit(channels, 7, 9, False, None, False)


def modulated_unit():
    torch.manual_seed(0)
    return ResidualUnit(16, 7, 9, False, 4, True)


def encoder_block():
    torch.manual_seed(0)
    return EncoderBlock(16, 7, 2, False, None, False)


def fast(module):
    return accelerate(copy.deepcopy(module))


def results_of(module, dtype=torch.float32, batch=2, length=8000):
    """Output, gradients of input, embedding and every parameter, and buffers, by name."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 16, length, generator=generator)
    embedding = torch.randn(batch, 4, generator=generator)
    module = copy.deepcopy(module).to(dtype)
    x, embedding = (t.to(dtype).requires_grad_() for t in (x, embedding))
    y = module(x, embedding)
    y.backward(torch.randn(y.shape, generator=generator).to(y.dtype))
    named = {"output": y.detach(), "x": x.grad, "embedding": embedding.grad}
    named.update((name, p.grad) for name, p in module.named_parameters())
    named.update(module.named_buffers())
    return {name: value.double() for name, value in named.items() if value is not None}


@functools.lru_cache
def undilated_error():
    """Relative error of the weight's gradient of PyTorch's own convolution without dilation.

    Folded convolutions are such ones. On processors without AVX-512, oneDNN adds their products up
    less exactly than PyTorch does those of dilated ones.
    """
    generator = torch.Generator()
    gradients = []
    for dtype in (torch.float32, torch.float64):
        generator.manual_seed(1)
        x, grad = torch.randn(2, 2, 16, 8000, generator=generator).to(dtype)
        weight = torch.zeros(16, 16, 5, dtype=dtype, requires_grad=True)
        F.conv1d(F.pad(x, (4, 0)), weight).backward(grad)
        gradients.append(weight.grad.double())
    return (gradients[0] - gradients[1]).norm() / gradients[1].norm()


def assert_alike(actual, expected, tolerance=1e-9):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        error = (actual[name] - value).abs().max()
        assert error <= tolerance * value.abs().max() + tolerance, name


MODULES = {
    "tcn": tcn_block,
    "narrow tcn": lambda: tcn_block(2),
    "tcn without norm": lambda: tcn_block(film_batch_norm=False),
    "residual unit": unit,
    "modulated unit": modulated_unit,
    "encoder block": encoder_block,
}


@pytest.fixture(params=MODULES)
def module(request):
    return MODULES[request.param]()


@pytest.mark.parametrize("training", [True, False])
class TestBlocks:
    def test_equal_the_plain_ones_in_float64(self, module, training):
        module.train(training)
        assert_alike(results_of(fast(module), torch.float64), results_of(module, torch.float64))

    def test_are_at_most_twice_as_far_from_the_truth_as_the_plain_ones(self, module, training):
        module.train(training)
        truth, slow = results_of(module, torch.float64), results_of(module)
        quick = results_of(fast(module))
        for name, value in truth.items():
            tiny = 1e-7 * value.norm() + 1e-12
            plain = (slow[name] - value).norm()
            if name.endswith("weight"):
                plain = max(plain, undilated_error() * value.norm())
            assert (quick[name] - value).norm() <= 2 * plain + tiny, name


def test_gradients_of_the_blocks_pass_gradcheck():
    strided = EncoderBlock(2, 3, 2, True, None, False).output
    for module in (tcn_block(4, channels=2), tcn_block(1, channels=2), unit(2), strided):
        module = fast(module).double()
        x = torch.randn(2, 2, 20, dtype=torch.float64, requires_grad=True)
        e = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
        parameters = tuple(module.parameters())

        def call(x, e, *_, module=module):
            return module(x) if isinstance(module, nn.Sequential) else module(x, e)

        assert torch.autograd.gradcheck(call, (x, e, *parameters))


def conv_arguments(t, dilation, stride, elu):
    return t(2, 3, 30), t(4, 3, 5), t(4), 16, 0, dilation, stride, elu, None


def elu_arguments(t):
    return t(2, 3, 30), t(3, 3, 5), t(3), t(3, 3, 1), t(3), 8, 8, 4, None


def film_arguments(t, *statistics):
    tensors = t(2, 3, 30), t(3, 3, 5), t(3), t(2, 3, 1), t(2, 3, 1), t(3, 3, 1), t(3)
    return (*tensors, *statistics, 16, 0, 4, True, 1e-5, torch.float64, False)


OPERATIONS = {
    "convolution": lambda t: (conv, conv_arguments(t, 4, 1, False)),
    "strided convolution and elu": lambda t: (conv, conv_arguments(t, 1, 2, True)),
    "elu unit": lambda t: (elu_unit, elu_arguments(t)),
    "film block, statistics of the batch": lambda t: (film_block, film_arguments(t, None, None)),
    "film block, fixed statistics": lambda t: (
        film_block,
        film_arguments(t, t(1, 3, 1).detach(), t(1, 3, 1).detach().exp()),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_keep_what_they_promise_to_compilers(name):
    """PyTorch's own checks: schema, shapes and strides of the fake, derivatives when traced."""
    torch.manual_seed(0)

    def tensor(*shape):
        return torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    operation, arguments = OPERATIONS[name](tensor)
    torch.library.opcheck(operation, arguments)


def test_a_second_derivative_is_refused_instead_of_wrong():
    module = fast(unit())
    x = torch.randn(1, 16, 100, requires_grad=True)
    (grad,) = torch.autograd.grad(module(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def kept_bytes(function):
    """Bytes of all different tensors that autograd keeps."""
    storages = {}

    def keep(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        result = function()
    del result
    return sum(storages.values())


@pytest.mark.parametrize(
    ("net", "share"),
    [
        (TCN(1, 8, 1, num_layers=8, film_conditioning=True, film_embedding_size=4), 0.5),
        (SoundStreamEncoder(1, 8, 4, strides=[2, 4]), 0.65),
    ],
    ids=["tcn", "encoder"],
)
def test_networks_keep_far_less_than_the_plain_ones_do(net, share):
    x, embedding = torch.randn(1, 1, 20000), torch.randn(1, 4)
    quick = fast(net)
    assert kept_bytes(lambda: quick(x, embedding)) <= share * kept_bytes(lambda: net(x, embedding))


def test_a_frozen_block_passes_gradients_through_and_gets_none():
    module = fast(tcn_block()).requires_grad_(False)
    x = torch.randn(1, 16, 300, requires_grad=True)
    module(x, torch.randn(1, 4)).sum().backward()
    assert x.grad.abs().sum() > 0
    assert all(p.grad is None for p in module.parameters())


@pytest.mark.parametrize("accelerated", [False, True], ids=["plain", "fast"])
@pytest.mark.parametrize("make", [tcn_block, unit])
def test_autocast_computes_in_16_bits_and_stays_near(make, accelerated):
    module = accelerate(make(), accelerated)
    x, embedding = torch.randn(2, 16, 2000), torch.randn(2, 4)
    exact = module(x, embedding)
    with torch.autocast("cpu", torch.bfloat16):
        y = module(x, embedding)
    # Sound goes through a TCN's block, past its convolution; only features go through an encoder's.
    assert y.dtype == torch.float32 or make is unit
    assert 1e-4 * exact.norm() < (y - exact).norm() < 0.02 * exact.norm()
    y.float().square().mean().backward()
    assert all(p.grad.dtype == torch.float32 for p in module.parameters())


def test_an_activation_in_place_may_follow_a_padded_convolution():
    torch.manual_seed(0)
    for dilation in (1, 8):
        conv = nn.Conv1d(2, 3, 5, dilation=dilation)
        net = nn.Sequential(Pad(5, dilation), conv, nn.ReLU(inplace=True))
        x, gradients = torch.randn(1, 2, 64), []
        for model in (net, fast(net)):
            model(x).square().sum().backward()
            gradients.append([p.grad for p in model.parameters()])
        torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)


def networks():
    torch.manual_seed(0)
    tcn = TCN(1, 8, 1, num_layers=4, kernel_size=5, film_conditioning=True, film_embedding_size=4)
    return [tcn, SoundStreamEncoder(1, 4, 6, strides=[2, 4])]


def test_names_and_values_of_tensors_stay_and_only_known_classes_change():
    for net in networks():
        quick = fast(net)
        assert list(quick.state_dict()) == list(net.state_dict())
        changed = {
            type(a).__name__: type(b).__name__
            for a, b in zip(net.modules(), quick.modules())
            if type(a) is not type(b)
        }
        assert set(changed) <= {"TCN", "TCNBlock", "ResidualUnit", "Sequential", "Conv1d"}
        assert all(isinstance(b, type(a)) for a, b in zip(net.modules(), quick.modules()))
        plain = accelerate(quick, enabled=False)
        assert [type(m) for m in plain.modules()] == [type(m) for m in net.modules()]
        assert accelerate(accelerate(plain)) is plain


class Tanh(nn.Module):
    def forward(self, x):
        return torch.tanh(x)


class Lora(nn.Module):
    """A frozen convolution beside a small learned one."""

    def __init__(self, conv):
        super().__init__()
        self.conv = conv.requires_grad_(False)
        self.small = copy.deepcopy(conv).requires_grad_(True)

    def forward(self, x):
        return self.conv(x) + self.small(x)


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


def exchange(parent, name, value):
    if isinstance(parent, nn.Sequential):
        parent[int(name)] = value
    else:
        setattr(parent, name, value)


def exchange_activation(parent, name, layer):
    if isinstance(layer, (nn.ELU, nn.GELU)):
        exchange(parent, name, Tanh())
        return True


def change_alpha(parent, name, layer):
    if isinstance(layer, nn.ELU):
        layer.alpha = 0.5
        return True


def approximate(parent, name, layer):
    if isinstance(layer, nn.GELU):
        layer.approximate = "tanh"
        return True


def adapt(parent, name, layer):
    if isinstance(layer, nn.Conv1d):
        exchange(parent, name, Lora(layer))
        return True


def reparametrize(parent, name, layer):
    if isinstance(layer, nn.Conv1d):
        parametrize.register_parametrization(layer, "weight", Doubled())
        return True


def hook(parent, name, layer):
    if not list(layer.children()):
        layer.register_forward_hook(lambda module, inputs, output: 1.5 * output)
        return True


def hook_before(parent, name, layer):
    if not list(layer.children()):
        layer.register_forward_pre_hook(lambda module, inputs: (0.5 * inputs[0], *inputs[1:]))
        return True


def hook_sequence(parent, name, layer):
    if isinstance(layer, nn.Sequential):
        layer.register_forward_hook(lambda module, inputs, output: 1.5 * output)
        return True


def hook_backward(parent, name, layer):
    if isinstance(layer, nn.Conv1d):
        layer.register_full_backward_hook(lambda module, grads, outer: (2 * grads[0],))
        return True


def replace_forward(parent, name, layer):
    if isinstance(layer, (nn.ELU, nn.GELU)):
        layer.forward = torch.tanh
        return True


def append(parent, name, layer):
    if isinstance(layer, nn.Sequential):
        layer.append(Tanh())
        return True


def change_pad(parent, name, layer):
    if hasattr(layer, "padding") and not isinstance(layer, nn.Conv1d):
        layer.padding = (layer.padding[1], layer.padding[0])
        return True


def change_norm(parent, name, layer):
    if isinstance(layer, nn.BatchNorm1d):
        layer.momentum = None
        return True


SURGERIES = {
    function.__name__: function
    for function in (
        exchange_activation,
        change_alpha,
        approximate,
        adapt,
        reparametrize,
        hook,
        hook_before,
        hook_sequence,
        hook_backward,
        replace_forward,
        append,
        change_pad,
        change_norm,
    )
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("surgery", SURGERIES)
def test_what_is_done_to_any_layer_has_its_effect(surgery, when):
    """Each place where it can be done, alone, before and after the model is accelerated."""
    done = 0
    for make in (tcn_block, unit, encoder_block, modulated_unit):
        places = [
            (path, name)
            for path, parent in make().named_modules()
            for name, _ in parent.named_children()
        ]
        for path, name in places:
            operated = []
            for accelerated in (False, True):
                module = accelerate(make(), accelerated and when == "after")
                torch.manual_seed(3)
                parent = module.get_submodule(path)
                if not SURGERIES[surgery](parent, name, getattr(parent, name)):
                    break
                operated.append(accelerate(module, accelerated))
            if operated:
                plain, quick = (results_of(m, length=200) for m in operated)
                assert_alike(quick, plain, 1e-4)
                done += 1
                with torch.no_grad():
                    x, e = torch.randn(1, 16, 200), torch.randn(1, 4)
                    outputs = [m.eval()(x, e) for m in operated]
                torch.testing.assert_close(*outputs, atol=1e-4, rtol=1e-4)
    assert done


def test_exchanging_an_activation_changes_the_result():
    for net, embedding in zip(networks(), (torch.randn(1, 4), None)):
        quick, x = fast(net), torch.randn(1, 1, 500)
        before = quick(x, embedding)
        for parent in list(quick.modules()):
            for name, layer in list(parent.named_children()):
                exchange_activation(parent, name, layer)
        assert (quick(x, embedding) - before).abs().max() > 1e-3


def test_every_layer_is_called_where_a_hook_listens():
    for net, embedding in zip(networks(), (torch.randn(1, 4), None)):
        quick, heard = fast(net), []
        leaves = {name: m for name, m in quick.named_modules() if not list(m.children())}
        for name, layer in leaves.items():
            layer.register_forward_hook(lambda *_, name=name, heard=heard: heard.append(name))
        quick(torch.randn(1, 1, 100), embedding)
        assert set(heard) == set(leaves)


def test_a_hook_for_all_modules_hears_all_of_them():
    net, heard = fast(networks()[1]), []
    handle = nn.modules.module.register_module_forward_hook(lambda m, *_: heard.append(m))
    try:
        net(torch.randn(1, 1, 100))
    finally:
        handle.remove()
    assert {id(m) for m in net.modules() if type(m) is not nn.ModuleList} == set(map(id, heard))


def test_subclasses_of_blocks_and_layers_are_left_alone():
    class Louder(ResidualUnit):
        def forward(self, x, embedding=None):
            return 2 * super().forward(x, embedding)

    class Softer(nn.ELU):
        def forward(self, x):
            return 0.5 * super().forward(x)

    louder = Louder(4, 3, 1, True, None, False)
    x = torch.randn(1, 4, 50)
    expected = louder(x)
    assert type(accelerate(louder)) is Louder
    torch.testing.assert_close(louder(x), expected)
    softer = unit()
    softer.activation = Softer()
    x = torch.randn(1, 16, 50)
    torch.testing.assert_close(fast(softer)(x), softer(x))


def test_floating_point_operations_are_counted_as_those_of_the_plain_model():
    for net, embedding in zip(networks(), (torch.randn(1, 4), None)):
        counts = []
        for model in (net, fast(net)):
            with FlopCounterMode(display=False) as counter:
                model(torch.randn(1, 1, 400), embedding).sum().backward()
            counts.append(counter.get_total_flops())
        assert counts[0] == counts[1] > 0


@pytest.mark.slow
@pytest.mark.parametrize("training", [True, False])
def test_compiled_networks_compute_the_same_in_one_graph(training):
    for net, embedding in zip(networks(), (torch.randn(2, 4), None)):
        quick = fast(net).train(training)
        compiled = torch.compile(copy.deepcopy(quick), backend="aot_eager", fullgraph=True)
        x = torch.randn(2, 1, 400)
        results = []
        for model in (quick, compiled):
            y = model(x, embedding)
            y.square().sum().backward()
            results.append([y, *(p.grad for p in model.parameters()), *model.buffers()])
        for a, b in zip(*results):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
        torch.compiler.reset()


def operations_of(program):
    return {str(node.target) for node in program.graph.nodes if node.op == "call_function"}


@pytest.mark.parametrize("with_gradient", [True, False])
def test_exported_networks_carry_the_fast_operations(with_gradient):
    for net, embedding in zip(networks(), (torch.randn(2, 4), None)):
        quick, x = fast(net).eval(), torch.randn(2, 1, 400)
        with torch.set_grad_enabled(with_gradient):
            program = torch.export.export(quick, (x, embedding))
            assert any(name.startswith("drumblender.") for name in operations_of(program))
            torch.testing.assert_close(
                program.module()(x, embedding), quick(x, embedding), atol=1e-5, rtol=1e-5
            )


def test_copies_and_files_of_accelerated_models_compute_the_same():
    for net, embedding in zip(networks(), (torch.randn(2, 4), None)):
        quick, x = fast(net).eval(), torch.randn(2, 1, 400)
        file = io.BytesIO()
        torch.save(quick, file)
        file.seek(0)
        copies = copy.deepcopy(quick), pickle.loads(pickle.dumps(quick))
        for other in (*copies, torch.load(file, weights_only=False)):
            assert [type(m) for m in other.modules()] == [type(m) for m in quick.modules()]
            assert torch.equal(other(x, embedding), quick(x, embedding))
        net.load_state_dict(quick.state_dict())


def test_distributed_and_synchronized_models_compute_the_same(tmp_path):
    net, x, embedding = networks()[0], torch.randn(2, 1, 400), torch.randn(2, 4)
    expected = net(x, embedding)
    store = f"file://{tmp_path}/store"
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(fast(net))
        torch.testing.assert_close(wrapped(x, embedding), expected, atol=1e-5, rtol=1e-5)
        wrapped(x, embedding).sum().backward()
        assert all(p.grad is not None for p in wrapped.parameters())
    finally:
        torch.distributed.destroy_process_group()
    synchronized = nn.SyncBatchNorm.convert_sync_batchnorm(fast(net)).eval()
    torch.testing.assert_close(
        synchronized(x, embedding), net.eval()(x, embedding), atol=1e-5, rtol=1e-5
    )


def test_a_signal_without_a_batch_is_left_to_the_plain_layers():
    x = torch.randn(16, 100)
    torch.testing.assert_close(fast(unit())(x), unit()(x))
