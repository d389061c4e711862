"""The content of a dataset and of each of its splits: a table, and a picture of it.

matplotlib is imported where it is used, because a table should not wait for it.
"""

import contextlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Mapping

import numpy as np

from drumblender.data.library.names import INSTRUMENTS, UNKNOWN
from drumblender.data.settings import CUT, read_settings
from drumblender.data.splits import SPLITS, split
from drumblender.data.target import Target
from drumblender.errors import UsageError
from drumblender.files import atomic
from drumblender.files.fonts import any_script
from drumblender.files.parallel import available_cores
from drumblender.files.progress import progress
from drumblender.files.text import align, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AUDIBLE = 1e-3  # of full scale (-60 dB); a sound is over when it stays below
_MOST_PACKS = 25
_COLORS = {"train": "#51127c", "val": "#f1605d", "test": "#feb078"}


@dataclass
class Summary:
    """What is in a dataset.

    Attributes:
        title: name of the dataset.
        metadata: metadata of the sounds that pass the filters.
        parts: split -> keys.
        seconds: key -> seconds after which the sound is over.
        cut: key -> seconds that the recording goes on for, of those that were cut.
    """

    title: str
    metadata: Mapping[str, Mapping[str, Any]]
    parts: Mapping[str, List[str]]
    seconds: Mapping[str, float]
    cut: Mapping[str, float] = field(default_factory=dict)

    def count(self, field: str) -> Dict[str, Counter]:
        """Split -> how many sounds have which value of a field of the metadata."""
        return {
            name: Counter(str(self.metadata[key].get(field)) for key in keys)
            for name, keys in self.parts.items()
        }

    def __str__(self) -> str:
        columns = {**self.parts, "all": list(self.metadata)}
        lines = [["", *columns]]

        def row(name: str, value: Callable[[List[str]], str]) -> None:
            """Add a row of values, one for each split and one for all."""
            lines.append([name, *(value(keys) if keys else "-" for keys in columns.values())])

        def number(field: str, name: str) -> Callable[[List[str]], str]:
            """Make the function that counts the sounds with a value of a field."""
            return lambda keys: str(
                sum(str(self.metadata[key].get(field)) == name for key in keys) or ""
            )

        def distinct(field: str) -> Callable[[List[str]], str]:
            """Make the function that counts the values of a field."""
            return lambda keys: str(len({self.metadata[key].get(field) for key in keys}))

        def quantile(share: float) -> Callable[[List[str]], str]:
            """Make the function that gives the seconds which a share of sounds does not exceed."""
            return lambda keys: f"{self._quantile(keys, share):.2f}"

        row("sounds", lambda keys: str(len(keys)))
        row("  copies of others", lambda keys: str(sum(map(self._is_copy, keys)) or ""))
        row("  cut at their end", lambda keys: str(len(self.cut.keys() & set(keys)) or ""))
        row("minutes that sound", lambda keys: f"{sum(self.seconds[key] for key in keys) / 60:.1f}")
        for name, share in (("shortest", 0.0), ("median", 0.5), ("longest", 1.0)):
            row(f"  {name} (s)", quantile(share))
        for what, column, order in (
            ("types", "type", sorted),
            ("instruments", "instrument", _in_order),
            ("packs", "sample_pack_key", self._largest),
        ):
            row(what, distinct(column))
            values = {str(item.get(column)) for item in self.metadata.values()}
            for name in order(values):
                row(f"  {printable(name)}", number(column, name))
            if column == "sample_pack_key" and len(values) > _MOST_PACKS:
                lines.append([f"  and {len(values) - _MOST_PACKS} more", *[""] * len(columns)])
        return f"{printable(self.title)}\n{align(lines)}"

    def _is_copy(self, key: str) -> bool:
        """Return whether a sound is the same as another one."""
        return "duplicate_of" in self.metadata[key]

    def _quantile(self, keys: List[str], share: float) -> float:
        """Return the seconds that a share of sounds does not exceed."""
        return float(np.quantile([self.seconds[key] for key in keys], share))

    def _largest(self, packs: Iterable[str]) -> List[str]:
        """Return the sample packs with the most sounds, the largest first."""
        sizes = Counter(str(item.get("sample_pack_key")) for item in self.metadata.values())
        return sorted(packs, key=lambda pack: (-sizes[pack], pack))[:_MOST_PACKS]


