"""A table of the models that are on this machine."""

from typing import Tuple

from drumblender.errors import DrumblenderError
from drumblender.files.text import align, printable
from drumblender.pretrained.file import read_facts, size_of
from drumblender.pretrained.names import FOLDER, KnownModel, known_models, user_folder

_HEAD = ("NAME", "SIZE", "LICENSE", "PLACE", "WHAT IT IS")
_HUB = "Models of the Hugging Face hub: --model owner/model."


def models_table() -> str:
    """Write what there is: name, size, licence, place and one line on each model."""
    folder = user_folder()
    more = (
        f"Models of your own: NAME.safetensors, or a published folder, in {printable(str(folder))} "
        f"(another folder: {FOLDER})."
    )
    known = known_models()
    if not any(model.is_shipped for model in known):
        more = f"No model comes with this package yet.\n{more}"
    if not known:
        return f"{more}\n{_HUB}"
    table = align([_HEAD, *map(_row, known)], names=len(_HEAD))
    return f"{table}\n\n{more}\n{_HUB}"


def _row(model: KnownModel) -> Tuple[str, ...]:
    """Describe a model. One that cannot be read says so."""
    license, summary = "", ""
    try:
        facts = read_facts(model.path)
        if facts is None:
            summary = "cannot be used alone: another program has written it"
        else:
            license, summary = facts.license, facts.summary
    except (DrumblenderError, OSError) as error:
        summary = f"cannot be used: {error}"
    place = "package" if model.is_shipped else "yours"
    cells = (model.name, size_of(model.path), license, place, summary)
    return tuple(printable(str(cell)) for cell in cells)
