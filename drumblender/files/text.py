"""Names as a person can read them, whatever bytes a file's name consists of."""

import re
import unicodedata

# Characters that break a line, move the cursor, turn the direction of writing or are half of one.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""A name on one line: what cannot be shown is escaped.

    Bytes of a name that are no UTF-8 are lone surrogates in Python, which no encoding takes.

    >>> printable("two\nlines \udce9")
    'two\\nlines \\udce9'
    """
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)


def readable(name: str) -> str:
    r"""A file's name as it was meant: in composed characters, bytes that are no UTF-8 as Latin-1.

    >>> readable("caf\udce9") == readable("cafe\u0301") == "caf\u00e9"
    True
    """
    parts = name.split("/")
    for index, part in enumerate(parts):
        if any("\ud800" <= c <= "\udfff" for c in part):
            encoded = part.encode("utf-8", "surrogateescape" if _escaped(part) else "surrogatepass")
            parts[index] = encoded.decode("latin-1")
    return unicodedata.normalize("NFC", "/".join(parts))


def _escaped(text: str) -> bool:
    """Whether all surrogates of a text stand for bytes."""
    return not re.search("[\ud800-\udc7f\udd00-\udfff]", text)
