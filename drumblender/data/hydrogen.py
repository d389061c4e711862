"""Hydrogen's ``drumkit.xml``, of any version: which file belongs to which instrument.

The text comes from the internet. It is read once from front to back without building a tree, and
declarations that could make it grow are refused.
"""

import contextlib
import re
import xml.etree.ElementTree as ElementTree
from typing import List, Tuple

DESCRIPTION = "drumkit.xml"
ARCHIVE_SUFFIX = ".h2drumkit"

_LONGEST = 16 << 20
_ENCODING = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{1,40})[\"']")
_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# Control characters, which old versions wrote as they are, and the declaration of an encoding.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]|<\\?xml[^>]*\\?>")


def instruments(xml: bytes) -> List[Tuple[str, str]]:
    """(file, name of its instrument) of a kit.

    Raises:
        ValueError: when it is too large or declares entities.
        xml.etree.ElementTree.ParseError: when it is no XML.

    >>> xml = b"<drumkit_info><instrumentList><instrument><name>Tom 1</name><layer><filename>a.wav"
    >>> xml += b"</filename></layer></instrument></instrumentList></drumkit_info>"
    >>> instruments(xml)
    [('a.wav', 'Tom 1')]
    """
    if len(xml) > _LONGEST:
        raise ValueError(f"it is larger than {_LONGEST >> 20} MiB")
    failure = None
    for encoding in _encodings(xml):
        try:
            text = _NOT_XML.sub("", xml.decode(encoding))
        except UnicodeError:
            continue
        if "<!ENTITY" in text:
            raise ValueError("it declares entities, which no kit needs")
        parser = ElementTree.XMLParser(target=_Reader())
        try:
            parser.feed(text)
            return parser.close()
        except ElementTree.ParseError as error:
            failure = failure or error
    raise failure or ValueError("it is no text")


def _encodings(xml: bytes) -> List[str]:
    """What the text may be encoded in, the likeliest first; Latin-1 fits always."""
    for mark, encoding in _MARKS.items():
        if xml.startswith(mark):
            return [encoding, "latin-1"]
    declared = _ENCODING.match(xml.lstrip())
    names = [declared[1].decode("ascii")] if declared else []
    known = []
    for name in names:
        with contextlib.suppress(LookupError, ValueError):
            # Python also has codecs that make no text of bytes, which only their use tells.
            with contextlib.suppress(UnicodeError):
                b"x".decode(name)
            known.append(name)
    return [*known, "utf-8", "latin-1"]


class _Reader:
    """Collects instruments while the text is read."""

    def __init__(self) -> None:
        self._found: List[Tuple[str, str]] = []
        self._tags: List[str] = []
        self._instruments: List[Tuple[List[str], List[str]]] = []  # names and files of open ones
        self._text: List[str] = []

    def start(self, tag: str, attributes: object) -> None:
        self._tags.append(tag.rpartition("}")[2])
        self._text.clear()
        if self._tags[-1] == "instrument":
            self._instruments.append(([], []))

    def data(self, text: str) -> None:
        if self._instruments and self._tags[-1] in ("name", "filename"):
            self._text.append(text)

    def end(self, tag: str) -> None:
        tag = self._tags.pop()
        text = "".join(self._text)
        self._text.clear()
        if not self._instruments:
            return
        names, files = self._instruments[-1]
        if tag == "instrument":
            self._instruments.pop()
            self._found += [(file, names[0] if names else "") for file in files]
        elif tag == "filename" and text.strip():
            files.append(text.strip())
        elif tag == "name" and text and self._tags[-1] == "instrument":
            names.append(text)

    def close(self) -> List[Tuple[str, str]]:
        return self._found
