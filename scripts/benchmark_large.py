#!/usr/bin/env python3
"""Measure what a dataset in a bucket costs beside the sounds themselves.

    python scripts/benchmark_large.py sounds [--copies 3] [--latency 0.02]
    python scripts/benchmark_large.py head [--recordings 100000]

``sounds`` makes a dataset of the bundled one-shots, several times over: of a folder in a folder, of
a bucket in a bucket by processes, and the same by Ray, all with one process that works. The bucket
is an S3 server (moto) on this machine that answers late. Processor time counts neither the server
nor the workers of Ray; what a run takes that has nothing to do is subtracted, and shown apart.

``head`` lists recordings that exist by name only and makes the whole of manifests that no worker
has written, with the code of drumblender-dataset: seconds and memory of the machine that does it.
"""

import argparse
import hashlib
import json
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple, Union

from hosts import (
    REPOSITORY,
    Host,
    Network,
    client_of,
    configure,
    dataset,
    finished,
    send,
    store,
)

from drumblender.data.bucket import plan as planning
from drumblender.data.bucket.engine import Pool
from drumblender.data.bucket.layout import as_bytes, made_of, recordings_of
from drumblender.data.bucket.place import Item, Place
from drumblender.data.bucket.whole import make_whole
from drumblender.data.settings import DatasetSettings
from drumblender.data.target import Target

FOLDERS = 200  # at the top of the library that exists by name only


class Paper(Place):
    """A place of objects that exist by name only; what is written to it stays on the disk.

    Args:
        count: number of recordings.
        folder: folder for what is written.
    """

    def __init__(self, count: int, folder: Path):
        self.address = "s3://paper/raw"
        self.count, self.folder = count, folder

    def read(self, name: str, start: int = 0, end: Optional[int] = None) -> Optional[bytes]:
        """Return what was written."""
        path = self.folder / name
        return path.read_bytes()[start:end] if path.is_file() else None

    def fetch(self, item: Item, path: Path) -> None:
        """There is nothing to fetch."""
        raise NotImplementedError

    def write(self, name: str, data: Union[bytes, Path]) -> None:
        """Keep what is written."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.read_bytes())

    def remove(self, name: str) -> None:
        """Remove what was written."""
        (self.folder / name).unlink()

    def items(self, prefix: str = "") -> Iterator[Item]:
        """Yield the recordings of a folder."""
        if prefix in ("recordings/", "made/"):
            return
        for index in range(self.count // FOLDERS):
            name = f"{prefix}Drums/snare hit {index:06d}.wav"
            tag = hashlib.sha256(name.encode()).hexdigest()[:32]
            yield Item(name, 300_000, tag, "2026-01-01T00:00:00+00:00")

    def top(self) -> Tuple[List[Item], List[str]]:
        """Return the folders."""
        return [], [f"Sample pack {index:04d}" for index in range(FOLDERS)]


def made_up(block: str, recordings: List[planning.Recording]) -> bytes:
    """Return the manifest of a block that nobody has made."""
    pack: Dict = {"sounds": {}, "is": {}, "sha256": {}, "audible": {}, "cut": {}}
    for recording in recordings:
        assert recording.sound is not None
        key = recording.sound.key
        names = {"filename": f"audio/{key}.wav", "feature_file": f"audio/{key}.pt"}
        pack["sounds"][key] = {**names, **recording.sound.metadata()}
        pack["is"].update({name: [384058, 3735928559] for name in names.values()})
        pack["sha256"][key] = hashlib.sha256(key.encode()).hexdigest()
        pack["audible"][key] = 0.51234567
    packs = [{"pack": f"packs/{64 * 'a'}.safetensors", "bytes": 64 << 20, **pack}]
    content = {"format": 1, "block": block, "packs": packs, "skipped": {}, "left_out": []}
    return as_bytes({**content, "devices": ["cpu"]})


def measure_head(count: int) -> None:
    """List, and make the whole, of recordings that exist by name only."""
    from drumblender.analysis.settings import AnalysisSettings

    folder = Path(tempfile.mkdtemp(prefix="paper-"))
    try:
        settings = DatasetSettings(48000, 96000, AnalysisSettings(sample_rate=48000))
        target = Target(folder, "metadata.json", settings)
        place = Paper(count, folder)
        out = Paper(count, folder)
        out.address = "s3://paper/made"
        idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        start = time.process_time()
        plan = planning.Planner(place, out, target).list(Pool(1))
        listing = time.process_time() - start
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        for block, _, _ in plan.blocks:
            recordings = planning.read_block(out, block)[1]
            out.write(made_of(block), made_up(block, recordings))
            (folder / recordings_of(block)).unlink()
        start = time.process_time()
        whole = make_whole(out, plan, settings)
        gathering = time.process_time() - start
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        index = (folder / whole.description.index).stat().st_size
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{plan.recordings} recordings in {len(plan.blocks)} blocks")
    print(f"listing: {1e6 * listing / count:.0f} us of a core for each, {after - idle:.0f} MB more")
    print(f"whole: {1e6 * gathering / count:.0f} us of a core for each, {most - after:.0f} MB more")
    print(f"memory: {most:.0f} MB at most, of which {idle:.0f} MB are the program; index: "
          f"{index / count:.0f} bytes for each")  # fmt: skip


def used(host: Host, since: float = 0.0) -> float:
    """Return the processor time of commands that have ended, and of what lives on a host."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime + host.seconds() - since


