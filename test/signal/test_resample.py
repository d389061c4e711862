import math

import pytest
import torch

from drumblender.signal import resample, sine

HZ = (500.0, 3000.0)


@pytest.mark.parametrize(("rate", "new_rate"), [(44_100, 48_000), (44_101, 48_000)])
def test_every_row_of_a_batch_is_resampled(rate, new_rate):
    tones = torch.stack([sine(hz, 4410, rate) for hz in HZ]).unsqueeze(1)
    length = math.ceil(4410 * new_rate / rate)
    wanted = torch.stack([sine(hz, length, new_rate) for hz in HZ]).unsqueeze(1)
    made = resample(tones, rate, new_rate)
    assert made.shape == wanted.shape
    torch.testing.assert_close(made[..., 500:-500], wanted[..., 500:-500], atol=2e-3, rtol=0)
