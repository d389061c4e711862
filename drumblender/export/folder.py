"""Exported models in ONNX Runtime."""

import hashlib
from pathlib import Path
from typing import Any, Dict, Optional, Union

import numpy as np

from drumblender.errors import DrumblenderError, UsageError
from drumblender.export.manifest import Described, Manifest, read_manifest
from drumblender.export.ports import fitting

PathLike = Union[str, Path]
_INSTALL = 'pip install "drumblender[onnx]"'


def load(folder: PathLike, sample_rate: Optional[int] = None, threads: int = 1) -> "Exported":
    """Load an exported model into ONNX Runtime.

    Args:
        folder: folder that ``drumblender export`` wrote.
        sample_rate: sample rate of the sounds that it shall take, in Hz. None stands for its own.
        threads: number of threads that ONNX Runtime computes with.

    Raises:
        UsageError: if ONNX Runtime is not installed, or if the model has another sample rate.
        DrumblenderError: if the manifest is missing, is damaged or has a newer form, or if a file
            is missing or is not the one that was exported.
    """
    runtime = onnx_runtime()
    folder = Path(folder)
    manifest = read_manifest(folder)
    if sample_rate is not None and sample_rate != manifest.sample_rate:
        raise UsageError(
            f"{folder} is of {manifest.sample_rate} Hz, not {sample_rate}; resample the sound, or "
            "export a measured model with --sample_rate."
        )
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    sessions = {}
    for name, program in manifest.programs.items():
        content = _checked(folder, program)
        try:
            sessions[name] = runtime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime raises classes of its own
            raise DrumblenderError(
                f"ONNX Runtime {runtime.__version__} does not take {name} of {folder} "
                f"({' '.join(str(error).split())[:200]}); update it."
            ) from error
    return Exported(manifest, sessions)


class Exported:
    """An exported model, which computes in ONNX Runtime.

    Args:
        manifest: what the folder says of itself.
        sessions: session of each program by name.

    Attributes:
        manifest: what the folder says of itself.
        sample_rate: in Hz.
    """

    def __init__(self, manifest: Manifest, sessions: Dict[str, Any]):
        self.manifest = manifest
        self.sample_rate = manifest.sample_rate
        self._sessions = sessions

    def run(self, program: str, **inputs: Any) -> Dict[str, np.ndarray]:
        """Run a program.

        Args:
            program: name of the program, "encode" or "synthesize".
            inputs: an array for each input. The manifest says names, shapes and meanings.

        Returns:
            An array of float32 for each output, by name.

        Raises:
            UsageError: if there is no such program, or if an input is missing, unknown or of a
                shape that does not fit.
        """
        if program not in self._sessions:
            names = " and ".join(self._sessions)
            raise UsageError(f"This model has no program {program}, only {names}.")
        described = self.manifest.programs[program]
        given = fitting(program, described.inputs, self.manifest.sizes, inputs)
        session = self._sessions[program]
        taken = {value.name for value in session.get_inputs()}
        fed = {name: array for name, array in given.items() if name in taken}
        made = session.run([port.name for port in described.outputs], fed)
        return {port.name: array for port, array in zip(described.outputs, made)}

    def encode(self, **inputs: Any) -> Dict[str, np.ndarray]:
        """Turn what was measured into controls, as :meth:`run` does."""
        return self.run("encode", **inputs)

    def synthesize(self, **inputs: Any) -> Dict[str, np.ndarray]:
        """Turn controls and white noise into what each part contributes, as :meth:`run` does."""
        return self.run("synthesize", **inputs)


def onnx_runtime() -> Any:
    """Return the module onnxruntime.

    Raises:
        UsageError: if it is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise UsageError(f"Exported models need ONNX Runtime here; {_INSTALL}.") from None
    return onnxruntime


def _checked(folder: Path, program: Described) -> bytes:
    """Read the ONNX of a program, and refuse it if it is not the one that was exported."""
    if "onnx" not in program.files:
        raise UsageError(f"{folder} holds no ONNX; export the model again with --forms onnx.")
    name, digest = program.files["onnx"]
    path = folder / Path(name).name  # nothing outside of the folder
    if not path.is_file():
        raise DrumblenderError(f"{path} is missing; copy the whole folder, or export again.")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise DrumblenderError(
            f"{path} is not the file that was exported (its checksum differs); copy the whole "
            "folder again, or export again."
        )
    return content
