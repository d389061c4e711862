"""What is in a raw folder of recordings: sounds with their pack, type and instrument.

Raw metadata, where there is some, says so: pack -> {``type``: acoustic|electronic, ``folders``: a
list of paths, or name -> {``path``, any further keys}}. Paths are relative to the raw folder and
name a folder or a single file. Without it every sub-folder of the raw folder is a pack, and what is
not said is recognized from names.
"""

import hashlib
import json
import os
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Tuple

from drumblender.errors import DrumblenderError

TYPES = ("acoustic", "electronic")
UNKNOWN = "unknown"

# Instrument -> a pattern for whole words of a name and one for parts of words. The first instrument
# that matches wins, so the narrower name comes first (cowbell before bell).
INSTRUMENTS: Dict[str, Tuple[str, str]] = {
    "kick": (r"bd|kd|kik|bass ?drum|drum bass|gran cassa", r"kick|bassdrum|bombo"),
    "clap": (r"cp|clp|snaps?", r"clap|finger ?snap"),
    "cowbell": (r"cb", r"cow ?bell"),
    "hihat": (r"hh|hhc|hho|ch|oh|ph|hats?|(open|closed|pedal) cymbal", r"hi ?hat|highhat|charley"),
    "tom": (r"toms?|lt|mt|ht|(floor|rack|low|mid|hi|high) tom", r"tom ?tom"),
    "snare": (
        r"sd|sn|sna?r|rs|rim|rims|sticks?|brush",
        r"snare|rim ?shot|side ?stick|cross ?stick",
    ),
    "cymbals": (
        r"cy|cym|cr|rd|rides?|bells?|chimes?|gong|china|triangle",
        r"cymbal|crash|splash|ride ?cym",
    ),
    "percussion": (
        r"perc|claves?|guiro|cuica|agogo|udu|tabla|cajon|wood",
        r"percussion|conga|bongo|timbale|shaker|maraca|tamb|cabasa|wood ?block|vibraslap|djembe",
    ),
}
_ELECTRONIC = re.compile(
    r"electr|synth|analog|digital|drum ?machine|machine|(?<!\d)(606|626|707|727|808|909)(?!\d)"
    r"|linn|dmx|tr ?\d{3}|cr ?78"
)
_JUNK = re.compile(r"\..*|__MACOSX|Thumbs\.db|desktop\.ini|Icon\r?", re.IGNORECASE)


@dataclass(frozen=True)
class RawSound:
    """One file of a raw folder.

    Attributes:
        name: its path relative to the raw folder, with ``/``.
        key: names it in the dataset; depends on pack and name only, so it never changes.
        sample_pack_key: the pack.
        type: acoustic or electronic.
        instrument: what it is a recording of.
        extra: further keys that the raw metadata gives its folder.
    """

    name: str
    key: str
    sample_pack_key: str
    type: str
    instrument: str
    extra: Mapping[str, Any] = field(default_factory=dict)

    def metadata(self) -> Dict[str, Any]:
        """What the dataset's metadata says about it, besides its files."""
        return {
            "type": self.type,
            "sample_pack_key": self.sample_pack_key,
            "instrument": self.instrument,
            **self.extra,
        }


def find_sounds(raw_dir: Path, meta_file: str) -> List[RawSound]:
    """All files of a raw folder that may be sounds, sorted by key.

    Args:
        raw_dir: the raw folder.
        meta_file: raw metadata in it; the folder structure counts when it does not exist.
    """
    if not raw_dir.is_dir():
        raise DrumblenderError(
            f"There is no raw folder {raw_dir}; put the recordings there, "
            "or correct data_dir_unprocessed in the configuration."
        )
    path = raw_dir / meta_file
    packs = _read(path) if path.is_file() else _packs_of_folders(raw_dir)
    entries = [
        (pack, content, PurePosixPath(folder["path"]), folder)
        for pack, content in packs.items()
        for folder in _folders(pack, content, path)
    ]
    # Where folders are nested, the inner one says more about its files.
    entries.sort(key=lambda entry: -len(entry[2].parts))
    sounds: Dict[str, RawSound] = {}
    for pack, content, folder, further in entries:
        if not (raw_dir / folder).exists():
            raise DrumblenderError(
                f"{raw_dir / folder}, which {path} names in pack {pack!r}, does not exist; "
                "add it, or correct the metadata."
            )
        for name in _files(raw_dir, folder):
            if name in sounds or name == meta_file:
                continue
            extra = {k: v for k, v in further.items() if k not in ("path", "type", "instrument")}
            sounds[name] = RawSound(
                name=name,
                key=_key(pack, name),
                sample_pack_key=pack,
                type=further.get("type") or content.get("type") or recognize_type(pack, name),
                instrument=further.get("instrument") or recognize_instrument(name, pack),
                extra=extra,
            )
    if not sounds:
        raise DrumblenderError(f"{raw_dir} holds no files; put recordings there.")
    return sorted(sounds.values(), key=lambda sound: sound.key)


