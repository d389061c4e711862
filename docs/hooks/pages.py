"""What the site does not keep in files: pages of the API, and the options of every command.

Pages of the API are made from the folders of the package, so that a new module is documented by
being there. ``{{ options of COMMAND }}`` in a page becomes tables of the parser that the command
itself uses, so that no page can tell of an option that there is not, or miss one;
``{{ help of COMMAND }}`` becomes what the command prints. ``{{ table of controls }}`` becomes the
table of controls.
"""

import argparse
import contextlib
import importlib.metadata
import io
import re
from pathlib import Path
from typing import Dict, Iterator, List, Tuple
from unittest import mock

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "drumblender"
OPTIONS_OF = re.compile(r"^\{\{ options of ([\w -]+) \}\}$", re.MULTILINE)
HELP_OF = re.compile(r"^\{\{ help of ([\w -]+) \}\}$", re.MULTILINE)

CONTROLS = re.compile(r"^\{\{ table of controls \}\}$", re.MULTILINE)


def on_config(config):
    """Add the pages of the API to the menu."""
    reference = next(item["Reference"] for item in config.nav if "Reference" in item)
    reference.append({"API": [{Path(page).stem: page} for page in _api_pages()]})
    return config


def on_files(files, config):
    """Make the pages of the API."""
    from mkdocs.structure.files import File

    for path, content in _api_pages().items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, **_) -> str:
    """Put tables of options where a page asks for them."""
    markdown = CONTROLS.sub(lambda match: controls_table(), markdown)
    markdown = OPTIONS_OF.sub(lambda match: options_table(match[1]), markdown)
    return HELP_OF.sub(lambda match: help_of(match[1]), markdown)


def controls_table() -> str:
    """A table of what can be changed about a sound, from the one that the code uses."""
    from drumblender.sound.controls import CONTROLS as controls

    lines = ["| option | in Python | value | unchanged | what it does |", "|---|---|---|---|---|"]
    for control in controls:
        names = ", ".join(f"`--{name}`" for name in (control.name, *control.aliases))
        python = f"`{control.method}({control.argument})`" if control.method else ""
        neutral = "" if control.neutral is None else f"{control.neutral:g}"
        lines.append(f"| {names} | {python} | {control.range} | {neutral} | {control.help} |")
        for switch in control.switches:
            name = f"`--{control.name}_{switch.name}`"
            python = f"`{control.method}(..., {switch.name}=True)`"
            lines.append(f"| {name} | {python} | | not given | {switch.help} |")
    return "\n".join(lines)


def _api_pages() -> Dict[str, str]:
    """Path and content of a page for each package, and of one for the modules at the root."""
    modules = [path for path in sorted(PACKAGE.rglob("*.py")) if _is_public(path)]
    packages: Dict[str, List[str]] = {}
    for path in modules:
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        dotted = ".".join(part for part in parts if part != "__init__")
        folder = ".".join(path.relative_to(REPOSITORY).parent.parts)
        if dotted != folder:  # a package's own names come from its modules
            packages.setdefault(folder, []).append(dotted)
    pages = {}
    for package, names in sorted(packages.items()):
        lines = [f"::: {package}", "    options: {members: false, heading_level: 1}", ""]
        for name in names:
            lines += [f"::: {name}", ""]
        pages[f"reference/api/{package}.md"] = "\n".join(lines)
    return pages


def _is_public(path: Path) -> bool:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return all(part == "__init__" or not part.startswith("_") for part in parts)


def commands() -> Tuple[str, ...]:
    """The console commands of this package."""
    return tuple(sorted(script.name for script in _scripts()))


def command(name: str):
    """The function behind a console command."""
    return next(script for script in _scripts() if script.name == name).load()


def _scripts() -> List[importlib.metadata.EntryPoint]:
    entries = importlib.metadata.distribution("drumblender").entry_points
    return [entry for entry in entries if entry.group == "console_scripts"]


class _Shown(BaseException):
    """Raised where a command would print its help; no command takes it for an error of its own."""


def parser_of(name: str) -> argparse.ArgumentParser:
    """The parser that a command uses, taken from the command itself while it is asked for help."""

    def show(parser, *_):
        raise _Shown(parser)

    main, *arguments = name.split()
    with mock.patch("argparse.ArgumentParser.print_help", show):
        try:
            command(main)([*arguments, "--help"])
        except _Shown as shown:
            return shown.args[0]
    raise LookupError(f"{name} --help shows no help of argparse.")


def options_table(name: str) -> str:
    """Tables of a command's arguments, one for each group of its help."""
    parser = parser_of(name)
    lines = [f"```text\n{parser.format_usage().strip()}\n```", "", parser.description or "", ""]
    for group in parser._action_groups:
        rows = [row for action in group._group_actions for row in _row(action)]
        if rows:
            title = {"options": "Options", "positional arguments": "Arguments"}.get(
                group.title, (group.title or "").capitalize()
            )
            lines += [f"**{title}**", "", "| option | what it does |", "|---|---|", *rows, ""]
    return "\n".join([*lines, parser.epilog or ""])


def _row(action: argparse.Action) -> Iterator[str]:
    if action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction):
        return
    formatter = argparse.HelpFormatter("")
    text = formatter._expand_help(action) if action.help else ""
    values = formatter._format_args(action, action.metavar or action.dest.upper())
    if action.choices and action.option_strings:
        values = "{" + ",".join(map(str, action.choices)) + "}"
    names = [f"`{option} {values}`".replace(" `", "`") for option in action.option_strings]
    label = ", ".join(names) or f"`{values}`"
    yield f"| {label} | {_cell(text)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def help_of(name: str) -> str:
    """What a command prints when it is asked for help."""
    main, *arguments = name.split()
    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):
        command(main)([*arguments, "--help"])
    return f"```text\n{text.getvalue().strip()}\n```"
