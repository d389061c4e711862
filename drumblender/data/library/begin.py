"""The first step with one's own sounds: files to edit, made of what names and kits say.

``drumblender-dataset CONFIG --init FOLDER`` reads no sound. It writes the configuration of a
dataset, and raw metadata with the pack, type and instrument of everything in the folder. Both files
carry all they need. They work from any directory, and may move together with the sounds.
"""

import difflib
import os
import re
import shlex
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Set, Tuple

import yaml

from drumblender.data.library import scan
from drumblender.data.library.filenames import is_sound_name
from drumblender.data.library.names import INSTRUMENTS, TYPES, UNKNOWN, recognize
from drumblender.data.library.sounds import RawSound
from drumblender.errors import UsageError
from drumblender.files import atomic
from drumblender.files.paths import as_seen_from
from drumblender.files.text import align, json_line, printable, some

_HERE = "${config_dir}"
# What cfg/data/base.yaml says, which is not there where the package is installed.
_SETTINGS = {
    "batch_size": 12,
    "dataset_class": "drumblender.data.AudioWithParametersDataset",
    "dataset_kwargs": {
        "seed": 5152845,
        "parameter_key": "feature_file",
        "split_strategy": "random",
        "expected_num_modes": 64,
    },
    "meta_file": "metadata.json",
    "sample_rate": 48000,
    "num_samples": 96000,
    "num_modes": 64,
    "min_length": 10,
    "threshold": -80.0,
    "hop_length": 256,
    "fmin": 20,
    "n_bins": 240,
    "bins_per_octave": 24,
    "diff_threshold": 5.0,
}


def write_configuration(
    config: Path, folder: Path, force: bool = False, types: Sequence[str] = ()
) -> str:
    """Write the configuration of a dataset of a folder of sounds, and raw metadata beside it.

    Args:
        config: YAML file to write. The metadata gets the same name with ``.json``.
        folder: the folder of the sounds.
        force: whether to replace files that are there.
        types: ``acoustic`` or ``electronic`` for all sounds, or ``PACK=electronic`` for a sample
            pack.

    Returns:
        A table of what was recognized.
    """
    metadata = check_names(config, force)
    found = scan.find_sounds(folder, metadata.absolute() / "none yet")
    places = _places(config, folder)
    return write_for(config, str(folder), found, scan.pack_folders(folder), places, types)


def check_names(config: Path, force: bool = False) -> Path:
    """Return the file of the raw metadata that goes with a configuration.

    Raises:
        UsageError: if the configuration has another ending than YAML, or if a file is there.
    """
    metadata = config.with_suffix(".json")
    if config.suffix not in (".yaml", ".yml"):
        raise UsageError(f"{config} has to end in .yaml; --init writes the configuration there.")
    for path in (config, metadata):
        if path.exists() and not force:
            raise UsageError(f"{path} is there already; name another file, or add --force.")
    return metadata


def write_for(
    config: Path,
    source: str,
    found: Sequence[RawSound],
    folders: Mapping[str, Sequence[str]],
    places: Mapping[str, Any],
    types: Sequence[str] = (),
) -> str:
    """Write the configuration of a dataset of sounds, and raw metadata beside it.

    Args:
        config: YAML file to write.
        source: folder or address of the sounds.
        found: the sounds.
        folders: sample pack -> its folders and files.
        places: options of the datamodule that say where the dataset and its recordings lie.
        types: types that a person says, as for :func:`write_configuration`.

    Returns:
        A table of what was recognized.
    """
    metadata = config.with_suffix(".json")
    sounds = _with_types(found, types, source)
    packs = raw_metadata(sounds, folders)
    atomic.write(metadata, _json(packs).encode())
    atomic.write(config, _yaml(metadata, source, places).encode())
    command = f"drumblender-dataset {shlex.quote(str(config))}"
    return "\n".join(
        [
            table(sounds),
            *_of_unknown_type(sounds, f"{command} --init {shlex.quote(source)} --force"),
            "",
            printable(f"Correct {metadata}, then: {command} --preprocess"),
        ]
    )


def _with_types(sounds: Sequence[RawSound], types: Sequence[str], folder: str) -> List[RawSound]:
    """Return the sounds with the types that a person says."""
    said: Dict[str, str] = {}
    packs = {sound.sample_pack_key for sound in sounds}
    for text in types:
        pack, equals, kind = text.rpartition("=")
        if kind not in TYPES:
            raise UsageError(
                f"--type {text} says no type; give {' or '.join(TYPES)}, or PACK={TYPES[1]}."
            )
        if equals and pack not in packs:
            alike = difflib.get_close_matches(pack, packs, n=1, cutoff=0.5)
            raise UsageError(
                f"--type {text}: {folder} has no pack {pack!r}; "
                + (f"did you mean {alike[0]!r}?" if alike else f"it has {some(packs)}.")
            )
        said.update({pack: kind} if equals else dict.fromkeys(packs - said.keys(), kind))
    return [replace(s, type=said.get(s.sample_pack_key, s.type)) for s in sounds]


