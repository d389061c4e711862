"""The last step of a dataset in a bucket: what makes it whole is made of manifests, not of sounds.

All of it goes through files of the machine that does it, so that its memory holds 16 bytes for each
sound and no more: the checksums by which equal sounds are found.
"""

import hashlib
import heapq
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Sequence, Set, TextIO, Tuple

import numpy as np

from drumblender.data.bucket.layout import (
    DATASET,
    FORMAT,
    Description,
    IndexLine,
    as_bytes,
    made_of,
)
from drumblender.data.bucket.pace import MOST_REQUESTS
from drumblender.data.bucket.place import Place
from drumblender.data.bucket.plan import Plan
from drumblender.data.library.names import UNKNOWN
from drumblender.data.settings import DEVICES, DatasetSettings
from drumblender.data.sources.checksums import digests
from drumblender.errors import DrumblenderError
from drumblender.files.progress import progress
from drumblender.files.text import printable

_AT_ONCE = 500_000  # keys that are sorted in memory
_KEPT = 20  # examples for a report


@dataclass
class Whole:
    """A dataset that has become whole, in numbers.

    Attributes:
        description: its last manifest.
        examples: the first (file, reason) of what was skipped.
        cut: number of sounds that were cut.
        untyped: number of sounds that are neither said to be acoustic nor electronic.
    """

    description: Description
    examples: List[Tuple[str, str]] = field(default_factory=list)
    cut: int = 0
    untyped: int = 0


def make_whole(place: Place, plan: Plan, settings: DatasetSettings) -> Whole:
    """Write the index and the last manifest of a dataset whose blocks are all made.

    Raises:
        DrumblenderError: if a block is missing, or if no sound could be made.
    """
    with tempfile.TemporaryDirectory(prefix="drumblender-whole-") as folder:
        return _Gathering(place, plan, settings, Path(folder)).finish()


class _Gathering:
    """The manifests of all blocks, while they are gathered.

    Args:
        place: place of the dataset.
        plan: its blocks.
        settings: its settings.
        folder: a folder for temporary files.
    """

    def __init__(self, place: Place, plan: Plan, settings: DatasetSettings, folder: Path):
        self.place, self.plan, self.settings, self.folder = place, plan, settings, folder
        self.devices: Set[str] = set()
        self.checksums = bytearray()
        self.sounds = self.size = self.packs = self.cut = self.untyped = 0

    def finish(self) -> Whole:
        """Gather, and write what makes the dataset whole."""
        lines = self.folder / "lines"
        skipped: List[Tuple[str, str]] = []
        left_out = [tuple(entry) for entry in self.plan.content["left_out"]]
        keys = _Sorted(self.folder)
        with lines.open("wb") as file:
            for made in self._manifests():
                for pack in made["packs"]:
                    self._add(pack)
                    keys.add(pack["sounds"])
                    file.write(as_bytes(pack))
                keys.add(made["skipped"])
                skipped += [tuple(entry) for entry in made["skipped"].values()]
                left_out += [tuple(entry) for entry in made["left_out"]]
                self.devices.update(made["devices"])
        if not self.sounds:
            first = "; ".join(" ".join(entry) for entry in sorted(skipped)[:3])
            raise DrumblenderError(
                f"None of the {len(skipped)} recordings can be used ({first}); put recordings of "
                "drums there."
            )
        count, digest = keys.fingerprint()
        duplicates = self._duplicates(lines)
        skipped.sort()
        text = "".join(
            f"{printable(n)}\t{printable(why)}\n" for n, why in [*skipped, *sorted(left_out)]
        )
        name = f"skipped-{hashlib.sha256(text.encode()).hexdigest()}.txt"
        self.place.write(name, text.encode())
        description = Description(
            {
                "bucket_format": FORMAT,
                **self.settings.to_json(),
                "library": {"sounds": count, "digest": digest},
                **({DEVICES: sorted(self.devices)} if self.settings.analysis is not None else {}),
                "sounds": self.sounds,
                "bytes": self.size,
                "packs": self.packs,
                "duplicates": len(duplicates),
                "skipped": len(skipped),
                "left_out": len(left_out),
                "cut": self.cut,
                "skipped_list": name,
                "index": self._write_index(lines, duplicates),
                "plan": self.plan.digest,
            }
        )
        self.place.write(DATASET, as_bytes(description.content))
        return Whole(description, skipped[:_KEPT], self.cut, self.untyped)

    def _manifests(self) -> Iterator[Dict[str, Any]]:
        """Yield the manifests of all blocks, in order."""
        blocks = [name for name, _, _ in self.plan.blocks]

        def read(block: str) -> Any:
            """Read one manifest."""
            return json.loads(self.place.read_whole(made_of(block)))

        with (
            ThreadPoolExecutor(MOST_REQUESTS) as pool,
            progress("Gather", len(blocks), " blocks") as bar,
        ):
            for start in range(0, len(blocks), 256):
                for manifest in pool.map(read, blocks[start : start + 256]):
                    bar.update()
                    yield manifest

    def _add(self, pack: Dict[str, Any]) -> None:
        """Count a pack, and keep the checksums of its sounds."""
        self.sounds += len(pack["sounds"])
        self.size += pack["bytes"]
        self.packs += 1
        self.cut += len(pack["cut"])
        for key, item in pack["sounds"].items():
            self.untyped += item.get("type") == UNKNOWN
            self.checksums += bytes.fromhex(pack["sha256"][key])[:16]

    def _duplicates(self, lines: Path) -> Dict[str, str]:
        """Return the key of the first sound for each one that is the same as another."""
        sums = np.frombuffer(self.checksums, np.dtype([("a", "<u8"), ("b", "<u8")]))
        order = np.argsort(sums, order=("a", "b"), kind="stable")
        equal = sums[order[1:]] == sums[order[:-1]]
        groups: Dict[int, List[str]] = {}  # first position in the order -> keys
        group_of: Dict[int, int] = {}  # row -> group
        for position in np.flatnonzero(equal).tolist():
            first, second = int(order[position]), int(order[position + 1])
            group_of[second] = group_of.setdefault(first, first)
        for row, key in _with_rows(lines) if group_of else ():
            if row in group_of:
                groups.setdefault(group_of[row], []).append(key)
        return {key: min(keys) for keys in groups.values() for key in keys if key != min(keys)}

    def _write_index(self, lines: Path, duplicates: Dict[str, str]) -> str:
        """Write the index; returns its name."""
        path = self.folder / "index"
        with path.open("wb") as file:
            for pack in _packs(lines):
                for key, item in pack["sounds"].items():
                    if key in duplicates:
                        item["duplicate_of"] = duplicates[key]
                line = IndexLine.from_json(pack)
                file.write(as_bytes(line.to_json()))
        name = f"index-{digests(path, ['sha256'])['sha256']}.jsonl"
        self.place.write(name, path)
        return name


