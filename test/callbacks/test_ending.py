import functools
import os
import shlex
import subprocess
import sys
import textwrap

import pytest
import torch
import yaml
from training import make_trainer

from drumblender.callbacks import ending
from drumblender.commands.train import main
from drumblender.config import load_config


@pytest.fixture
def short(experiment, tmp_path, monkeypatch):
    """The experiment with logs of its own, in the working directory."""
    monkeypatch.chdir(tmp_path)
    config = {"base": str(experiment), "trainer": {"logger": {"init_args": {"save_dir": "logs"}}}}
    (tmp_path / "short.yaml").write_text(yaml.safe_dump(config))
    return ["fit", "-c", "short.yaml"]


def checkpoints(folder="."):
    return sorted(path for path in folder.rglob("*.ckpt"))


OPTIONS = {
    "fewer steps than an epoch": ["max_steps=1"],
    "no validation": ["limit_val_batches=0"],
    "no logger": ["logger=false"],
    "no checkpoints": ["enable_checkpointing=false"],
    "nothing but training": [
        "logger=false", "enable_checkpointing=false", "limit_val_batches=0", "max_steps=1",
    ],
    "no epoch": ["max_epochs=0"],
    "no step": ["max_steps=0"],
    "no callbacks": ["callbacks=null"],
    "no validation yet": ["check_val_every_n_epoch=5"],
    "half epochs": ["val_check_interval=0.5"],
    "overfitting": ["overfit_batches=1"],
    "a dry run": ["fast_dev_run=true"],
    "no time": ["max_time=00:00:00:00"],
}  # fmt: skip
WITHOUT_CHECKPOINT = {
    "no checkpoints",
    "nothing but training",
    "no epoch",
    "no step",
    "a dry run",
} | {"no time"}


@pytest.mark.slow
@pytest.mark.parametrize("what", OPTIONS)
def test_a_run_that_leaves_out_what_the_callbacks_are_for_just_works(what, short, tmp_path):
    options = [f"--trainer.{option}" for option in OPTIONS[what]]
    assert main([*short, *options]) == 0
    found = checkpoints(tmp_path)
    if what in WITHOUT_CHECKPOINT:
        assert not found
    elif what == "no callbacks":  # Lightning keeps the last epoch then
        assert len(found) == 1
    else:
        assert "last.ckpt" in {path.name for path in found}


@pytest.mark.slow
def test_the_last_checkpoint_is_of_the_last_step(short, tmp_path):
    assert main([*short, "--trainer.max_steps=3"]) == 0  # an epoch and a half
    (last,) = tmp_path.rglob("last.ckpt")
    assert torch.load(last, weights_only=True)["global_step"] == 3


@pytest.mark.slow
def test_a_library_too_small_for_validation_trains_without(short, tmp_path, library):
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("kick_0", "kick_5"):
        (source,) = library.rglob(f"raw/*/{name}.wav")
        (raw / source.name).write_bytes(source.read_bytes())
    options = [f"--data.init_args.data_dir_unprocessed={raw}", "--data.init_args.data_dir=small"]
    options += ["--data.init_args.dataset_kwargs.split_strategy=sample_pack"]
    with pytest.warns(UserWarning, match="Training goes on without validation"):
        assert main([*short, *options]) == 0
    assert list(tmp_path.rglob("last.ckpt"))


@pytest.mark.parametrize("name", ["EarlyStopping", "ModelCheckpoint"])
def test_a_callback_that_watches_what_nobody_measures_is_refused(name, short, capsys):
    callback = {
        "class_path": f"pytorch_lightning.callbacks.{name}",
        "init_args": {"monitor": "validation/los"},
    }
    assert main([*short, f"--trainer.callbacks={[callback]}"]) == 2
    message = capsys.readouterr().err
    assert f"{name} monitors validation/los" in message
    assert "did you mean validation/loss?" in message


EPOCHS = [
    "--data.init_args.batch_size=2",  # four steps each
    "--trainer.max_epochs=4",
    "--lr_scheduler.patience=0",
    "--lr_scheduler.threshold=0.5",
]
STOPPER = """
    import os, signal
    import pytorch_lightning as pl

    class Stopper(pl.Callback):
        def __init__(self, hook: str, step: int, number: int = 2, times: int = 1):
            self.hook, self.step, self.number, self.times = hook, step, number, times
            def strike(trainer, *_):
                if trainer.global_step == step and not trainer.sanity_checking and self.times:
                    for _ in range(times):
                        os.kill(os.getpid(), number)
                    self.times = 0
            setattr(self, hook, strike)
"""


def without_pictures(config):
    """The callbacks of a configuration, without those that take most of the time of a short run."""
    slow = ("LogAudioCallback", "SaveExamplesCallback")
    return [x for x in config["trainer"]["callbacks"] if not x["class_path"].endswith(slow)]


