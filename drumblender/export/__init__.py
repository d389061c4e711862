"""Models outside of this package: ONNX, torch.export and TorchScript, in folders that say it all.

:func:`export_model` writes a folder, :func:`load` runs it in ONNX Runtime, and
:func:`check_folder` compares it with the model that it was made of.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from drumblender.export.folder import Exported, load

if TYPE_CHECKING:
    from drumblender.export.check import check_folder
    from drumblender.export.write import export_model

__all__ = ["Exported", "check_folder", "export_model", "load"]

_LATER = {
    "check_folder": "drumblender.export.check",
    "export_model": "drumblender.export.write",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
