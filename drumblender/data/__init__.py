"""Datasets: from raw recordings to batches of audio and modal parameters.

Names are imported when they are first used: the processes that preprocess a library need none of
Lightning.
"""

from importlib import import_module

_HOMES = {
    "AudioDataset": "dataset",
    "AudioWithParametersDataset": "dataset",
    "AudioDataModule": "datamodule",
    "ModalDataModule": "datamodule",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
