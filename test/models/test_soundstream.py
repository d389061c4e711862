import pytest
import torch

from drumblender.models.soundstream import SoundStreamAttentionEncoder, SoundStreamEncoder


@pytest.mark.parametrize("strides", [[2, 2, 4, 8], [2, 3]])
@pytest.mark.parametrize("causal", [True, False])
def test_one_frame_comes_per_product_of_strides(strides, causal):
    hop = torch.tensor(strides).prod()
    net = SoundStreamEncoder(1, 2, 6, kernel_size=7, strides=strides, causal=causal)
    y = net(torch.randn(2, 1, 10 * hop))
    assert y.shape[:2] == (2, 6)
    assert abs(y.shape[2] - 10) <= 1
    transposed = SoundStreamEncoder(1, 2, 6, 7, strides, causal, transpose_output=True)
    assert transposed(torch.randn(2, 1, 10 * hop)).shape == (2, y.shape[2], 6)


def test_a_causal_encoder_sees_no_later_sample():
    torch.manual_seed(0)
    net = SoundStreamEncoder(1, 2, 3, strides=[2, 4], causal=True)
    x = torch.randn(1, 1, 800, requires_grad=True)
    net(x)[0, :, 50].sum().backward()
    assert x.grad[0, 0].nonzero().max() < 51 * 8


def test_film_conditioning_lets_an_embedding_change_the_result():
    torch.manual_seed(0)
    net = SoundStreamAttentionEncoder(
        1, 2, 4, strides=[2, 2], film_conditioning=True, film_embedding_size=3
    )
    x = torch.randn(1, 1, 64)
    assert not torch.allclose(net(x, torch.zeros(1, 3)), net(x, torch.ones(1, 3)))