def summarize(target: Target) -> Summary:
    """Measure all sounds of a dataset that pass its filters."""
    dataset, options = target.open(), target.dataset_kwargs
    strategy, seed = options.get("split_strategy", "random"), options.get("seed", 0)
    parts = split(dataset.metadata, dataset.keys, strategy, seed)

    def seconds(index: int) -> float:
        """Return after how many seconds a sound is over."""
        loud = np.flatnonzero(np.abs(dataset.audio(index).numpy().ravel()) > AUDIBLE)
        return (loud[-1] + 1) / dataset.sample_rate if len(loud) else 0.0

    with (
        ThreadPoolExecutor(available_cores()) as pool,
        progress("Listen", len(dataset)) as bar,
    ):
        durations = []
        for duration in pool.map(seconds, range(len(dataset))):
            durations.append(duration)
            bar.update()
    metadata = {key: dataset.metadata[key] for key in dataset.keys}
    cut = (read_settings(dataset.data_dir) or {}).get(CUT, {})
    return Summary(str(dataset.data_dir), metadata, parts, dict(zip(dataset.keys, durations)), cut)


def describe(target: Target) -> str:
    """Return how many sounds a dataset has, and how many are in each split."""
    total = len(target.open())
    sizes = dict.fromkeys(SPLITS, 0)
    for name in SPLITS:
        with contextlib.suppress(UsageError):  # too few sounds for this split
            sizes[name] = len(target.open(name))
    parts = ", ".join(f"{name} {size}" for name, size in sizes.items())
    return f"{target.data_dir}: {total} sounds ({parts})."


def write_picture(summary: Summary, path: Path) -> None:
    """Write the figure of :func:`plot` as PNG."""
    figure = plot(summary)
    with atomic.in_one_step(path) as temporary, any_script(figure):
        figure.savefig(temporary, format="png", dpi=120)


def plot(summary: Summary) -> "Figure":
    """Draw the instruments, packs and durations of a dataset, by split."""
    from matplotlib.figure import Figure

    instruments = summary.count("instrument")
    packs = summary.count("sample_pack_key")
    names = _in_order({name for part in instruments.values() for name in part})
    largest = summary._largest({name for part in packs.values() for name in part})
    height = max(4.5, 1.6 + 0.24 * max(len(largest), len(names)))
    figure = Figure(figsize=(13.0, height), layout="constrained")
    sizes = ", ".join(f"{name} {len(summary.parts[name])}" for name in SPLITS)
    title = f"{summary.title}: {len(summary.metadata)} sounds ({sizes})"
    figure.suptitle(printable(title), parse_math=False)
    left, middle, right = figure.subplots(1, 3)
    _bars(left, instruments, names)
    left.set_title("Instruments")
    _bars(middle, packs, largest)
    every = len({str(item.get("sample_pack_key")) for item in summary.metadata.values()})
    middle.set_title("Packs" if every == len(largest) else f"The {len(largest)} largest packs")
    for axes in (left, middle):
        axes.set_xlabel("Sounds")
    values = [[summary.seconds[key] for key in summary.parts[name]] for name in SPLITS]
    longest = max(summary.seconds.values(), default=1.0) or 1.0
    right.hist(
        values,
        bins=np.linspace(0, longest, 31),
        stacked=True,
        label=SPLITS,
        color=[_COLORS[name] for name in SPLITS],
    )
    right.set_title("Time until -60 dB")
    right.set_xlabel("Seconds")
    right.set_ylabel("Sounds")
    right.legend()
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _bars(axes: Any, counts: Mapping[str, Counter], names: List[str]) -> None:
    """Draw a bar for each name, which consists of its counts in the splits."""
    start = np.zeros(len(names))
    for part in SPLITS:
        lengths = np.array([counts[part][name] for name in names], float)
        axes.barh(range(len(names)), lengths, left=start, color=_COLORS[part], label=part)
        start += lengths
    labels = [printable(f"{name[:27]}…" if len(name) > 28 else name) for name in names]
    # A dollar sign in a name is no formula.
    axes.set_yticks(range(len(names)), labels, parse_math=False)
    axes.invert_yaxis()
    axes.bar_label(axes.containers[-1], [f" {int(total)}" for total in start], fontsize=8)


def _in_order(instruments: Iterable[str]) -> List[str]:
    """Return the instruments that we know in their order, then others, then what is unknown."""
    order = list(INSTRUMENTS)
    return sorted(
        instruments,
        key=lambda name: (name == UNKNOWN, order.index(name) if name in order else 99, name),
    )
