"""Shards: parts of a large library that are made on many machines, and merged into one dataset."""

import functools
import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Set, Tuple

from drumblender.data.build.growing import GrowingDataset, Skipped
from drumblender.data.build.journal import Made, read_journal
from drumblender.data.build.recipe import Recipe, take_over
from drumblender.data.build.report import BuildReport
from drumblender.data.library.sounds import fingerprint
from drumblender.data.reader import Metadata, files_of, is_metadata, refuse_outside
from drumblender.data.settings import LEFT_OUT, DatasetSettings, read_settings, refuse_other
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files import atomic
from drumblender.files.parallel import Workers


def shard_of(key: str, n: int) -> int:
    """Return the number of the shard, 1 to n, that a sound belongs to, whatever else there is."""
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % n + 1


def merge(data_dir: Path, meta_file: str, settings: DatasetSettings) -> BuildReport:
    """Make one dataset of the shards that lie beside ``data_dir``, and remove them.

    Raises:
        DrumblenderError: if a shard, a sound or a file is missing.
    """
    with atomic.exclusive(data_dir), Workers() as workers:
        if data_dir.exists():
            raise UsageError(f"{data_dir} is there already; remove it to merge shards anew.")
        shards, library = _read_shards(data_dir, settings)
        growing = GrowingDataset(data_dir, settings)
        metadata: Metadata = {}
        skipped: Skipped = {}
        left_out: Set[Tuple[str, str]] = set()  # each shard lists all of them
        recipes = []
        for folder, stored in shards.items():
            items = _read_shard_metadata(folder / meta_file)
            journal = read_journal(folder)
            metadata.update(items)
            skipped.update({key: tuple(entry) for key, entry in stored["skipped"].items()})
            left_out.update(tuple(entry) for entry in stored.get(LEFT_OUT, ()))
            for key, item in items.items():
                for name in files_of(item):
                    made = journal.get(name, Made((0, 0), (0, 0)))
                    recipe = Recipe(key, folder / name, made.of, growing.folder, name, settings)
                    recipes.append(replace(recipe, before=(folder, made)))
        found = metadata.keys() | skipped.keys()
        if fingerprint(found) != library["digest"]:
            raise DrumblenderError(
                f"The shards of {data_dir} hold {len(found)} of {library['sounds']} sounds; "
                "make them all again from the same raw folder."
            )
        growing.run(functools.partial(workers.map, take_over), recipes, "Merge")
        if growing.failures:
            key = min(growing.failures)
            raise DrumblenderError(
                f"Files of the shards of {data_dir} are missing or damaged, those of {key} for "
                "one; copy or make the shards again."
            )
        metadata = dict(sorted(metadata.items()))
        growing.mark_duplicates(metadata)
        reused = len(metadata)
        report = growing.finish(meta_file, metadata, skipped, library, reused, sorted(left_out))
        for folder in shards:
            shutil.rmtree(folder)
        return report


def _read_shards(
    data_dir: Path, settings: DatasetSettings
) -> Tuple[Dict[Path, Dict[str, Any]], Dict[str, Any]]:
    """Find all shards of a dataset.

    Returns:
        Folder -> content of its settings file, and the number and digest of the library's sounds.
    """
    pattern = re.compile(re.escape(data_dir.name) + r"\.shard-(\d+)-of-(\d+)")
    found = {}
    for path in data_dir.parent.iterdir():
        match = pattern.fullmatch(path.name)
        if match:
            found[int(match[1]), int(match[2])] = path
    counts = {n for _, n in found}
    if len(counts) != 1:
        raise UsageError(
            f"Beside {data_dir} there are shards of {len(counts)} divisions"
            f" ({', '.join(f'--shard K/{n}' for n in sorted(counts)) or 'none'}); "
            "make all the shards of one, and remove others."
        )
    (n,) = counts
    missing = [k for k in range(1, n + 1) if (k, n) not in found]
    if missing:
        raise DrumblenderError(
            f"{data_dir} lacks {len(missing)} of {n} shards; "
            f"make them with --shard {missing[0]}/{n}"
            + (f", {', '.join(f'{k}/{n}' for k in missing[1:])}." if missing[1:] else ".")
        )
    shards = {}
    for _, folder in sorted(found.items()):
        stored = read_settings(folder)
        if stored is None or not stored.get("library") or "skipped" not in stored:
            raise DrumblenderError(f"{folder} is no whole shard; make it again.")
        refuse_other(folder, stored, settings)
        shards[folder] = stored
    libraries = [stored["library"] for stored in shards.values()]
    if any(library != libraries[0] for library in libraries):
        raise DrumblenderError(
            f"The shards of {data_dir} were made of different raw folders; "
            "make them all again from the same one."
        )
    return shards, libraries[0]


def _read_shard_metadata(path: Path) -> Metadata:
    """Read the metadata of a shard, which may have no sound at all."""
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
        whole = is_metadata(metadata)
    except (OSError, ValueError, RecursionError):
        whole = False
    if not whole:
        raise DrumblenderError(f"{path} is missing or broken; make that shard again.")
    refuse_outside(path, metadata)
    return metadata
