"""Model files, which hold weights and all that is needed to make sound with them.

A model file is a file of safetensors [1], which holds tensors and text and can run no code. The
text under ``drumblender`` in its metadata is JSON:

    format    number of this format, 1
    sha256    checksum of the facts, and of the names, types, shapes and bytes of the tensors
    facts     the fields of :class:`Facts`

[1] https://huggingface.co/docs/safetensors
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Tuple, Union

from drumblender.errors import DrumblenderError
from drumblender.files import atomic

if TYPE_CHECKING:  # torch takes seconds to import, and lists of models do without
    from torch import Tensor

SUFFIX = ".safetensors"
KEY = "drumblender"  # of the file's metadata
FORMAT = 1
_MAPPINGS = ("configuration", "analysis", "training", "trained_on", "metrics")  # of Facts
_LONGEST_HEADER = 100_000_000  # bytes, as safetensors itself limits it


@dataclass(frozen=True)
class Facts:
    """What a model file says of its model.

    Attributes:
        name: name of the model.
        license: identifier of the licence, such as "cc-by-4.0".
        summary: one line that says what the model is. It may be empty.
        configuration: configuration that the model is built from.
        analysis: settings of the analysis that the model was trained on, by name.
        sample_rate: in Hz.
        num_samples: number of samples of the sounds that it was trained on.
        parameters: number of weights that were learned.
        training: what a checkpoint says of its training, as far as it does: ``global_step``,
            ``epoch``, ``noise_seed``, and ``software`` with ``version`` and ``commit``.
        trained_on: number of different ``sounds`` that it was trained on. If that is one, its
            ``name``, ``sample_rate`` and ``num_samples``. Empty if it is not known.
        rounded_phase: whether phases are rounded to float32, as in the published models.
        metrics: means over a test set by the name of the metric.
    """

    name: str
    license: str
    summary: str
    configuration: Dict[str, Any] = field(repr=False)
    analysis: Dict[str, Any] = field(repr=False)
    sample_rate: int
    num_samples: int
    parameters: int
    training: Dict[str, Any]
    trained_on: Dict[str, Any]
    rounded_phase: bool = False
    metrics: Dict[str, float] = field(default_factory=dict)


def is_model_file(path: Union[str, Path]) -> bool:
    """Return whether a file is one of safetensors, by its name or its beginning."""
    path = Path(path)
    if path.suffix.lower() == SUFFIX:
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        beginning = file.read(9)
    return beginning[8:] == b"{" and int.from_bytes(beginning[:8], "little") <= _LONGEST_HEADER


def write_model(path: Path, tensors: Mapping[str, "Tensor"], facts: Facts) -> None:
    """Write a model file in one step. The same content gives the same bytes.

    Args:
        path: file to write.
        tensors: tensors by name.
        facts: what the file shall say of the model.

    Raises:
        DrumblenderError: if the disk refuses the file.
    """
    from safetensors.torch import save

    # A tensor that is a view of another one is stored as a tensor of its own.
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    described = dataclasses.asdict(facts)
    digest = _digest(described, save(whole))
    text = json.dumps({"format": FORMAT, "sha256": digest, "facts": described}, sort_keys=True)
    # One entry only: safetensors writes several in an order of its own each time.
    atomic.write(path, save(whole, {KEY: text}))


def read_facts(path: Union[str, Path]) -> Optional[Facts]:
    """Read what a model file says of its model, without its tensors.

    Returns:
        The facts. None if another program has written the file.

    Raises:
        DrumblenderError: if the file is missing, is damaged, or has a newer format.
    """
    found = _described(Path(path))
    return found and found[0]


def read_model(path: Union[str, Path]) -> Tuple[Dict[str, "Tensor"], Optional[Facts]]:
    """Read a model file.

    Returns:
        The tensors by name, and what the file says of its model. The latter is None if another
        program has written the file.

    Raises:
        DrumblenderError: if the file is missing, is damaged, or has a newer format.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = Path(path)
    found = _described(path)
    content = path.read_bytes()
    try:
        tensors = load(content)
    except (SafetensorError, KeyError):  # a type of numbers that torch does not have is a KeyError
        raise _damaged(path) from None
    if found is None:
        return tensors, None
    facts, described, digest = found
    if digest != _digest(described, content):
        raise _damaged(path)
    return tensors, facts


def _described(path: Path) -> Optional[Tuple[Facts, Dict[str, Any], str]]:
    """Read the facts of a file, as they are and as they were written, and its checksum."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise DrumblenderError(f"Model file {path} does not exist; check the path.")
    try:
        with safe_open(path, "numpy") as file:
            text = (file.metadata() or {}).get(KEY)
        if text is None:
            return None
        said = json.loads(text)
        if isinstance(said["format"], int) and said["format"] > FORMAT:
            raise DrumblenderError(
                f"Model file {path} was written by a newer Drumblender (format {said['format']}); "
                "update this one."
            )
        described = said["facts"]
        names = {field.name for field in dataclasses.fields(Facts)}
        facts = Facts(**{name: value for name, value in described.items() if name in names})
        if not all(isinstance(getattr(facts, name), dict) for name in _MAPPINGS):
            raise _damaged(path)
        return facts, described, said["sha256"]
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(path) from None


def _damaged(path: Path) -> DrumblenderError:
    """Make the error of a file that is not as it was written."""
    return DrumblenderError(
        f"Model file {path} is damaged, or no file of safetensors; fetch or publish it again."
    )


def _digest(described: Any, content: bytes) -> str:
    """Compute the checksum of a file with these facts, from the bytes of the file."""
    begin = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:begin])
    header.pop("__metadata__", None)
    digest = hashlib.sha256(json.dumps([described, header], sort_keys=True).encode())
    digest.update(memoryview(content)[begin:])
    return digest.hexdigest()


def size_of(path: Path) -> str:
    """Return the size of a file as a person reads it, such as "1.9 MB"."""
    size = path.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
