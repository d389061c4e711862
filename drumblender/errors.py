"""Errors that a person can act on.

Every message is one sentence that names the file or option at fault, and the remedy. The command
lines print it without a traceback and exit with the class's code.
"""

import difflib
import errno
import os
import re
import signal
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any, Iterable, List, NamedTuple, Optional, Tuple, Union

DEBUG = "DRUMBLENDER_DEBUG"  # in the environment


class DrumblenderError(Exception):
    """An error outside of the program: a file, a folder or a server is not as it has to be."""

    exit_code = 1


class UsageError(DrumblenderError):
    """An error of the request: an option or a configuration key cannot be carried out as it is."""

    exit_code = 2


class FileError(DrumblenderError):
    """The error of a file that does not hold what it has to.

    Args:
        path: the file.
        reason: what is wrong, to follow the file's name.
        remedy: what to do about it. By default it is that of the class.

    Attributes:
        reason: what is wrong.
    """

    remedy = "check it"

    def __init__(self, path: Union[str, Path], reason: str, remedy: Optional[str] = None):
        super().__init__(f"{path} {reason}; {remedy or self.remedy}.")
        self.reason = reason


class EmptySplit(UsageError):
    """The error of a dataset with too few sounds for training, validation or test."""


class Stopped(BaseException):
    """The end of a program that a signal asked for.

    It is not an ``Exception``, so that nothing handles it as an error.

    Args:
        number: number of the signal.
        sentence: what was kept, and how to go on.
    """

    def __init__(self, number: int, sentence: str = "interrupted."):
        super().__init__(sentence)
        self.number = number
        self.exit_code = 128 + number
        self.agreed = False  # by all processes of a run

    @classmethod
    def by_signal(cls, number: int, frame: Any = None) -> None:
        """End the program at once, as the handler of a signal.

        Raises:
            Stopped: always.
        """
        raise cls(number, "interrupted." if number == signal.SIGINT else "terminated.")


def is_debugging() -> bool:
    """Return whether a person gave ``--debug``, to this process or to the one that started it."""
    return os.environ.get(DEBUG, "") not in ("", "0")


