"""The forms in which programs are written: ONNX, torch.export and TorchScript.

All three are made of one graph, that of ``torch.export``, in which sizes are symbols. Traces of
where the code stood are left out, because they would tell of this machine.
"""

import warnings
from pathlib import Path
from typing import Any, Dict, Tuple

import torch
from torch import fx

from drumblender.errors import DrumblenderError, UsageError, condense
from drumblender.export.ports import Port
from drumblender.export.programs import Program
from drumblender.signal.plain import plain_operations

# ONNX Runtime has these since version 1.14, of February 2023.
OPSET = 18
SUFFIXES = {"onnx": ".onnx", "pt2": ".pt2", "torchscript": ".ts"}
FORMS = tuple(SUFFIXES)
_INSTALL = 'pip install "drumblender[onnx]"'


def exported(program: Program) -> torch.export.ExportedProgram:
    """Make the graph of a program, for all sizes.

    Raises:
        DrumblenderError: if PyTorch cannot make a graph of it.
    """
    from torch.export import Dim

    dims = {
        name: Dim(name, min=low, max=high)
        for name, (low, high, _) in program.sizes.items()
        if name != "samples"
    }
    low, high, unit = program.sizes["samples"]
    # Symbols that are multiples keep the sizes of frames simple enough for PyTorch to reason about.
    dims["samples"] = unit * Dim("units", min=low // unit, max=high // unit)
    shapes: Any = tuple(
        {i: dims[size] for i, size in enumerate(port.shape) if isinstance(size, str)}
        for port in program.inputs
    )
    if _takes_any_number(program.module):
        shapes = (shapes,)
    try:
        with torch.no_grad(), plain_operations(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program.module(*program.example)  # fills the caches of constants, outside of the graph
            made = torch.export.export(
                program.module, program.example, dynamic_shapes=shapes, strict=False
            )
    except Exception as error:  # PyTorch raises many kinds
        raise DrumblenderError(
            f"Export: PyTorch {torch.__version__} makes no program of {program.name} "
            f"({condense(str(error))}); --debug shows where."
        ) from error
    for module in made.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, fx.GraphModule) else ():
            for key in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn"):
                node.meta.pop(key, None)
    return made


def write_form(form: str, made: Any, program: Program, path: Path) -> Dict[str, Any]:
    """Write a program in one form, and return what there is to say of it.

    Args:
        form: one of ``FORMS``.
        made: the graph of the program, from :func:`exported`.
        program: the program.
        path: file to write.
    """
    with torch.no_grad(), plain_operations(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if form == "onnx":
            return _write_onnx(made, program, path)
        if form == "pt2":
            torch.export.save(made, path)
        else:
            torch.jit.save(_scripted(made), path)
        return {}


def check_forms(forms: Tuple[str, ...]) -> None:
    """Refuse forms that are unknown, or whose libraries are missing.

    Raises:
        UsageError: in these cases.
    """
    for form in forms:
        if form not in FORMS:
            raise UsageError(f"There is no form {form}; take some of {', '.join(FORMS)}.")
    if "onnx" in forms:
        try:
            import onnx  # noqa: F401
            import onnxscript  # noqa: F401
        except ImportError:
            raise UsageError(f"ONNX needs packages that are missing here; {_INSTALL}.") from None


def _takes_any_number(module: torch.nn.Module) -> bool:
    """Return whether the forward of a module takes all tensors as one tuple."""
    code = type(module).forward.__code__
    return code.co_argcount == 1


def _write_onnx(made: Any, program: Program, path: Path) -> Dict[str, Any]:
    """Write ONNX whose inputs, outputs and sizes have names, in one file."""
    import logging

    import onnx

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    converted = torch.onnx.export(
        made,
        input_names=[port.name for port in program.inputs],
        output_names=[port.name for port in program.outputs],
        opset_version=OPSET,
        dynamo=True,
        optimize=True,
        verbose=False,
    )
    assert converted is not None
    model = converted.model_proto
    for values, ports in (
        (model.graph.input, program.inputs),
        (model.graph.output, program.outputs),
    ):
        for value, port in zip(values, ports):
            _name_sizes(value, port)
    del model.graph.value_info[:]
    for graph in (model.graph, *model.functions):
        for node in graph.node:
            node.doc_string = ""
            del node.metadata_props[:]
    model.producer_name = "drumblender"
    model.graph.name = program.name
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return {"opset": model.opset_import[0].version}


def _name_sizes(value: Any, port: Port) -> None:
    """Give the sizes of an input or output of ONNX their names."""
    for dim, size in zip(value.type.tensor_type.shape.dim, port.shape):
        if isinstance(size, str):
            dim.dim_param = size
        else:
            dim.dim_value = size


def _scripted(made: Any) -> Any:
    """Make TorchScript of a graph of ``torch.export``.

    TorchScript knows the same operators by names without overloads, and sizes as plain integers.
    """
    module = made.module()
    graph = module.graph
    graph.set_codegen(fx.graph.CodeGen())  # the usual one takes inputs in structures
    for node in list(graph.nodes):
        name = str(getattr(node.target, "__name__", node.target))
        if name.startswith(("_assert", "_guards", "sym_constrain")):
            graph.erase_node(node)
        elif node.op == "call_function":
            node.target = _SCRIPTED.get(node.target, node.target)
            if isinstance(node.target, torch._ops.OpOverload):
                node.target = node.target.overloadpacket
    for name, value in list(vars(module).items()):
        if isinstance(value, torch.Tensor):
            delattr(module, name)
            module.register_buffer(name, value)
    graph.eliminate_dead_code()
    return torch.jit.freeze(torch.jit.script(fx.GraphModule(module, graph)).eval())


_SCRIPTED: Dict[Any, Any] = {
    torch.ops.aten.sym_size.int: torch.ops.aten.size.int,
    torch.sym_max: max,
    torch.sym_min: min,
}
