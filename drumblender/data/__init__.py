"""Datasets: from raw recordings to batches of audio and modal parameters.

Names are imported when they are first used: the processes that preprocess a library need none of
Lightning.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # so that type checkers know what the names are
    from drumblender.data.augment import Augmentation
    from drumblender.data.datamodule import AudioDataModule, ModalDataModule
    from drumblender.data.dataset import (
        AudioDataset,
        AudioWithParametersDataset,
        AudioWithPartsDataset,
    )

_HOMES = {
    "Augmentation": "augment",
    "AudioDataset": "dataset",
    "AudioWithParametersDataset": "dataset",
    "AudioWithPartsDataset": "dataset",
    "AudioDataModule": "datamodule",
    "ModalDataModule": "datamodule",
}

__all__ = [
    "AudioDataModule",
    "AudioDataset",
    "AudioWithParametersDataset",
    "AudioWithPartsDataset",
    "Augmentation",
    "ModalDataModule",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
