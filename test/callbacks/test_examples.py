import numpy as np
import pytest
import soundfile
import torch
from auraloss.freq import MultiResolutionSTFTLoss
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset
from training import NUM_SAMPLES, SAMPLE_RATE, make_trainer

from drumblender.callbacks import SaveExamplesCallback
from drumblender.errors import UsageError
from drumblender.models.encoders import ModalAmpParameters
from drumblender.signal import hz_to_rad
from drumblender.synths import ModalSynth, modal_synth
from drumblender.tasks import DrumBlender


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
