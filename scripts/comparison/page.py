"""A page to listen: sounds of the test set, and what each row makes of them, with pictures.

It is static HTML. All that it needs lies beside it, so that it works without a network.
"""

import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import soundfile
import torch

from comparison.measure import Resynthesis, described, sum_of
from comparison.rows import Row, datamodule
from drumblender.data import AudioDataset
from drumblender.files import atomic
from drumblender.plotting import plot_parts, save_figure

TEMPLATE = Path(__file__).with_name("page.html.j2")
CHOSEN = Path(__file__).with_name("listen.txt")


def chosen(dataset: AudioDataset) -> List[str]:
    """Return the keys of the sounds to listen to: those of the list that are in the test set.

    A dataset that has none of them, which is not that of the benchmark, shows its first sounds.
    """
    names = [line for line in CHOSEN.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [name for name in names if name in dataset.keys] or dataset.keys[: len(names)]


def slug(name: str) -> str:
    """Return a name as a name of a file.

    >>> slug("sinusoids, plain")
    'sinusoids_plain'
    """
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")


def write_sounds(row: Row, play: Resynthesis, folder: Path, seed: int) -> None:
    """Write what a row makes of the sounds to listen to, unless that is there."""
    dataset = datamodule(row.data).dataset("test")
    for key in chosen(dataset):
        index = dataset.keys.index(key)
        target = dataset.audio(index)[0]
        if not (folder / key / "target.flac").is_file():
            _write(folder / key / "target", [("Recording", target)], target, dataset.sample_rate)
        path = folder / key / slug(row.name)
        if path.with_suffix(".png").is_file():
            continue
        with torch.inference_mode():
            stems = play(dataset, index, seed + index)
        sound = sum_of(stems, dataset.num_samples)
        parts = [(name.capitalize(), stem) for name, stem in stems.items()]
        if len(parts) > 1:
            for name, stem in stems.items():
                _audio(path.with_name(f"{path.name}.{name}.flac"), stem, dataset.sample_rate)
        else:
            parts = []
        _write(path, [("Resynthesis", sound), *parts], sound, dataset.sample_rate)


def _write(path: Path, signals: Sequence[Tuple[str, Any]], sound: Any, sample_rate: int) -> None:
    """Write a sound and then its picture."""
    _audio(path.with_name(f"{path.name}.flac"), sound, sample_rate)
    save_figure(plot_parts(signals, sample_rate), path.with_name(f"{path.name}.png"))


def _audio(path: Path, sound: Any, sample_rate: int) -> None:
    """Write a sound. What is louder than full scale is cut, as a player would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.in_one_step(path) as temporary:
        samples = sound.float().clamp(-1, 1).numpy()
        soundfile.write(temporary, samples, sample_rate, format="FLAC", subtype="PCM_24")


def write_page(
    rows: Mapping[str, Tuple[str, Mapping[str, Mapping[str, float]]]],
    dataset: AudioDataset,
    folder: Path,
    tables: str,
) -> None:
    """Write the page.

    Args:
        rows: name of each row to what tables call it, and its figures by sound and metric.
        dataset: the test set.
        folder: folder of the page; its sounds are in ``sounds``.
        tables: the tables, as Markdown.
    """
    import jinja2

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    sounds: List[Dict[str, Any]] = []
    for key in chosen(dataset):
        place = folder / "sounds" / key
        entries = []
        for name, (label, figures) in rows.items():
            base = slug(name)
            stems = sorted(path.name for path in place.glob(f"{base}.*.flac"))
            parts = [(path[len(base) + 1 : -len(".flac")], path) for path in stems]
            entries.append({"label": label, "base": base, "parts": parts, **_of(figures, key)})
        sounds.append({"key": key, **described(dataset, key), "rows": entries})
    text = template.render(sounds=sounds, tables=tables)
    atomic.write(folder / "index.html", text.encode())


def _of(figures: Mapping[str, Mapping[str, float]], key: str) -> Dict[str, str]:
    """Return the figures of one sound as text."""
    values = figures.get(key, {})
    return {"figures": ", ".join(f"{name} {value:.3g}" for name, value in values.items())}
