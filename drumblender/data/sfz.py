"""SFZ kits: which file plays on which key, and what it is called (https://sfzformat.com).

The text comes from the internet. It is read once from front to back, in time that grows with its
length; what it includes and what it defines may not make it larger than a kit can be.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Callable, Dict, Iterator, List, Optional, Set, Tuple

# Headers from the outermost to the innermost; an inner one ends with the next outer one.
_LEVELS = ("control", "global", "master", "group", "region")
# The opcodes that say something about a file's name or instrument.
_OPCODES = frozenset(
    "sample default_path key lokey hikey note_offset octave_offset region_label group_label "
    "master_label global_label".split()
)
_DEFINE = re.compile(r"#define\s+(\$\w+)\s+(\S+)")
_INCLUDE = re.compile(r'\s*#include\s*"([^"]+)"')
# A header, what looks like one, or the name of an opcode. An opcode begins a word, so that every
# character is looked at a bounded number of times.
_TOKEN = re.compile(r"<(?:(\w+)>)?|(?<![^\s>])([\w$]+)=")

_MOST_PARTS = 1_000
_MOST_REGIONS = 100_000
_LONGEST_TEXT = 16 << 20
_LONGEST_VALUE = 1_024

Region = Dict[str, str]


@dataclass
class SfzKit:
    """What an SFZ kit says.

    Attributes:
        regions: the opcodes that hold for each region that plays a file. ``sample`` comes with
            ``default_path`` in front.
        parts: names of the files that it includes.
        problems: what could not be read.
    """

    regions: List[Region] = field(default_factory=list)
    parts: Set[str] = field(default_factory=set)
    problems: List[str] = field(default_factory=list)


def read_sfz(
    name: str, load: Callable[[str], bytes], find: Callable[[str], Optional[str]]
) -> SfzKit:
    """Read a kit with all that it includes.

    Args:
        name: of the kit's file.
        load: gives the content of a file.
        find: gives the name of the file that a path means, or None where there is none.

    Raises:
        ValueError: when the file itself is no text.
    """
    kit = SfzKit()
    kit.regions.extend(_regions(_Text(name, load, find, kit).lines(name, ()), kit.problems))
    return kit


def sfz_regions(text: str) -> Iterator[Region]:
    r"""The regions of an SFZ kit without includes that play a file.

    >>> kit = "<control> default_path=Kit\\ <group> key=36 <region> sample=Big Kick.wav volume=3"
    >>> next(sfz_regions(kit))
    {'default_path': 'Kit\\', 'key': '36', 'sample': 'Kit\\Big Kick.wav'}
    """
    return iter(read_sfz("", lambda name: text.encode(), lambda path: None).regions)


def decode(data: bytes) -> str:
    """Text in UTF-8, in UTF-16 with its mark, or else in Latin-1.

    Raises:
        ValueError: when it is no text.
    """
    if len(data) > _LONGEST_TEXT:
        raise ValueError(f"it is larger than {_LONGEST_TEXT >> 20} MiB")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    if b"\0" in data:
        raise ValueError("it is no text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


class _Text:
    """The lines of a kit with includes in place and defined names replaced."""

    def __init__(self, name: str, load, find, kit: SfzKit):
        self._folder = PurePosixPath(name).parent
        self._load, self._find, self._kit = load, find, kit
        self._defines: Dict[str, str] = {}
        self._lengths: List[int] = []  # of the names, the longest first
        self._count = 0
        self._size = 0

    def lines(self, name: str, parents: Tuple[str, ...]) -> Iterator[str]:
        text = _without_comments(decode(self._load(name)))
        for line in re.split(r"\r\n|\r|\n", text):
            line = re.sub(r"(?:^|\s)//.*", "", line)
            for variable, value in _DEFINE.findall(line):
                self._defines[variable] = self._expand(value)
                self._lengths = sorted({len(v) for v in self._defines}, reverse=True)
            line = self._expand(_DEFINE.sub("", line))
            self._size += len(line)
            if self._size > _LONGEST_TEXT:
                self._note(f"it comes to more than {_LONGEST_TEXT >> 20} MiB")
                return
            include = _INCLUDE.match(line)
            if include:
                yield from self._part(include[1], (*parents, name))
                line = line[include.end() :]
            yield line

    def _part(self, path: str, parents: Tuple[str, ...]) -> Iterator[str]:
        self._count += 1
        part = self._find(os.path.normpath(str(self._folder / path.replace("\\", "/"))))
        if part is None:
            self._note(f"it includes {path}, which is not there")
        elif part in parents:
            self._note(f"{part} includes itself")
        elif self._count > _MOST_PARTS:
            self._note(f"it includes more than {_MOST_PARTS} files")
        else:
            self._kit.parts.add(part)
            try:
                yield from self.lines(part, parents)
            except (OSError, ValueError) as error:
                self._note(f"{part} in it cannot be read ({error})")

    def _note(self, problem: str) -> None:
        if len(self._kit.problems) < 3:
            self._kit.problems.append(problem)

    def _expand(self, text: str) -> str:
        """Replace defined names, the longest that fits: $KICK and $KICK2 may both exist."""
        if "$" not in text or not self._defines:
            return text

        def value(match: "re.Match[str]") -> str:
            word = match[0]
            for length in self._lengths:
                if length <= len(word) and word[:length] in self._defines:
                    known = self._defines[word[:length]]
                    self._size += len(known)
                    return known[:_LONGEST_VALUE] + word[length:]
            return word

        if self._size > _LONGEST_TEXT:
            return text
        return re.sub(r"\$\w+", value, text)


def _without_comments(text: str) -> str:
    """Text without what stands between ``/*`` and ``*/``, or behind the last ``/*``."""
    pieces, start = [], 0
    while True:
        begin = text.find("/*", start)
        if begin < 0:
            return " ".join([*pieces, text[start:]])
        pieces.append(text[start:begin])
        end = text.find("*/", begin + 2)
        if end < 0:
            return " ".join(pieces)
        start = end + 2


def _regions(lines: Iterator[str], problems: List[str]) -> Iterator[Region]:
    scopes: Dict[str, Region] = {level: {} for level in _LEVELS}
    level, count = "", 0

    def region() -> Iterator[Region]:
        opcodes: Region = {}
        for name in _LEVELS:
            opcodes.update(scopes[name])
        sample = opcodes.get("sample", "")
        if level == "region" and sample and not sample.startswith("*"):  # *sine makes its sound
            yield {**opcodes, "sample": opcodes.get("default_path", "") + sample}

    for line in lines:
        tokens = list(_TOKEN.finditer(line))
        ends = [*(token.start() for token in tokens[1:]), len(line)]
        for token, end in zip(tokens, ends):
            header, opcode = token[1], token[2]
            if opcode:
                value = line[token.end() : end].strip()
                known = level in scopes and opcode.lower() in _OPCODES
                if known and len(value) <= _LONGEST_VALUE:
                    scopes[level][opcode.lower()] = value
            elif header:
                yield from region()
                level = header.lower()
                count += level == "region"
                if count > _MOST_REGIONS:
                    problems.append(f"it has more than {_MOST_REGIONS} regions")
                    return
                if level == "control":
                    scopes[level].pop("default_path", None)
                elif level in _LEVELS:
                    for inner in _LEVELS[_LEVELS.index(level) :]:
                        scopes[inner] = {}
    yield from region()
