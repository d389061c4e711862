"""Models that were trained on one recording, by the real commands."""

import shutil

import numpy as np
import pytest
import soundfile
import torch

import drumblender
from drumblender.commands.synth import main as synth
from drumblender.commands.train import main as train
from drumblender.errors import UsageError
from drumblender.signal import resample
from drumblender.tasks.checkpoint import load_model
from drumblender.tasks.trained_on import OneRecording, describe, only_recording

RATE, N = 16000, 4096  # of the library's sounds


@pytest.fixture(scope="module")
def kick(library):
    return library / "raw/pack0/kick_0.wav"


@pytest.fixture(scope="module")
def other(library):
    return library / "raw/pack3/kick_8.wav"


@pytest.fixture(scope="module")
def checkpoint(library, experiment, kick):
    """A model that was trained on one recording and its copy."""
    raw = library / "one/kicks"
    raw.mkdir(parents=True)
    shutil.copy(kick, raw / "kick.wav")
    shutil.copy(kick, raw / "copy of kick.wav")
    folders = {"data_dir": library / "one_made", "data_dir_unprocessed": library / "one"}
    data = [f"--data.init_args.{name}={folder}" for name, folder in folders.items()]
    logs = f"--trainer.logger.init_args.save_dir={library / 'one_logs'}"
    assert train(["fit", "-c", str(experiment), *data, logs, "--trainer.max_epochs=1"]) == 0
    return next((library / "one_logs").rglob("last.ckpt"))


@pytest.fixture
def run(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *words: synth([str(checkpoint), *map(str, words)])


@pytest.mark.slow
def test_a_checkpoint_says_which_recording_it_was_trained_on(checkpoint):
    said = torch.load(checkpoint, weights_only=True)["trained_on"]
    assert said["sounds"] == 1
    assert "kick" in said["name"]
    assert load_model(checkpoint).recording.name == said["name"]


@pytest.mark.slow
def test_the_recording_itself_is_taken_whatever_it_is_called(run, kick, tmp_path, capsys):
    samples, _ = soundfile.read(kick)
    louder = resample(torch.from_numpy(1.4 * samples).float(), RATE, 44100)
    soundfile.write("renamed.flac", louder.numpy(), 44100)
    for source in (kick, "renamed.flac"):
        assert run(source, tmp_path / "out.wav") == 0, capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("where", ["input", "folder", "part", "blend"])
def test_another_recording_is_refused_in_one_sentence(run, kick, other, where, tmp_path, capsys):
    words = {
        "input": [other, "out.wav"],
        "folder": [other.parent, "out"],
        "part": [kick, "out.wav", "--noise", other],
        "blend": ["out.wav", "--blend", kick, other],
    }[where]
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert "the only recording that this model was trained on" in error
    assert "kick" in error.split(" is not ")[1]
    assert "--force" in error
    assert not list(tmp_path.rglob("*.wav"))


@pytest.mark.slow
def test_who_insists_gets_the_noise_of_that_recording(run, other, checkpoint, tmp_path):
    assert run(other, "out.wav", "--force") == 0
    assert (tmp_path / "out.wav").is_file()
    voice = drumblender.load(checkpoint, device="cpu", force=True)
    assert voice.decompose(other).render().any()


@pytest.mark.slow
def test_python_refuses_another_recording_as_well(checkpoint, kick, other):
    voice = drumblender.load(checkpoint, device="cpu")
    assert voice.decompose(kick).render().any()
    assert voice.decompose(np.zeros(1000, np.float32), RATE).is_silent
    with pytest.raises(UsageError, match=r"kick_8.wav is not .*force=True"):
        voice.decompose(other)


class Dataset:
    """As much of a dataset as is looked at."""

    sample_rate, num_samples = RATE, N

    def __init__(self, metadata, sound=None):
        self.metadata, self.keys, self.sound = metadata, sorted(metadata), sound

    def audio(self, index):
        return self.sound[None]


def test_several_recordings_are_no_single_one():
    metadata = {"a": {}, "b": {"duplicate_of": "a"}, "c": {}}
    said = describe(Dataset(metadata))
    assert said == {"sounds": 2}
    assert only_recording({"trained_on": said}) is None


def test_what_published_checkpoints_were_trained_on_is_not_known():
    assert only_recording({"state_dict": {}}) is None


def drum(frequency, seed):
    time = torch.arange(N) / RATE
    generator = torch.Generator().manual_seed(seed)
    noise = torch.exp(-40 * time) * torch.randn(N, generator=generator)
    return 0.5 * torch.exp(-12 * time) * torch.sin(2 * torch.pi * frequency * time) + 0.1 * noise


def test_a_recording_is_known_by_how_it_sounds_and_not_by_its_loudness_or_length():
    sound = drum(100.0, 0)
    said = describe(Dataset({"a": {}}, sound))
    recording = only_recording({"trained_on": said})
    assert isinstance(recording, OneRecording)
    assert recording.is_same(sound)
    assert recording.is_same(0.1 * sound[: N - 500])
    assert recording.is_same(torch.cat([sound, torch.zeros(N)]))
    assert not recording.is_same(drum(150.0, 0))
    assert not recording.is_same(sound + 0.3 * drum(3000.0, 1))
    assert not recording.is_same(sound.flip(0))


@pytest.mark.slow
def test_a_model_file_refuses_another_recording_as_its_checkpoint_does(
    checkpoint, kick, other, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert train(["publish", str(checkpoint), "kick", "--license", "mit"]) == 0
    assert "other recordings are refused" in (tmp_path / "kick/README.md").read_text()
    named = ["--model", "./kick", "--device", "cpu"]
    assert synth([*named, str(kick), "out.wav"]) == 0
    assert synth([*named, str(other), "other.wav"]) == 2
    assert "the only recording that this model was trained on" in capsys.readouterr().err
    assert synth([*named, str(other), "other.wav", "--force"]) == 0
