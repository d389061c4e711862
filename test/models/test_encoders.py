import pytest
import torch

from drumblender.errors import UsageError
from drumblender.models.encoders import (
    DummyParameterEncoder,
    ModalAmpParameters,
    NoiseParameters,
)


def test_learned_parameters_are_the_same_for_every_input_and_learn():
    for net in (DummyParameterEncoder([4, 8]), NoiseParameters([4, 8], scale=0.1)):
        y = net(torch.randn(3, 1, 10))
        assert y.shape == (3, 4, 8)
        assert torch.equal(y[0], y[2])
        y.sum().backward()
        (parameter,) = net.parameters()
        assert torch.equal(parameter.grad, torch.full_like(parameter, 3.0))


def test_noise_parameters_start_within_their_scale():
    (parameter,) = NoiseParameters([50, 8], scale=0.1).parameters()
    assert 0 <= parameter.min() < parameter.max() <= 0.1


def test_dummy_parameters_can_start_from_ones():
    assert torch.equal(
        DummyParameterEncoder([2, 3], ones=True)(torch.zeros(1)), torch.ones(1, 2, 3)
    )


def test_modal_gains_scale_amplitudes_only():
    params = torch.rand(2, 3, 4, 5)
    net = ModalAmpParameters(4, ones=True)
    assert torch.equal(net(None, params), params)
    torch.nn.init.constant_(net.amp_params, 2.0)
    scaled = net(None, params)
    assert torch.equal(scaled[:, 1], 2 * params[:, 1])
    assert torch.equal(scaled[:, ::2], params[:, ::2])
    assert not torch.equal(ModalAmpParameters(4, ones=False).amp_params, torch.ones(4))


def test_gains_may_be_more_than_modes_but_not_less():
    net = ModalAmpParameters(6, ones=False)
    params = torch.rand(2, 3, 4, 5)
    torch.testing.assert_close(net(None, params)[:, 1], params[:, 1] * net.amp_params[:4, None])
    assert net(None, params[:, :2]).shape == (2, 2, 4, 5)
    with pytest.raises(UsageError, match="7 modes and only 6 gains"):
        net(None, torch.rand(2, 3, 7, 5))
