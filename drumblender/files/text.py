"""Names of files as text, which may hold anything but ``/``, even bytes that are not UTF-8.

Python represents such bytes as lone surrogates, which no UTF-8 file can hold. It can hold them as
``\\udce9``, however: JSON and YAML (in double quotes) read that back as it was, so that it still
names the file.
"""

import codecs
import hashlib
import json
import os
import re
import unicodedata
from typing import Any, Iterable, Sequence

# Characters that break a line, move the cursor, turn the direction of writing or are half of one.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LONGEST_NAME = 251  # bytes, which leaves room for the ".tmp" of a file that is being written


def printable(text: str) -> str:
    r"""Write a name on one line, with escapes for what cannot be shown.

    Bytes of a name that are not UTF-8 are lone surrogates in Python, which no encoding takes.

    >>> printable("two\nlines \udce9")
    'two\\nlines \\udce9'
    """
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)


def json_line(value: Any) -> str:
    r"""Write a value as JSON that UTF-8 can hold and an editor shows. It reads back as it is.

    >>> print(json_line({"Größe": "caf\udce9"}))
    {"Größe": "caf\udce9"}
    """
    # Such characters are nowhere in JSON but in texts, where escapes stand for them.
    text = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: json.dumps(match[0])[1:-1], text)


def some(names: Iterable[str], most: int = 8) -> str:
    """List names in a sentence, in order, and say how many more there are.

    >>> some("cab", 2)
    'a, b and 1 more'
    """
    names = sorted(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return printable(", ".join(names[:most]) + more)


def align(lines: Sequence[Sequence[str]], names: int = 1) -> str:
    """Write a table whose columns each have one width. The first ones are aligned to the left.

    >>> print(align([["", "n"], ["kick", "12"]]))
           n
    kick  12
    """
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(
        "  ".join(
            text.ljust(width) if column < names else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in lines
    )


def fitting(stem: str, ending: str) -> str:
    """Make a file's name of a stem and an ending, shortened if file systems would refuse it.

    Two stems stay two names, because a checksum stands for what is cut off.

    Two stems stay two names: a checksum stands for what is cut off.

    >>> fitting("kick", "_modes.png"), len(fitting("kick" * 100, "_modes.png"))
    ('kick_modes.png', 251)
    """
    raw = os.fsencode(stem)
    most = _LONGEST_NAME - len(os.fsencode(ending))
    if len(raw) > most:
        checksum = hashlib.sha256(raw).hexdigest()[:8]
        # A character that is cut in two is left out.
        stem = f"{raw[: most - 9].decode('utf-8', 'ignore')}~{checksum}"
    return stem + ending


def readable(name: str) -> str:
    r"""Return a file's name as it was meant, in composed characters.

    Bytes that are not UTF-8 count as Latin-1.

    >>> readable("caf\udce9") == readable("cafe\u0301") == "caf\u00e9"
    True
    """
    return unicodedata.normalize("NFC", _bytes_as_latin_1(name))


def decode(data: bytes) -> str:
    r"""Decode text that another program wrote in UTF-8, or in UTF-16 with its mark.

    Bytes that are not UTF-8 count as Latin-1 one by one, as they do in :func:`readable`.

    >>> decode(b"caf\xe9"), decode("café".encode()), decode("café".encode("utf-16"))
    ('café', 'café', 'café')
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    return _bytes_as_latin_1(data.decode("utf-8-sig", "surrogateescape"))


def _bytes_as_latin_1(text: str) -> str:
    """Replace lone surrogates by the Latin-1 characters of the bytes that they stand for."""
    return re.sub("[\udc80-\udcff]", lambda match: chr(ord(match[0]) - 0xDC00), text)
