"""Errors that a person can act on.

Every message is one sentence that names the file or option at fault and the remedy; the command
lines print it without a traceback and exit with the class's code.
"""

import re


class DrumblenderError(Exception):
    """Something in the outside world is not as it has to be: a file, a folder, a server."""

    exit_code = 1


class UsageError(DrumblenderError):
    """What the person asked for cannot be done as asked: an option or a configuration key."""

    exit_code = 2


def condense(text: str) -> str:
    r"""The heart of an error of jsonargparse, which lists all types that a value could have had.

    >>> condense('Parser key "trainer.max_epochs": Does not validate against any of the Union '
    ...     "subtypes Subtypes: [...] Errors: - Expected a <class 'int'> - Expected a <class "
    ...     "'NoneType'> Given value type: <class 'str'> Given value: abc")
    'trainer.max_epochs: Expected a int, not abc'
    """
    text = " ".join(text.split())
    cause, *values = re.split(r" ?Given value type: .*?Given value: ", text)
    cause = re.sub(r"Does not validate against any of the Union subtypes .*?Errors: - ", "", cause)
    cause = re.sub(r"Problem with given class_path '([^']+)': ", r"\1: ", cause)
    cause = re.sub(r' ?- Expected a <class .NoneType.>|Parser key (?=")', "", cause)
    cause = re.sub(r"<class '([^']+)'>", r"\1", cause)
    cause = re.sub(r'^"([^"]+)"|(?<=: )"([^"]+)"(?=:)', r"\1\2", cause).strip()
    value = values[0].split(" ")[0] if values and values[0][0] not in "{[" else ""
    return f"{cause}, not {value}" if value else cause