def _packs(lines: Path) -> Iterator[Dict[str, Any]]:
    """Yield the packs that were gathered."""
    with lines.open("rb") as file:
        for line in file:
            yield json.loads(line)


def _with_rows(lines: Path) -> Iterator[Tuple[int, str]]:
    """Yield the keys of all sounds, each with its number."""
    row = 0
    for pack in _packs(lines):
        for key in pack["sounds"]:
            yield row, key
            row += 1


class _Sorted:
    """Texts that are sorted in files, because there may be too many for memory.

    Args:
        folder: folder of the files.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._texts: List[str] = []
        self._files: List[Path] = []

    def add(self, texts: Iterable[str]) -> None:
        """Add texts."""
        self._texts += texts
        if len(self._texts) >= _AT_ONCE:
            path = self._folder / f"sorted-{len(self._files)}"
            path.write_text("".join(f"{text}\n" for text in sorted(self._texts)))
            self._files.append(path)
            self._texts = []

    def fingerprint(self) -> Tuple[int, str]:
        """Return the number of texts, and their digest.

        It is that of :func:`~drumblender.data.library.sounds.fingerprint`.

        Raises:
            DrumblenderError: if a text is there twice.
        """
        files: List[TextIO] = [path.open() for path in self._files]
        streams: Sequence[Iterable[str]] = [*map(_lines, files), sorted(self._texts)]
        count, before, total = 0, None, hashlib.sha256()
        for text in heapq.merge(*streams):
            if text == before:
                raise DrumblenderError(
                    f"Two recordings get the key {text}, because their names differ only in how "
                    "accents are composed; rename one."
                )
            total.update(("\n" * (count > 0) + text).encode())
            count, before = count + 1, text
        for file in files:
            file.close()
        return count, total.hexdigest()


def _lines(file: TextIO) -> Iterator[str]:
    """Yield the lines of a file, without what ends them."""
    for line in file:
        yield line[:-1]