@pytest.fixture
def stopper(short, tmp_path, monkeypatch):
    """Arguments of a run of 4 epochs of 4 steps that gets a signal at a point of it."""
    (tmp_path / "stopper.py").write_text(textwrap.dedent(STOPPER))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "stopper", raising=False)
    callbacks = yaml.safe_load((tmp_path / "short.yaml").read_text())

    def arguments(draws=True, **how):
        config = load_config(tmp_path / "short.yaml")
        kept = config["trainer"]["callbacks"] if draws else without_pictures(config)
        stop = [{"class_path": "stopper.Stopper", "init_args": how}] if how else []
        callbacks["trainer"]["callbacks"] = [*kept, *stop]
        (tmp_path / "short.yaml").write_text(yaml.safe_dump(callbacks))
        return [*short, *EPOCHS]

    return arguments


POINTS = [
    ("on_train_batch_start", 1, ""),
    ("on_train_batch_end", 6, ""),
    ("on_train_batch_end", 8, ""),  # the last of an epoch
    ("on_before_optimizer_step", 5, ""),
    ("on_validation_batch_start", 8, ""),
    ("on_train_epoch_start", 4, ""),
    ("on_train_end", 16, ""),
    ("on_train_batch_end", 2, "--data.init_args.batch_size=8"),  # one batch, one epoch
    ("on_train_batch_end", 2, "--trainer.check_val_every_n_epoch=3"),
    ("on_train_batch_end", 6, "--trainer.val_check_interval=0.5"),
    ("on_train_batch_end", 3, "--trainer.accumulate_grad_batches=2"),
]


@pytest.fixture(scope="module")
def uninterrupted(experiment, tmp_path_factory):
    """The last checkpoint of a run with an option more, without a stop."""

    config = {"base": str(experiment), "trainer": {}}
    config["trainer"]["callbacks"] = without_pictures(load_config(experiment))

    @functools.lru_cache
    def run(option):
        folder = tmp_path_factory.mktemp("whole")
        log = f"--trainer.logger.init_args.save_dir={folder}"
        (folder / "plain.yaml").write_text(yaml.safe_dump(config))
        run = ["fit", "-c", str(folder / "plain.yaml"), log, *EPOCHS, *filter(None, [option])]
        assert main(run) == 0
        (last,) = folder.rglob("last.ckpt")
        return torch.load(last, weights_only=True)

    return run


@pytest.mark.slow
@pytest.mark.parametrize(("hook", "step", "option"), POINTS)
def test_a_stopped_training_says_how_to_go_on_and_then_gives_what_a_whole_one_does(
    hook, step, option, stopper, uninterrupted, tmp_path, capfd
):
    draws = (hook, step) in (("on_train_batch_end", 8), ("on_train_end", 16))
    option = [option] if option else []
    assert main([*stopper(draws, hook=hook, step=step), *option]) == 130
    message = capfd.readouterr().err
    assert "Stopping after this" in message
    assert "Traceback" not in message
    again = shlex.split(message.strip().splitlines()[-1].partition("to go on with: ")[2])
    assert again[:2] == ["drumblender", "fit"]
    assert again[-1].endswith("last.ckpt")

    (tmp_path / "stopper.py").write_text(textwrap.dedent(STOPPER).replace("os.kill", "print"))
    sys.modules.pop("stopper")
    assert main(again[1:]) == 0
    last = max(tmp_path.rglob("last.ckpt"), key=os.path.getmtime)
    state, whole = torch.load(last, weights_only=True), uninterrupted("".join(option))
    for part in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(state[part], whole[part], rtol=0, atol=0)
    for part in ("epoch", "global_step", "lr_schedulers"):
        assert state[part] == whole[part]
    loop, whole_loop = (x["loops"]["fit_loop"] for x in (state, whole))
    assert loop["epoch_progress"]["current"] == whole_loop["epoch_progress"]["current"]
    assert loop["epoch_loop.state_dict"] == whole_loop["epoch_loop.state_dict"]


def test_a_process_whose_partner_is_gone_says_so(tmp_path):
    store = torch.distributed.FileStore(str(tmp_path / "store"), 2)
    code = (
        "import os, sys, torch.distributed as d\n"
        "d.init_process_group('gloo', store=d.FileStore(sys.argv[1], 2), rank=1, world_size=2)\n"
        "os._exit(9)"
    )
    partner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "store")])
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=2)
    try:
        partner.wait()
        with pytest.raises(RuntimeError) as caught:
            torch.distributed.all_reduce(torch.zeros(1))
    finally:
        torch.distributed.destroy_process_group()
    reason = ending._lost(caught.value)
    assert reason is not None
    assert "\n" not in reason
    trainer = make_trainer(tmp_path, [])
    sentence = ending.Ending(["fit", "-c", "a.yaml"])._without_others(trainer, reason)
    assert f"another process of this training has ended or cannot be reached ({reason})" in sentence
    assert ending._lost(RuntimeError("shapes do not fit")) is None
