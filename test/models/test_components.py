import numpy as np
import pytest
import torch
import torch.nn.functional as F

from drumblender.models.components import AttentionPooling, FiLM, GatedActivation, Pad, TFiLM


@pytest.mark.parametrize(("kernel_size", "dilation"), [(3, 1), (7, 9), (13, 64)])
@pytest.mark.parametrize("causal", [True, False])
def test_padding_keeps_the_length_of_a_dilated_convolution(kernel_size, dilation, causal):
    x = torch.randn(1, 1, 1000)
    weight = torch.randn(1, 1, kernel_size)
    y = F.conv1d(Pad(kernel_size, dilation, causal)(x), weight, dilation=dilation)
    assert y.shape == x.shape


def test_film_scales_and_shifts_each_channel_of_the_normalized_signal():
    torch.manual_seed(0)
    film = FiLM(6, 3).eval()
    film.norm.running_mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    film.norm.running_var.copy_(torch.tensor([4.0, 1.0, 0.25]))
    x, embedding = torch.randn(2, 3, 10), torch.randn(2, 6)
    modulation = embedding.numpy() @ film.net.weight.detach().numpy().T
    modulation += film.net.bias.detach().numpy()
    gamma, beta = modulation[:, :3, None], modulation[:, 3:, None]
    mean, var = np.array([1, 2, 3.0])[:, None], np.array([4, 1, 0.25])[:, None]
    expected = gamma * (x.numpy() - mean) / np.sqrt(var + 1e-5) + beta
    np.testing.assert_allclose(film(x, embedding).detach().numpy(), expected, atol=1e-5)


def test_temporal_film_is_causal_in_blocks():
    torch.manual_seed(0)
    film = TFiLM(2, 8)
    x = torch.randn(1, 2, 30, requires_grad=True)
    film(x)[0, :, 9].sum().backward()
    assert x.grad[..., :16].any()
    assert not x.grad[..., 16:].any()


def test_gate_is_tanh_times_sigmoid():
    x = torch.randn(1, 4, 5)
    expected = np.tanh(x[:, :2]) / (1 + np.exp(-x[:, 2:]))
    torch.testing.assert_close(GatedActivation()(x), expected)


def test_attention_with_a_zero_query_is_the_mean_over_time():
    torch.manual_seed(0)
    pooling = AttentionPooling(8)
    x = torch.randn(2, 50, 8)
    _, _, value = (pooling.norm(x) @ pooling.attn.in_proj_weight.T).chunk(3, dim=-1)
    expected = value.mean(1) @ pooling.attn.out_proj.weight.T
    torch.testing.assert_close(pooling(x), expected)
    assert AttentionPooling(8, keep_seq_dim=True)(x).shape == (2, 1, 8)


def test_attention_with_a_learned_query_follows_its_definition():
    torch.manual_seed(0)
    pooling = AttentionPooling(8)
    torch.nn.init.normal_(pooling.query)
    x = torch.randn(2, 50, 8)
    w_q, w_k, w_v = pooling.attn.in_proj_weight.chunk(3)
    z = pooling.norm(x)
    scores = (pooling.query @ w_q.T) @ (z @ w_k.T).transpose(1, 2) / 8**0.5
    expected = scores.softmax(-1) @ (z @ w_v.T) @ pooling.attn.out_proj.weight.T
    torch.testing.assert_close(pooling(x), expected[:, 0])
