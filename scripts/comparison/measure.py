"""Measuring of a row: every sound of the test set is resynthesized and compared with itself.

Each sound is entered into a journal when it is measured, so that a run that was stopped goes on.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

import torch
from torch import Tensor
from tqdm import tqdm

import drumblender
from comparison.rows import Row, datamodule
from drumblender.data import AudioDataset
from drumblender.metrics import MeanOverItems
from drumblender.parameters import Modes
from drumblender.signal.auditory import noise_of_levels
from drumblender.synths import ModalSynth
from drumblender.tasks.checkpoint import load_model

JOURNAL = "measured.jsonl"
Stems = Dict[str, Tensor]  # (N,) by name; the sound is their sum
# Turns a sound of a dataset, by its index, and a seed into its parts.
Resynthesis = Callable[[AudioDataset, int, int], Stems]


def resynthesis_of(row: Row, checkpoint: Optional[Path], device: str) -> Resynthesis:
    """Return what resynthesizes the sounds of a row."""
    if row.kind in ("trained", "checkpoint"):
        files = [path for path in (row.model_config, checkpoint) if path is not None]
        return _model(load_model(*files, device=device).network, device)
    return {"silence": _silence, "sinusoids": _sinusoids, "redrawn": _redrawn, "voice": _voice()}[
        row.kind
    ]


def _silence(dataset: AudioDataset, index: int, seed: int) -> Stems:
    """Resynthesize nothing."""
    return {"silence": torch.zeros(dataset.num_samples)}


def _sinusoids(dataset: Any, index: int, seed: int) -> Stems:
    """Play the measured modes."""
    parameters = dataset.parameters(index)
    return {"modal": ModalSynth()(parameters[None], dataset.num_samples)[0, 0]}


def _redrawn(dataset: Any, index: int, seed: int) -> Stems:
    """Play the measured modes and the transient, and noise that has the measured levels."""
    measured = dataset.measured(index)
    generator = torch.Generator().manual_seed(seed)
    arguments = (dataset.num_samples, dataset.sample_rate, generator)
    noise = noise_of_levels(measured["noise"][None], *arguments)[0]
    return {
        **_sinusoids(dataset, index, seed),
        "noise": noise,
        "transient": measured["transient"][0],
    }


def _voice() -> Resynthesis:
    """Return the voice that needs no training."""
    voice = drumblender.load(device="cpu")

    def play(dataset: AudioDataset, index: int, seed: int) -> Stems:
        """Take a sound apart, and put it together again."""
        audio = dataset.audio(index)[0].numpy()
        stems = voice.decompose(audio, dataset.sample_rate, seed).stems()
        return {name: torch.from_numpy(stem.copy()).flatten() for name, stem in stems.items()}

    return play


def _model(network: Any, device: str) -> Resynthesis:
    """Return the resynthesis by a model."""

    def play(dataset: Any, index: int, seed: int) -> Stems:
        """Encode a sound and play it, with noise of the seed."""
        audio, parameters = dataset.audio(index), dataset.parameters(index)
        num_samples = audio.shape[-1]
        torch.manual_seed(seed)
        modes = Modes(parameters[None].to(device), num_samples)
        encoded = network.encode(audio[None].to(device), modes)
        stems = network.synthesize(encoded, num_samples)
        return {name: stem[0, 0].cpu() for name, stem in stems.items()}

    return play


def measure(
    row: Row,
    play: Resynthesis,
    metrics: Mapping[str, MeanOverItems],
    folder: Path,
    seed: int,
    facts: Mapping[str, Any],
) -> None:
    """Measure every sound of the test set that is not in the journal of the folder yet.

    Args:
        row: the row.
        play: what resynthesizes its sounds.
        metrics: metrics by name.
        folder: folder of the row.
        seed: seed of all noise.
        facts: what else is entered with each sound.
    """
    dataset = datamodule(row.data).dataset("test")
    there = {entry["item"] for entry in read(folder)}
    left = [index for index, key in enumerate(dataset.keys) if key not in there]
    if not left:
        return
    with (folder / JOURNAL).open("a", encoding="utf-8") as journal, torch.inference_mode():
        for index in tqdm(left, row.name, unit=" sounds"):
            key = dataset.keys[index]
            sound = sum_of(play(dataset, index, seed + index), dataset.num_samples)
            target = dataset.audio(index)[0]
            values = {n: float(metric.distance(sound, target)) for n, metric in metrics.items()}
            entry = {"item": key, **described(dataset, key), **facts, "values": values}
            journal.write(json.dumps(entry) + "\n")
            journal.flush()
            os.fsync(journal.fileno())


def described(dataset: AudioDataset, key: str) -> Dict[str, str]:
    """Return the pack, the instrument and the type of a sound."""
    item = dataset.metadata[key]
    names = {"pack": "sample_pack_key", "instrument": "instrument", "type": "type"}
    return {name: str(item.get(field)) for name, field in names.items()}


def sum_of(stems: Stems, num_samples: int) -> Tensor:
    """Add parts up to a sound of so many samples."""
    sound = torch.zeros(num_samples)
    for stem in stems.values():
        sound[: len(stem)] += stem[:num_samples].float()
    return sound


def read(folder: Path) -> List[Dict[str, Any]]:
    """Read the journal of a folder, and cut off a line that a kill left half written."""
    path = folder / JOURNAL
    if not path.is_file():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        path.write_bytes(b"".join(lines[:-1]))
        lines = lines[:-1]
    return [json.loads(line) for line in lines]


def commit() -> str:
    """Return the commit of the repository, with a mark if files differ from it."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
        changed = subprocess.check_output([*git, "status", "--porcelain", "-uno"], text=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head[:12] + ("-changed" if changed.strip() else "")


def device_name(device: str) -> str:
    """Return a device's name as a person knows it."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{device}, {torch.get_num_threads()} threads of {next(_processors(), 'unknown')}"


def _processors() -> Iterator[str]:
    """Yield the names of the processors, where Linux says them."""
    path = Path("/proc/cpuinfo")
    for line in path.read_text().splitlines() if path.is_file() else ():
        if line.startswith("model name"):
            yield line.partition(":")[2].strip()
