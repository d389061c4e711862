"""Makes Markdown of the package's docstrings, which are written to be read as text.

Doctests and tables become blocks of code, references paragraphs, and ``:class:`~a.b.C``` a link.
"""

import re
from typing import Iterator, Optional

import griffe

ROLE = re.compile(r":(?:class|func|meth|mod|attr):`(~?)([\w.]+)`")


class PlainDocstrings(griffe.Extension):
    """Rewrites every docstring, once the whole package has been read."""

    def on_package(self, *, pkg: griffe.Module, **_) -> None:
        for obj in _objects(pkg):
            if obj.docstring:
                text = part_references(fence_blocks(obj.docstring.value))
                obj.docstring.value = ROLE.sub(lambda match, obj=obj: _link(match, obj), text)


def fence_blocks(text: str) -> str:
    """Put a fence of Markdown around doctests and tables, which end with an empty line."""
    result, indent = [], None
    for line in text.splitlines():
        kind = "pycon" if line.lstrip().startswith(">>>") else "text"
        if indent is None and line.lstrip().startswith((">>>", "====")):
            indent = line[: len(line) - len(line.lstrip())]
            result.append(f"{indent}```{kind}")
        elif indent is not None and not line.strip():
            result.append(f"{indent}```")
            indent = None
        result.append(line)
    return "\n".join(result if indent is None else [*result, f"{indent}```"])


def part_references(text: str) -> str:
    """Let each reference of a list, such as ``[1] Author, ...``, be a paragraph of its own."""
    return re.sub(r"\n(?=\[\d+\] )", "\n\n", text)


def _objects(obj: griffe.Object) -> Iterator[griffe.Object]:
    yield obj
    for member in obj.members.values():
        if not member.is_alias:
            yield from _objects(member)


def _link(match: "re.Match[str]", obj: griffe.Object) -> str:
    name = match[2]
    label = name.rsplit(".", 1)[-1] if match[1] else name.lstrip(".")
    path = _path_of(name, obj)
    return f"[`{label}`][{path}]" if path else f"`{label}`"


def _path_of(name: str, obj: griffe.Object) -> Optional[str]:
    """Where the documentation of a name stands that a docstring uses; None if it has none."""
    collection = obj.modules_collection
    if name.startswith("."):  # a module beside this one
        package = obj.module if obj.module.is_package else obj.module.parent
        name = f"{package.path}{name}"
    candidates = [name]
    scope = obj
    while scope is not None:
        candidates.append(f"{scope.path}.{name}")
        scope = scope.parent
    for candidate in candidates:
        try:
            found = collection[candidate]
            return (found.final_target if found.is_alias else found).path
        except (KeyError, griffe.AliasResolutionError, griffe.CyclicAliasError):
            continue
    return None
