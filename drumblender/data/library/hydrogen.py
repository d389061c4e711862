"""Hydrogen's ``drumkit.xml``, of any version, which says which file belongs to which instrument.

The text comes from the internet. It is read once from front to back without building a tree, and
declarations that could make it grow are refused.
"""

import codecs
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, List, Tuple

from drumblender.files.text import decode

DESCRIPTION = "drumkit.xml"
ARCHIVE_SUFFIX = ".h2drumkit"

_LONGEST = 16 << 20
_DECLARATION = re.compile(r"\s*<\?xml\s[^>]{0,1000}>")
_ENCODING = re.compile(r"encoding\s*=\s*[\"']([\w.:-]{1,40})[\"']")
# Codecs of Python that are no encodings of a text file, and may take long.
_NO_ENCODINGS = frozenset("idna punycode unicode-escape raw-unicode-escape undefined".split())
# Control characters, which old versions wrote as they are.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
# What lets a document say more than it is long.
_GROWING = re.compile("<!(ENTITY|ATTLIST)")


@dataclass(frozen=True)
class Instrument:
    """What a kit says about one instrument, as the texts of its XML elements by their names.

    Attributes:
        says: what it says about the instrument itself.
        layers: what it says about each of its files, whose name is ``filename``. What it says about
            a component (a microphone, mostly) stands there, too, as ``component_...``.
    """

    says: Dict[str, str] = field(default_factory=dict)
    layers: List[Dict[str, str]] = field(default_factory=list)


def instruments(xml: bytes) -> List[Tuple[str, str]]:
    """List the files of a kit, each with the name of its instrument.

    Raises:
        ValueError: if the text is too large, or if it declares entities.
        xml.etree.ElementTree.ParseError: if it is no XML.

    >>> xml = b"<drumkit_info><instrumentList><instrument><name>Tom 1</name><layer><filename>a.wav"
    >>> xml += b"</filename></layer></instrument></instrumentList></drumkit_info>"
    >>> instruments(xml)
    [('a.wav', 'Tom 1')]
    """
    return [
        (layer["filename"], instrument.says.get("name", ""))
        for instrument in read_instruments(xml)
        for layer in instrument.layers
    ]


def read_instruments(xml: bytes) -> List[Instrument]:
    """Read all that a kit says about its instruments and their files.

    Raises:
        ValueError: if the text is too large, or if it declares entities.
        xml.etree.ElementTree.ParseError: if it is no XML.
    """
    return parse(xml, _Reader)


def parse(xml: bytes, make_reader: Callable[[], Any]) -> Any:
    """Read a description of a kit once from front to back, and return what the reader returns.

    Args:
        xml: the text.
        make_reader: function that makes a target of Python's parser of XML, one for each encoding
            that is tried.

    Raises:
        ValueError: if the text is too large, or if it declares entities.
        xml.etree.ElementTree.ParseError: if it is no XML.
    """
    if len(xml) > _LONGEST:
        raise ValueError(f"it is larger than {_LONGEST >> 20} MiB")
    failure = None
    for text in _decoded(xml):
        if _GROWING.search(text):
            raise ValueError("it declares entities, which no kit needs")
        parser = ElementTree.XMLParser(target=make_reader())
        try:
            parser.feed(text)
            return parser.close()
        except ElementTree.ParseError as error:
            failure = failure or error
    raise failure or ValueError("it is no text")


def _decoded(xml: bytes) -> Iterator[str]:
    """Decode the text as declared, else as it looks, and leave its declaration out."""
    if xml.startswith((b"<\0", b"\0<")):  # UTF-16 without its mark
        xml = (codecs.BOM_UTF16_LE if xml[1:2] == b"\0" else codecs.BOM_UTF16_BE) + xml
    text = decode(xml)
    declaration = _DECLARATION.match(text)
    start = declaration.end() if declaration else 0
    encoding = _ENCODING.search(declaration[0]) if declaration else None
    if encoding and not xml.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            codec = codecs.lookup(encoding[1])
            if codec.name not in ("utf-8", *_NO_ENCODINGS):
                as_declared = xml.decode(codec.name)
                yield _NOT_XML.sub("", as_declared[as_declared.index(">") + 1 :])
        except (LookupError, ValueError):
            pass  # unknown here, or wrong
    yield _NOT_XML.sub("", text[start:])


class _Reader:
    """A target of the parser that collects instruments while the text is read."""

    def __init__(self) -> None:
        self._found: List[Instrument] = []
        self._tags: List[str] = []
        self._open: List[Instrument] = []
        self._component: Dict[str, str] = {}
        self._layer: Dict[str, str] = {}
        self._text: List[str] = []

    def start(self, tag: str, attributes: object) -> None:
        """Enter a tag."""
        tag = tag.rpartition("}")[2]
        self._tags.append(tag)
        self._text.clear()
        if tag == "instrument":
            self._open.append(Instrument())
            self._component, self._layer = {}, {}
        elif tag == "instrumentComponent":
            self._component = {}
        elif tag == "layer":
            self._layer = dict(self._component)

    def data(self, text: str) -> None:
        """Take text inside of a tag."""
        if self._open:
            self._text.append(text)

    def end(self, tag: str) -> None:
        """Leave a tag, and take what it says."""
        tag = self._tags.pop()
        text = "".join(self._text)
        self._text.clear()
        if not self._open:
            return
        parent = self._tags[-1] if self._tags else ""
        if tag == "instrument":
            self._found.append(self._open.pop())
        elif tag == "filename" and text.strip():
            # What follows about the file is entered into the same layer.
            self._layer = {**self._layer, "filename": text.strip()}
            self._open[-1].layers.append(self._layer)
        elif parent == "layer":
            self._layer[tag] = text.strip()
        elif parent == "instrumentComponent":
            self._component[f"component_{tag}"] = text.strip()
        elif parent == "instrument" and text:
            self._open[-1].says.setdefault(tag, text)

    def close(self) -> List[Instrument]:
        """Return what was found."""
        return self._found
