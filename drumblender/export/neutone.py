"""Instruments for Neutone, a plug-in that plays models in a DAW.

The plug-in takes audio in and gives audio out: strokes in the sound of a track play the drum. It
has four knobs at most. Other sample rates and sizes of blocks are converted by the SDK, which also
tells the DAW by how many samples the model is late.
"""

import contextlib
import io
import logging
import math
import warnings
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple

import torch
from torch import Tensor

from drumblender.errors import DrumblenderError, UsageError, condense
from drumblender.export.instrument.instrument import DECAY, Instrument
from drumblender.sound.controls import by_name

_INSTALL = 'pip install "drumblender[neutone]"'
# The controls that become knobs.
KNOBS = ("pitch", "decay", "noise_gain", "attack")
_CITATION = (
    'J. Shier et al., "Differentiable Modelling of Percussive Audio with Transient and Spectral '
    'Synthesis", Forum Acusticum 2023'
)
_LONG = (
    "A drum of sinusoids, noise and transient, synthesized for each hit. Put the plug-in on a "
    "track with drums, a microphone or a pad: it finds strokes, and plays the drum as loud as they "
    "are, 4 ms later. Pitch, noise and attack follow while a hit sounds; decay counts when one "
    "begins."
)
_TECHNICAL = (
    "Made by Drumblender. Modes were measured from a recording, and noise and transient were "
    "measured or predicted by networks. A bank of sinusoids, shaped noise and a causal TCN play "
    "them block by block."
)


class Knob(NamedTuple):
    """How a knob sets a control.

    Attributes:
        name: name of the control.
        lowest: value at 0.
        highest: value at 1.
        is_logarithmic: whether equal distances are equal ratios.
        neutral: place, from 0 to 1, that changes nothing.
        help: what it does.
    """

    name: str
    lowest: float
    highest: float
    is_logarithmic: bool
    neutral: float
    help: str


def knob_of(name: str) -> Knob:
    """Make the knob of a control from the one table.

    >>> knob_of("decay").neutral, knob_of("pitch").neutral
    (0.5, 0.5)
    """
    control = by_name(name)
    slider, neutral = control.slider, control.neutral
    low, high = slider.lowest, slider.highest
    if name == "decay":
        low, high = 1 / DECAY[1], DECAY[1]
    assert neutral is not None
    place = (neutral - low) / (high - low)
    if slider.is_logarithmic:
        place = math.log(neutral / low) / math.log(high / low)
    says = f"{control.help} ({low:g} to {high:g} {slider.symbol})"
    return Knob(name, float(low), float(high), slider.is_logarithmic, place, says)


def sdk() -> Any:
    """Return the module neutone_sdk.

    Raises:
        UsageError: if it is not installed.
    """
    try:
        with _quiet():
            import neutone_sdk
    except ImportError:
        raise UsageError(f"Neutone needs its SDK, which is missing here; {_INSTALL}.") from None
    return neutone_sdk


def wrapped(instrument: Instrument, name: str, summary: str) -> Any:
    """Wrap an instrument as a model of Neutone.

    Args:
        instrument: the instrument, with one drum.
        name: name that the plug-in shows.
        summary: one sentence on the drum.
    """
    neutone = sdk()

    class NeutoneDrum(neutone.WaveformToWaveformBase):  # type: ignore[name-defined]
        """An instrument as Neutone calls it."""

        # Annotations here would hide those of the base class from TorchScript.

        def __init__(self, model: Instrument, title: str, summary: str, knobs: List[Knob]) -> None:
            # The SDK asks for these while it starts.
            self.title, self.summary = title, summary
            self.long, self.technical, self.citation = _LONG, _TECHNICAL, _CITATION
            self.mono, self.rate = model.channels == 1, model.sample_rate
            self.delay = int(model.pad.latency)
            self.shown = knobs
            super().__init__(model)
            self.knobs = [knob.name for knob in knobs]
            self.logarithmic = [knob.is_logarithmic for knob in knobs]
            self.lows = [math.log(k.lowest) if k.is_logarithmic else k.lowest for k in knobs]
            highs = [math.log(k.highest) if k.is_logarithmic else k.highest for k in knobs]
            self.spans = [high - low for low, high in zip(self.lows, highs)]
            del self.shown

        @torch.jit.ignore
        def get_neutone_parameters(self) -> List[Any]:
            make = neutone.ContinuousNeutoneParameter
            return [make(k.name, k.help, default_value=k.neutral) for k in self.shown]

        def get_model_name(self) -> str:
            return self.title

        def get_model_authors(self) -> List[str]:
            return ["Drumblender"]

        def get_model_short_description(self) -> str:
            return self.summary

        def get_model_long_description(self) -> str:
            return self.long

        def get_technical_description(self) -> str:
            return self.technical

        def get_tags(self) -> List[str]:
            return ["drums", "synthesis"]

        def get_model_version(self) -> str:
            return "1.0.0"

        def is_experimental(self) -> bool:
            return False

        def get_citation(self) -> str:
            return self.citation

        @torch.jit.export
        def is_input_mono(self) -> bool:
            return True

        @torch.jit.export
        def is_output_mono(self) -> bool:
            return self.mono

        @torch.jit.export
        def get_native_sample_rates(self) -> List[int]:
            return [self.rate]

        @torch.jit.export
        def get_native_buffer_sizes(self) -> List[int]:
            return []

        @torch.jit.export
        def calc_model_delay_samples(self) -> int:
            return self.delay

        @torch.jit.export
        def set_model_sample_rate_and_buffer_size(self, sample_rate: int, n_samples: int) -> bool:
            return True

        @torch.jit.export
        def reset_model(self) -> bool:
            self.model.reset()
            return True

        def do_forward_pass(self, x: Tensor, params: Dict[str, Tensor]) -> Tensor:
            for i, name in enumerate(self.knobs):
                value = self.lows[i] + self.spans[i] * float(params[name])
                if self.logarithmic[i]:
                    value = math.exp(value)
                self.model.set(name, value)
            return self.model.struck(x[None]).sum(2)[0]

    return NeutoneDrum(instrument, name[:30], summary[:150], [knob_of(knob) for knob in KNOBS])


def save(instrument: Instrument, name: str, summary: str, folder: Path, submit: bool) -> None:
    """Save a model for Neutone by the SDK, which validates it.

    Args:
        instrument: the instrument, with one drum.
        name: name that the plug-in shows.
        summary: one sentence on the drum.
        folder: folder that gets ``model.nm`` and ``metadata.json``.
        submit: whether to run the checks of a submission, too, which takes minutes.

    Raises:
        UsageError: if the SDK is not installed.
        DrumblenderError: if the SDK refuses the model.
    """
    model = wrapped(instrument, name, summary)
    from neutone_sdk.utils import save_neutone_model

    try:
        with _quiet():
            save_neutone_model(
                model, folder, dump_samples=submit, submission=submit, speed_benchmark=submit
            )
    except Exception as error:  # the SDK asserts, and PyTorch raises many kinds
        raise DrumblenderError(
            f"Export: the SDK of Neutone refuses the model ({condense(str(error))}); --debug shows "
            "where."
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let the SDK show nothing. It sets up logging when it is imported, and draws progress bars."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        root.handlers[:] = handlers
        root.setLevel(level)
