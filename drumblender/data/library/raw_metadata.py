"""Raw metadata, by which a person describes the sounds of a raw folder.

It is JSON, and maps each sample pack to {``type``: acoustic, electronic or unknown, ``folders``}.
The folders are a list of paths, or map names to {``path``, any further keys}. Paths are relative to
the raw folder. Each names a folder, a drum kit (see :mod:`drumblender.data.library.kits`) or a
single file. Further keys of a pack or of a folder come into the metadata of the dataset.
"""

import json
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping

from drumblender.data.library.names import TYPES, UNKNOWN
from drumblender.errors import DrumblenderError


def read_raw_metadata(path: Path) -> Dict[str, Dict[str, Any]]:
    """Read raw metadata, which maps sample packs to their ``type`` and ``folders``.

    Raises:
        DrumblenderError: if it has another form.
    """
    try:
        # With the mark that some editors write, and names that earlier versions wrote as bytes.
        packs = json.loads(path.read_bytes().decode("utf-8-sig", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise DrumblenderError(f"{path} is not valid JSON ({error}); correct it.") from error
    if not isinstance(packs, dict) or not packs:
        raise DrumblenderError(f"{path} lists no sample pack; write pack -> {{type, folders}}.")
    for pack, content in packs.items():
        if not isinstance(content, dict) or not isinstance(content.get("folders"), (list, dict)):
            raise DrumblenderError(
                f"Pack {pack!r} in {path} has no 'folders'; write pack -> {{type, folders}}, "
                "folders being a list of paths or name -> {path}."
            )
        _check_type(content, f"Pack {pack!r} in {path}")
    return packs


def folders_of(pack: str, content: Mapping[str, Any], path: Path) -> Iterator[Dict[str, Any]]:
    """Yield the folders of a sample pack, each with its ``path`` and what else is said about it.

    Args:
        pack: name of the sample pack.
        content: what the raw metadata says about it.
        path: file of the raw metadata, for messages.

    Raises:
        DrumblenderError: if a folder has no path, or an unknown type.
    """
    folders = content["folders"]
    for folder in folders.values() if isinstance(folders, dict) else folders:
        folder = {"path": folder} if isinstance(folder, str) else folder
        if not isinstance(folder, dict) or not isinstance(folder.get("path"), str):
            raise DrumblenderError(
                f"A folder of pack {pack!r} in {path} has no 'path'; name one, "
                f"relative to {path.parent}."
            )
        _check_type(folder, f"{folder['path']!r} of pack {pack!r} in {path}")
        yield folder


def _check_type(entry: Mapping[str, Any], name: str) -> None:
    """Refuse a type that does not exist."""
    if entry.get("type") not in (None, *TYPES, UNKNOWN):
        raise DrumblenderError(f"{name} is of type {entry['type']!r}; write {' or '.join(TYPES)}.")
