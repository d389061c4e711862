import importlib.util
import io
import math
import sys
import warnings

import numpy as np
import pytest
import pytorch_lightning as pl
import soundfile
import torch
from auraloss.freq import MultiResolutionSTFTLoss
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader, TensorDataset

from drumblender.callbacks import (
    CleanWandbCacheCallback,
    LogAudioCallback,
    SaveExamplesCallback,
)
from drumblender.errors import UsageError
from drumblender.models.encoders import ModalAmpParameters
from drumblender.signal import hz_to_rad
from drumblender.synths import ModalSynth, modal_synth
from drumblender.tasks import DrumBlender

SAMPLE_RATE = 48_000
NUM_SAMPLES = 6_000
STAGES = ("train", "validation", "test")


class Gain(pl.LightningModule):
    """Learns a gain; its steps give what the task's steps give."""

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(0.5))

    def step(self, batch, batch_idx):
        (audio,) = batch
        resynthesis = self.gain * audio
        loss = (resynthesis - audio).square().mean()
        return {"loss": loss, "target": audio, "resynthesis": resynthesis.detach()}

    training_step = validation_step = test_step = step

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.0)


def drums(count, level=0.8):
    """Decaying sines of different pitch: (count, 1, NUM_SAMPLES)."""
    time = torch.arange(NUM_SAMPLES) / SAMPLE_RATE
    pitch = torch.arange(1, count + 1).view(-1, 1, 1) * 100.0
    return level * torch.sin(2 * math.pi * pitch * time) * torch.exp(-time / 0.03)


def make_trainer(folder, callbacks, logger=None, **options):
    defaults = {"max_epochs": 1, "enable_checkpointing": False, "log_every_n_steps": 1}
    return pl.Trainer(
        default_root_dir=folder,
        logger=TensorBoardLogger(folder, name="run") if logger is None else logger,
        callbacks=callbacks,
        accelerator="cpu",
        devices=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{**defaults, **options},
    )


def run_all_stages(trainer, batches=3, batch_size=2, level=0.8):
    data = TensorDataset(drums(batches * batch_size, level))
    loader = DataLoader(data, batch_size=batch_size)
    model = Gain()
    trainer.fit(model, loader, loader)
    trainer.test(model, loader, verbose=False)


def events(trainer):
    accumulator = EventAccumulator(trainer.logger.log_dir, size_guidance={"audio": 0, "images": 0})
    return accumulator.Reload()


@pytest.mark.slow
def test_audio_and_spectrograms_of_every_stage_reach_tensorboard(tmp_path):
    trainer = make_trainer(tmp_path, [LogAudioCallback()])
    run_all_stages(trainer)
    log = events(trainer)
    assert set(log.Tags()["images"]) == {f"{stage}/spectrogram" for stage in STAGES}
    assert set(log.Tags()["audio"]) == {f"{stage}/audio/{i}" for stage in STAGES for i in (0, 1)}
    picture = log.Images("validation/spectrogram")[0]
    assert picture.width > 400
    assert picture.height > 200
    assert picture.encoded_image_string.startswith(b"\x89PNG")


def test_logged_audio_is_the_target_and_then_the_resynthesis(tmp_path):
    trainer = make_trainer(tmp_path, [LogAudioCallback(on_train=False, on_test=False)])
    run_all_stages(trainer)
    (event,) = events(trainer).Audio("validation/audio/1")
    audio, rate = soundfile.read(io.BytesIO(event.encoded_audio_string))
    target = drums(2)[1, 0].numpy()
    assert rate == SAMPLE_RATE
    np.testing.assert_allclose(audio, np.concatenate([target, 0.5 * target]), atol=1e-4)


