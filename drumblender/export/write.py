"""Writing of a folder with an exported model: programs, manifest and card."""

import contextlib
import dataclasses
import hashlib
import os
import platform
import shutil
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import torch

from drumblender import __version__
from drumblender.errors import DrumblenderError, UsageError
from drumblender.export.forms import FORMS, SUFFIXES, check_forms, exported, write_form
from drumblender.export.manifest import FORMAT, KIND, MANIFEST, controls
from drumblender.export.ports import as_json
from drumblender.export.programs import Program, programs_of
from drumblender.files import atomic
from drumblender.pretrained import Facts, is_model_file, read_facts
from drumblender.pretrained.names import find_model
from drumblender.tasks.checkpoint import TrainedModel, load_model, measured_model, untrained_model

PathLike = Union[str, Path]
MEASURED = "measured"
CARD, MODEL_CARD = "README.md", "MODEL_CARD.md"
RATES = (4_000, 192_000)

_HOST = (
    "Programs take whole sounds; nothing is streamed, and nothing is delayed.",
    "Channels are rows of the batch, and each is taken by itself.",
    "The host pads sounds with zeros behind them to the number of samples that sizes ask for.",
    "The host measures the modes (and, for a measured model, noise and transient): in Python "
    "`drumblender-analyze`, `voice.prepare`, or an analysis of its own that follows `inputs`.",
    "The host applies the controls, as `how` says, and adds up the outputs.",
    "The package also holds a sound below the outline of its recording where that rises, fades its "
    "end, and resamples it to the rate of the recording; the programs do none of this.",
)
_HOST_TRAINED = (
    "The host resamples recordings to sample_rate, cuts silence in front, and appends "
    "silence_after zeros before it measures modes; modes describe audio and zeros together.",
)


def export_model(
    model: PathLike,
    folder: PathLike,
    config: Optional[PathLike] = None,
    forms: Sequence[str] = FORMS,
    sample_rate: Optional[int] = None,
    untrained: bool = False,
) -> Tuple[TrainedModel, Path]:
    """Write a folder with the programs of a model.

    Args:
        model: name of a model, a model file, a checkpoint or a configuration; or "measured", the
            model that needs no training.
        folder: folder to write, which must not exist or be empty.
        config: configuration of a checkpoint that carries none.
        forms: forms to write, some of :data:`~drumblender.export.forms.FORMS`.
        sample_rate: sample rate of the programs, in Hz. None stands for that of a trained model,
            and for 48 kHz if parts are measured. Only measured models can have another one.
        untrained: whether to export a configuration without a checkpoint, with random weights.

    Returns:
        The model, and the manifest.

    Raises:
        UsageError: if the folder holds something, or if a form, the rate or the model do not fit.
        DrumblenderError: if the model cannot be read or exported, or if the disk refuses a file.
    """
    folder, forms = Path(folder), tuple(dict.fromkeys(forms))
    check_forms(forms)
    check_new(folder)
    loaded, path = load_any(model, config, untrained)
    rate = rate_of(loaded, sample_rate)
    facts = facts_of(path)
    programs = programs_of(loaded, rate)
    with new_folder(folder) as temporary:
        written = {program.name: _write(program, forms, temporary) for program in programs}
        content = _manifest(loaded, rate, name_of(model, facts), facts, programs, written)
        atomic.write_json(temporary / MANIFEST, content)
        (temporary / CARD).write_text(_card(content), encoding="utf-8")
        copy_card(path, temporary)
    return loaded, folder / MANIFEST


