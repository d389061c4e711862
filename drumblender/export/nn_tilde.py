"""Instruments for nn~, which plays TorchScript in Max and Pure Data.

nn~ (Caillon and Esling, "RAVE", and https://github.com/acids-ircam/nn_tilde) finds what it needs by
name: for each method its numbers of channels and ratios, and labels of inlets and outlets; for each
attribute its type, a getter and a setter. Its package for Python pins another PyTorch, so that the
conventions are met here without it.
"""

from typing import Any, List, Sequence

import torch
from torch import Tensor, nn

from drumblender.export.instrument.instrument import Instrument
from drumblender.sound.controls import KNOWN_PARTS

# The number by which nn~ knows an attribute that is a number with a fraction.
_FLOAT = 2
# Numbers of samples per value of the inputs and outputs: all are signals.
_RATIO = 1


class NnTilde(nn.Module):
    """An instrument with the methods that nn~ calls, (B, channels, n) to (B, channels, n).

    Args:
        instrument: the instrument.
        names: name of each drum.

    Attributes:
        sr: sample rate in Hz, for hosts that ask.
    """

    methods: List[str]
    attributes: List[str]

    def __init__(self, instrument: Instrument, names: Sequence[str]):
        super().__init__()
        self.instrument = instrument
        self.sr = instrument.sample_rate
        channels = instrument.channels
        sides = [""] if channels == 1 else [f", channel {i + 1}" for i in range(channels)]
        sound = [f"(signal) sound{side}" for side in sides]
        parts = [f"(signal) {part}{side}" for part in KNOWN_PARTS for side in sides]
        edges = [f"(signal) {name}: rising above 0 begins a hit of that level" for name in names]
        pads = [f"(signal) {name}: sound of a pad or a microphone" for name in names]
        self.methods = []
        for method, inputs, outputs in (
            ("forward", edges, sound),
            ("stems", edges, parts),
            ("pad", pads, sound),
        ):
            self.methods.append(method)
            described = torch.tensor([len(inputs), _RATIO, len(outputs), _RATIO])
            self.register_buffer(f"{method}_params", described)
            setattr(self, f"{method}_input_labels", inputs)
            setattr(self, f"{method}_output_labels", outputs)
        self.attributes = list(instrument.values)
        for attribute in self.attributes:
            self.register_buffer(f"{attribute}_params", torch.tensor([_FLOAT]))

    def forward(self, x: Tensor) -> Tensor:
        """Play hits where triggers rise above zero, (B, drums, n) to (B, channels, n)."""
        return self.instrument.triggered(x).sum(2)

    @torch.jit.export
    def stems(self, x: Tensor) -> Tensor:
        """Play the same, with each part by itself, (B, drums, n) to (B, 3 channels, n)."""
        return self.instrument.triggered(x).transpose(1, 2).flatten(1, 2)

    @torch.jit.export
    def pad(self, x: Tensor) -> Tensor:
        """Play hits where strokes begin in sounds, (B, drums, n) to (B, channels, n)."""
        return self.instrument.struck(x).sum(2)

    @torch.jit.export
    def reset(self) -> None:
        """Forget all hits."""
        self.instrument.reset()

    @torch.jit.export
    def get(self, name: str) -> float:
        """Return the value of a control."""
        return self.instrument.get(name)

    @torch.jit.export
    def set(self, name: str, value: float) -> int:
        """Set a control. Returns 0, or -1 if the value is out of range, which changes nothing."""
        return self.instrument.set(name, value)

    @torch.jit.export
    def get_methods(self) -> List[str]:
        """List the methods."""
        return self.methods

    @torch.jit.export
    def get_attributes(self) -> List[str]:
        """List the attributes."""
        return self.attributes


def script(instrument: Instrument, names: Sequence[str]) -> Any:
    """Make TorchScript for nn~ of an instrument, with a getter and a setter for each control."""
    module = NnTilde(instrument, names).eval()
    made = torch.jit.script(module)
    for name in module.attributes:
        if hasattr(made, f"get_{name}"):  # modules that are alike share what was compiled
            continue
        made.define(f"def get_{name}(self) -> float:\n    return self.get('{name}')\n")
        body = f"    return self.set('{name}', value)\n"
        made.define(f"def set_{name}(self, value: float) -> int:\n{body}")
    return made