def recognize_instrument(name: str, pack: str = "") -> str:
    """Guess the instrument from a file's name, else from its folders', nearest first.

    >>> recognize_instrument("My Kit/Snares/SD 01.wav")
    'snare'
    >>> recognize_instrument("My Kit/OpenHat_3.WAV")
    'hihat'
    """
    path = PurePosixPath(name)
    for part in (path.stem, *reversed(path.parent.parts), pack):
        words = _words(part)
        for instrument, (whole, within) in INSTRUMENTS.items():
            if re.search(rf"(?<!\w)({whole})(?!\w)", words) or re.search(within, words):
                return instrument
    return UNKNOWN


def recognize_type(pack: str, name: str) -> str:
    """Guess whether a sound is electronic; what does not say so counts as acoustic.

    >>> recognize_type("TR808 kit", "kick.wav")
    'electronic'
    """
    return "electronic" if _ELECTRONIC.search(f"{pack} {name}".lower()) else "acoustic"


def fingerprint(keys: Iterable[str]) -> str:
    """A digest of a set of keys, by which shards tell that they are of the same library."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def _words(name: str) -> str:
    """Lower-case words: split at capitals, digits and punctuation."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return " ".join(re.findall(r"[^\W\d_]+", name.lower()))


def _key(pack: str, name: str) -> str:
    identity = unicodedata.normalize("NFC", f"{pack}\n{name}").encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(identity).hexdigest()[:10]
    return "-".join([*filter(None, map(_slug, (pack, PurePosixPath(name).stem))), digest])


def _slug(text: str) -> str:
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:40]


def _read(path: Path) -> Dict[str, Dict[str, Any]]:
    try:
        packs = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DrumblenderError(f"{path} is not valid JSON ({error}); correct it.") from error
    if not isinstance(packs, dict) or not packs:
        raise DrumblenderError(f"{path} lists no sample pack; write pack -> {{type, folders}}.")
    for pack, content in packs.items():
        if not isinstance(content, dict) or not isinstance(content.get("folders"), (list, dict)):
            raise DrumblenderError(
                f"Pack {pack!r} in {path} has no 'folders'; write pack -> {{type, folders}}, "
                "folders being a list of paths or name -> {path}."
            )
        if content.get("type") not in (None, *TYPES):
            raise DrumblenderError(
                f"Pack {pack!r} in {path} is of type {content['type']!r}; "
                f"write {' or '.join(TYPES)}."
            )
    return packs


def _folders(pack: str, content: Mapping[str, Any], path: Path) -> Iterator[Dict[str, Any]]:
    folders = content["folders"]
    for folder in folders.values() if isinstance(folders, dict) else folders:
        folder = {"path": folder} if isinstance(folder, str) else folder
        if not isinstance(folder, dict) or not isinstance(folder.get("path"), str):
            raise DrumblenderError(
                f"A folder of pack {pack!r} in {path} has no 'path'; name one, "
                f"relative to {path.parent}."
            )
        yield folder


def _packs_of_folders(raw_dir: Path) -> Dict[str, Dict[str, Any]]:
    packs: Dict[str, Dict[str, Any]] = {}
    for path in sorted(raw_dir.iterdir()):
        if _JUNK.fullmatch(path.name):
            continue
        pack = path.name if path.is_dir() else raw_dir.resolve().name
        packs.setdefault(pack, {"folders": []})["folders"].append(path.name)
    return packs


def _files(raw_dir: Path, folder: PurePosixPath) -> Iterator[str]:
    top = raw_dir / folder
    if not top.is_dir():
        yield str(folder)
        return
    visited = set()
    for here, folders, files in os.walk(top, followlinks=True):
        real = os.path.realpath(here)
        if real in visited:  # a link to a folder above itself
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not _JUNK.fullmatch(name))
        inside = Path(here).relative_to(raw_dir).as_posix()
        for name in sorted(files):
            if not _JUNK.fullmatch(name):
                yield name if inside == "." else f"{inside}/{name}"
