"""The work on one block: from its recordings to packs and a manifest, in any process anywhere.

A sound is made by the functions that make it on one machine. A worker reads only the recordings of
its block, keeps them, one pack and the files of its sounds in a temporary folder, and writes the
pack before the manifest that names it. Whoever kills it in between loses this block and nothing
else, and two workers that make the same block write the same bytes.
"""

import contextlib
import importlib.metadata
import tempfile
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Deque, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import torch

from drumblender.data.bucket.addresses import place_of
from drumblender.data.bucket.layout import (
    FORMAT,
    as_bytes,
    made_of,
    pack_named,
    settings_from,
)
from drumblender.data.bucket.listing import Recording
from drumblender.data.bucket.place import Place
from drumblender.data.bucket.plan import read_block, sounds_per_block
from drumblender.data.bucket.skeleton import Described, skeleton
from drumblender.data.build.batches import feature_maker
from drumblender.data.build.growing import FILES
from drumblender.data.build.journal import Stamp, joint_stamp, state_of
from drumblender.data.build.recipe import Outcome, Recipe, make_audio
from drumblender.data.build.rest import SUFFIX, make_rest
from drumblender.data.build.stats import AUDIBLE
from drumblender.data.library.sounds import RawSound
from drumblender.data.library.unpack import unpack_archives
from drumblender.data.pack_writer import PackWriter
from drumblender.data.reader import REST, load_audio, load_features, load_rest
from drumblender.data.settings import DatasetSettings
from drumblender.errors import DrumblenderError
from drumblender.files.locks import scratch_folder
from drumblender.files.parallel import Workers
from drumblender.files.text import printable

_AHEAD = 16  # recordings that are fetched while others are worked on
_SCRATCH = "drumblender-block-"


def package_version() -> str:
    """Return the version of the package that this process has."""
    try:
        return importlib.metadata.version("drumblender")
    except importlib.metadata.PackageNotFoundError:  # run from its folder
        return "unknown"


@dataclass(frozen=True)
class Job:
    """What workers have to know, which is nothing secret.

    Attributes:
        raw: address of the recordings.
        out: address of the dataset.
        url: endpoint of the object store.
        region: region of the object store.
        device: name of the device that measures features.
        version: version of the package that the run was started with.
    """

    raw: str
    out: str
    url: Optional[str] = None
    region: Optional[str] = None
    device: str = "cpu"
    version: str = field(default_factory=package_version)

    def raw_place(self) -> Place:
        """Return the place of the recordings."""
        return place_of(self.raw, self.url, self.region)

    def out_place(self) -> Place:
        """Return the place of the dataset."""
        return place_of(self.out, self.url, self.region)

    def check_version(self) -> None:
        """Refuse to work with another version of the package, which may make other bytes.

        Raises:
            DrumblenderError: if this process has another one.
        """
        here = package_version()
        if self.version != here:
            raise DrumblenderError(
                f"A worker has drumblender {here} and the run was started with "
                f"{self.version}; install the same version on all machines."
            )


@dataclass(frozen=True)
class Done:
    """What came of a block, in numbers.

    Attributes:
        block: name of the block.
        recordings: number of its recordings, with archives as one.
        sounds: number of sounds that were made.
        skipped: number of sounds that could not be made.
        read: bytes of its recordings.
        written: bytes of its packs.
    """

    block: str
    recordings: int
    sounds: int
    skipped: int
    read: int
    written: int


def make_block(job: Job, block: str) -> Done:
    """Make the sounds of a block, and write them to the place of the dataset.

    Raises:
        DrumblenderError: if a store, this machine or the version is at fault.
        Changed: if a recording is not the one that was listed.
    """
    job.check_version()
    raw, out = job.raw_place(), job.out_place()
    stored, recordings = read_block(out, block)
    settings = settings_from(stored)
    if stored.get("analysis_version") != settings.to_json().get("analysis_version"):
        raise DrumblenderError(
            "A worker has another version of the modal analysis than the run was started with; "
            "install the same version of drumblender on all machines."
        )
    with (
        _one_thread(),
        scratch_folder(Path(tempfile.gettempdir()), _SCRATCH) as folder,
    ):
        making = _Making(out, settings, folder, job.device)
        if recordings[0].sound is None:
            making.take_archive(raw, recordings[0])
        else:
            making.take_recordings(raw, recordings)
        written = making.finish(block)
    return Done(
        block,
        len(recordings),
        making.count,
        len(making.skipped),
        sum(recording.item.size for recording in recordings),
        written,
    )


