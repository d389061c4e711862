"""The tidy CSV of all rows, and the two tables of the paper with intervals."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from drumblender.files import atomic

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "configuration", "pack", "item", "instrument", "type", "metric", "value", "seed", "commit",
    "steps", "seconds", "device", "budget",
)  # fmt: skip
METRICS = {"mss": "MSS", "lsd": "LSD (dB)", "onset": "Onset"}
TYPES = {"all": None, "acoustic": ("acoustic",), "electronic": ("electronic",)}
# A hi-hat is a pair of cymbals, and counts as one in the paper, too.
INSTRUMENTS = {
    "kick": ("kick",), "snare": ("snare",), "tom": ("tom",), "cymbals": ("cymbals", "hihat"),
}  # fmt: skip
RESAMPLES = 2000


def tidy(entries: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
    """Make a table with one line for each sound and metric of what journals hold."""
    import pandas as pd

    lines = [
        {**{k: v for k, v in entry.items() if k != "values"}, "metric": metric, "value": value}
        for entry in entries
        for metric, value in entry["values"].items()
    ]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def write_csv(table: "pd.DataFrame", path: Path) -> None:
    """Write the tidy table. Equal figures give equal bytes."""
    text = table.to_csv(index=False, float_format="%.9g", lineterminator="\n")
    atomic.write(path, text.encode())


def interval(packs: Sequence[str], values: Sequence[float]) -> Optional[Tuple[float, float]]:
    """Return the 95 % interval of a mean over sounds, by a bootstrap over packs.

    Sounds of a pack were recorded together and are alike, so that whole packs are drawn anew. It is
    None for fewer than three packs, of which nothing can be told.
    """
    from scipy.stats import bootstrap

    names = sorted(set(packs))
    if len(names) < 3:
        return None
    where = np.array([names.index(pack) for pack in packs])
    sums = np.bincount(where, np.asarray(values, float))
    counts = np.bincount(where).astype(float)

    def mean(sums: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
        """Return the mean over the sounds of the packs that were drawn."""
        return sums.sum(axis) / counts.sum(axis)

    found = bootstrap(
        (sums, counts),
        mean,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        method="percentile",
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def label(name: str, table: "pd.DataFrame") -> str:
    """Return what tables call a row. A short budget is part of its name."""
    first = table.iloc[0]
    if first["budget"] != "short":
        return name
    return f"{name} [SHORT: {int(first['steps'])} steps, {first['seconds'] / 60:.0f} min]"


def cells(
    table: "pd.DataFrame", field: str, groups: Mapping[str, Optional[Tuple[str, ...]]]
) -> Dict[Tuple[str, str], List[Tuple[float, Optional[Tuple[float, float]], int]]]:
    """Compute mean, interval and number of sounds: (row, metric) to one entry for each group."""
    found: Dict[Tuple[str, str], List[Any]] = {}
    for name in table["configuration"].unique():
        own = table[table["configuration"] == name]
        for metric in METRICS:
            measured = own[own["metric"] == metric]
            entries = []
            for values in groups.values():
                part = measured if values is None else measured[measured[field].isin(values)]
                mean = float(part["value"].mean()) if len(part) else math.nan
                entries.append((mean, interval(part["pack"], part["value"]), len(part)))
            found[label(name, own), metric] = entries
    return found


def lines_of(
    table: "pd.DataFrame", field: str, groups: Mapping[str, Optional[Tuple[str, ...]]]
) -> Tuple[List[str], List[List[str]]]:
    """Return the heading and the lines of a table: a column for each metric and group."""
    found = cells(table, field, groups)
    counts = next(iter(found.values()))
    heading = [""] + [
        f"{title}, {group} ({entry[2]})"
        for title in METRICS.values()
        for group, entry in zip(groups, counts)
    ]
    names = list(dict.fromkeys(name for name, _ in found))
    rows = [
        [name] + [_text(*entry) for metric in METRICS for entry in found[name, metric]]
        for name in names
    ]
    return heading, rows


def _text(mean: float, between: Optional[Tuple[float, float]], count: int) -> str:
    """Write a mean with its interval, in three digits."""
    if not count:
        return "-"
    if between is None:
        return f"{mean:.3g} (-)"
    return f"{mean:.3g} ({between[0]:.3g} to {between[1]:.3g})"


def markdown(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table as Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def latex(heading: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """Write a table as LaTeX (with the package booktabs)."""
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(heading))
    style = (
        frame.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis=1)
    )
    return style.to_latex(
        hrules=True, caption=caption, column_format="l" + "r" * (len(heading) - 1)
    )


def write_tables(table: "pd.DataFrame", folder: Path) -> str:
    """Write both tables as Markdown and LaTeX, and return the Markdown."""
    note = (
        "Means over sounds; in parentheses 95 % intervals by a bootstrap over packs. Lower is "
        "better. The number behind a heading is that of sounds."
    )
    if (table["budget"] == "short").any():
        note += (
            " Rows marked SHORT were trained for a small part of what their configuration asks for "
            "and say nothing about it."
        )
    seeds = sorted(map(int, table["seed"].unique()))
    note += f" Seed {', '.join(map(str, seeds))}; {table['device'].iloc[0]}."
    texts = []
    for file, field, groups in (
        ("types", "type", TYPES),
        ("instruments", "instrument", INSTRUMENTS),
    ):
        heading, rows = lines_of(table, field, groups)
        texts.append(markdown(heading, rows))
        atomic.write(folder / f"{file}.tex", latex(heading, rows, note).encode())
    text = "\n".join([*texts, note, ""])
    atomic.write(folder / "tables.md", text.encode())
    return text


def others(table: "pd.DataFrame") -> str:
    """Write the means of all metrics over all sounds as Markdown."""
    names = table["metric"].unique()
    rows = []
    for name in table["configuration"].unique():
        own = table[table["configuration"] == name]
        means = own.groupby("metric")["value"].mean()
        rows.append([label(name, own), *(f"{means[metric]:.3g}" for metric in names)])
    return markdown(["", *names], rows)
