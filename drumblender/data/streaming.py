"""Training from a bucket: what is fetched before it begins, and how a dataset gets there.

The metadata and the settings of a dataset in a bucket (:mod:`drumblender.data.bucket.layout`) are
fetched into a folder of the cache, once for each version. That folder looks like a dataset on the
disk, only that ``packs.json`` says in which packs the sounds are, and that these are read where
they lie (:mod:`drumblender.data.streams`). Splits, filters and the order of an epoch are thus those
of the same dataset on the disk.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from drumblender.data.bucket import layout
from drumblender.data.bucket.addresses import place_of
from drumblender.data.bucket.place import Place
from drumblender.data.build.packing import pack
from drumblender.data.build.stats import summarize
from drumblender.data.packed import PACKED_FILE
from drumblender.data.reader import refuse_outside
from drumblender.data.settings import DEVICES, SETTINGS_FILE, DatasetSettings, read_settings
from drumblender.data.streams import PACKS_FILE, ItemCache, Stream
from drumblender.data.target import Target
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files import atomic

_CURRENT = "current.txt"
# What a dataset in a bucket and one on the disk say in the same way, besides their settings.
_COMMON = ("format", "analysis_version", "library", DEVICES)
_FILTERS = ("sample_types", "instruments", "sample_packs")


@dataclass(frozen=True)
class Streaming:
    """A dataset that is read from where it lies.

    Attributes:
        place: the dataset.
        meta_file: name that its metadata shall have.
        folder: folder of the cache. Several datasets and processes may share it.
        limit: number of bytes that the sounds in the cache may have together.
    """

    place: Place
    meta_file: str
    folder: Path
    limit: int

    def prepare(self) -> None:
        """Fetch the metadata, unless this version is there, and make room in the cache.

        One process of a machine does so before all of them go on.

        Raises:
            DrumblenderError: if there is no whole dataset, or if it cannot be had.
        """
        description = layout.read_dataset(self.place)
        version = layout.digest(layout.as_bytes(description.content))[:16]
        folder = self._own_folder / version
        self._own_folder.mkdir(parents=True, exist_ok=True)
        with atomic.exclusive(folder):
            if not (folder / PACKS_FILE).is_file():
                for old in self._own_folder.iterdir():
                    if old.is_dir() and old != folder:
                        shutil.rmtree(old, ignore_errors=True)
                self._fetch(folder, description)
        atomic.write(self._own_folder / _CURRENT, version.encode())
        packs = json.loads((folder / PACKS_FILE).read_text(encoding="utf-8"))["packs"]
        self._cache.make_room([name for name, _ in packs], sum(size for _, size in packs))

    @property
    def version(self) -> str:
        """What tells this version of the dataset apart from others."""
        try:
            return (self._own_folder / _CURRENT).read_text(encoding="utf-8")
        except OSError as error:
            raise DrumblenderError(
                f"{self._own_folder} cannot be read ({error.strerror}); set cache_dir to a folder "
                "that all processes of a machine can read."
            ) from error

    def on_disk(self, target: Target) -> Target:
        """Return what the dataset looks like on the disk."""
        stream = Stream(self.place, self._cache)
        return replace(target, data_dir=self._own_folder / self.version, stream=stream)

    @property
    def _own_folder(self) -> Path:
        """The folder of this dataset's metadata."""
        name = hashlib.sha256(f"{self.place!r} {self.meta_file}".encode()).hexdigest()[:16]
        return self.folder / "datasets" / name

    @property
    def _cache(self) -> ItemCache:
        """The cache of sounds."""
        return ItemCache(self.folder, self.limit)

    def _fetch(self, folder: Path, description: layout.Description) -> None:
        """Put the metadata into a folder, in one step."""
        metadata: Dict[str, Any] = {}
        pack_of: Dict[str, int] = {}
        packs = []
        for number, line in enumerate(layout.index_lines(self.place, description)):
            packs.append([line.pack, line.size])
            metadata.update(line.sounds)
            pack_of.update(dict.fromkeys(line.sounds, number))
        refuse_outside(Path(self.place.title(description.index)), metadata)
        keys = sorted(metadata)
        settings = _settings_of(description.content)
        temporary = folder.with_name(folder.name + ".new")
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            with atomic.disk_errors(temporary):
                (temporary / self.meta_file).parent.mkdir(parents=True)
                for name, content in (
                    (self.meta_file, {key: metadata[key] for key in keys}),
                    (SETTINGS_FILE, settings),
                    (PACKS_FILE, {"packs": packs, "of": [pack_of[key] for key in keys]}),
                ):
                    (temporary / name).write_text(json.dumps(content), encoding="utf-8")
                temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _settings_of(content: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the settings of a dataset, of what it says about itself."""
    names = {*_COMMON, *(field.name for field in fields(DatasetSettings))}
    return {name: value for name, value in content.items() if name in names}


def streaming_of(
    target: Target,
    url: Optional[str],
    region: Optional[str],
    cache_dir: Optional[str],
    cache_gb: float,
) -> Optional[Streaming]:
    """Return how a dataset is read if it lies in a bucket, and None if it lies on the disk.

    Args:
        target: the dataset.
        url: endpoint of the object store.
        region: region of the store.
        cache_dir: folder of the cache. None stands for one in the user's folder for caches.
        cache_gb: size of the cache in GB (1e9 bytes).
    """
    if target.address is None:
        return None
    if cache_dir is None:
        import platformdirs

        folder = platformdirs.user_cache_path("drumblender", appauthor=False) / "streams"
    else:
        folder = Path(cache_dir).absolute()
    place = place_of(target.address, url, region)
    return Streaming(place, target.meta_file, folder, int(1e9 * cache_gb))


def put(target: Target, place: Place, force: bool = False) -> str:
    """Pack a dataset, and put it into a bucket, from which training reads it.

    The last object is the one that makes it whole. Trainings that read another version of it go on
    with that one, because packs have other names as soon as they have other bytes.

    Args:
        target: the dataset, on the disk.
        place: where to put it.
        force: whether to take the place of another dataset there.

    Returns:
        What was done.

    Raises:
        UsageError: if there is another dataset.
        DrumblenderError: if the store refuses it.
    """
    there = layout.find_dataset(place)
    pack(target)
    path = target.data_dir / PACKED_FILE
    with path.open("rb") as file:
        sha256 = hashlib.sha256()
        while True:
            block = file.read(1 << 20)
            if not block:
                break
            sha256.update(block)
    options = {k: v for k, v in target.dataset_kwargs.items() if k not in _FILTERS}
    summary = summarize(replace(target, dataset_kwargs=options))
    size, name = path.stat().st_size, layout.pack_named(sha256.hexdigest())
    metadata = {key: dict(sound) for key, sound in summary.metadata.items()}
    line = layout.IndexLine(name, size, metadata, dict(summary.seconds), dict(summary.cut))
    index = layout.as_bytes(line.to_json())
    stored = read_settings(target.data_dir) or target.settings.to_json()
    content = {
        **_settings_of(stored),
        "bucket_format": layout.FORMAT,
        "index": f"index-{layout.digest(index)}.jsonl",
        "sounds": len(metadata),
        "bytes": size,
        "packs": 1,
        "skipped": len(stored.get("skipped", {})),
        "duplicates": sum("duplicate_of" in sound for sound in metadata.values()),
    }
    if there is not None and there.content == content:
        return f"{place} holds the dataset as it is."
    if there is not None and not force:
        raise UsageError(
            f"{place} holds another dataset; choose another prefix, or replace it with --force."
        )
    place.write(name, path)
    place.write(content["index"], index)
    place.write(layout.DATASET, layout.as_bytes(content))
    return f"{place}: {len(metadata)} sounds, {size / 2**20:.0f} MiB; data_dir: {place} reads them."
