"""What a dataset in a bucket holds, told by its manifests: numbers, and a table of its splits."""

from typing import Dict

from drumblender.data.bucket.layout import index_lines, read_dataset
from drumblender.data.bucket.place import Place
from drumblender.data.build.stats import Summary
from drumblender.data.reader import Metadata
from drumblender.data.settings import refuse_other
from drumblender.data.splits import SPLITS, select, split
from drumblender.data.target import Target

_FILTERS = ("sample_types", "instruments", "sample_packs")


def summarize(place: Place, target: Target) -> Summary:
    """Return what is in each split of a dataset, without reading a sound.

    Raises:
        DrumblenderError: if there is no whole dataset.
        UsageError: if its settings are not those of the configuration.
    """
    description = read_dataset(place)
    refuse_other(str(place), description.content, target.settings, any_version=True)
    metadata: Metadata = {}
    audible: Dict[str, float] = {}
    cut: Dict[str, float] = {}
    for line in index_lines(place, description):
        metadata.update(line.sounds)
        audible.update(line.audible)
        cut.update(line.cut)
    metadata = dict(sorted(metadata.items()))
    options = target.dataset_kwargs
    keys = select(metadata, *(options.get(name) for name in _FILTERS))
    parts = split(metadata, keys, options.get("split_strategy", "random"), options.get("seed", 0))
    chosen = {key: metadata[key] for key in keys}
    return Summary(str(place), chosen, parts, audible, cut)


def describe(place: Place, target: Target) -> str:
    """Return how many sounds a dataset has, and how many are in each split."""
    summary = summarize(place, target)
    parts = ", ".join(f"{name} {len(summary.parts[name])}" for name in SPLITS)
    return f"{place}: {len(summary.metadata)} sounds ({parts})."