def test_what_exceeds_full_scale_is_scaled_and_not_clipped(tmp_path):
    trainer = make_trainer(tmp_path, [LogAudioCallback(on_train=False, on_test=False)])
    run_all_stages(trainer, level=4.0)
    (event,) = events(trainer).Audio("validation/audio/0")
    audio, _ = soundfile.read(io.BytesIO(event.encoded_audio_string))
    target = drums(1, 4.0)[0, 0].numpy()
    expected = np.concatenate([target, 0.5 * target]) / np.abs(target).max()
    np.testing.assert_allclose(audio, expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_can_be_left_out(tmp_path, stage):
    callback = LogAudioCallback(stage != "train", stage != "validation", stage != "test")
    trainer = make_trainer(tmp_path, [callback])
    run_all_stages(trainer, batches=1)
    pictures = events(trainer).Tags()["images"]
    assert set(pictures) == {f"{name}/spectrogram" for name in STAGES if name != stage}


@pytest.mark.slow
@pytest.mark.parametrize("log_on_epoch_end", [False, True])
def test_an_epoch_with_fewer_batches_than_wanted_is_logged_whole(tmp_path, log_on_epoch_end):
    callback = LogAudioCallback(n_batches=5, log_on_epoch_end=log_on_epoch_end)
    trainer = make_trainer(tmp_path, [callback])
    run_all_stages(trainer, batches=2, batch_size=1)
    assert set(events(trainer).Tags()["audio"]) == {
        f"{stage}/audio/{i}" for stage in STAGES for i in (0, 1)
    }


def test_items_of_several_batches_are_logged_up_to_the_limit(tmp_path):
    callback = LogAudioCallback(n_batches=2, max_audio_samples=3, on_train=False, on_test=False)
    trainer = make_trainer(tmp_path, [callback])
    run_all_stages(trainer, batches=3, batch_size=2)
    assert set(events(trainer).Tags()["audio"]) == {f"validation/audio/{i}" for i in (0, 1, 2)}


@pytest.mark.parametrize(("log_on_epoch_end", "step"), [(False, 1), (True, 3)])
def test_training_is_logged_when_there_are_enough_batches_or_at_the_end(
    tmp_path, log_on_epoch_end, step
):
    callback = LogAudioCallback(
        on_val=False, on_test=False, log_on_epoch_end=log_on_epoch_end, max_audio_samples=1
    )
    trainer = make_trainer(tmp_path, [callback])
    run_all_stages(trainer, batches=3)
    assert [event.step for event in events(trainer).Images("train/spectrogram")] == [step]


@pytest.mark.slow
def test_every_epoch_is_logged_or_every_nth(tmp_path):
    callback = LogAudioCallback(every_n_epochs=2, on_test=False, max_audio_samples=1)
    trainer = make_trainer(tmp_path, [callback], max_epochs=4)
    run_all_stages(trainer, batches=1, batch_size=1)
    log = events(trainer)
    assert [event.step for event in log.Images("train/spectrogram")] == [1, 3]
    assert [event.step for event in log.Images("validation/spectrogram")] == [1, 3]


@pytest.mark.slow
def test_the_sanity_check_is_not_logged(tmp_path):
    trainer = make_trainer(tmp_path, [LogAudioCallback()], num_sanity_val_steps=2)
    run_all_stages(trainer)
    steps = [event.step for event in events(trainer).Images("validation/spectrogram")]
    assert steps == [3]


@pytest.mark.parametrize("logger", ["none", "csv"])
def test_without_a_logger_that_takes_audio_there_is_a_warning_and_the_run_goes_on(tmp_path, logger):
    trainer = make_trainer(
        tmp_path,
        [LogAudioCallback()],
        logger=False if logger == "none" else CSVLogger(tmp_path),
    )
    with pytest.warns(UserWarning, match="nothing to log to"):
        run_all_stages(trainer, batches=1)


@pytest.mark.slow
def test_nothing_is_kept_between_epochs(tmp_path):
    callback = LogAudioCallback(n_batches=10)
    run_all_stages(make_trainer(tmp_path, [callback]))
    assert not callback._items
    assert not callback._batches_left


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is optional")
def test_audio_and_spectrograms_reach_wandb(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_SILENT", "true")
    logger = WandbLogger(save_dir=tmp_path, project="drumblender", offline=True)
    trainer = make_trainer(tmp_path, [LogAudioCallback()], logger=logger)
    run_all_stages(trainer)
    logger.experiment.finish()
    for stage in STAGES:
        assert len(list(tmp_path.rglob(f"media/audio/{stage}/*.wav"))) == 2
        assert len(list(tmp_path.rglob(f"media/images/{stage}/*.png"))) == 1


@pytest.mark.parametrize(
    "key", ["save_audio_sr", "n_batches", "max_audio_samples", "every_n_epochs"]
)
def test_a_number_below_one_is_refused_by_name(key):
    with pytest.raises(UsageError, match=key):
        LogAudioCallback(**{key: 0})


def test_cleaning_the_cache_without_wandb_warns_once_and_does_nothing(tmp_path, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *a: None if name == "wandb" else find_spec(name, *a),
    )
    trainer = make_trainer(
        tmp_path, [CleanWandbCacheCallback(every_n_epochs=1, max_size_in_gb=2.0)], max_epochs=2
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run_all_stages(trainer, batches=1)
    assert sum("wandb is not installed" in str(warning.message) for warning in caught) == 1


@pytest.mark.parametrize(("every_n_epochs", "max_epochs", "times"), [(1, 2, 2), (2, 5, 2)])
def test_the_cache_is_cleaned_every_nth_epoch(
    tmp_path, monkeypatch, every_n_epochs, max_epochs, times
):
    # A module of that name which notes how it was called: the real one has a cache of its own.
    (tmp_path / "wandb.py").write_text(
        f"import sys; open({str(tmp_path / 'calls')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    callback = CleanWandbCacheCallback(every_n_epochs=every_n_epochs, max_size_in_gb=1.5)
    run_all_stages(make_trainer(tmp_path, [callback], max_epochs=max_epochs), batches=1)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == ["artifact cache cleanup 1.5GB"] * times


def test_impossible_cache_settings_are_refused():
    with pytest.raises(UsageError, match="every_n_epochs"):
        CleanWandbCacheCallback(every_n_epochs=0)
    with pytest.raises(UsageError, match="max_size_in_gb"):
        CleanWandbCacheCallback(max_size_in_gb=-1.0)


def modal_parameters(count, gain):
    """Modes of decaying sines: (count, 3, 2, 24)."""
    params = torch.zeros(count, 3, 2, 24)
    params[:, 0] = hz_to_rad(torch.tensor([200.0, 900.0]), SAMPLE_RATE).view(1, 2, 1)
    params[:, 1] = gain * torch.exp(-torch.arange(24) / 6) * torch.tensor([[0.7], [0.3]])
    return params


def fit_a_real_model(folder, callback, gain=1.0, max_epochs=3, checkpoint=True):
    """Learn gains of modes whose measured amplitudes are half of the truth."""
    truth = modal_parameters(3, gain)
    audio = modal_synth(truth[:, 0], truth[:, 1], NUM_SAMPLES)
    loader = DataLoader(TensorDataset(audio, modal_parameters(3, gain / 2)), batch_size=3)
    model = DrumBlender(
        ModalSynth(), torch.nn.L1Loss(), modal_autoencoder=ModalAmpParameters(num_modes=2)
    )
    model.configure_optimizers = lambda: torch.optim.Adam(model.parameters(), 0.3)
    callbacks = [callback]
    if checkpoint:
        callbacks.append(ModelCheckpoint(monitor="validation/loss", mode="min"))
    trainer = make_trainer(
        folder, callbacks, max_epochs=max_epochs, enable_checkpointing=checkpoint
    )
    trainer.fit(model, loader, loader)
    return trainer, model, audio


def test_examples_are_written_and_announced_when_training_ends(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    trainer, _, audio = fit_a_real_model("logs", SaveExamplesCallback(max_examples=2))
    folder = tmp_path / trainer.log_dir / "examples"
    names = {f"example_{i}{end}" for i in (0, 1) for end in ("_target.wav", "_resynthesis.wav")}
    assert {path.name for path in folder.iterdir()} == names | {"example_0.png", "example_1.png"}
    info = soundfile.info(folder / "example_0_resynthesis.wav")
    assert (info.samplerate, info.subtype, info.channels) == (SAMPLE_RATE, "PCM_24", 1)
    target, _ = soundfile.read(folder / "example_0_target.wav")
    np.testing.assert_allclose(target, audio[0, 0].numpy(), atol=1e-6)
    output = capsys.readouterr().out
    assert trainer.checkpoint_callback.best_model_path.split("/")[-1] in output
    assert "logs/run/version_0/examples/*_resynthesis.wav" in output.replace("\\", "/")
    assert str(tmp_path) not in output


def test_the_losses_announced_are_those_of_the_files(tmp_path, capsys):
    callback = SaveExamplesCallback(output_dir=str(tmp_path / "mine"), max_examples=1)
    fit_a_real_model(tmp_path, callback)
    target, resynthesis = (
        torch.tensor(soundfile.read(tmp_path / "mine" / f"example_0_{name}.wav")[0]).view(1, 1, -1)
        for name in ("target", "resynthesis")
    )
    loss = MultiResolutionSTFTLoss()
    expected = loss(0.5 * target.float(), target.float()), loss(resynthesis.float(), target.float())
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "example_0 " in line]
    figures = [float(word) for word in row.split()[1:]]
    assert figures == pytest.approx([x.item() for x in expected], abs=2e-3)
    assert figures[1] < figures[0]


def test_examples_come_from_the_best_weights_and_the_model_keeps_its_own(tmp_path):
    # The step is so large that later epochs are worse than earlier ones.
    callback = SaveExamplesCallback(output_dir=str(tmp_path / "mine"), max_examples=1)
    trainer, model, audio = fit_a_real_model(tmp_path, callback, max_epochs=12)
    best = torch.load(trainer.checkpoint_callback.best_model_path, weights_only=True)["state_dict"]
    last = model.state_dict()
    assert any(not torch.equal(best[key], last[key]) for key in last)
    model.load_state_dict(best)
    with torch.no_grad():
        expected = model(audio[:1], modal_parameters(1, 0.5))[0, 0].numpy()
    written, _ = soundfile.read(tmp_path / "mine" / "example_0_resynthesis.wav")
    np.testing.assert_allclose(written, expected / max(1, np.abs(expected).max()), atol=1e-6)
    assert model.training


def test_examples_that_exceed_full_scale_are_scaled_and_it_is_said(tmp_path, capsys):
    callback = SaveExamplesCallback(output_dir=str(tmp_path / "mine"), max_examples=1)
    fit_a_real_model(tmp_path, callback, gain=3.0, max_epochs=1)
    target, _ = soundfile.read(tmp_path / "mine" / "example_0_target.wav")
    assert np.abs(target).max() == pytest.approx(1.0, abs=1e-5)
    assert "scaled by" in capsys.readouterr().out


@pytest.mark.slow
def test_without_a_checkpoint_the_examples_are_of_the_last_weights(tmp_path, capsys):
    callback = SaveExamplesCallback(output_dir=str(tmp_path / "mine"))
    fit_a_real_model(tmp_path, callback, checkpoint=False, max_epochs=1)
    assert len(list((tmp_path / "mine").glob("*.png"))) == 3
    assert "none was saved" in capsys.readouterr().out


def test_no_example_at_all_is_refused():
    with pytest.raises(UsageError, match="max_examples"):
        SaveExamplesCallback(max_examples=0)