def _of_unknown_type(sounds: Iterable[RawSound], command: str) -> List[str]:
    """Return what to do about sounds whose names say nothing of a type."""
    packs = Counter(
        sound.sample_pack_key
        for sound in sounds
        if sound.type == UNKNOWN and is_sound_name(sound.name) and not sound.problem
    )
    if not packs:
        return []
    text = (
        f"The names of {sum(packs.values())} sounds do not say whether they are acoustic or "
        f"electronic ({some(packs)}); write it into the metadata, or give --type for all or for "
        f"single packs: {command} --type {shlex.quote(f'{min(packs)}={TYPES[1]}')}"
    )
    return [printable(text)]


def raw_metadata(
    sounds: Sequence[RawSound], folders: Mapping[str, Sequence[str]]
) -> Dict[str, Dict[str, Any]]:
    """Make raw metadata that says what was recognized, with one entry where one says it all.

    Args:
        sounds: sounds of a raw folder.
        folders: sample pack -> its folders and files, which also get what is added to them later.
    """
    packs: Dict[str, Dict[str, Any]] = {}
    of_pack: Dict[str, List[RawSound]] = {pack: [] for pack in folders}
    names = {".", *(sound.name for sound in sounds)}  # of no folder that has a name
    packs_in: Dict[str, Set[str]] = {}  # folder -> the packs of its sounds
    for sound in sounds:
        if is_sound_name(sound.name) and not sound.problem:
            of_pack.setdefault(sound.sample_pack_key, []).append(sound)
            folder = str(PurePosixPath(sound.name).parent)
            packs_in.setdefault(folder, set()).add(sound.sample_pack_key)
    for pack, members in sorted(of_pack.items()):
        types = Counter(sound.type for sound in members)
        kind = max(sorted(types), key=types.__getitem__) if types else UNKNOWN
        entries: Dict[str, Dict[str, str]] = {f: {"path": f} for f in folders.get(pack, ())}
        inside: Dict[str, List[RawSound]] = {}
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


def table(sounds: Iterable[RawSound]) -> str:
    """Return how many sounds of which instrument each pack has, by their names."""
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


def _json(packs: Mapping[str, Mapping[str, Any]]) -> str:
    """Write raw metadata with one line for each entry, so that a person can edit them."""
    line = json_line
    texts = []
    for pack, content in packs.items():
        entries = ",\n".join(
            f"   {line(name)}: {line(entry)}" for name, entry in content["folders"].items()
        )
        kind = line(content["type"])
        texts.append(f' {line(pack)}: {{\n  "type": {kind},\n  "folders": {{\n{entries}\n  }}\n }}')
    return "{\n" + ",\n".join(texts) + "\n}\n"


def dataset_name(config: Path) -> str:
    """Return the name that the dataset of a configuration gets.

    >>> dataset_name(Path("my drums.yaml"))
    'my_drums'
    """
    return re.sub(r"\W+", "_", config.stem).strip("_") or "own"


def _yaml(metadata: Path, source: str, places: Mapping[str, Any]) -> str:
    """Write the configuration of a dataset."""
    content = {
        "class_path": "drumblender.data.ModalDataModule",
        "init_args": {
            **_SETTINGS,
            **places,
            "raw_meta_file": f"{_HERE}/{metadata.name}",
        },
    }
    name = os.path.basename(source if "://" in source else os.path.abspath(source))
    where = f"{name}; their packs, types and instruments are in {metadata.name}."
    head = f"# Sounds of {printable(where)}\n# {_HERE} is the folder of this file.\n"
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _places(config: Path, folder: Path) -> Dict[str, str]:
    """Return where a dataset and its recordings lie, as the configuration says it."""
    home = config.absolute().parent.resolve()
    # The folder may be a link, whose name shall stay.
    sounds = Path(os.path.abspath(folder))
    sounds = sounds.parent.resolve() / sounds.name
    # A dataset cannot lie among the recordings that it is made of.
    inside = sounds in (home, *home.parents)
    dataset = (sounds.parent if inside else home) / "dataset" / dataset_name(config)
    return {"data_dir": _from(home, dataset), "data_dir_unprocessed": _from(home, sounds)}


def _from(home: Path, path: Path) -> str:
    """Return a path as a configuration in ``home`` says it.

    What lies below the configuration's folder or beside it may move with it; what lies elsewhere
    stays where it is.
    """
    steps = Path(as_seen_from(home, path))
    outside = steps.is_absolute() or steps.parts[:2] == ("..", "..")
    text = str(path) if outside else "/".join((_HERE, *steps.parts))
    # A string that ends in .yaml would stand for the content of that file.
    return f"{text}/." if text.endswith((".yaml", ".yml")) else text
