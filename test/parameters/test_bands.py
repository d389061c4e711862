import pytest
import torch

from drumblender.errors import UsageError
from drumblender.parameters import Bands
from drumblender.parameters.bands import align_bands


def test_bands_shifted_up_and_down_come_back():
    bands = torch.exp(-(((torch.arange(128) - 30) / 8.0) ** 2))[None, None]
    back = Bands(bands, 128).transpose(1.5).transpose(1 / 1.5)
    torch.testing.assert_close(back.amplitudes, bands, atol=0.02, rtol=0)


def test_bands_of_two_sounds_are_brought_to_the_length_of_the_longer_one():
    short, long = Bands(torch.ones(1, 4, 3), 512, 128), Bands(torch.ones(1, 11, 3), 1280, 128)
    one, other = align_bands([short, long])
    assert one.num_samples == other.num_samples == 1280
    assert one.amplitudes.shape == other.amplitudes.shape == (1, 11, 3)
    assert one.amplitudes[:, :4].all()
    assert not one.amplitudes[:, 5:].any()


def test_bands_without_a_known_hop_are_not_moved_in_time():
    bands = Bands(torch.ones(1, 4, 3), 512)
    assert bands.transpose(2.0).hop_length is None
    with pytest.raises(UsageError, match="give the class a `hop_length`"):
        bands.retime(1024)
