#!/usr/bin/env python3
"""Compare configurations and models on the public benchmark.

    python scripts/benchmark.py                             # all, as long as they ask for
    python scripts/benchmark.py cfg/04*.yaml --minutes 5    # a few, with a budget
    python scripts/benchmark.py --analysis plain coverage   # each with features of two analyses
    python scripts/benchmark.py --checkpoint model.ckpt --no_training

The data are prepared, each configuration is trained and tested on packs that it never saw, and the
rows that need no training are measured beside them: silence, sinusoids of each analysis, measured
parts with new noise, and the voice that needs no training. Give the same command again after a
stop: it goes on. Needs pip install -e ".[benchmark]".

OUTPUT gets results.csv, one line for each sound and metric; tables.md, types.tex and
instruments.tex, the tables of the paper with 95 % intervals over packs; and index.html, a page to
listen to. With --steps, the same seed on the same machine gives the same results.csv, but for
seconds.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, Sequence, Tuple

from drumblender.commands.report import report_errors
from drumblender.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    options = parser().parse_args()
    return report_errors(lambda _: run(options), [])


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("configs", nargs="*", type=Path, help="default: cfg/01 to cfg/07 of the repository")
    add("--output", type=Path, default=Path("benchmark"), help="folder of all results")
    add("--steps", type=int, help="train each configuration for so many steps at most")
    add("--minutes", type=float, help="train each configuration for so many minutes at most")
    add(
        "--analysis",
        nargs="+",
        default=["own"],
        metavar="METHOD",
        help="features to train with: plain, coverage, separating, or own, as configurations say",
    )
    add("--device", default="cpu", help="cpu or cuda")
    add("--seed", type=int, default=0)
    add("--data", type=Path, default=ROOT / "cfg/data/benchmark.yaml")
    add("--metrics", type=Path, default=ROOT / "cfg/metrics/benchmark.yaml")
    add("--zimtohrli", action="store_true", help="measure by a model of hearing, too")
    add("--checkpoint", nargs="+", default=[], help="models that exist, by file or name")
    add("--models", type=Path, default=ROOT / "models", help="folder of the published models")
    add("--no_training", action="store_true", help="leave the configurations out")
    add("--only", nargs="+", metavar="ROW", help="names of the rows to measure")
    add("--no_page", action="store_true", help="leave the page to listen out")
    return parser


def run(options: argparse.Namespace) -> None:
    check(options)

    from comparison.rows import checked

    from drumblender.files import atomic

    rows = checked(rows_of(options), options.only)
    options.output.mkdir(parents=True, exist_ok=True)
    with atomic.exclusive(options.output / "rows"):
        for row in rows:
            finish(row, options)
    report(rows, options)


def check(options: argparse.Namespace) -> None:
    """Refuse what cannot be, before anything long begins."""
    import torch

    for name in ("steps", "minutes"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            raise UsageError(f"--{name} is {value}; give a number above 0.")
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError("--device cuda: PyTorch sees no GPU here; leave it out.")
    for method in options.analysis:
        if method not in ("own", "plain", "coverage", "separating"):
            raise UsageError(
                f"--analysis {method} is none; choose plain, coverage, separating or own."
            )
    try:
        import jinja2
        import pandas  # noqa: F401

        assert jinja2
    except ImportError as error:
        raise UsageError(
            f'The benchmark needs {error.name}; install it with pip install -e ".[benchmark]".'
        ) from error


def rows_of(options: argparse.Namespace) -> list:
    """Return all rows that the options name."""
    from comparison import rows

    from drumblender.config import load_config

    data = load_config(options.data)
    configs = options.configs or sorted((ROOT / "cfg").glob("0[1-9]*.yaml"))
    found = list(rows.measured_rows(data))
    if not options.no_training:
        found += rows.trained_rows(configs, options.analysis, data)
    found += rows.checkpoint_rows(options.checkpoint, data)
    if options.models.is_dir():
        found += rows.published_rows(options.models, data)
    return found


def metrics_of(options: argparse.Namespace) -> Dict[str, Any]:
    """Make the metrics."""
    import torchmetrics
    from jsonargparse import ArgumentParser

    from drumblender.config import load_config
    from drumblender.metrics import ZimtohrliError

    made = ArgumentParser(exit_on_error=False)
    made.add_argument("--metrics", type=Dict[str, torchmetrics.Metric])
    parsed = made.parse_object({"metrics": load_config(options.metrics)})
    metrics = made.instantiate_classes(parsed).metrics
    return {**metrics, "zimtohrli": ZimtohrliError()} if options.zimtohrli else metrics


def folder_of(row: Any, options: argparse.Namespace) -> Path:
    from comparison.page import slug

    return options.output / "rows" / f"{slug(row.name)}-{options.seed}"


def finish(row: Any, options: argparse.Namespace) -> None:
    """Prepare, train and measure a row, as far as that is not done."""
    from comparison import measure, page, rows, training

    from drumblender.files import atomic

    folder = folder_of(row, options)
    budget = training.Budget(options.steps, options.minutes)
    made = {
        "row": row.digest,
        "budget": str(budget) if row.kind == "trained" else "",
        "metrics": [options.metrics.read_text(), options.zimtohrli],
        "device": options.device,
    }
    settings = folder / "settings.json"
    if settings.is_file() and json.loads(settings.read_text()) != made:
        raise UsageError(
            f"{folder} was made with other settings; choose another --output, or remove it."
        )
    atomic.write_json(settings, made)
    rows.datamodule(row.data).prepare_data()
    checkpoint, facts = row.checkpoint, {"steps": 0, "seconds": 0.0, "budget": "none"}
    if row.kind == "trained":
        trained = training.train(row, folder, budget, options.seed, options.device)
        checkpoint = trained.checkpoint
        facts = {name: getattr(trained, name) for name in facts}
    facts = {
        "configuration": row.name,
        "seed": options.seed,
        "commit": measure.commit(),
        "device": measure.device_name(options.device),
        **facts,
    }
    play = measure.resynthesis_of(row, checkpoint, options.device)
    measure.measure(row, play, metrics_of(options), folder, options.seed, facts)
    if not options.no_page:
        page.write_sounds(row, play, options.output / "sounds", options.seed)


def report(rows: Sequence[Any], options: argparse.Namespace) -> None:
    """Write the CSV, the tables and the page of all rows."""
    from comparison import measure, page, tables
    from comparison.rows import datamodule

    entries = []
    for row in rows:
        found = {entry["item"]: entry for entry in measure.read(folder_of(row, options))}
        entries += [found[key] for key in sorted(found)]
    table = tables.tidy(entries)
    tables.write_csv(table, options.output / "results.csv")
    text = tables.write_tables(table, options.output)
    text += "\n" + tables.others(table)
    print(text)
    if options.no_page:
        return
    listed: Dict[str, Tuple[str, Dict[str, Any]]] = {}
    for row in rows:
        own = table[table["configuration"] == row.name]
        figures = {
            key: dict(zip(lines["metric"], lines["value"])) for key, lines in own.groupby("item")
        }
        listed[row.name] = (tables.label(row.name, own), figures)
    dataset = datamodule(rows[0].data).dataset("test")
    page.write_page(listed, dataset, options.output, text)
    print(f"To listen: {options.output / 'index.html'}")


if __name__ == "__main__":
    sys.exit(main())
