"""Names of models, and the places where they are found.

A word such as ``drums`` is the name of a model of the package, or of one in a folder of the user's.
``owner/model`` is one on the Hugging Face hub, at a certain commit, tag or branch if it ends in
``@revision``. Anything else is a path:

- what ends like a file of a model (``.safetensors``, ``.ckpt``, ``.yaml``, ...),
- what begins with ``.``, ``/`` or ``~``,
- a file or a folder that is there, if no model of the package and of the user's has its name.

So ``drums`` means the model whatever lies in the working directory, and ``./drums`` what lies
there.
"""

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Tuple, Union

from drumblender.config.overlays import CHECKPOINTS, CONFIGURATIONS
from drumblender.errors import UsageError

PathLike = Union[str, Path]
MODEL_FILE = "model.safetensors"  # in a folder that `drumblender publish` writes
FOLDER = "DRUMBLENDER_MODELS"  # in the environment
_SUFFIX = ".safetensors"
_SHIPPED = Path(__file__).parent
_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?(@\S+)?")


@dataclass(frozen=True)
class KnownModel:
    """A model that is on this machine under a name.

    Attributes:
        name: name of the model.
        path: its file.
        is_shipped: whether it comes with the package, and not from the user's folder.
    """

    name: str
    path: Path
    is_shipped: bool


def user_folder() -> Path:
    """Return the folder of the user's models, which need not exist.

    It is ``DRUMBLENDER_MODELS`` of the environment. Without that it is ``models`` in the folder for
    a program's data that the operating system has for each user.
    """
    import platformdirs

    given = os.environ.get(FOLDER)
    if given:
        return Path(given).expanduser()
    return platformdirs.user_data_path("drumblender", appauthor=False) / "models"


def known_models() -> List[KnownModel]:
    """List the models of the package and of the user's folder, sorted by name.

    A model of the package hides one of the user's that has the same name.
    """
    found = {name: KnownModel(name, path, False) for name, path in _models_in(user_folder())}
    found.update({name: KnownModel(name, path, True) for name, path in _models_in(_SHIPPED)})
    return [found[name] for name in sorted(found)]


def find_model(model: PathLike) -> Path:
    """Find the file that a name or a path stands for. One on the hub is downloaded once.

    Args:
        model: a name, ``owner/model``, ``owner/model@revision``, or a path (see
            :mod:`drumblender.pretrained.names`). A ``Path`` is never a name. A folder stands for
            the model that ``drumblender publish`` wrote to it.

    Raises:
        UsageError: if there is no model of that name.
        DrumblenderError: if the hub or its client does not give the model.
    """
    path = Path(model).expanduser()
    if isinstance(model, Path) or not may_be_name(model):
        return _file_of(path)
    name, _, revision = model.partition("@")
    known = known_models()
    match = next((one.path for one in known if one.name == model), None)
    if match is not None:
        return match
    if os.path.lexists(path):
        return _file_of(path)
    if "/" not in name:
        if revision:
            raise UsageError(
                f"{model}: a revision is of a model on the hub; give owner/model@revision, or "
                f"{name} alone."
            )
        raise UsageError(
            f"There is no model {model}, neither in the package nor in {user_folder()}; "
            f"{_nearest(model, [one.name for one in known])}."
        )
    from drumblender.pretrained.hub import fetch

    return fetch(name, revision or None, MODEL_FILE)


def name_of(model: PathLike) -> str:
    """Return a name by which others may find a model, without the folders of this machine.

    That is its name where it was given one or lies under one in a known place, else the name of the
    folder that was published, and else that of the file.

    Args:
        model: as in :func:`find_model`.

    >>> name_of("owner/drums@v2"), name_of("folder/my.ckpt"), name_of("my/model.safetensors")
    ('owner/drums@v2', 'my.ckpt', 'my')
    """
    known = known_models()
    path = Path(model).expanduser()
    if isinstance(model, str) and may_be_name(model):
        if any(one.name == model for one in known) or not path.exists():
            return model
    path = (path / MODEL_FILE if path.is_dir() else path).resolve()
    own = path.parent.name if path.name == MODEL_FILE else path.name
    return next((one.name for one in known if one.path.resolve() == path), own)


def may_be_name(text: str) -> bool:
    """Return whether a text may be the name of a model, and not only a path.

    >>> [may_be_name(text) for text in ("drums", "owner/drums@v2", "drums.ckpt", "./drums")]
    [True, True, False, False]
    """
    suffix = Path(text).suffix.lower()
    return suffix not in (*CHECKPOINTS, *CONFIGURATIONS) and bool(_NAME.fullmatch(text))


def _file_of(path: Path) -> Path:
    """Return the file of a model in a folder, or a file as it is."""
    if not path.is_dir():
        return path
    if not (path / MODEL_FILE).is_file():
        raise UsageError(
            f"{path} is a folder without {MODEL_FILE}; give a file, or a folder that `drumblender "
            "publish` wrote."
        )
    return path / MODEL_FILE


def _models_in(folder: Path, owner: str = "") -> Iterator[Tuple[str, Path]]:
    """Find the models of a folder by name: files, folders with one, and those of owners."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:  # no folder, or one that is not for us
        return
    for path in entries:
        if path.suffix == _SUFFIX and path.is_file() and path.name != MODEL_FILE:
            yield owner + path.stem, path
        elif (path / MODEL_FILE).is_file():
            yield owner + path.name, path / MODEL_FILE
        elif not owner and path.is_dir():
            yield from _models_in(path, f"{path.name}/")


def _nearest(name: str, known: List[str]) -> str:
    """Name the models that are meant most likely."""
    if not known:
        return "there is none under any name yet; give a file, or owner/model of the hub"
    names = difflib.get_close_matches(name, known, 3, cutoff=0.0)
    return f"known are {', '.join(names)}" + (", ..." if len(known) > len(names) else "")
