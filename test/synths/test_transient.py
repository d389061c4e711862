import torch

from drumblender.synths import TransientTCN


def test_learned_conditioning_acts_on_the_attack_only():
    torch.manual_seed(0)
    synth = TransientTCN(
        1, 4, 1, num_layers=2, kernel_size=3, transient_conditioning=True,
        transient_conditioning_channels=2, transient_conditioning_length=20,
    ).eval()  # fmt: skip
    y = synth(torch.zeros(2, 1, 100))
    assert y.shape == (2, 1, 100)
    steady = y[0, 0, -1]
    reach = 20 + 2 * (1 + 2)
    assert not torch.allclose(y[0, 0, :20], steady.expand(20))
    torch.testing.assert_close(y[0, 0, reach:], steady.expand(100 - reach))
