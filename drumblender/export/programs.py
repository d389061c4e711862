"""The two programs that a model is exported as, as modules of tensors in and tensors out.

``encode`` turns audio and measured modes into controls, and ``synthesize`` turns controls and white
noise into what each part contributes. They call :class:`~drumblender.tasks.Blender`, so that there
is one implementation of everything. A model whose parts are measured has no networks: its
``encode`` measures the levels of the recorded noise, which edits change.
"""

import copy
import dataclasses
import math
from dataclasses import dataclass, replace
from typing import Any, Dict, Iterator, List, Tuple

import torch
from torch import Tensor, nn

from drumblender.analysis import AnalysisSettings
from drumblender.errors import UsageError
from drumblender.export.ports import Port, Sizes
from drumblender.fast import accelerate
from drumblender.models.encoders import ModalAmpParameters
from drumblender.parameters import Bands, Modes, RecordedNoise, tensors_of
from drumblender.parameters.timeline import UNIT
from drumblender.signal.plain import plain_operations
from drumblender.synths.white import WhiteNoise
from drumblender.tasks import Blender
from drumblender.tasks.checkpoint import TrainedModel

# Sizes that programs take: lowest and highest, and what they are multiples of.
_SIZES = {
    "batch": (1, 1024, 1),
    "modes": (1, 4096, 1),
    "frames": (1, 2**20, 1),
    "noise_frames": (1, 2**20, 1),
}
_LONGEST = 2**24  # samples, which are six minutes at 48 kHz
# Sizes of the sounds that programs are made with. Any others do as well.
_BATCH, _SAMPLES, _MODES = 2, 20 * UNIT, 5


@dataclass(frozen=True, eq=False)
class Program:
    """A program, before it is written in any form.

    Attributes:
        name: "encode" or "synthesize".
        module: module that takes one tensor for each input and gives a tuple of the outputs.
        inputs: inputs, in their order.
        outputs: outputs, in their order.
        example: one tensor for each input.
        sizes: what sizes it takes.
    """

    name: str
    module: nn.Module
    inputs: Tuple[Port, ...]
    outputs: Tuple[Port, ...]
    example: Tuple[Tensor, ...]
    sizes: Sizes


def programs_of(model: TrainedModel, sample_rate: int) -> List[Program]:
    """Make the programs of a model.

    Args:
        model: the model. It stays as it is.
        sample_rate: sample rate of the programs, in Hz. That of a trained model is fixed.

    Raises:
        UsageError: if the model has parts that no program can be made of.
    """
    network = copy.deepcopy(model.network).cpu().eval()
    accelerate(network, enabled=False)
    network.requires_grad_(False)
    _check(network)
    with torch.no_grad(), plain_operations():
        if network.is_measured:
            return _measured(network, model.analysis.at_rate(sample_rate))
        return _trained(network, model, sample_rate)


def unit_of(settings: AnalysisSettings) -> int:
    """Return what numbers of samples are multiples of, in recordings as they are analyzed."""
    return math.gcd(UNIT, settings.silence_after)


def _sizes(settings: AnalysisSettings) -> Dict[str, Tuple[int, int, int]]:
    """Say what sizes programs take."""
    unit = unit_of(settings)
    return {**_SIZES, "samples": (unit, _LONGEST, unit)}


def white_of(network: Blender) -> WhiteNoise:
    """Return the kind of white noise that a model takes. Without noise, only its length counts."""
    kinds = [part.white for part in network.parts if part.white is not None]
    return kinds[0] if kinds else WhiteNoise()


class Encode(nn.Module):
    """Audio (B, 1, N) and measured modes (B, 3, M, F) to controls."""

    def __init__(self, network: Blender, sample_rate: int, padded_to: int):
        super().__init__()
        self.network = network
        self.sample_rate = sample_rate
        self.padded_to = padded_to

    def describe(self, audio: Tensor, measured: Tensor) -> Dict[str, Any]:
        """Describe sounds by the parameters of each part, by name."""
        modes = Modes(measured, audio.shape[-1], self.sample_rate)
        return self.network.encode(audio, modes, self.padded_to)

    def forward(self, audio: Tensor, measured: Tensor) -> Tuple[Tensor, ...]:
        """Describe sounds by tensors."""
        found = self.describe(audio, measured)
        return tuple(x.clone() for value in found.values() for x in tensors_of(value))


