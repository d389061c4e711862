import importlib.util
import io

import numpy as np
import pytest
import soundfile
from pytorch_lightning.loggers import CSVLogger, WandbLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training import SAMPLE_RATE, drums, make_trainer, run_all_stages

from drumblender.callbacks import LogAudioCallback
from drumblender.errors import UsageError

STAGES = ("train", "validation", "test")


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


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="needs wandb")
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
