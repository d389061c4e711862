"""``drumblender-dataset`` for datasets in buckets: the same actions, by manifests and engines."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Tuple

from drumblender.errors import DrumblenderError, UsageError

if TYPE_CHECKING:
    from drumblender.data import AudioDataModule
    from drumblender.data.bucket.work import Job


def is_address(text: str) -> bool:
    """Return whether a text is the address of a bucket."""
    return "://" in text


def begin(args: argparse.Namespace) -> str:
    """Write the configuration of a dataset of recordings in a bucket."""
    from drumblender.data.bucket.begin import write_configuration

    if args.init.startswith("file://"):
        from drumblender.data.library import begin

        folder = Path(args.init[len("file://") :])
        return begin.write_configuration(Path(args.config), folder, args.force, args.type)
    url = args.url or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return write_configuration(Path(args.config), args.init, url, args.force, args.type)


def in_bucket(
    data: "AudioDataModule", args: argparse.Namespace, shard: Optional[Tuple[int, int]]
) -> None:
    """Carry out the actions of a command line on a dataset in a bucket, in their order."""
    from drumblender.data.bucket.build import Building
    from drumblender.data.bucket.contents import describe, summarize
    from drumblender.data.bucket.engine import engine_of

    _refuse_local_actions(args)
    if args.block_size is not None and args.block_size < 1:
        raise UsageError(f"--block_size is {args.block_size}; give 1 or more.")
    job = _job(data, args.device)
    building = Building(data.target, job, args.block_size)
    out = job.out_place()
    if args.dry_run:
        if not args.preprocess:
            raise UsageError("--dry_run says what --preprocess would do; add --preprocess.")
        with engine_of(args.cluster, args.num_workers, args.device) as engine:
            return print(building.dry_run(engine))
    if args.preprocess or args.verify:
        with engine_of(args.cluster, args.num_workers, args.device) as engine:
            if args.preprocess:
                print(building.preprocess(engine, shard))
            if args.merge:
                print(building.merge())
            if args.verify:
                _verify(data, job, engine, args.verify_share)
    elif args.merge:
        print(building.merge())
    if args.stats:
        from drumblender.data.build.stats import write_picture

        summary = summarize(out, data.target)
        picture = Path(f"{out.last_name}.png")
        write_picture(summary, picture)
        print(f"{summary}\n\n{picture} shows it.")
    if not shard:
        print(describe(out, data.target))


def _job(data: "AudioDataModule", device: str) -> "Job":
    """Return what workers have to know of a dataset."""
    from drumblender.data.bucket.work import Job

    target, places = data.target, data.places
    raw = target.raw_address or (target.raw_dir and str(target.raw_dir.absolute()))
    if places.bucket and places.prefix and not target.raw_address:
        raw = f"s3://{places.bucket}/{places.prefix.strip('/')}"
    # Without recordings, a dataset can still be verified.
    return Job(raw or str(target.address), str(target.address), places.url, places.region, device)


def _refuse_local_actions(args: argparse.Namespace) -> None:
    """Refuse actions that need the dataset on this machine."""
    for name, value in (
        ("--archive", args.archive),
        ("--upload", args.upload),
        ("--pack", args.pack),
        ("--preprocess_features", args.preprocess_features),
    ):
        if value:
            raise UsageError(
                f"{name} needs a dataset on this machine, and data_dir is in a bucket, where "
                "sounds are packed as they are made; leave it out."
            )


def _verify(data: "AudioDataModule", job: "Job", engine: object, share: float) -> None:
    """Print what is wrong with a dataset, and fail if anything is."""
    from drumblender.data.bucket.check import verify
    from drumblender.data.bucket.engine import Engine

    assert isinstance(engine, Engine)
    count, problems = verify(job, data.target.settings, engine, share)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        raise DrumblenderError(
            f"{len(problems)} problems in {job.out}; remove what is named from made/ and packs/ "
            "there, and run --preprocess again."
        )
    print(f"{job.out}: {count} sounds are right.")
