"""Inputs and outputs of programs, and which tensors fit them."""

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Sequence, Tuple, Union

import numpy as np

from drumblender.errors import UsageError, did_you_mean

Size = Union[str, int]
# Lowest and highest value of each size that has a name, and what it is a multiple of.
Sizes = Mapping[str, Tuple[int, int, int]]


@dataclass(frozen=True)
class Port:
    """An input or an output of a program, which is a tensor of float32.

    Attributes:
        name: name of the tensor.
        shape: sizes by name, and numbers where a size is fixed.
        meaning: one sentence that says what it holds, with units.
    """

    name: str
    shape: Tuple[Size, ...]
    meaning: str


def fitting(
    program: str, ports: Sequence[Port], sizes: Sizes, given: Mapping[str, Any]
) -> Dict[str, np.ndarray]:
    """Return tensors as a program takes them.

    Args:
        program: name of the program, for errors.
        ports: inputs of the program.
        sizes: what sizes may be.
        given: an array for each input, by name.

    Raises:
        UsageError: if one is missing or unknown, or does not fit.
    """
    names = [port.name for port in ports]
    for name in given:
        if name not in names:
            remedy = did_you_mean(name, names) or f"; its inputs are {', '.join(names)}."
            raise UsageError(f"{program} has no input {name!r}{remedy}")
    found: Dict[str, np.ndarray] = {}
    known: Dict[str, Tuple[int, str]] = {}
    for port in ports:
        if port.name not in given:
            raise UsageError(f"{program} needs the input {port.name!r}: {port.meaning}")
        array = np.ascontiguousarray(given[port.name], dtype=np.float32)
        says = f"{program}: {port.name} has the shape {array.shape}"
        if array.ndim != len(port.shape):
            raise UsageError(f"{says}; give {_shape(port)}.")
        for size, wanted in zip(array.shape, port.shape):
            if isinstance(wanted, int):
                if size != wanted:
                    raise UsageError(f"{says}; give {_shape(port)}.")
                continue
            lowest, highest, multiple = sizes[wanted]
            if not lowest <= size <= highest or size % multiple:
                steps = f", a multiple of {multiple}" if multiple > 1 else ""
                raise UsageError(f"{says}; give {lowest} to {highest} {wanted}{steps}.")
            before, where = known.setdefault(wanted, (size, port.name))
            if size != before:
                raise UsageError(f"{says}; give as many {wanted} as {where} has, {before}.")
        if not np.isfinite(array).all():
            raise UsageError(f"{program}: {port.name} holds what is no finite number; mend it.")
        found[port.name] = array
    return found


def _shape(port: Port) -> str:
    """Return the shape that a port wants, as a person reads it."""
    return "(" + ", ".join(str(size) for size in port.shape) + ")"


def as_json(ports: Sequence[Port]) -> List[Dict[str, Any]]:
    """Describe ports as a manifest does."""
    return [
        {"name": p.name, "shape": list(p.shape), "type": "float32", "meaning": p.meaning}
        for p in ports
    ]


def from_json(described: Any) -> Tuple[Port, ...]:
    """Return the ports that a manifest describes."""
    return tuple(Port(p["name"], tuple(p["shape"]), p["meaning"]) for p in described)
