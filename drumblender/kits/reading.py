"""Reading of kits, whatever form they have."""

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import List, Sequence, Union

from drumblender.data.library.filenames import is_sound_name
from drumblender.data.library.hydrogen import ARCHIVE_SUFFIX, DESCRIPTION
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.listing import files_below
from drumblender.files.text import some
from drumblender.kits import decent, folder, hydrogen, sfz
from drumblender.kits.kit import Drum, Kit

PathLike = Union[str, Path]
# Forms of kits, the one that says most first; a folder may hold the same kit in several.
_FORMS = (sfz.SUFFIX, DESCRIPTION, decent.SUFFIX, ARCHIVE_SUFFIX)
_INCLUDE = re.compile(rb'#include\s*"([^"\r\n]{1,1000})"')


def read_kit(path: PathLike, scratch: Path, left_out: Sequence[Path] = ()) -> Kit:
    """Read a kit: an SFZ kit, a Hydrogen kit, a preset of Decent Sampler, a folder or a file.

    Args:
        path: a kit's file, a folder that holds one, a folder of drums, or a recording.
        scratch: an empty folder, where archives are unpacked. Files of the kit may lie in it.
        left_out: folders that do not count as parts of a folder of drums.

    Raises:
        UsageError: if a folder holds several kits.
        DrumblenderError: if there is no such file, or if it cannot be read.
    """
    path = Path(path)
    if not path.exists():
        raise DrumblenderError(f"{path} does not exist; check the path.")
    if not path.is_dir():
        return _described(path, scratch) if _form(path) else folder.read_file(path)
    apart = [place.resolve() for place in left_out]
    files = [
        path / name
        for name, problem in sorted(files_below(path))
        if not problem and not any(place in (path / name).resolve().parents for place in apart)
    ]
    kits = [file for file in files if _form(file)]
    top = [file for file in kits if file.parent == path]
    folders = {file.parent for file in kits}
    alone = not any(is_sound_name(f.name) and not folders & set(f.parents) for f in files)
    for form in _FORMS:
        # Kits in sub-folders count only where there is nothing else.
        found = [file for file in top or (kits if alone else ()) if _form(file) == form]
        found = _without_parts(found) if form == sfz.SUFFIX else found
        if len(found) > 1:
            names = some(str(file.relative_to(path)) for file in found)
            raise UsageError(f"{path} holds several kits ({names}); name one of them.")
        if found:
            return _described(found[0], scratch)
    kit = folder.read_folder(path, left_out)
    if not kit.drums:
        raise DrumblenderError(
            f"There are no audio files in {path}; give a folder of drums, or a kit."
        )
    return kit


def read_kits(
    paths: Sequence[PathLike], name: str, scratch: Path, left_out: Sequence[Path] = ()
) -> Kit:
    """Read several kits, folders and files as one kit.

    Args:
        paths: what to read, as :func:`read_kit` does.
        name: name of the kit.
        scratch: an empty folder, where archives are unpacked.
        left_out: folders that do not count as parts of a folder of drums.

    Raises:
        UsageError: if a folder holds several kits.
        DrumblenderError: if something is not there, or cannot be read.
    """
    files = [Path(path) for path in paths]
    single = [path for path in files if path.is_file() and not _form(path)]
    # Together, because two files may be layers of one drum.
    drums: List[Drum] = folder.drums_of([(PurePosixPath(path.name), path) for path in single])
    notes: List[str] = []
    for number, path in enumerate(path for path in files if path not in single):
        place = scratch / str(number)
        place.mkdir(parents=True, exist_ok=True)
        kit = read_kit(path, place, left_out)
        drums += _apart(kit.drums, drums)
        notes += kit.notes
    return Kit(name, tuple(drums), tuple(notes))


def _form(path: Path) -> str:
    """Return the form of a kit that a file describes, or an empty text if it describes none."""
    name = path.name.lower()
    return next((f for f in _FORMS if name.endswith(f) and (f[0] == "." or name == f)), "")


def _described(path: Path, scratch: Path) -> Kit:
    """Read the kit that a file describes, and refuse one that plays nothing."""
    form = _form(path)
    if form == sfz.SUFFIX:
        kit = sfz.read(path)
    elif form == decent.SUFFIX:
        kit = decent.read(path)
    else:
        kit = hydrogen.read(path, scratch)
    if not kit.drums:
        why = f" ({kit.notes[0].rstrip('.')})" if kit.notes else ""
        raise DrumblenderError(f"{path} is a kit without a drum{why}; give another one.")
    return kit


def _without_parts(kits: Sequence[Path]) -> List[Path]:
    """Leave out SFZ files that another one of them includes."""
    included = set()
    for kit in kits:
        for name in _INCLUDE.findall(kit.read_bytes()):
            included.add(name.decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2])
    return [kit for kit in kits if kit.name not in included] or list(kits)


def _apart(drums: Sequence[Drum], others: Sequence[Drum]) -> List[Drum]:
    """Give groups of drums other numbers than those of other drums have."""
    used = max((max(drum.group, drum.off_by) for drum in others), default=0)

    def moved(group: int) -> int:
        """Return another number, or 0 for none."""
        return group + used if group else 0

    return [replace(d, group=moved(d.group), off_by=moved(d.off_by)) for d in drums]
