"""Models on the Hugging Face hub, by its own client.

The client downloads a file once and keeps it in its cache. It takes the address of the hub, the
place of the cache and the token of the user from the environment (``HF_ENDPOINT``, ``HF_HOME``,
``HF_TOKEN``).
"""

import os
import re
from pathlib import Path
from typing import Any, Iterator, Optional

from drumblender.config import model_section
from drumblender.errors import DrumblenderError, UsageError
from drumblender.pretrained.file import read_facts

# What a model that a stranger made may name. Each of these classes only computes.
TRUSTED = ("drumblender.", "torch.nn.")
_CLASS_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


def fetch(name: str, revision: Optional[str], file: str) -> Path:
    """Download a model file from the hub, unless the cache holds it, and return where it is.

    Without a connection, a file that was downloaded before is taken.

    Args:
        name: ``owner/model``.
        revision: commit, tag or branch. None stands for the newest state.
        file: name of the file.

    Raises:
        UsageError: if the client is not installed, if there is no such model, or if it names
            classes of other packages.
        DrumblenderError: if the hub does not answer or refuses the file, or if it is damaged.
    """
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise UsageError(
            f"{name} is a model of the Hugging Face hub, whose client is not installed; "
            'pip install "drumblender[hub]", or give a file.'
        ) from None
    called = f"{name}@{revision}" if revision else name
    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        path = Path(hf_hub_download(name, file, revision=revision, endpoint=endpoint))
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:  # the disk refuses it
            raise
        raise _sentence(error, name, called, file) from error
    _check_classes(path, called)
    return path


def _sentence(error: Exception, name: str, called: str, file: str) -> DrumblenderError:
    """Say why the hub does not give a file."""
    from huggingface_hub import errors

    if isinstance(error, errors.HFValidationError):
        return UsageError(f"{called} is no name of a model on the hub; give owner/model.")
    if isinstance(error, errors.GatedRepoError):
        return DrumblenderError(
            f"{called} is given only to those who accept its conditions; accept them on its page, "
            "and log in with `hf auth login`."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return UsageError(f"{name} has no revision {called[len(name) + 1 :]}; check its page.")
    if isinstance(error, errors.RepositoryNotFoundError):
        return UsageError(
            f"There is no model {name} on the hub, or it is private; check the name, or log in "
            "with `hf auth login`."
        )
    status = _status(error) or _status(error.__cause__)
    if status == 401:
        return DrumblenderError(
            f"{called} is not given, because the hub does not know your token; log in with "
            "`hf auth login`, or correct HF_TOKEN."
        )
    # Version 1.8, the last for Python 3.9, closes its connections when it cannot connect, and tries
    # once more with what is closed, which is a RuntimeError.
    if isinstance(error, (errors.LocalEntryNotFoundError, RuntimeError)) and status is None:
        return DrumblenderError(
            f"{called} was not downloaded before, and the hub does not answer; check the "
            "connection (and HF_HUB_OFFLINE), or give a file."
        )
    if isinstance(error, errors.EntryNotFoundError) and status in (None, 404):
        return UsageError(
            f"{called} is no model of Drumblender, because it has no {file}; check the name."
        )
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    reason = f"status {status}" if status else reason
    return DrumblenderError(
        f"{called} cannot be downloaded from the hub ({reason}); try again later."
    )


def _status(error: Optional[BaseException]) -> Optional[int]:
    """Return the status of the answer that led to an error, if there was one."""
    return getattr(getattr(error, "response", None), "status_code", None)


def _check_classes(path: Path, called: str) -> None:
    """Refuse a model that has more than the classes of Drumblender and of PyTorch's networks.

    To build a model, the classes that its configuration names are imported and called.
    """
    facts = read_facts(path)
    if facts is None:
        raise UsageError(
            f"{called} is no model of Drumblender, as it says nothing of its configuration; check "
            "the name."
        )
    model = model_section(facts.configuration, f"the configuration of {called}")
    for text in _texts([model, facts.analysis]):
        if _CLASS_PATH.fullmatch(text) and not text.startswith(TRUSTED):
            raise UsageError(
                f"{called} needs the class {text}, which is not of Drumblender; if you trust it, "
                "download the model (`hf download`) and give its file."
            )


def _texts(value: Any) -> Iterator[str]:
    """Find all texts in a configuration."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
