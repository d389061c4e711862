"""The way of a request through the package."""

import json

import numpy as np
import pytest
import soundfile
import torch
from count_stays import calls_of, climbs_of, from_the_job, stays_of

from drumblender.commands.synth import main
from drumblender.config import load_config
from drumblender.tasks.checkpoint import build_model

RATE = 16_000


@pytest.fixture
def checkpoint(experiment, tmp_path):
    config = json.loads(json.dumps(load_config(experiment)))
    model = build_model(config, "test")
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": model.state_dict(), "configuration": config}, path)
    return path


@pytest.fixture
def recording(tmp_path):
    t = np.arange(RATE // 4) / RATE
    soundfile.write(tmp_path / "tom.wav", 0.5 * np.exp(-12 * t) * np.sin(900 * t), RATE)
    return tmp_path / "tom.wav"


@pytest.mark.parametrize("voice", ["a trained model", "measured parts"])
def test_a_request_goes_down_once_and_comes_back_once(voice, checkpoint, recording, tmp_path):
    model = [checkpoint] if voice == "a trained model" else []
    options = [tmp_path / "out.wav", "--pitch", "-2", "--stems", tmp_path / "stems"]
    command = [str(word) for word in (*model, recording, *options)]
    calls = calls_of(lambda: main(command))
    stays = stays_of(from_the_job(calls), lambda call: call.room)
    assert [room for room, _ in stays][:3] == ["jobs", "sound", "analysis"]
    assert {room for room, _ in stays} == {"jobs", "sound", "analysis", "tasks"}
    assert len(stays) <= 15
    assert climbs_of(stays) <= 4
    assert (tmp_path / "out.wav").is_file()