class Levels(nn.Module):
    """Recorded noise (B, N) to its levels in bands, (B, bands, N // level_hop + 1)."""

    def __init__(self, sample_rate: int):
        super().__init__()
        self.sample_rate = sample_rate

    def forward(self, recorded: Tensor) -> Tuple[Tensor]:
        """Measure levels."""
        return (RecordedNoise(recorded, self.sample_rate).own_levels,)


class Synthesize(nn.Module):
    """Controls, and behind them white noise (B, R, N), to what each part contributes.

    Args:
        network: the model.
        template: parameters of each part by name. Their tensors are replaced by the controls.
    """

    def __init__(self, network: Blender, template: Dict[str, Any]):
        super().__init__()
        self.network = network
        self.template = template

    def forward(self, *tensors: Tensor) -> Tuple[Tensor, ...]:
        """Play sounds."""
        *controls, white = tensors
        rest, length = iter(controls), white.shape[-1]
        parameters = {k: _filled(value, rest, length) for k, value in self.template.items()}
        return tuple(self.network.synthesize(parameters, length, white).values())


def _filled(value: Any, tensors: Iterator[Tensor], num_samples: int) -> Any:
    """Put tensors into the parameters of a part, and the number of samples that they describe."""
    if value is None:
        return None
    if isinstance(value, Tensor):
        return next(tensors)
    found = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    changed: Dict[str, Any] = {k: next(tensors) for k, x in found.items() if isinstance(x, Tensor)}
    if "num_samples" in found:
        changed["num_samples"] = num_samples
    return replace(value, **changed)


def _check(network: Blender) -> None:
    """Refuse a model of which no program can be made."""
    measured = [part.is_measured for part in network.parts]
    if any(measured) and not all(measured):
        raise UsageError(
            "Export: some parts of this model are measured and others are predicted, which no "
            "program can do; export a model of one kind."
        )
    kinds = []
    for part in network.parts:
        if part.white is not None:
            kinds.append(part.white)
        elif part.name == "noise":
            synth = type(getattr(part, "synth", part)).__name__
            raise UsageError(
                f"Export: {synth} draws noise and takes none, so that no program of it would be "
                "repeatable; give it the attribute `white` and the argument `white=` (see "
                "drumblender.synths.white)."
            )
    if len(kinds) > 1:
        raise UsageError("Export: two parts of this model take noise; export a model with one.")


def _trained(network: Blender, model: TrainedModel, sample_rate: int) -> List[Program]:
    """Make the programs of a model whose parts are predicted."""
    encode = Encode(network, sample_rate, model.num_samples)
    generator = torch.Generator().manual_seed(0)
    audio = 0.1 * torch.randn(_BATCH, 1, _SAMPLES, generator=generator)
    frames = _SAMPLES // model.analysis.hop_length + 1
    measured = torch.rand(_BATCH, 3, _MODES, frames, generator=generator)
    template = encode.describe(audio, measured)
    ports: List[Port] = []
    for name, value in template.items():
        ports += _control(name, value)
    sizes = _sizes(model.analysis)
    if isinstance(network.modal_autoencoder, ModalAmpParameters):
        sizes["modes"] = (1, len(network.modal_autoencoder.amp_params), 1)
    inputs = (
        Port(
            "audio",
            ("batch", 1, "samples"),
            "The recording, mono, at the sample rate of the model and from its first sound on; "
            "zeros follow it up to the length that the modes describe.",
        ),
        _modes_port("measured_modes"),
    )
    controls = tuple(x.clone() for value in template.values() for x in tensors_of(value))
    encoder = Program("encode", encode, inputs, tuple(ports), (audio, measured), sizes)
    return [encoder, _synthesizer(network, template, tuple(ports), controls, sizes)]


