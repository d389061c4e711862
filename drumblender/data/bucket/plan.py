"""The plan of a dataset: its recordings, listed once, and cut into blocks.

Blocks are cut by content: where the name of a recording says so, and nowhere else while a block has
the right size. A recording that is added or removed thus changes one or two blocks, and all the
others keep their names.
"""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

from drumblender.data.bucket.engine import Engine
from drumblender.data.bucket.layout import (
    FORMAT,
    RECORDINGS,
    as_bytes,
    digest,
    recordings_of,
)
from drumblender.data.bucket.listing import Part, Recording, read_parts
from drumblender.data.bucket.pace import MOST_REQUESTS
from drumblender.data.bucket.place import Place
from drumblender.data.bucket.skeleton import described_by
from drumblender.data.settings import DatasetSettings
from drumblender.data.target import Target
from drumblender.errors import DrumblenderError
from drumblender.files.progress import progress

PACK_BYTES = 64 << 20  # of sounds in a pack, roughly
_NAME = 32  # hexadecimal digits of a block's name
_AHEAD = 256  # lists that wait to be written


@dataclass(frozen=True)
class Plan:
    """The blocks of a dataset.

    Attributes:
        blocks: name, number of recordings and bytes of each block, in order.
        content: what ``recordings.json`` holds.
    """

    blocks: List[Tuple[str, int, int]]
    content: Dict[str, Any]

    @property
    def recordings(self) -> int:
        """Number of recordings. An archive counts as one."""
        return sum(count for _, count, _ in self.blocks)

    @property
    def size(self) -> int:
        """Bytes of all recordings."""
        return sum(size for _, _, size in self.blocks)

    @property
    def digest(self) -> str:
        """Checksum by which a dataset says which plan it was made of."""
        return digest(as_bytes(self.content))


def sounds_per_block(settings: DatasetSettings) -> int:
    """Return how many sounds make a pack of about 64 MiB."""
    return max(8, min(1024, PACK_BYTES // bytes_per_sound(settings)))


def bytes_per_sound(settings: DatasetSettings) -> int:
    """Return how many bytes a sound takes in a pack, without what varies from sound to sound."""
    size = 4 * settings.num_samples
    if settings.analysis is not None:
        frames = settings.num_samples // settings.analysis.hop_length + 1
        size += 12 * settings.analysis.num_modes * frames
    return size


class Planner:
    """Lists recordings and cuts them into blocks.

    Args:
        raw: place of the recordings.
        out: place of the dataset.
        target: the dataset.
        block_size: number of sounds in a block at most. None stands for as many as make 64 MiB.
    """

    def __init__(self, raw: Place, out: Place, target: Target, block_size: Optional[int] = None):
        self.raw, self.out = raw, out
        self.settings = target.settings
        self.block_size = block_size or sounds_per_block(target.settings)
        own = "" if target.raw_meta_file else target.meta_file
        self._described = described_by(raw, target.raw_meta_file, target.meta_file)
        inside = f"{out.address}/".startswith(f"{raw.address}/")
        self._own = own
        self._inside = f"{out.address[len(raw.address) + 1 :]}/" if inside else ""
        described = self._described and asdict(self._described)["packs"]
        # What the plan depends on besides the recordings.
        self.of = digest(
            as_bytes([FORMAT, raw.address, target.settings.to_json(), described, self.block_size])
        )

    def stored(self) -> Optional[Plan]:
        """Return the plan that was made before, if it is of the same settings."""
        data = self.out.read(RECORDINGS)
        content = json.loads(data) if data is not None else {}
        if content.get("of") != self.of:
            return None
        return Plan([tuple(block) for block in content["blocks"]], content)

    def list(self, engine: Engine, write: bool = True) -> Plan:
        """List all recordings.

        Args:
            engine: what lists the parts of the library.
            write: whether to write the plan to the place of the dataset.
        """
        blocks: List[Tuple[str, int, int]] = []
        left_out: List[Tuple[str, str]] = []
        known = {item.name for item in self.out.items("recordings/")} if write else set()

        def keep(block: List[Recording]) -> Tuple[str, int, int]:
            """Write one block, unless it is there."""
            name, data = block_of(self.settings, block)
            if write and recordings_of(name) not in known:
                self.out.write(recordings_of(name), data)
            return name, len(block), sum(recording.item.size for recording in block)

        def parts(bar: Any) -> Iterator[Part]:
            """Yield the parts of the library, and show progress."""
            listed = read_parts(self.raw, self._described, self._own, self._inside, engine)
            for part in listed:
                bar.update(len(part.recordings))
                left_out.extend(part.left_out)
                yield part

        with ThreadPoolExecutor(MOST_REQUESTS) as pool, progress("List", None) as bar:
            waiting = []
            for block in cut(parts(bar), self.block_size):
                waiting.append(pool.submit(keep, block))
                if len(waiting) >= _AHEAD:
                    blocks += [future.result() for future in waiting]
                    waiting = []
            blocks += [future.result() for future in waiting]
        if len({name for name, _, _ in blocks}) < len(blocks):
            raise DrumblenderError(f"{self.raw} lists recordings twice; run the command again.")
        content = {
            "format": FORMAT,
            "of": self.of,
            "settings": self.settings.to_json(),
            "blocks": blocks,
            "left_out": sorted(left_out),
        }
        if write:
            self.out.write(RECORDINGS, as_bytes(content))
        return Plan(blocks, json.loads(as_bytes(content)))


def cut(parts: Iterable[Part], most: int) -> Iterator[List[Recording]]:
    """Cut the recordings of a library into blocks.

    Args:
        parts: the parts of the library.
        most: number of recordings in a block at most. An archive is a block of its own.
    """
    least, block = max(1, most // 2), []
    for part in parts:
        for recording in part.recordings:
            if recording.sound is None:
                yield [recording]
                continue
            block.append(recording)
            name = hashlib.sha256(recording.sound.name.encode("utf-8", "surrogatepass")).digest()
            is_last = int.from_bytes(name[:8], "big") % max(2, most // 4) == 0
            if len(block) >= most or (is_last and len(block) >= least):
                yield block
                block = []
    if block:
        yield block


def block_of(settings: DatasetSettings, recordings: List[Recording]) -> Tuple[str, bytes]:
    """Return the name of a block, and the content of the list of its recordings."""
    head = {"format": FORMAT, "settings": settings.to_json()}
    lines = [recording.to_json() for recording in recordings]
    data = b"".join(map(as_bytes, [head, *lines]))
    for line in lines:
        # A recording that was written again as it was is the same recording.
        line["object"]["modified"] = ""
    name = digest(b"".join(map(as_bytes, [head, *lines])))[:_NAME]
    return name, data


def read_block(out: Place, block: str) -> Tuple[Dict[str, Any], List[Recording]]:
    """Return the settings and the recordings of a block."""
    head, *lines = out.read_whole(recordings_of(block)).splitlines()
    return json.loads(head)["settings"], [Recording.from_json(json.loads(x)) for x in lines]
