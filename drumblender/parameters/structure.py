"""Tensors inside of parameters, whatever the parameters of a part are.

The parameters of a part are None, a tensor, or a frozen dataclass with tensors among its fields.
The first axis of each of these tensors is the batch.
"""

import dataclasses
from typing import Any, Callable, List, Sequence

from torch import Tensor


def map_tensors(function: Callable[..., Tensor], *values: Any) -> Any:
    """Apply a function to the tensors of parameters.

    Args:
        function: takes one tensor of each of the values.
        values: parameters of one kind. What is no tensor is taken from the first of them.

    >>> import torch
    >>> map_tensors(lambda x: x + 1, torch.zeros(2)).tolist()
    [1.0, 1.0]
    >>> map_tensors(lambda x: x, None) is None
    True
    """
    first = values[0]
    if isinstance(first, Tensor):
        return function(*values)
    if not dataclasses.is_dataclass(first) or isinstance(first, type):
        return first
    changed = {
        field.name: function(*(getattr(value, field.name) for value in values))
        for field in dataclasses.fields(first)
        if isinstance(getattr(first, field.name), Tensor)
    }
    return dataclasses.replace(first, **changed)


def weighted_sum(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Add up tensors of one shape, each times its weight.

    >>> import torch
    >>> weighted_sum([torch.ones(2), torch.zeros(2)], [0.25, 0.75]).tolist()
    [0.25, 0.25]
    """
    first, *others = (x * weight for x, weight in zip(tensors, weights))
    return sum(others, first)


def tensors_of(value: Any) -> List[Tensor]:
    """List the tensors of parameters, in the order of their fields."""
    found: List[Tensor] = []

    def note(x: Tensor) -> Tensor:
        """Note a tensor."""
        found.append(x)
        return x

    map_tensors(note, value)
    return found


def signature_of(value: Any) -> Any:
    """Describe what the parameters of two sounds must have in common to go into one batch.

    The signature holds the shapes of tensors without the batch axis, and all fields that are not
    tensors.

    >>> import torch
    >>> signature_of(torch.zeros(2, 3, 5))
    (3, 5)
    """
    if isinstance(value, Tensor):
        return tuple(value.shape[1:])
    if not dataclasses.is_dataclass(value):
        return value
    fields = (getattr(value, field.name) for field in dataclasses.fields(value))
    return tuple(signature_of(field) for field in fields)