def _measured(network: Blender, settings: AnalysisSettings) -> List[Program]:
    """Make the programs of a model whose parts are measured."""
    sample_rate, sizes = settings.sample_rate, _sizes(settings)
    generator = torch.Generator().manual_seed(0)
    frames = _SAMPLES // settings.hop_length + 1
    values = torch.rand(_BATCH, 3, _MODES, frames, generator=generator)
    noise, transient = 0.1 * torch.randn(2, _BATCH, _SAMPLES, generator=generator)
    recorded = RecordedNoise(noise, sample_rate)
    levels = recorded.own_levels
    bands = levels.shape[1]
    template: Dict[str, Any] = {}
    controls: List[Tensor] = []
    ports: List[Port] = []
    for part in network.parts:
        if part.name == "modal":
            template[part.name] = Modes(values, _SAMPLES, sample_rate)
            ports.append(_modes_port("modes"))
        elif part.name == "noise":
            template[part.name] = replace(recorded, levels=levels)
            ports += [_recorded("noise"), _levels_port(bands)]
        elif part.name == "transient":
            template[part.name] = transient
            ports.append(_recorded("transient"))
        else:
            raise UsageError(
                f"Export: the measured part {part.name!r} is none that programs know; export a "
                "model of modal, noise and transient."
            )
        controls += tensors_of(template[part.name])
    made = []
    if "noise" in template:
        inputs, outputs = (_recorded("noise"),), (_levels_port(bands),)
        made = [Program("encode", Levels(sample_rate), inputs, outputs, (noise,), sizes)]
    return [*made, _synthesizer(network, template, tuple(ports), tuple(controls), sizes)]


def _synthesizer(
    network: Blender,
    template: Dict[str, Any],
    controls: Tuple[Port, ...],
    example: Tuple[Tensor, ...],
    sizes: Sizes,
) -> Program:
    """Make the program that plays."""
    kind = white_of(network)
    drawn = {"normal": "normal, with variance 1", "uniform": "uniform in [-1, 1)"}
    says = f"White noise, {drawn[kind.distribution]}; the same noise gives the same sound."
    if all(part.white is None for part in network.parts):
        says = "Zeros, whose length says how many samples to play; this model makes no noise."
    white = Port("white", ("batch", kind.rows, "samples"), says)
    outputs = tuple(
        Port(
            part.name,
            ("batch", 1, "samples"),
            f"What the part {part.name} contributes; the sum of all parts is the sound.",
        )
        for part in network.parts
    )
    noise = kind.draw(_BATCH, _SAMPLES, torch.Generator().manual_seed(1))
    module = Synthesize(network, template)
    return Program("synthesize", module, (*controls, white), outputs, (*example, noise), sizes)


def _control(name: str, value: Any) -> List[Port]:
    """Describe the tensors that the parameters of a predicted part hold."""
    if value is None:
        return []
    if isinstance(value, Modes):
        return [_modes_port("modes" if name == "modal" else f"{name}_modes")]
    if isinstance(value, Bands):
        hop = value.hop_length
        where = f"frame k is centered on sample (k + 1) {hop}, and " if hop else ""
        return [
            Port(
                f"{name}_bands",
                ("batch", "noise_frames", value.amplitudes.shape[-1]),
                f"Linear amplitudes of noise bands: {where}bands are evenly spaced from 0 Hz to "
                "Nyquist.",
            )
        ]
    if isinstance(value, Tensor) and value.ndim == 2:
        says = "The embedding that modulates the network of this part; it has no unit."
        return [Port(f"{name}_embedding", ("batch", value.shape[1]), says)]
    raise UsageError(
        f"Export: the part {name!r} has parameters that programs do not know "
        f"({type(value).__name__}); export a model of known parts."
    )


def _modes_port(name: str) -> Port:
    """Describe a tensor of modes."""
    return Port(
        name,
        ("batch", 3, "modes", "frames"),
        "Sinusoids: frequency in rad/sample, linear amplitude, and phase in rad before sample 0 "
        "(that of frame 0 counts); frame f of F is centered on sample (f + 1/2) N / F - 1/2 of N.",
    )


def _levels_port(bands: int) -> Port:
    """Describe a tensor of levels of noise."""
    return Port(
        "noise_levels",
        ("batch", bands, "noise_frames"),
        "Levels that the noise shall have, root mean square in each of these bands, which are "
        "equally wide on the scale of equivalent rectangular bandwidths from 20 Hz to Nyquist; "
        "what encode gives leaves the noise as it was recorded.",
    )


def _recorded(name: str) -> Port:
    """Describe a tensor of recorded samples."""
    return Port(
        f"recorded_{name}", ("batch", "samples"), f"Samples of the {name} that was measured."
    )
