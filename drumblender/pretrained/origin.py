"""The program that trains a model, by its version and its commit."""

import functools
import importlib.metadata
import subprocess
from pathlib import Path
from typing import Dict, Optional

_PACKAGE = Path(__file__).parents[1]


@functools.cache
def software() -> Dict[str, Optional[str]]:
    """Return the ``version`` of Drumblender, and the ``commit`` if it runs from a clone.

    The commit ends in ``-dirty`` if files of the clone were changed. It is None if the package is
    installed apart from its repository, or if there is no git.
    """
    try:
        version = importlib.metadata.version("drumblender")
    except importlib.metadata.PackageNotFoundError:
        version = None
    return {"version": version, "commit": _commit()}


def _commit() -> Optional[str]:
    """Return the commit of the clone that this package lies in."""
    top = _git("rev-parse", "--show-toplevel")
    # An environment may lie in the clone of another project, whose commit says nothing.
    if top is None or Path(top).resolve() != _PACKAGE.parent.resolve():
        return None
    return _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(*words: str) -> Optional[str]:
    """Return what git says of the package, or None if it says nothing."""
    try:
        done = subprocess.run(
            ["git", "-C", str(_PACKAGE), *words], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
