"""The first step with one's own sounds: files to edit, made of what names and kits say.

``drumblender-dataset CONFIG --init FOLDER`` reads no sound; it writes the configuration of a
dataset, and raw metadata with the pack, type and instrument of everything in the folder.
"""

import os
import re
import shlex
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Set, Tuple

import yaml

from drumblender.data import raw
from drumblender.data.kits import is_sound_name
from drumblender.data.names import INSTRUMENTS, UNKNOWN, recognize
from drumblender.errors import UsageError
from drumblender.files import atomic
from drumblender.files.text import json_line, printable

_BASE = Path(__file__).parents[2] / "cfg" / "data" / "base.yaml"


def write_configuration(config: Path, folder: Path, force: bool = False) -> str:
    """Write the configuration of a dataset of a folder of sounds, and raw metadata beside it.

    Args:
        config: YAML file to write; the metadata gets the same name and ``.json``.
        folder: of the sounds.
        force: replace files that are there.

    Returns:
        A table of what was recognized.
    """
    metadata = config.with_suffix(".json")
    if config.suffix not in (".yaml", ".yml"):
        raise UsageError(f"{config} has to end in .yaml; --init writes the configuration there.")
    for path in (config, metadata):
        if path.exists() and not force:
            raise UsageError(f"{path} is there already; name another file, or add --force.")
    sounds = raw.find_sounds(folder, metadata.absolute() / "none yet")
    packs = raw_metadata(sounds, raw.pack_folders(folder))
    atomic.write(metadata, _json(packs).encode())
    atomic.write(config, _yaml(config, metadata, folder).encode())
    command = f"drumblender-dataset {shlex.quote(str(config))} --preprocess"
    return f"{table(sounds)}\n\n{printable(f'Correct {metadata}, then: {command}')}"


def raw_metadata(
    sounds: Sequence[raw.RawSound], folders: Mapping[str, Sequence[str]]
) -> Dict[str, Dict[str, Any]]:
    """Raw metadata that says what was recognized, with one entry where one says it all.

    Args:
        sounds: of a raw folder.
        folders: pack -> its folders and files, which keep what is added to them later.
    """
    packs: Dict[str, Dict[str, Any]] = {}
    of_pack: Dict[str, List[raw.RawSound]] = {pack: [] for pack in folders}
    names = {".", *(sound.name for sound in sounds)}  # of no folder that has a name
    packs_in: Dict[str, Set[str]] = {}  # folder -> the packs of its sounds
    for sound in sounds:
        if is_sound_name(sound.name) and not sound.problem:
            of_pack.setdefault(sound.sample_pack_key, []).append(sound)
            folder = str(PurePosixPath(sound.name).parent)
            packs_in.setdefault(folder, set()).add(sound.sample_pack_key)
    for pack, members in sorted(of_pack.items()):
        types = Counter(sound.type for sound in members)
        kind = max(sorted(types), key=types.__getitem__) if types else "acoustic"
        entries: Dict[str, Dict[str, str]] = {f: {"path": f} for f in folders.get(pack, ())}
        inside: Dict[str, List[raw.RawSound]] = {}
        for sound in members:
            inside.setdefault(str(PurePosixPath(sound.name).parent), []).append(sound)
        for folder, group in sorted(inside.items()):
            # Where the folder's own name says it, it may say it of what is added, too.
            alike = {(s.instrument, s.type) for s in group} == {
                (recognize(PurePosixPath(folder).name), group[0].type)
            }
            # In an archive, a file and a folder may have the same name.
            alike = alike and len(packs_in[folder]) == 1 and folder not in names
            for sound in group[:1] if alike else sorted(group, key=lambda sound: sound.name):
                path = folder if alike else sound.name
                entries[path] = {"path": path, "instrument": sound.instrument}
                if sound.type != kind:
                    entries[path]["type"] = sound.type
        packs[pack] = {"type": kind, "folders": entries}
    return packs


def table(sounds: Iterable[raw.RawSound]) -> str:
    """How many sounds of which instrument each pack has, by their names."""
    counts: Dict[Tuple[str, str], Counter] = {}
    others, missing = 0, 0
    for sound in sounds:
        if sound.problem:
            missing += 1
        elif is_sound_name(sound.name):
            row = counts.setdefault((sound.sample_pack_key, sound.type), Counter())
            row[sound.instrument] += 1
        else:
            others += 1
    total = sum(counts.values(), Counter())
    found = [name for name in (*INSTRUMENTS, UNKNOWN) if name in total]
    lines = [["pack", "type", *found, "all"]]
    for (pack, kind), row in [*sorted(counts.items()), (("all", ""), total)]:
        numbers = (str(row[name] or "") for name in found)
        lines.append([printable(pack), kind, *numbers, str(sum(row.values()))])
    text = align(lines, 2)
    if others:
        text += f"\n{others} further files are no sounds by their names."
    if missing:
        text += f"\n{missing} files cannot be used; --preprocess lists them with reasons."
    return text


def align(lines: Sequence[Sequence[str]], names: int = 1) -> str:
    """Rows of a table with columns of the same width, the first of them to the left.

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


def _json(packs: Mapping[str, Mapping[str, Any]]) -> str:
    """One line for each entry, so that a person can edit them."""
    line = json_line
    texts = []
    for pack, content in packs.items():
        entries = ",\n".join(
            f"   {line(name)}: {line(entry)}" for name, entry in content["folders"].items()
        )
        kind = line(content["type"])
        texts.append(f' {line(pack)}: {{\n  "type": {kind},\n  "folders": {{\n{entries}\n  }}\n }}')
    return "{\n" + ",\n".join(texts) + "\n}\n"


def _yaml(config: Path, metadata: Path, folder: Path) -> str:
    name = re.sub(r"\W+", "_", config.stem).strip("_") or "own"
    content: Dict[str, Any] = {}
    if _BASE.is_file():
        content["base"] = os.path.relpath(_BASE, config.resolve().parent)
    else:
        content["class_path"] = "drumblender.data.ModalDataModule"
    content["init_args"] = {
        "data_dir": f"dataset/{name}",
        "data_dir_unprocessed": _no_file_name(str(folder)),
        "raw_meta_file": f"${{config_dir}}/{metadata.name}",
    }
    where = printable(f"{folder}; their packs, types and instruments are in {metadata.name}.")
    head = f"# Sounds of {where}\n"
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _no_file_name(folder: str) -> str:
    """A folder's path that a configuration does not take for a file to read."""
    return folder + os.sep if folder.endswith((".yaml", ".yml")) else folder