class _Making:
    """A block that is being made.

    Args:
        out: place of the dataset.
        settings: settings of the dataset.
        folder: a folder for temporary files.
        device: name of the device that measures features.
    """

    def __init__(self, out: Place, settings: DatasetSettings, folder: Path, device: str):
        self.out, self.settings, self.folder, self.device = out, settings, folder, device
        self.most = sounds_per_block(settings)
        self.count = 0
        self.packs: List[Dict[str, Any]] = []
        self.skipped: Dict[str, Tuple[str, str]] = {}
        self.left_out: List[Tuple[str, str]] = []
        self.devices: set = set()
        (folder / FILES).mkdir()

    def take_recordings(self, raw: Place, recordings: Sequence[Recording]) -> None:
        """Make the sounds of recordings, which are fetched ahead."""
        pairs = [(r, r.sound) for r in recordings if r.sound is not None]
        for _, sound in pairs:
            if sound.problem:
                self.skipped[sound.key] = (sound.name, sound.problem)
        fetched = ((r, sound) for r, sound in pairs if not sound.problem)

        def fetch(pair: Tuple[Recording, RawSound]) -> Tuple[RawSound, Path]:
            """Fetch one recording."""
            recording, sound = pair
            path = self.folder / f"{sound.key}.recording"
            raw.fetch(recording.item, path)
            return sound, path

        with ThreadPoolExecutor(_AHEAD) as pool:
            self._take(_ahead(pool, fetch, fetched))

    def take_archive(self, raw: Place, recording: Recording) -> None:
        """Make the sounds of an archive of a drum kit."""
        described = None if recording.packs is None else Described(recording.packs, "the metadata")
        with skeleton(raw, [recording.item], described) as library:
            sounds, self.left_out = library.scan()
            unpacked = self.folder / "kit"
            sources, damaged = unpack_archives(library.raw_dir, sounds, unpacked)
            usable = []
            for sound in sounds:
                problem = sound.problem or library.said(damaged.get(sound.key, ""))
                path = sources.get(sound.key, library.raw_dir / sound.name)
                if problem:
                    self.skipped[sound.key] = (sound.name, problem)
                else:
                    usable.append((sound, path))
            self._take(iter(usable))

    def _take(self, sources: Iterator[Tuple[RawSound, Path]]) -> None:
        """Make sounds, and a pack of every so many."""
        made: List[Tuple[RawSound, Outcome]] = []
        for sound, path in sources:
            name = f"{FILES}/{sound.key}.wav"
            outcome = make_audio(self._recipe(sound.key, path, state_of(path), name))
            path.unlink()
            if self._is_made(sound, outcome):
                made.append((sound, outcome))
            if len(made) == self.most:
                self._pack(made)
                made = []
        if made:
            self._pack(made)

    def _is_made(self, sound: RawSound, outcome: Outcome) -> bool:
        """Return whether a file was made, and note why not."""
        if outcome.stamp is None:
            # Where the file lay for a moment is not the same twice.
            reason = outcome.reason.replace(str(outcome.recipe.source), sound.name)
            self.skipped[sound.key] = (sound.name, reason)
        elif outcome.device:
            self.devices.add(outcome.device)
        return outcome.stamp is not None

    def _recipe(self, key: str, source: Path, origin: Stamp, name: str) -> Recipe:
        """Return the recipe of a file."""
        return Recipe(key, source, origin, self.folder, name, self.settings)

    def _pack(self, made: List[Tuple[RawSound, Outcome]]) -> None:
        """Measure sounds whose audio is made, and write them to a pack."""
        audio = {outcome.recipe.key: outcome for _, outcome in made}
        sounds = {sound.key: sound for sound, _ in made}
        features: Dict[str, Outcome] = {}
        rest: Dict[str, Outcome] = {}
        if self.settings.analysis is not None:
            recipes = [
                self._recipe(key, self.folder / a.recipe.name, a.stamp, f"{FILES}/{key}.pt")
                for key, a in audio.items()
                if a.stamp is not None
            ]
            with Workers(1) as here:
                for outcome in feature_maker(here, self.device)(recipes):
                    if self._is_made(sounds[outcome.recipe.key], outcome):
                        features[outcome.recipe.key] = outcome
        if self.settings.keeps_rest:
            for key, feature in features.items():
                assert feature.stamp is not None
                origin = joint_stamp(feature.recipe.origin, feature.stamp)
                recipe = self._recipe(key, feature.recipe.source, origin, f"{FILES}/{key}{SUFFIX}")
                recipe = replace(recipe, features=self.folder / feature.recipe.name)
                outcome = make_rest(recipe)
                if self._is_made(sounds[key], outcome):
                    rest[key] = outcome
        last = (
            rest
            if self.settings.keeps_rest
            else features
            if self.settings.analysis is not None
            else audio
        )
        if last:
            files = {"filename": audio, "feature_file": features, REST: rest}
            self._write(sounds, {k: v for k, v in files.items() if v}, sorted(last))
        for file in (self.folder / FILES).iterdir():
            file.unlink()

    def _write(
        self,
        sounds: Dict[str, RawSound],
        files: Dict[str, Dict[str, Outcome]],
        keys: List[str],
    ) -> None:
        """Write a pack, and note what is in it."""
        path = self.folder / "pack"
        entry: Dict[str, Any] = {"sounds": {}, "is": {}, "sha256": {}, "audible": {}, "cut": {}}
        with path.open("w+b") as file:
            pack = PackWriter(file, list(files), self.settings.sample_rate)
            for key in keys:
                outcomes = {field: made[key] for field, made in files.items()}
                names = {field: made.recipe.name for field, made in outcomes.items()}
                tensors = [self._load(field, self.folder / name) for field, name in names.items()]
                # In place of a time there is none, which is the same everywhere.
                stamps = [(made.stamp or (0, 0))[0] for made in outcomes.values()]
                pack.add(key, list(names.values()), tensors, [(size, 0) for size in stamps])
                entry["sounds"][key] = {
                    "filename": names.pop("filename"),
                    **sounds[key].metadata(),
                    **names,
                }
                entry["is"].update({m.recipe.name: m.stamp for m in outcomes.values()})
                entry["sha256"][key] = _sha256(self.folder / outcomes["filename"].recipe.name)
                entry["audible"][key] = _audible(tensors[0], self.settings.sample_rate)
                if outcomes["filename"].cut:
                    entry["cut"][key] = outcomes["filename"].cut
            pack.finish()
        checksum = _sha256(path)
        self.out.write(pack_named(checksum), path)
        self.packs.append({"pack": pack_named(checksum), "bytes": path.stat().st_size, **entry})
        path.unlink()
        self.count += len(keys)

    def _load(self, field: str, path: Path) -> torch.Tensor:
        """Read a file of the dataset as the tensor that a pack holds."""
        rate, length = self.settings.sample_rate, self.settings.num_samples
        if field == "filename":
            return load_audio(path, rate, length)
        if field == REST:
            kept = load_rest(path, rate, length)
            return torch.cat([kept.noise.flatten(), kept.transient])
        return load_features(path)

    def finish(self, block: str) -> int:
        """Write the manifest; returns the bytes of all packs."""
        content = {
            "format": FORMAT,
            "block": block,
            "packs": self.packs,
            "skipped": {
                key: [printable(text) for text in entry] for key, entry in self.skipped.items()
            },
            "left_out": self.left_out,
            "devices": sorted(self.devices),
        }
        self.out.write(made_of(block), as_bytes(content))
        return sum(pack["bytes"] for pack in self.packs)


def _ahead(pool: ThreadPoolExecutor, function: Any, things: Iterable[Any]) -> Iterator[Any]:
    """Call a function on things in threads, some ahead, and yield what it gives in order."""
    waiting: Deque[Future] = deque()
    things = iter(things)
    try:
        for thing in things:
            waiting.append(pool.submit(function, thing))
            if len(waiting) >= _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _sha256(path: Path) -> str:
    """Return the checksum of a file."""
    from drumblender.data.sources.checksums import digests

    return digests(path, ["sha256"])["sha256"]


def _audible(audio: torch.Tensor, rate: int) -> float:
    """Return after how many seconds a sound is over."""
    loud = np.flatnonzero(np.abs(audio.numpy().ravel()) > AUDIBLE)
    return float((loud[-1] + 1) / rate) if len(loud) else 0.0


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let PyTorch compute in one thread, whose sums are the same on every machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
