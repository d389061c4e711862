"""SFZ kits, which say which file plays on which key, and what it is called (https://sfzformat.com).

The text comes from the internet. It is read once from front to back, in time that grows with its
length. What it includes and what it defines may not make it larger than a kit can be.
"""

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Callable, Dict, Iterator, List, Optional, Set, Tuple

from drumblender.files.paths import joined
from drumblender.files.text import decode

# Headers from the outermost to the innermost; an inner one ends with the next outer one.
_LEVELS = ("control", "global", "master", "group", "region")
_HEADERS = frozenset((*_LEVELS, "curve", "effect", "midi", "sample"))
# The opcodes that say which file plays when, how loud, how high, and what it is called.
_OPCODES = frozenset(
    "sample default_path key lokey hikey note_offset octave_offset region_label group_label "
    "master_label global_label lovel hivel lorand hirand seq_length seq_position trigger group "
    "off_by volume gain amplitude amp_veltrack pan pitch_keycenter pitch_keytrack transpose tune "
    "pitch".split()
)
_CURVE = re.compile(r"amp_velcurve_\d{1,3}")
_NOTE = re.compile(r"([a-g])([#b]?)(-?\d)", re.IGNORECASE)
_DEFINE = re.compile(r"#define\s+(\$\w{1,64})\s+(\S+)")
_INCLUDE = re.compile(r'\s*#include\s*"([^"]+)"')
# A header, or the name of an opcode. An opcode begins a word, so that every character is looked at
# a bounded number of times.
_TOKEN = re.compile(r"<(\w+)>|(?<![^\s>])([\w$]+)=")
_COMMENT = re.compile(r"(?<!\S)//[^\r\n]*|/\*")

_MOST_PARTS = 1_000
_DEEPEST_PART = 50
_MOST_REGIONS = 100_000
_LONGEST_TEXT = 16 << 20
_LONGEST_VALUE = 1_024

Region = Dict[str, str]
Load = Callable[[str], bytes]  # the content of a file
Find = Callable[[str], Optional[str]]  # the name of the file that a path means, if there is one


@dataclass
class SfzKit:
    """The content of an SFZ kit.

    Attributes:
        regions: opcodes of each region that plays a file, including those that it inherits.
            ``default_path`` stands in front of ``sample``.
        parts: names of the files that it includes.
        problems: sentences about what could not be read.
    """

    regions: List[Region] = field(default_factory=list)
    parts: Set[str] = field(default_factory=set)
    problems: List[str] = field(default_factory=list)

    def note(self, problem: str) -> None:
        """Add a problem. Only the first few are kept."""
        if len(self.problems) < 3:
            self.problems.append(problem)


def read_sfz(name: str, load: Load, find: Find) -> SfzKit:
    """Read a kit with all that it includes.

    Args:
        name: name of the kit's file.
        load: function that gives the content of a file.
        find: function that gives the name of the file that a path means, or None if there is none.

    Raises:
        OSError: if the file itself cannot be read.
        ValueError: if the file itself is no text, or is too large.
    """
    kit = SfzKit()
    lines = _Text(name, load, find, kit).lines(name, ())
    kit.regions.extend(_regions(lines, kit.note))
    return kit


def sfz_regions(text: str) -> Iterator[Region]:
    r"""Read the regions of an SFZ kit that play a file. The kit includes no other file.

    >>> kit = "<control> default_path=Kit\\ <group> key=36 <region> sample=Big Kick.wav cutoff=99"
    >>> next(sfz_regions(kit))
    {'default_path': 'Kit\\', 'key': '36', 'sample': 'Kit\\Big Kick.wav'}
    """
    return iter(read_sfz("", lambda name: text.encode(), lambda path: None).regions)


def note_number(text: str) -> Optional[int]:
    """Return the number of a key that is written as a number or as a note. None if it is neither.

    >>> note_number("36"), note_number("c4"), note_number("F#1"), note_number("-1")
    (36, 60, 30, None)
    """
    note = _NOTE.fullmatch(text)
    if note:
        semitone = "c d ef g a b".index(note[1].lower())
        shift = {"#": 1, "b": -1, "": 0}[note[2].lower()]
        return 12 * (int(note[3]) + 1) + semitone + shift
    return int(text) if re.fullmatch(r"[0-9]{1,3}", text) else None


def _decode(data: bytes) -> str:
    """Decode the text of a file, or refuse one that is no text."""
    if len(data) > _LONGEST_TEXT:
        raise ValueError(f"it is larger than {_LONGEST_TEXT >> 20} MiB")
    text = decode(data)
    if "\0" in text:
        raise ValueError("it is no text")
    return text