def measure_sounds(copies: int, latency: float, chosen: List[str]) -> None:
    """Make datasets in several ways, and print a table."""
    folder = Path(tempfile.mkdtemp(prefix="large-"))
    host = Host(1, folder)
    raw = folder / "raw"
    for copy in range(copies):
        shutil.copytree(REPOSITORY / "audio" / "one-shots", raw / f"copy {copy}")
    rows = []
    try:
        with store() as upstream:
            client = client_of(upstream)
            count = send(client, raw)
            network = Network(upstream, latency)
            name = configure(host, network.address, "pool")
            here = {"data_dir": "here", "data_dir_unprocessed": str(raw), "hop_length": 256}
            content = {"class_path": "drumblender.data.ModalDataModule", "init_args": here}
            (host.folder / "work" / "here.yaml").write_text(json.dumps(content))
            configure(host, network.address, "ray")
            ways = {
                "folder": ("folder to folder", ("here.yaml", "--num_workers", "1")),
                "process": ("bucket to bucket, a process", (name, "--num_workers", "1")),
                "ray": ("bucket to bucket, Ray", ("ray.yaml", "--cluster")),
            }
            for way in chosen:
                title, command = ways[way]
                command += (host.join(),) if way == "ray" else ()
                figures = []
                for _ in range(2):  # the second time, there is nothing to do
                    before, start = used(host), time.perf_counter()
                    finished(dataset(host, *command, "--preprocess"))
                    figures.append((used(host, before), time.perf_counter() - start))
                (core, clock), (idle_core, idle_clock) = figures
                rows.append((title, core - idle_core, clock - idle_clock, idle_core, idle_clock))
                print(rows[-1], file=sys.stderr, flush=True)
    finally:
        host.kill()
        shutil.rmtree(folder, ignore_errors=True)
    head_row = "| | core ms per sound | ratio | sounds per second | nothing to do: core s, s |"
    print(f"{head_row}\n|---|---|---|---|---|")
    for title, core, clock, idle_core, idle_clock in rows:
        # The workers of Ray end with the command, and nobody adds up what they used.
        used_by = "not counted | -" if "Ray" in title else f"{1e3 * core / count:.0f}"
        if "Ray" not in title:
            used_by += f" | {core / rows[0][1]:.2f}"
        print(f"| {title} | {used_by} | {count / clock:.1f} | {idle_core:.1f}, {idle_clock:.1f} |")
    print(f"{count} recordings, {latency} s before each answer")


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["sounds", "head"], help="what to measure")
    parser.add_argument("--copies", type=int, default=3, help="times the bundled one-shots")
    ways = ["folder", "process", "ray"]
    parser.add_argument("--ways", nargs="*", default=ways, choices=ways, help="with sounds")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds before an answer")
    parser.add_argument("--recordings", type=int, default=100_000, help="that exist by name only")
    args = parser.parse_args()
    if args.what == "head":
        measure_head(args.recordings)
    else:
        measure_sounds(args.copies, args.latency, args.ways)


if __name__ == "__main__":
    main()
