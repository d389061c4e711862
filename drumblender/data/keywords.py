"""Keywords that a constructor passes on, in its signature, where command lines look for them."""

import inspect
from typing import Any, Callable, List, TypeVar

Init = TypeVar("Init", bound=Callable[..., None])


def takes_keywords_of(*others: Any) -> Callable[[Init], Init]:
    """Make a decorator that gives an ``__init__`` the keywords of others in place of ``**``.

    jsonargparse finds out by itself what ``**`` stands for only if all of it goes to one place.

    Args:
        others: classes whose keywords, with their descriptions, are taken unless ``__init__`` has
            them itself. None of them becomes positional.
    """

    def decorate(init: Init) -> Init:
        """Change the signature and the docstring of an ``__init__``."""
        own = inspect.signature(init)
        parameters = {n: p for n, p in own.parameters.items() if p.kind != p.VAR_KEYWORD}
        descriptions: List[str] = []
        for other in others:
            for name, parameter in inspect.signature(other).parameters.items():
                if parameter.kind != parameter.VAR_KEYWORD:
                    keyword = parameter.replace(kind=parameter.KEYWORD_ONLY)
                    parameters.setdefault(name, keyword)
            descriptions += _descriptions(other)
        order = sorted(parameters.values(), key=lambda parameter: parameter.kind)
        init.__signature__ = own.replace(parameters=order)  # type: ignore[attr-defined]
        init.__doc__ = "\n".join([init.__doc__ or "Make it.", "", "Args:", *descriptions])
        return init

    return decorate


def _descriptions(documented: Any) -> List[str]:
    """Return the lines of a docstring that describe arguments or attributes."""
    lines = (inspect.getdoc(documented) or "").splitlines()
    titles = [i for i, line in enumerate(lines) if line in ("Args:", "Attributes:")]
    if not titles:
        return []
    section = lines[titles[0] + 1 :]
    return section[: section.index("")] if "" in section else section
