"""Operations that compilers, exporters and autograd take as one."""

from typing import Any, Callable, TypeVar

import torch

Function = TypeVar("Function", bound=Callable[..., Any])


def operation(function: Function) -> Function:
    """Register a function with ``torch.library`` as ``drumblender::NAME``, for all devices.

    What it computes for fake tensors, and its derivative, are registered under that name as well.
    Unlike ``torch.library.custom_op``, a call does not import PyTorch's compiler, which takes a
    second.

    Args:
        function: a pure function with annotated arguments. What it returns shares no memory with
            them.

    Returns:
        The operation, which is called as the function is.
    """
    name = f"drumblender::{function.__name__}"
    tags = (torch.Tag.pt2_compliant_tag, torch.Tag.needs_fixed_stride_order)
    torch.library.define(name, torch.library.infer_schema(function, mutates_args=()), tags=tags)
    torch.library.impl(name, "default", function)
    return getattr(torch.ops.drumblender, function.__name__).default