def check_new(folder: Path) -> None:
    """Refuse a folder that holds something already, by a UsageError."""
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(f"{folder} is there already; give another folder, or remove it.")


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder to write into, which becomes the folder at the end."""
    with atomic.exclusive(folder), atomic.disk_errors(folder):
        temporary = folder.with_name(f"{folder.name}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            yield temporary
            if folder.is_dir():
                folder.rmdir()
            atomic.put_in_place(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def facts_of(path: Optional[Path]) -> Optional[Facts]:
    """Return what a model file says of itself, or None if there is no such file."""
    return read_facts(path) if path is not None and is_model_file(path) else None


def copy_card(path: Optional[Path], folder: Path) -> None:
    """Put the card of a model file into a folder, if it has one."""
    if path is not None and facts_of(path) and path.with_name("README.md").is_file():
        shutil.copyfile(path.with_name("README.md"), folder / MODEL_CARD)


def load_any(
    model: PathLike, config: Optional[PathLike] = None, untrained: bool = False
) -> Tuple[TrainedModel, Optional[Path]]:
    """Load a model, and return it with its file, if it has one.

    Arguments and errors are those of :func:`export_model`.
    """
    if config is not None:
        return load_model(config, model), Path(model)
    if str(model) == MEASURED:
        return measured_model(), None
    path = find_model(model)
    if untrained:
        return untrained_model(path), None
    return load_model(path), path


def rate_of(model: TrainedModel, sample_rate: Optional[int]) -> int:
    """Return the sample rate of the programs, in Hz."""
    own = model.analysis.sample_rate
    if not model.network.is_measured:
        if sample_rate not in (None, own):
            raise UsageError(
                f"This model was trained at {own} Hz and knows no other rate; leave out "
                "--sample_rate and let the host resample."
            )
        return own
    rate = own if sample_rate is None else sample_rate
    if not RATES[0] <= rate <= RATES[1]:
        raise UsageError(f"--sample_rate is {rate}; give {RATES[0]} to {RATES[1]} Hz.")
    return rate


def _write(program: Program, forms: Sequence[str], folder: Path) -> Dict[str, Any]:
    """Write a program in all forms, and describe its files."""
    made = exported(program)
    files = {}
    # TorchScript comes last, because it changes the graph.
    for form in sorted(forms, key=FORMS.index):
        path = folder / f"{program.name}{SUFFIXES[form]}"
        try:
            more = write_form(form, made, program, path)
        except OSError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise DrumblenderError(
                f"Export: {program.name} cannot be written as {form} ({reason}); leave that form "
                "out with --forms."
            ) from error
        content = path.read_bytes()
        files[form] = {
            "file": path.name,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            **more,
        }
    return files


def _manifest(
    model: TrainedModel,
    sample_rate: int,
    name: str,
    facts: Optional[Facts],
    programs: Sequence[Program],
    written: Dict[str, Dict[str, Any]],
) -> Dict[str, Any]:
    """Make the content of a manifest."""
    network = model.network
    settings = model.analysis.at_rate(sample_rate) if network.is_measured else model.analysis
    synth = network.noise_synth
    return {
        "kind": KIND,
        "format": FORMAT,
        "name": name,
        "summary": facts.summary if facts else "",
        "license": facts.license if facts else None,
        "metrics": facts.metrics if facts else {},
        "sample_rate": sample_rate,
        "channels": 1,
        "latency": 0,
        "hop_length": {
            "modes": settings.hop_length,
            "noise": getattr(synth, "hop_length", None),
        },
        "padded_to": 0 if network.is_measured else model.num_samples,
        "silence_after": settings.silence_after,
        "parts": [part.name for part in network.parts],
        "wiring": _wiring(network.wiring),
        "analysis": {**dataclasses.asdict(settings), "version": settings.version},
        "controls": controls(),
        "sizes": {
            size: {"lowest": low, "highest": high, "multiple_of": unit}
            for size, (low, high, unit) in programs[-1].sizes.items()
        },
        "programs": {
            program.name: {
                "inputs": as_json(program.inputs),
                "outputs": as_json(program.outputs),
                "files": written[program.name],
            }
            for program in programs
        },
        "host": [*(() if network.is_measured else _HOST_TRAINED), *_HOST],
        "software": software(),
    }


def _wiring(wiring: Any) -> str:
    """Say how the parts are wired."""
    return f"{type(wiring).__name__}({', '.join(getattr(wiring, 'inputs', ()))})"


def software() -> Dict[str, str]:
    """List the versions of what makes the programs."""
    from importlib.metadata import PackageNotFoundError, version

    found = {
        "drumblender": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    for name in ("onnx", "onnxscript"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def name_of(model: PathLike, facts: Optional[Facts]) -> str:
    """Return the name of a model."""
    return facts.name if facts is not None else Path(model).stem


def _card(content: Dict[str, Any]) -> str:
    """Write what a person reads first in the folder."""
    lines: List[str] = [
        f"# {content['name']}, exported",
        "",
        content["summary"] or "A model of Drumblender.",
        "",
        f"{content['sample_rate']} Hz, parts {', '.join(content['parts'])}, license "
        f"{content['license'] or 'not given'}. `{MANIFEST}` says all of this, and more, to "
        "programs.",
        "",
    ]
    for name, program in content["programs"].items():
        lines += [f"## {name}", "", "| tensor | shape | what it is |", "|---|---|---|"]
        for kind in ("inputs", "outputs"):
            for port in program[kind]:
                shape = ", ".join(str(size) for size in port["shape"])
                lines.append(f"| {kind[:-1]} `{port['name']}` | {shape} | {port['meaning']} |")
        lines += [""]
        for form, file in program["files"].items():
            opset = f", opset {file['opset']}" if "opset" in file else ""
            lines.append(f"- `{file['file']}`: {form}{opset}, {file['bytes'] / 1e6:.1f} MB")
        lines += [""]
    lines += ["## What the host does", "", *(f"- {says}" for says in content["host"]), ""]
    lines += [
        "```python",
        "import drumblender.export",
        "",
        'model = drumblender.export.load("FOLDER")',
        "parts = model.synthesize(...)  # one array for each input",
        "```",
        "",
    ]
    return "\n".join(lines)
