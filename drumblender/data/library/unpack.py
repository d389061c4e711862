"""Sounds in archives of drum kits, unpacked while a dataset is made of them."""

import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Dict, Iterable, Tuple

from drumblender.data.library.sounds import RawSound
from drumblender.errors import trace
from drumblender.files import archives, atomic


def unpack_archives(
    raw_dir: Path, sounds: Iterable[RawSound], folder: Path
) -> Tuple[Dict[str, Path], Dict[str, str]]:
    """Unpack the archives of a raw folder that hold sounds.

    Args:
        raw_dir: the raw folder.
        sounds: its sounds.
        folder: folder for the files. What it held before is removed.

    Returns:
        The file to read for each key, and the reason for each key that has no such file.

    Raises:
        OSError: if the disk is full.
    """
    shutil.rmtree(folder, ignore_errors=True)
    inside: Dict[str, Dict[PurePosixPath, RawSound]] = {}
    for sound in sounds:
        if sound.archive and not sound.problem:
            name = PurePosixPath(sound.name).relative_to(sound.archive)
            inside.setdefault(sound.archive, {})[name] = sound
    sources: Dict[str, Path] = {}
    problems: Dict[str, str] = {}
    for index, (archive, members) in enumerate(inside.items()):
        place = folder / str(index)
        # Numbers, because the names are those of another system.
        targets = {name: place / str(number) for number, name in enumerate(members)}
        try:
            place.mkdir(parents=True)
            archives.extract_some(raw_dir / archive, targets)
            # As old as the archive, so that it counts as unchanged when it is unpacked again.
            time = (raw_dir / archive).stat().st_mtime_ns
            for name, sound in members.items():
                os.utime(targets[name], ns=(time, time))
                sources[sound.key] = targets[name]
        except Exception as error:  # whatever one archive does, the others go on
            cause = error.__cause__ or error
            if isinstance(cause, OSError) and cause.errno in atomic.FULL:
                raise
            trace(error)
            reason = str(error).rstrip(".") or type(error).__name__
            for sound in members.values():
                if sound.key not in sources:
                    problems[sound.key] = f"cannot be unpacked ({reason})"
    return sources, problems