class _Text:
    """The lines of a kit with included files in their places and defined names replaced.

    Args:
        name: name of the kit's file.
        load: function that gives the content of a file.
        find: function that gives the name of the file that a path means.
        kit: the kit, which gets parts and problems.
    """

    def __init__(self, name: str, load: Load, find: Find, kit: SfzKit):
        self._folder = PurePosixPath(name).parent
        self._load, self._find, self._kit = load, find, kit
        self._defines: Dict[str, str] = {}
        self._lengths: List[int] = []  # that the names have, the longest first
        self._count = 0
        self._size = 0

    def lines(self, name: str, parents: Tuple[str, ...]) -> Iterator[str]:
        """Yield the lines of a file.

        Args:
            name: name of the file.
            parents: names of the files that include it, from the outermost to the innermost.
        """
        for line in re.split(r"\r\n|\r|\n", _without_comments(_decode(self._load(name)))):
            if "#define" in line:
                self._define(line)
                line = _DEFINE.sub("", line)
            line = self._expand(line)
            self._size += len(line)
            if self._size > _LONGEST_TEXT:
                self._kit.note(f"it comes to more than {_LONGEST_TEXT >> 20} MiB")
                return
            include = _INCLUDE.match(line) if "#include" in line else None
            if include:
                yield from self._part(include[1], (*parents, name))
                line = line[include.end() :]
            yield line

    def _part(self, path: str, parents: Tuple[str, ...]) -> Iterator[str]:
        """Yield the lines of an included file, or note why there are none."""
        self._count += 1
        # Some programs take it as relative to the kit, some to the file that says so.
        folders = (self._folder, PurePosixPath(parents[-1]).parent)
        part = next(filter(None, (self._find(joined(folder, path)) for folder in folders)), None)
        if part is None:
            self._kit.note(f"it includes {path}, which is not there")
        elif part in parents:
            self._kit.note(f"{part} includes itself")
        elif self._count > _MOST_PARTS or len(parents) > _DEEPEST_PART:
            self._kit.note("it includes too many files")
        else:
            self._kit.parts.add(part)
            try:
                yield from self.lines(part, parents)
            except (OSError, ValueError) as error:
                self._kit.note(f"{part} in it cannot be read ({error})")

    def _define(self, line: str) -> None:
        """Take the definitions of a line."""
        for variable, value in _DEFINE.findall(line):
            self._defines[variable] = self._expand(value)
            if len(variable) not in self._lengths:
                self._lengths = sorted([*self._lengths, len(variable)], reverse=True)

    def _expand(self, text: str) -> str:
        """Replace defined names, each by the longest that fits: $KICK and $KICK2 may both exist."""
        if "$" not in text or not self._defines:
            return text

        def value(match: "re.Match[str]") -> str:
            """Return the value of a name, and what follows the name in the word."""
            word = match[0]
            for length in self._lengths:
                if length <= len(word) and word[:length] in self._defines:
                    known = self._defines[word[:length]][:_LONGEST_VALUE]
                    self._size += len(known)
                    # What is too large is refused when the line is done.
                    return known + word[length:] if self._size <= _LONGEST_TEXT else ""
            return word

        return re.sub(r"\$\w+", value, text)


def _without_comments(text: str) -> str:
    """Remove comments: behind ``//``, between ``/*`` and ``*/``, and behind a last ``/*``.

    >>> _without_comments("a // b /* c\\nd http://e/f /* g\\n*/ h /* i")
    'a  \\nd http://e/f   h  '
    """
    pieces, start = [], 0
    comment = _COMMENT.search(text)
    while comment:
        pieces.append(text[start : comment.start()])
        start = comment.end()
        if comment[0] == "/*":
            end = text.find("*/", start)
            start = end + 2 if end >= 0 else len(text)
        comment = _COMMENT.search(text, start)
    return " ".join([*pieces, text[start:]])


def _regions(lines: Iterator[str], note: Callable[[str], None]) -> Iterator[Region]:
    """Yield the regions that play a file, with the opcodes that they inherit."""
    scopes: Dict[str, Region] = {level: {} for level in _LEVELS}
    level, count = "", 0
    is_kit = False

    def region() -> Iterator[Region]:
        """Yield the region that has just ended, if it plays a file."""
        opcodes: Region = {}
        for name in _LEVELS:
            opcodes.update(scopes[name])
        sample = opcodes.get("sample", "")
        if level == "region" and sample and not sample.startswith("*"):  # *sine makes its sound
            yield {**opcodes, "sample": opcodes.get("default_path", "") + sample}

    for line in lines:
        tokens = list(_TOKEN.finditer(line)) if line else []
        ends = [*(token.start() for token in tokens[1:]), len(line)]
        for token, end in zip(tokens, ends):
            header, opcode = token[1], token[2]
            if opcode:
                value = line[token.end() : end].strip()
                name = opcode.lower()
                if level in scopes and (name in _OPCODES or _CURVE.fullmatch(name)):
                    if len(value) > _LONGEST_VALUE:
                        note(f"it says {opcode} of {len(value)} characters")
                        value = ""
                    scopes[level][name] = value
            else:
                yield from region()
                level = header.lower()
                count += level == "region"
                is_kit = is_kit or level in _HEADERS
                if count > _MOST_REGIONS:
                    note(f"it has more than {_MOST_REGIONS} regions")
                    return
                if level == "control":
                    scopes[level].pop("default_path", None)
                elif level in _LEVELS:
                    for inner in _LEVELS[_LEVELS.index(level) :]:
                        scopes[inner] = {}
    yield from region()
    if not is_kit:
        note("it holds no regions")
