"""The rows of the benchmark: what resynthesizes the test set, and what it has to be made of."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

from jsonargparse import ArgumentParser

from drumblender.analysis.settings import METHODS, AnalysisSettings
from drumblender.config import compose, load_config, merge
from drumblender.data import AudioDataModule, AudioWithParametersDataset
from drumblender.errors import UsageError
from drumblender.pretrained.names import find_model
from drumblender.tasks.checkpoint import analysis_settings, read_checkpoint

# Frames of the separating analysis are 64 samples apart, those of the others 256.
HOPS = {"separating": 64, "coverage": 256, "plain": 256}
# What says which sounds an experiment has; that is for the benchmark to say.
PLACES = (
    "data_dir", "data_dir_unprocessed", "meta_file", "raw_meta_file", "dataset_kwargs", "source",
    "url", "bucket", "archive", "archive_url", "region", "prefix", "sha256",
    "sample_rate", "num_samples", "num_workers",
)  # fmt: skip
OWN = "own"  # the analysis that a configuration names itself


@dataclass(frozen=True)
class Row:
    """One way to resynthesize the test set.

    Attributes:
        name: what tables call it, and its folder.
        kind: silence, sinusoids, redrawn, voice, trained or checkpoint.
        data: data section of a configuration, which names the dataset and its analysis.
        config: configuration to train with.
        checkpoint: checkpoint of a model that exists already.
        model_config: configuration of that model, if its checkpoint carries none.
    """

    name: str
    kind: str
    data: Mapping[str, Any]
    config: Optional[Mapping[str, Any]] = None
    checkpoint: Optional[Path] = None
    model_config: Optional[Path] = None

    @property
    def digest(self) -> str:
        """Digest of all that the figures depend on, by which other settings are told apart."""
        content = {**asdict(self), "checkpoint": None, "model_config": None}
        for name in ("checkpoint", "model_config"):
            path = getattr(self, name)
            if path is not None:
                content[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def data_of(
    benchmark: Mapping[str, Any], own: Optional[Mapping[str, Any]] = None, method: str = OWN
) -> Dict[str, Any]:
    """Return the data section of a row: the sounds of the benchmark, with an analysis.

    Args:
        benchmark: data section of the benchmark.
        own: data section of an experiment, whose batch size, augmentation and analysis are kept.
        method: an analysis to take instead of that of the experiment.
    """
    kept = {k: v for k, v in ((own or {}).get("init_args") or {}).items() if k not in PLACES}
    data = merge(dict(benchmark), {"init_args": kept})
    # A hop that somebody chose for an analysis stays.
    if method not in (OWN, analysis_settings(data["init_args"]).method):
        data["init_args"].update(method=method, hop_length=HOPS[method])
        data["init_args"].pop("fit", None)
    settings = analysis_settings(data["init_args"])
    usual = AnalysisSettings(method=settings.method, hop_length=HOPS.get(settings.method, 256))
    folder = benchmark["init_args"]["data_dir"]
    if settings != analysis_settings(benchmark["init_args"]):
        digest = hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode()).hexdigest()
        folder += f"_{settings.method.rpartition('.')[2]}" + f"_{digest[:8]}" * (settings != usual)
    data["init_args"]["data_dir"] = folder
    return data


def datamodule(data: Mapping[str, Any], device: str = "cpu") -> AudioDataModule:
    """Make the datamodule of a data section."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(AudioDataModule, "data", required=True)
    return parser.instantiate_classes(parser.parse_object({"data": dict(data)})).data


def measured_rows(benchmark: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the rows that need no training."""
    usual = data_of(benchmark)
    yield Row("silence", "silence", usual)
    for method in METHODS:
        yield Row(f"sinusoids, {method}", "sinusoids", data_of(benchmark, method=method))
    yield Row("measured parts, noise drawn again", "redrawn", with_parts(benchmark))
    yield Row("measured voice", "voice", usual)


def with_parts(benchmark: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the data section of measured parts."""
    data = data_of(benchmark, method="separating")
    data["init_args"]["dataset_class"] = "drumblender.data.AudioWithPartsDataset"
    return data


def trained_rows(
    configs: Sequence[Path], methods: Sequence[str], benchmark: Mapping[str, Any]
) -> Iterator[Row]:
    """Yield a row for each configuration and each analysis."""
    for path in configs:
        config = compose([path])
        for method in methods:
            name = path.stem if method == OWN else f"{path.stem}, {method}"
            yield Row(name, "trained", data_of(benchmark, config.get("data"), method), config)


def checkpoint_rows(models: Sequence[str], benchmark: Mapping[str, Any]) -> Iterator[Row]:
    """Yield a row for each model, by file or name, with the analysis that it was trained with."""
    for given in models:
        path = find_model(given)
        configuration = read_checkpoint(path).get("configuration")
        if configuration is None:
            raise UsageError(
                f"{given} carries no configuration; put it into a folder for --models, beside the "
                "config.yaml that it was trained with."
            )
        data = data_of(benchmark, configuration.get("data"))
        yield Row(f"model {Path(given).stem}", "checkpoint", data, checkpoint=path)


def published_rows(folder: Path, benchmark: Mapping[str, Any]) -> Iterator[Row]:
    """Yield a row for each published model, which is a checkpoint beside its configuration.

    They were trained on plain peaks, before there was a choice.
    """
    for path in sorted(folder.rglob("*.ckpt")):
        config = next(iter(sorted(path.parent.glob("*.yaml"))), None)
        if config is None:
            config = next(iter(sorted(path.parent.parent.glob("*.yaml"))), None)
        if config is None:
            raise UsageError(f"There is no configuration beside {path}; put its config.yaml there.")
        own = load_config(config).get("data")
        name = path.relative_to(folder).with_suffix("").as_posix().replace("/", " ")
        data = data_of(benchmark, own, "plain")
        data["init_args"]["dataset_class"] = (
            f"drumblender.data.{AudioWithParametersDataset.__name__}"
        )
        yield Row(f"published {name}", "checkpoint", data, checkpoint=path, model_config=config)


def checked(rows: Sequence[Row], only: Optional[Sequence[str]]) -> List[Row]:
    """Return the rows that are wanted, each name once.

    Raises:
        UsageError: if two rows have one name, or if a name that is wanted is none of them.
    """
    names = [row.name for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"Two rows are called {twice[0]!r}; give each file another name.")
    for name in only or ():
        if name not in names:
            raise UsageError(f"--only {name!r} is no row; there are {', '.join(names)}.")
    return [row for row in rows if only is None or row.name in only]
