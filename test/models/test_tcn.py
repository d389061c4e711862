import pytest
import torch

from drumblender.errors import UsageError
from drumblender.models import TCN
from drumblender.models.components import GatedActivation
from drumblender.models.tcn import activation_of


def test_a_causal_network_sees_no_later_sample_and_its_whole_receptive_field():
    torch.manual_seed(0)
    tcn = TCN(1, 4, 1, dilation_base=2, dilation_blocks=3, num_layers=4, kernel_size=3)
    x = torch.randn(1, 1, 200, requires_grad=True)
    tcn(x)[0, 0, 150].backward()
    reach = 2 * (1 + 2 + 4 + 1)  # dilations start again after three layers
    seen = x.grad[0, 0].nonzero().flatten()
    assert seen.max() == 150
    assert seen.min() == 150 - reach


def test_a_network_that_is_not_causal_sees_both_sides():
    torch.manual_seed(0)
    tcn = TCN(1, 4, 1, num_layers=2, kernel_size=3, causal=False)
    x = torch.randn(1, 1, 100, requires_grad=True)
    tcn(x)[0, 0, 50].backward()
    assert x.grad[0, 0].nonzero().flatten().tolist() == list(range(47, 54))


@pytest.mark.parametrize(
    "activation", ["gelu", "ReLU", "ELU", "tanh", "PReLU", "gated", "Gated", "SiLU", "GLU"]
)
@pytest.mark.parametrize("norm", [None, "batch", "instance"])
def test_every_activation_and_norm_learns(activation, norm):
    tcn = TCN(
        1, 4, 2, num_layers=3, kernel_size=3, activation=activation, norm=norm,
        film_conditioning=True, film_embedding_size=5, use_temporal_film=True,
        temporal_film_block_size=16,
    )  # fmt: skip
    y = tcn(torch.randn(2, 1, 64), torch.randn(2, 5))
    assert y.shape == (2, 2, 64)
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in tcn.parameters())


def test_an_activation_is_the_one_of_its_name_in_any_case():
    x = torch.randn(1, 4, 10)
    for name in ("LeakyReLU", "leakyrelu", "LEAKYRELU"):
        assert torch.equal(activation_of(name)(x), torch.nn.LeakyReLU()(x))
    assert torch.equal(activation_of("GATED")(x), GatedActivation()(x))
    assert activation_of("glu")(x).shape == (1, 2, 10)


@pytest.mark.parametrize("name", ["swoosh", "MultiheadAttention", "threshold", "Linear", ""])
def test_what_is_no_activation_or_needs_arguments_is_refused_by_name(name):
    with pytest.raises(UsageError, match=f"activation '{name}' is neither gated nor"):
        TCN(1, 4, 1, activation=name)


def test_wrong_options_are_refused_by_name():
    with pytest.raises(UsageError, match="norm 'layer'"):
        TCN(1, 4, 1, norm="layer")
    with pytest.raises(UsageError, match="no embedding"):
        TCN(1, 4, 1, film_conditioning=True)(torch.zeros(1, 1, 10))
