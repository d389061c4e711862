"""How large exported models are, how fast they compute, and how close they come to PyTorch.

    python scripts/benchmark_export.py [MODEL ...] [--rounds 3] [--folder FOLDER]

A model is a name, a file, a configuration (exported with random weights), or `measured`. Prints a
Markdown table: size of the ONNX, the largest difference from the usual model, and the processor
time of `encode` and `synthesize` on one thread for a drum of two seconds with 64 modes, as a share
of real time: of the usual model, of ONNX Runtime, of torch.export and of TorchScript.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, List

import numpy as np
import torch

from drumblender.config import is_configuration
from drumblender.export import Exported, export_model, load
from drumblender.export.check import compare, controls_of
from drumblender.export.programs import white_of
from drumblender.sound import Voice

ROOT = Path(__file__).parent.parent
# One of each kind; a model of the paper is exported for a minute.
MODELS = ["drums", "measured", str(ROOT / "cfg/04_noise_parallel_transient_params.yaml")]


def drum(seconds: float, rate: int) -> np.ndarray:
    """Modes and noise that last as long as the recording, as the costliest recordings do."""
    rng = np.random.default_rng(0)
    t = np.arange(int(seconds * rate)) / rate
    x = 0.1 * rng.standard_normal(len(t)) * np.exp(-3 * t)
    for frequency in 180 * np.arange(1, 30) ** 1.1:
        x += 0.05 * np.exp(-2 * t) * np.sin(2 * np.pi * frequency * t)
    return 0.5 * x / np.abs(x).max()


def forms(folder: Path, model: Exported) -> Dict[str, List[Callable]]:
    """Load the other forms: what computes each program, in their order."""
    names = list(model.manifest.programs)
    return {
        "pt2": [torch.export.load(folder / f"{name}.pt2").module() for name in names],
        "ts": [torch.jit.load(folder / f"{name}.ts") for name in names],
    }


def measure(name: str, folder: Path, rounds: int) -> str:
    """Export a model and measure it. Returns a line of the table."""
    loaded, _ = export_model(name, folder, untrained=_is_untrained(name))
    exported, voice = load(folder), Voice(loaded)
    rate = exported.sample_rate
    recording = voice.prepare(drum(2.0, rate), rate)
    network, length = loaded.network, recording.modes.num_samples
    given = controls_of(exported, recording)
    given["white"] = white_of(network).draw(1, length, torch.Generator().manual_seed(0)).numpy()
    others = forms(folder, exported)
    times: Dict[str, List[float]] = {kind: [] for kind in ("pytorch", "onnx", *others)}
    differences = []
    for _ in range(rounds):
        one = compare(exported, voice, recording)
        differences.append(one.difference)
        times["pytorch"].append(one.pytorch / one.seconds)
        times["onnx"].append(one.onnx / one.seconds)
        for kind, modules in others.items():
            found, start = dict(given), time.process_time()
            with torch.inference_mode():
                for module, program in zip(modules, exported.manifest.programs.values()):
                    tensors = [torch.from_numpy(found[port.name]) for port in program.inputs]
                    made = module(*tensors)
                    found.update({p.name: x.numpy() for p, x in zip(program.outputs, made)})
            times[kind].append((time.process_time() - start) / one.seconds)
    size = sum(path.stat().st_size for path in folder.glob("*.onnx")) / 1e6
    shares = " | ".join(f"{statistics.median(times[kind]):.3f}" for kind in times)
    return f"| `{Path(name).name}` | {size:.1f} MB | {max(differences):.0f} dB | {shares} |"


def _is_untrained(name: str) -> bool:
    """Return whether a model is a configuration whose weights are to be drawn."""
    return is_configuration(name) and Path(name).stem != "measured"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="models (default: one of each kind)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which medians are taken")
    parser.add_argument("--folder", help="where to keep the exports (default: nowhere)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| model | ONNX | difference | PyTorch | ONNX Runtime | torch.export | TorchScript |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        top = Path(options.folder or temporary)
        for name in options.models or MODELS:
            print(measure(name, top / Path(name).stem, options.rounds), flush=True)


if __name__ == "__main__":
    main()
