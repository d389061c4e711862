"""The bank of sinusoids as an operation; what it sounds like is in test_modal.py."""

import importlib.util
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from drumblender.signal.plain import plain_operations
from drumblender.synths import ModalSynth, modal_synth
from drumblender.synths.bank import bank, bank_backward


def arguments(dtype=torch.float64, requires_grad=True, highest=1.0):
    """Frequencies, amplitudes and phases of two banks of three modes on five frames."""
    generator = torch.Generator().manual_seed(0)
    shapes = (2, 3, 5), (2, 3, 5), (2, 3, 1)
    tensors = [torch.rand(shape, dtype=dtype, generator=generator) for shape in shapes]
    tensors[0] = highest * tensors[0]
    return [tensor.requires_grad_(requires_grad) for tensor in tensors]


@pytest.mark.parametrize("with_phase", [True, False])
def test_it_keeps_what_it_promises_to_compilers(with_phase):
    """PyTorch's own checks: schema, shapes and strides of the fake, derivatives when traced."""
    freqs, amps, phase = arguments()
    phase = phase if with_phase else None
    torch.library.opcheck(bank, (freqs, amps, phase, 43))
    inputs = [None if x is None else x.detach() for x in (freqs, amps, phase)]
    for needed in ((True, True), (False, True), (True, False)):
        torch.library.opcheck(
            bank_backward, (torch.rand(2, 43, dtype=torch.float64), *inputs, *needed)
        )


@pytest.mark.parametrize("which", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2)])
def test_gradients_do_not_depend_on_which_of_them_are_wanted(which):
    whole, part = arguments(), arguments(requires_grad=False)
    for index in which:
        part[index].requires_grad_()
    cotangent = torch.randn(2, 43, dtype=torch.float64)
    for tensors in (whole, part):
        bank(*tensors, 43).backward(cotangent)
    for index, (expected, actual) in enumerate(zip(whole, part)):
        if index in which:
            torch.testing.assert_close(actual.grad, expected.grad)
        else:
            assert actual.grad is None


def test_a_second_derivative_is_refused_instead_of_wrong():
    freqs, amps, phase = arguments()
    (grad,) = torch.autograd.grad(bank(freqs, amps, phase, 43).sum(), freqs, create_graph=True)
    with pytest.raises(RuntimeError, match="no autograd formula"):
        grad.sum().backward()


class Learned(nn.Module):
    """A synthesizer that learns a gain of each mode, as a model with a modal encoder does."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.rand(3, 1))
        self.synth = ModalSynth()

    def forward(self, params):
        frequency, amplitude, phase = params.unbind(1)
        params = torch.stack([frequency, self.gain * amplitude, phase], dim=1)
        return torch.tanh(self.synth(params, 500))


def test_a_compiled_synthesizer_has_the_same_gradients_in_one_graph():
    model, params = Learned(), torch.rand(2, 3, 3, 7)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    results = []
    for function in (model, compiled):
        model.zero_grad()
        inputs = params.clone().requires_grad_()
        y = function(inputs)
        y.square().sum().backward()
        results.append([y, inputs.grad, model.gain.grad.clone()])
    for expected, actual in zip(*results):
        torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)
    torch.compiler.reset()


def test_an_exported_synthesizer_takes_any_batch_and_number_of_frames():
    sizes = {0: torch.export.Dim("batch"), 3: torch.export.Dim("frames", min=2)}
    program = torch.export.export(
        Learned().eval(), (torch.rand(2, 3, 3, 7),), dynamic_shapes={"params": sizes}
    )
    targets = {str(node.target) for node in program.graph.nodes}
    assert "drumblender.bank.default" in targets
    model = Learned()
    model.load_state_dict(program.state_dict)
    for shape in ((2, 3, 3, 7), (5, 3, 3, 20)):
        params = torch.rand(shape)
        torch.testing.assert_close(program.module()(params), model(params))


def test_autocast_changes_nothing():
    inputs, cotangent = arguments(torch.float32), torch.randn(2, 1, 500)
    results = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            y = modal_synth(inputs[0], inputs[1], 500, inputs[2])
        results.append((y, *torch.autograd.grad(y, inputs, cotangent)))
    for expected, actual in zip(*results):
        assert torch.equal(actual, expected)


KERNELS = """
import contextlib, torch
from drumblender.synths import bank_torch, bank_triton
torch.cuda.device_of = lambda x: contextlib.nullcontext()
generator = torch.Generator().manual_seed(0)
angles = torch.rand(5, 20, 3, generator=generator) * torch.tensor([6.0, 2.0, 0.01])
angles[2, 3, 1] = 5.0  # above Nyquist
envelopes = torch.rand(5, 2, 20, generator=generator)
steps, grad = torch.arange(37.0) - 18, torch.randn(5, 37, generator=generator)
played = bank_torch.forward(angles, envelopes, steps, True)
pairs = [(bank_triton.forward(angles, envelopes, steps), played)]
arguments = grad, angles, envelopes, steps
pairs += zip(bank_triton.backward(*arguments), bank_torch.backward(*arguments, True))
for kernel, torch_only in pairs:
    torch.testing.assert_close(kernel, torch_only, atol=2e-6 * torch_only.abs().max(), rtol=0)
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="platform: no Triton")
def test_kernels_for_gpus_compute_the_same():
    environment = {**os.environ, "TRITON_INTERPRET": "1"}  # which Triton reads at its import
    subprocess.run([sys.executable, "-c", KERNELS], env=environment, check=True)


@pytest.mark.parametrize("sizes", [(2, 5, 9, 2048), (1, 1, 1, 100), (1, 3, 64, 4096), (1, 2, 3, 2)])
def test_the_plain_form_computes_the_same(sizes):
    batch, modes, frames, num_samples = sizes
    params = torch.rand(batch, 3, modes, frames, generator=torch.Generator().manual_seed(0))
    params[:, 0] *= 3.3  # some beyond Nyquist
    usual = ModalSynth()(params, num_samples)
    with plain_operations():
        plain = ModalSynth()(params, num_samples)
    torch.testing.assert_close(plain, usual, atol=2e-4, rtol=0)
