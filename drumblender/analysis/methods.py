"""The methods of the modal analysis by name, and those of others by class path."""

import inspect
from importlib import import_module
from typing import Any, Dict, Type

from drumblender.analysis.base import Analysis
from drumblender.analysis.settings import METHODS, AnalysisSettings
from drumblender.errors import UsageError, condense, did_you_mean


def class_of(method: str) -> Type[Analysis]:
    """Return the class that measures by a method.

    Args:
        method: a name, or the class path of an analysis of one's own.

    Raises:
        UsageError: if there is no such class, or if it is no analysis.

    >>> class_of("separating").version
    11
    """
    path = METHODS.get(method, method)
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(_sentence(f'Parser key "method":\n  {error}')) from error
    if not (inspect.isclass(found) and issubclass(found, Analysis)):
        raise UsageError(
            f"method: {path} is no analysis; derive the class from drumblender.analysis.Analysis."
        )
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise UsageError(f"method: {path} has no method {missing}; write it.")
    if not isinstance(getattr(found, "version", None), (int, str)):
        raise UsageError(
            f"method: {path} has no version; write `version = 1` into the class, and raise it with "
            "whatever changes what the class measures."
        )
    return found


def analysis_of(settings: AnalysisSettings) -> Analysis:
    """Make the analysis that settings describe.

    Raises:
        UsageError: if there is no such class, or if it does not take the ``method_kwargs``.
    """
    cls = class_of(settings.method)
    if settings.method in METHODS:
        return cls(settings)
    options = _options(cls, settings)
    try:
        inspect.signature(cls).bind(settings, **options)
    except TypeError as error:
        raise UsageError(
            f"method: {settings.method} cannot be made ({error}); let its __init__ take the "
            "settings, and whatever method_kwargs may say."
        ) from None
    return cls(settings, **options)


def _options(cls: Type[Analysis], settings: AnalysisSettings) -> Dict[str, Any]:
    """Return the arguments of a class besides the settings, checked and with their defaults."""
    from jsonargparse import ArgumentError, ArgumentParser

    given = settings.method_kwargs or {}
    parser = ArgumentParser(exit_on_error=False)
    group = "method_kwargs"
    added = parser.add_class_arguments(cls, group, skip={1}, instantiate=False, fail_untyped=False)
    known = [key.split(".", 1)[1] for key in added]
    for name in given:
        if name not in known:
            advice = did_you_mean(name, known) or f"; it has {', '.join(known) or 'none'}."
            raise UsageError(f"{group}: {settings.method} has no option {name}{advice}")
    try:
        parsed = parser.parse_object({group: given} if known else {})
    except ArgumentError as error:
        raise UsageError(_sentence(str(error))) from error
    return dict(parsed.as_dict().get(group) or {})


def _sentence(text: str) -> str:
    """Return what an error says of a class or its arguments, as a sentence with the remedy."""
    reason = condense(text)
    return reason if reason.endswith("?") else f"{reason}."
