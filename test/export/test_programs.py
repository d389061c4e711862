"""Programs of models compute what the models compute, by operations that every runtime has."""

import dataclasses

import pytest
import torch
from small_models import WIRINGS, drum, write_checkpoint
from torch import nn

from drumblender.analysis import AnalysisSettings
from drumblender.errors import UsageError
from drumblender.export.programs import UNIT, programs_of, unit_of, white_of
from drumblender.parameters import tensors_of
from drumblender.signal import fit_length
from drumblender.signal.plain import plain_operations
from drumblender.sound import Voice
from drumblender.synths import ModalSynth
from drumblender.tasks import Blender, MeasuredNoise
from drumblender.tasks.checkpoint import TrainedModel, load_model, measured_model
from drumblender.tasks.parts import ModalPart


def plain(program, *tensors):
    with torch.inference_mode(), plain_operations():
        return program.module(*tensors)


def difference(a, b):
    """In dB, relative to the peak of the second."""
    return 20 * torch.log10((a - b).abs().max() / b.abs().max().clamp(min=1e-9) + 1e-12)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return drum(tmp_path_factory.mktemp("sound") / "drum.wav")


@pytest.mark.parametrize("wiring", WIRINGS)
def test_programs_compute_what_the_model_computes(wiring, repository, tmp_path, sound):
    model = load_model(write_checkpoint(tmp_path, repository, wiring))
    recording = Voice(model).prepare(sound)
    length = recording.modes.num_samples
    audio = fit_length(recording.audio, length)[:, None]
    white = white_of(model.network).draw(1, length, torch.Generator().manual_seed(0))
    encode, synthesize = programs_of(model, model.analysis.sample_rate)
    with torch.inference_mode():
        found = model.network.encode(audio, recording.modes, model.num_samples)
        expected = model.network.synthesize(found, length, white)
    controls = plain(encode, audio, recording.modes.values)
    assert [port.name for port in encode.outputs] == [p.name for p in synthesize.inputs[:-1]]
    parts = plain(synthesize, *controls, white)
    assert [port.name for port in synthesize.outputs] == list(expected)
    for part, stem in zip(parts, expected.values()):
        assert part.shape == stem.shape == (1, 1, length)
        assert difference(part, stem) < -100
    for program in (encode, synthesize):
        for port, tensor in zip(program.inputs, program.example):
            fixed = [size for size in port.shape if isinstance(size, int)]
            at = [i for i, size in enumerate(port.shape) if isinstance(size, int)]
            assert [tensor.shape[i] for i in at] == fixed, port.name


@pytest.mark.parametrize("rate", [48_000, 8_000])
def test_measured_programs_compute_what_measured_parts_compute(rate, sound):
    voice = Voice(measured_model())
    audio, _ = torch.rand(2, rate // 2, generator=torch.Generator().manual_seed(0)) - 0.5
    audio = audio * torch.exp(-torch.arange(rate // 2) / rate * 20)
    moved = voice.decompose(audio.numpy(), rate, seed=0).with_pitch(7, noise=True).with_decay(2)
    parameters, length = moved.parameters, moved.timeline.described
    unit = unit_of(voice.settings.at_rate(rate))
    length -= length % unit
    white = white_of(voice.engine.model.network).draw(1, length)
    tensors = [x for value in parameters.values() for x in tensors_of(value)]
    tensors = [fit_length(x, length) if x.ndim == 2 else x for x in tensors]
    expected = voice.engine.model.network.synthesize(_filled(parameters, tensors), length, white)
    encode, synthesize = programs_of(voice.engine.model, rate)
    for part, stem in zip(plain(synthesize, *tensors, white), expected.values()):
        assert difference(part, stem) < -100
    noise = dataclasses.replace(parameters["noise"], waveform=tensors[1], levels=None)
    assert difference(plain(encode, tensors[1])[0], noise.own_levels) < -100


def _filled(parameters, tensors):
    """The parameters of a sound with these tensors in their place."""
    modes, noise, levels, transient = tensors
    return {
        "modal": dataclasses.replace(
            parameters["modal"], values=modes, num_samples=noise.shape[-1]
        ),
        "noise": dataclasses.replace(parameters["noise"], waveform=noise, levels=levels),
        "transient": transient,
    }


def test_noise_alone_decides_the_noise(repository, tmp_path):
    model = load_model(write_checkpoint(tmp_path, repository, "m + n"))
    synthesize = programs_of(model, model.analysis.sample_rate)[-1]
    *controls, white = synthesize.example
    first, again = (plain(synthesize, *controls, white)[1] for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.allclose(plain(synthesize, *controls, -white)[1], first)


class Drawn(nn.Module):
    """A noise synth that draws what nobody gives."""

    def forward(self, bands):
        return torch.rand(len(bands), 1, 1000)


def trained(**more):
    return TrainedModel(Blender(ModalSynth(), **more), AnalysisSettings())


def test_models_that_no_program_can_be_made_of_are_refused():
    with pytest.raises(UsageError, match="Drawn draws noise and takes none"):
        programs_of(trained(noise_synth=Drawn(), noise_autoencoder=nn.Identity()), 48_000)
    with pytest.raises(UsageError, match="some parts of this model are measured"):
        programs_of(trained(parts=[MeasuredNoise()]), 48_000)
    part = ModalPart(ModalSynth(), nn.Identity())
    part.name, part.encode = "bells", lambda heard: heard.audio
    with pytest.raises(UsageError, match="'bells' has parameters that programs do not know"):
        programs_of(trained(parts=[part]), 48_000)


def test_samples_come_in_units_of_the_analysis():
    assert unit_of(AnalysisSettings()) == UNIT == 512
    assert unit_of(AnalysisSettings(hop_length=16)) == 128
