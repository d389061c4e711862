"""What lies where in a dataset in a bucket.

Below the prefix of the dataset there are

    recordings/BLOCK.jsonl      what a block is made of: settings, and a line for each recording
    recordings.json             the blocks; with it, the listing is whole
    packs/SHA256.safetensors    sounds, in the form of :mod:`drumblender.data.packed`
    made/BLOCK.json             what was made of a block, and which packs hold it
    index-SHA256.jsonl          a line for each pack: its sounds with their metadata
    skipped-SHA256.txt          what could not be used, and why
    dataset.json                the last manifest; without it the dataset is not whole

A block is a run of recordings. Its name is the checksum of what it is made of, the settings
included, so that who finds ``made/BLOCK.json`` need not make it again. Nothing in these objects
says when, where or by whom they were made: they are the same bytes whoever makes them.
"""

import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any, Dict, Iterator, List, Mapping, Optional

from drumblender.analysis.settings import AnalysisSettings
from drumblender.data.bucket.place import Place
from drumblender.data.reader import Metadata
from drumblender.data.settings import NOT_READABLE, DatasetSettings
from drumblender.errors import DrumblenderError

FORMAT = 1
DATASET = "dataset.json"
RECORDINGS = "recordings.json"


def recordings_of(block: str) -> str:
    """Return the name of the list of a block's recordings."""
    return f"recordings/{block}.jsonl"


def made_of(block: str) -> str:
    """Return the name of the manifest of what was made of a block."""
    return f"made/{block}.json"


def pack_named(sha256: str) -> str:
    """Return the name of a pack."""
    return f"packs/{sha256}.safetensors"


def digest(data: bytes) -> str:
    """Return the checksum that names an object."""
    return hashlib.sha256(data).hexdigest()


def as_bytes(content: Any) -> bytes:
    """Return JSON on one line, without anything that is not in the content."""
    return (json.dumps(content, separators=(",", ":")) + "\n").encode()


def settings_from(stored: Mapping[str, Any]) -> DatasetSettings:
    """Return the settings that :meth:`~drumblender.data.settings.DatasetSettings.to_json` gave."""
    analysis = stored["analysis"]
    names = {field.name for field in fields(DatasetSettings)} - {"analysis"}
    return DatasetSettings(
        analysis=None if analysis is None else AnalysisSettings(**analysis),
        **{name: stored[name] for name in names},
    )


@dataclass(frozen=True)
class Description:
    """The last manifest of a dataset.

    Attributes:
        content: settings as in ``drumblender.json``, ``library`` (number and digest of all
            recordings), and the numbers of ``sounds``, ``bytes``, ``packs``, ``skipped`` and
            ``duplicates``.
        index: name of the index.
    """

    content: Dict[str, Any]

    @property
    def index(self) -> str:
        """Name of the index."""
        return str(self.content["index"])


@dataclass(frozen=True)
class IndexLine:
    """One pack of a dataset.

    Attributes:
        pack: its name.
        size: its size in bytes.
        sounds: metadata of its sounds, in the order of the pack.
        audible: seconds after which each sound is over.
        cut: seconds that recordings go on for, of the sounds that were cut.
    """

    pack: str
    size: int
    sounds: Metadata
    audible: Dict[str, float]
    cut: Dict[str, float]

    def to_json(self) -> Dict[str, Any]:
        """Return the line as JSON."""
        return {
            "pack": self.pack,
            "bytes": self.size,
            "sounds": self.sounds,
            "audible": self.audible,
            "cut": self.cut,
        }

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> "IndexLine":
        """Read a line."""
        return cls(
            str(line["pack"]), int(line["bytes"]), line["sounds"], line["audible"], line["cut"]
        )


def find_dataset(place: Place) -> Optional[Description]:
    """Return the last manifest of a dataset, or None if there is none.

    Raises:
        DrumblenderError: if it is broken, or of a newer version.
    """
    data = place.read(DATASET)
    if data is None:
        return None
    try:
        content = json.loads(data)
        version, _ = content["bucket_format"], content["analysis"]
        whole = version != FORMAT or isinstance(content["index"], str)
    except NOT_READABLE:
        whole = False
    if not whole:
        raise DrumblenderError(f"{place.title(DATASET)} is broken; remove it, and run it again.")
    if version != FORMAT:
        raise DrumblenderError(
            f"{place} has format {version}, which this version of drumblender does not know; "
            "update drumblender, or set another data_dir."
        )
    return Description(content)


def read_dataset(place: Place) -> Description:
    """Return the last manifest of a dataset.

    Raises:
        DrumblenderError: if there is none, because the dataset is not there or not whole.
    """
    found = find_dataset(place)
    if found is None:
        begun = place.read(RECORDINGS, 0, 1) is not None
        what = "is not whole yet" if begun else "holds no dataset"
        raise DrumblenderError(
            f"{place} {what}; make it with drumblender-dataset CONFIG --preprocess."
        )
    return found


def index_lines(place: Place, description: Description) -> Iterator[IndexLine]:
    """Yield the packs of a dataset, in the order of the listing."""
    for line in place.read_whole(description.index).splitlines():
        yield IndexLine.from_json(json.loads(line))


def read_metadata(place: Place, description: Description) -> Metadata:
    """Return the metadata of all sounds, as one machine would write it."""
    found: Metadata = {}
    for line in index_lines(place, description):
        found.update(line.sounds)
    return dict(sorted(found.items()))


def blocks_in(content: Mapping[str, Any]) -> List[str]:
    """Return the names of the blocks of a listing, in order."""
    return [name for name, _, _ in content["blocks"]]
