import numpy as np
import pytest
import soundfile
import torch

from drumblender.errors import DrumblenderError
from drumblender.files.audio import write_audio
from drumblender.files.reading import read_channels


def test_what_exceeds_full_scale_is_scaled_and_said(tmp_path, capsys):
    write_audio(tmp_path / "loud.wav", torch.tensor([0.5, -2.0, 1.0]), 8000)
    samples, rate = soundfile.read(tmp_path / "loud.wav")
    np.testing.assert_allclose(samples, [0.25, -1, 0.5], atol=1e-6)
    assert rate == 8000
    assert "-6.0 dB" in capsys.readouterr().out


def test_values_that_are_not_numbers_are_not_written(tmp_path):
    with pytest.raises(DrumblenderError, match=r"x.wav .* not numbers"):
        write_audio(tmp_path / "x.wav", torch.tensor([0.0, float("nan")]), 8000)
    assert not list(tmp_path.iterdir())


def test_every_channel_is_read(tmp_path):
    soundfile.write(tmp_path / "stereo.wav", np.array([[0.5, 0.25], [-0.5, 0.25]]), 22050)
    samples, rate = read_channels(tmp_path / "stereo.wav")
    assert rate == 22050
    assert samples.tolist() == [[0.5, 0.25], [-0.5, 0.25]]
