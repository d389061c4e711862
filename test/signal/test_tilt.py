import torch

from drumblender.signal import tilt_filter


def test_a_tilt_and_its_opposite_cancel():
    x = torch.randn(1, 4800) * torch.exp(-torch.arange(4800) / 300)
    back = tilt_filter(tilt_filter(x, 48000, 4.0), 48000, -4.0)
    torch.testing.assert_close(back, x, atol=1e-3, rtol=0)
    assert tilt_filter(x, 48000, 0.0) is x
