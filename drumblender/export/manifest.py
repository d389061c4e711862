"""The manifest of a folder with an exported model, a JSON file that says all there is to know.

kind        "drumblender.export"
format      number of this form, 1
name        name of the model; license, summary and metrics stand beside it
sample_rate in Hz; sounds of other rates are resampled by the host
channels    1: the channels of a sound are rows of the batch
latency     in samples: programs take whole sounds and delay nothing
hop_length  distance of frames in samples, of the modes and of the noise
analysis    settings that measure the modes, with the version of the method
controls    name, unit, range and meaning of what can be changed, and how a host does it
sizes       what sizes programs take
programs    inputs, outputs and files of each, with checksums
host        what is not in the programs
software    versions of what made the folder
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Tuple

from drumblender.errors import DrumblenderError
from drumblender.export.ports import Port, Sizes, from_json
from drumblender.sound.controls import CONTROLS, Control

KIND, FORMAT = "drumblender.export", 1
MANIFEST = "manifest.json"
_LARGEST = 2**22

# How a host carries out each control of the one table. A test holds the two together.
HOW = {
    "modal_gain": "multiply the output modal by 10 ** (value / 20)",
    "noise_gain": "multiply the output noise by 10 ** (value / 20)",
    "transient_gain": "multiply the output transient by 10 ** (value / 20)",
    "pitch": "multiply row 0 of modes by r = 2 ** (value / 12); phases at the onset stay if each "
    "mode's row 2 grows by (1 - r) times what it turns by from sample 0 to the onset",
    "decay": "resample the frames of the amplitudes of modes, and those of the noise, so that what "
    "follows the loudest moment lasts value times as long; samples grow with it, and frames of "
    "modes stay as far apart as they were",
    "brightness": "filter the sum of the outputs by value dB per octave about 1 kHz, with minimum "
    "phase",
    "attack": "multiply the output transient by value",
    "humanize": "draw small deviations of pitch, levels and decay, and other white noise",
}


@dataclass(frozen=True)
class Described:
    """A program as a manifest describes it.

    Attributes:
        name: "encode" or "synthesize".
        inputs: its inputs, in their order.
        outputs: its outputs, in their order.
        files: for each form, the name of the file and its SHA-256.
    """

    name: str
    inputs: Tuple[Port, ...]
    outputs: Tuple[Port, ...]
    files: Dict[str, Tuple[str, str]]


@dataclass(frozen=True)
class Manifest:
    """What a manifest says, as far as running the programs needs it.

    Attributes:
        content: the whole file.
        sample_rate: in Hz.
        sizes: what sizes programs take.
        programs: programs by name.
    """

    content: Dict[str, Any]
    sample_rate: int
    sizes: Sizes
    programs: Dict[str, Described]


def controls() -> List[Dict[str, Any]]:
    """Describe the controls of the one table for hosts. Infinity is written as a text."""
    return [_described(control) for control in CONTROLS]


def number(value: Any) -> Any:
    """Return a number as JSON has it. Infinity becomes a text."""
    return str(value) if value is not None and math.isinf(value) else value


def _described(control: Control) -> Dict[str, Any]:
    """Describe one control."""
    return {
        "name": control.name,
        "unit": control.unit,
        "lowest": number(control.lowest),
        "highest": number(control.highest),
        "neutral": control.neutral,
        "usual": control.usual,
        "symbol": control.slider.symbol,
        "slider": [control.slider.lowest, control.slider.highest],
        "is_logarithmic": control.slider.is_logarithmic,
        "meaning": control.help,
        "part": control.part,
        "how": HOW[control.name],
    }


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder.

    Raises:
        DrumblenderError: if it is missing or damaged, or if it has a newer form.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise DrumblenderError(
            f"{folder} holds no {MANIFEST}; give a folder that `drumblender export` wrote."
        )
    try:
        text = path.read_bytes()
        content = json.loads(text) if len(text) <= _LARGEST else None
        if not isinstance(content, dict) or content.get("kind") != KIND:
            raise DrumblenderError(
                f"{path} is no manifest of an exported model; give a folder that `drumblender "
                "export` wrote."
            )
        if content["format"] > FORMAT:
            raise DrumblenderError(
                f"{path} was written by a newer Drumblender (format {content['format']}); update "
                "this one."
            )
        return Manifest(
            content,
            int(content["sample_rate"]),
            {
                name: (size["lowest"], size["highest"], size["multiple_of"])
                for name, size in content["sizes"].items()
            },
            {name: _program(name, said) for name, said in content["programs"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DrumblenderError(f"{path} is damaged; export the model again.") from None


def _program(name: str, said: Dict[str, Any]) -> Described:
    """Read what a manifest says of a program."""
    files = {form: (file["file"], file["sha256"]) for form, file in said["files"].items()}
    return Described(name, from_json(said["inputs"]), from_json(said["outputs"]), files)