def trace(error: BaseException) -> None:
    """Show where an error comes from that becomes a line in a list, if ``--debug`` was given."""
    if is_debugging():
        traceback.print_exception(type(error), error, error.__traceback__)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Ask for a similar name, to end a sentence about an unknown one; empty if none is similar.

    >>> did_you_mean("batchsize", ["batch_size", "bucket"])
    '; did you mean batch_size?'
    """
    known = list(known)
    match = difflib.get_close_matches(name, known, 1, cutoff=0.7)
    match = match or [x for x in known if len(name) > 2 and x.startswith(name)][:1]
    return f"; did you mean {match[0]}?" if match else ""


def finish(text: str) -> str:
    """End a sentence about an option, and say where to look if it names no remedy."""
    text = text.rstrip(".")
    return text if text.endswith("?") else f"{text}." if "; " in text else f"{text} (see --help)."


def suggest(message: str, known: Iterable[str]) -> str:
    """Guess what was meant by the first option in a message that is unknown."""
    match = re.match(r"unrecognized arguments: .*?(--[\w.-]+)", message, re.IGNORECASE)
    return did_you_mean(match[1], known) if match else ""


def sentence_of(error: OSError) -> Optional[str]:
    """Say what the system refused, with a remedy. None if the error is not about a file."""
    if error.filename is None or error.errno is None:
        return None
    path = error.filename if isinstance(error.filename, str) else repr(error.filename)
    reason = error.strerror or str(error)
    remedy = {
        errno.ENOENT: "check the path",
        errno.ENOTDIR: "check the path",
        errno.EISDIR: "give a file",
        errno.EEXIST: "give another name",
        errno.ENAMETOOLONG: "give a shorter name",
        errno.ENOSPC: "make room",
        errno.EDQUOT: "make room",
        errno.EFBIG: "make room",
    }.get(error.errno, "check permissions, or choose another folder")
    return f"{path}: {reason[:1].lower()}{reason[1:]}; {remedy}."


class _Problem(NamedTuple):
    """One statement of jsonargparse about a value.

    Attributes:
        keys: keys of the value, from the outermost to the innermost.
        class_path: path of the innermost class.
        base: class that this class has to be derived from.
        text: the statement.
    """

    keys: Tuple[str, ...]  # from the outermost to the innermost
    class_path: Optional[str]  # of the innermost class
    base: Optional[str]  # what the class has to be derived from
    text: str


_KEY = re.compile(r'Parser key "([^"]+)":\s*')
_CLASS = re.compile(r"Problem with given class_path '([^']+)':\s*")
# What jsonargparse says of every alternative that a value could have been.
_EMPTY = re.compile(
    r"Does not validate against any|Subtypes:|Errors:|Given value|Expected a <class 'NoneType'>|"
    r"Expected a path but|Not a valid subclass|Subclass types expect|Import path .* does not corr|"
    r"a class path \(str\)|a dict with|a dict without"
)


def condense(text: str) -> str:
    r"""Find the heart of an error of jsonargparse, which lists all types that a value might have.

    >>> condense('Parser key "trainer.max_epochs":\n  Does not validate against any of the Union '
    ...     "subtypes\n  Errors:\n    - Expected a <class 'int'>\n    - Expected a <class "
    ...     "'NoneType'>\n  Given value type: <class 'str'>\n  Given value: abc")
    'trainer.max_epochs is abc; give int or null'
    """
    problems = _problems(text)
    for problem in problems:
        where = ".init_args.".join(problem.keys) or "the configuration"
        for pattern, explain in _KNOWN:
            match = pattern.search(problem.text)
            if match:
                return f"{where}: {explain(problem, *match.groups())}"
    missing = re.search(r"Expected a path but (\S+\.ya?ml) either not accessible", text)
    if missing:
        return f"{problems[0].keys[0] if problems else 'option'}: {missing[1]} does not exist"
    wrong = [p for p in problems if p.text.startswith("Expected a ")]
    if wrong:
        return _wrong_type(text, max(wrong, key=lambda p: len(p.keys)).keys, wrong)
    if problems:
        problem = max(problems, key=lambda p: len(p.keys))
        return ": ".join([*filter(None, [".init_args.".join(problem.keys)]), problem.text])
    return " ".join(text.split())


def _problems(text: str) -> List[_Problem]:
    """List what an error of jsonargparse says, with the keys that its indentation nests."""
    stack: List[Tuple[int, str, str]] = []  # indentation, kind, name
    problems = []
    for line in text.splitlines():
        content = line.lstrip(" -")
        indent = len(line) - len(content)
        subtypes = re.search(r"Subtypes: .*?<class '(?!NoneType')([^']+)'>", line)
        while content:
            while stack and stack[-1][0] >= indent and not _EMPTY.match(content):
                stack.pop()
            key = _KEY.match(content)
            match = key or _CLASS.match(content)
            if subtypes:
                stack.append((indent, "base", subtypes[1]))
            elif match:
                stack.append((indent, "key" if key else "class", match[1]))
                content = content[match.end() :]
                indent += 1
                continue
            elif not _EMPTY.match(content):
                names = {kind: name for _, kind, name in stack}
                keys = tuple(name for _, kind, name in stack if kind == "key")
                base = next((n for _, kind, n in reversed(stack) if kind == "base"), None)
                problems.append(_Problem(keys, names.get("class"), base, content))
            break
    return problems


def _no_option(problem: _Problem, name: str) -> str:
    """Say that a class has no such option."""
    known = _options(problem.class_path or "")
    owner = problem.class_path or "it"
    return f"{owner} has no option {name}{did_you_mean(name, known)}"


def _no_module(problem: _Problem, module: str) -> str:
    """Say that a module is missing."""
    return (
        f"there is no module {module}; install what holds it, or add the folder that it lies in to "
        "PYTHONPATH (PYTHONPATH=. for this one)"
    )


def _no_attribute(problem: _Problem, module: str, name: str) -> str:
    """Say that a module has no such name."""
    try:
        loaded = import_module(module)
        known = [*dir(loaded), *getattr(loaded, "__all__", ())]
    except Exception:  # whatever a module does
        known = []
    return f"{module} has no {name}{did_you_mean(name, known)}"


def _no_path(problem: _Problem, name: str) -> str:
    """Say that a name is no known class."""
    try:
        module, _, base = (problem.base or "").rpartition(".")
        known = {cls.__name__ for cls in _subclasses(getattr(import_module(module), base))}
    except Exception:
        known = set()
    advice = did_you_mean(name, sorted(known)) or "; give its import path, such as package.Class"
    return f"{name} is no known class{advice}"


_KNOWN = (
    (re.compile(r"Option '([^']+)' is not accepted"), _no_option),
    (re.compile(r"Key '([^']+)' is not expected"), _no_option),
    (re.compile(r"No module named '([^']+)'"), _no_module),
    (re.compile(r"module '([^']+)' has no attribute '([^']+)'"), _no_attribute),
    (re.compile(r"Expected a dot import path string: (\S+)"), _no_path),
)


def _wrong_type(text: str, keys: Tuple[str, ...], problems: List[_Problem]) -> str:
    """Say what a value has to be."""
    wanted = []
    for problem in problems:
        kind = re.sub(r"\. Got value: .*", "", problem.text[len("Expected a ") :])
        kind = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", kind)
        kind = re.sub(r"typing\.Literal\[(.*)\]", r"\1", kind).replace("collections.abc.", "")
        wanted += [kind] if kind not in wanted else []
    if "NoneType" in text:
        wanted.append("null")
    where = ".init_args.".join(keys)
    values = re.findall(r"Got value: (.*)", text) + re.findall(r"Given value: (.*)", text)
    value = values[0].strip() if values else ""
    nested = re.match(r"NestedArg\(key='([^']+)', val='?(.*?)'?\)$", value)
    value = nested[2] if nested else value
    given = f" is {value}" if value and value[0] not in "{[" else " does not fit"
    return f"{where}{given}; give {' or '.join(wanted)}"


def _options(class_path: str) -> List[str]:
    """List the options that a class takes, or none if that cannot be told."""
    try:
        from jsonargparse import ArgumentParser

        module, _, name = class_path.rpartition(".")
        cls = getattr(import_module(module), name)
        added = ArgumentParser().add_class_arguments(cls, "x", fail_untyped=False)
        return [key.split(".", 1)[1] for key in added]
    except Exception:  # advice is not worth another error
        return []


def _subclasses(base: type) -> List[type]:
    """List all classes that are derived from one."""
    found: List[type] = []
    direct: List[type] = base.__subclasses__()
    for cls in direct:
        found += [cls, *_subclasses(cls)]
    return found
