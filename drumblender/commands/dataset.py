"""``drumblender-dataset``, which gets, makes, checks and passes on datasets.

This module only parses arguments. The work is done in :mod:`drumblender.data`.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

from drumblender.commands.buckets import begin, in_bucket, is_address
from drumblender.commands.report import Parser, report_errors
from drumblender.errors import DrumblenderError, UsageError, condense

if TYPE_CHECKING:
    from drumblender.data import AudioDataModule
    from drumblender.data.sources.store import Store
    from drumblender.data.target import Target


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run ``drumblender-dataset`` with arguments, and return its exit code."""
    return report_errors(_dataset, argv)


def _parser() -> argparse.ArgumentParser:
    """Describe the options."""
    parser = Parser(
        prog="drumblender-dataset",
        description="Without an action: use what is there (the dataset, its archive in the working "
        "directory, the raw folder, the archive on the network) to make the dataset. "
        "Several actions run in the order below.",
        epilog="--debug shows where an error comes from. DRUMBLENDER_NETWORK_TIMEOUT is the number "
        "of seconds without a byte after which a connection counts as broken (60).",
    )
    parser.add_argument("config", help="YAML of a dataset, or of an experiment with a data section")
    actions = parser.add_argument_group("actions")
    actions.add_argument(
        "--init",
        metavar="FOLDER",
        help="write CONFIG for the sounds in FOLDER, or in s3://BUCKET/PREFIX, and metadata to "
        "edit; show what is recognized",
    )
    actions.add_argument(
        "--preprocess", action="store_true", help="make the dataset of its raw folder, or update it"
    )
    actions.add_argument(
        "--preprocess_features",
        action="store_true",
        help="measure the modal features of the dataset again; its audio stays",
    )
    actions.add_argument(
        "--merge", action="store_true", help="make the dataset of all its shards (see --shard)"
    )
    actions.add_argument(
        "--pack", action="store_true", help="put it into one file, too, which training reads faster"
    )
    actions.add_argument(
        "--verify", action="store_true", help="check every sound; exit with 1 if one is wrong"
    )
    actions.add_argument(
        "--stats",
        action="store_true",
        help="show what is in each split, and write a picture of it, DATA_DIR.png",
    )
    actions.add_argument(
        "--archive", metavar="PATH", help="write the dataset to PATH (.tar.gz or .tar.zst)"
    )
    actions.add_argument("--upload", metavar="PATH", help="upload PATH to the bucket")
    actions.add_argument(
        "--stream",
        metavar="ADDRESS",
        help="pack it and put it at ADDRESS, s3://BUCKET/PREFIX, from which training reads it",
    )
    options = parser.add_argument_group("options")
    options.add_argument(
        "--num_workers", type=int, metavar="N", help="processes (default: all cores)"
    )
    options.add_argument(
        "--device", default="cpu", help="where to analyze, such as cuda (default: %(default)s)"
    )
    options.add_argument(
        "--shard",
        metavar="K/N",
        help="preprocess only the K-th of N parts, into DATA_DIR.shard-K-of-N",
    )
    options.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="preprocess or verify a dataset in a bucket on the Ray cluster at ADDRESS; local "
        "starts one on this machine",
    )
    options.add_argument(
        "--block_size",
        type=int,
        metavar="N",
        help="recordings in a block of a dataset in a bucket (default: about 64 MiB of sounds)",
    )
    options.add_argument(
        "--verify_share",
        type=float,
        default=1.0,
        metavar="X",
        help="with --verify in a bucket: share of the packs to check (default: all)",
    )
    options.add_argument(
        "--dry_run",
        action="store_true",
        help="with --preprocess in a bucket: say what would be done, read and written",
    )
    options.add_argument(
        "--url", metavar="URL", help="with --init of a bucket: the endpoint of its store"
    )
    options.add_argument(
        "--type",
        action="append",
        default=[],
        metavar="[PACK=]TYPE",
        help="with --init: acoustic or electronic, what all sounds are, or those of a pack",
    )
    options.add_argument(
        "--force",
        action="store_true",
        help="let --upload, --stream and --init replace what is there",
    )
    return parser


def _dataset(argv: List[str]) -> None:
    """Carry out the actions of a command line, in their order."""
    args = _parser().parse_args(argv)
    if args.init:
        if is_address(args.init):
            return print(begin(args))
        from drumblender.data.library.begin import write_configuration

        return print(write_configuration(Path(args.config), Path(args.init), args.force, args.type))
    if args.type:
        raise UsageError("--type belongs to --init; add --init FOLDER, or edit the raw metadata.")
    shard = _parse_shard(args.shard)
    if shard and not args.preprocess:
        raise UsageError("--shard is a part of preprocessing; add --preprocess.")
    whole = args.merge or args.preprocess_features or args.pack or args.verify or args.archive
    whole = whole or args.stats or args.stream
    if shard and whole:
        raise UsageError("--shard makes no whole dataset; merge all shards first, with --merge.")
    data = _datamodule(args.config)
    if data.target.address is not None:
        return in_bucket(data, args, shard)
    _refuse_bucket_options(args)

    from drumblender.data.bucket.addresses import place_of
    from drumblender.data.build.packing import pack
    from drumblender.data.build.preprocess import preprocess_features
    from drumblender.data.build.shards import merge
    from drumblender.data.build.stats import describe
    from drumblender.data.sources.archive import write_archive
    from drumblender.data.sources.base import prepare, recordings_among
    from drumblender.data.sources.upload import upload
    from drumblender.data.streaming import put
    from drumblender.files.archives import check_name

    target = data.target
    if args.archive:
        check_name(Path(args.archive))
    if args.upload:
        _check_upload(data.places.store(), Path(args.upload), args.archive, args.force)
    where = (target.data_dir, target.meta_file, target.settings)
    if args.preprocess:
        recordings = recordings_among(data.sources, target)
        print(recordings.preprocess(target, args.num_workers, args.device, shard))
    if args.preprocess_features:
        print(preprocess_features(*where, args.num_workers, args.device))
    if args.merge:
        print(merge(*where))
    other = args.archive or args.verify or args.pack or args.stats or args.stream
    only_upload = args.upload and not other
    if not (args.preprocess or args.preprocess_features or args.merge or only_upload):
        prepare(target, data.sources)
    if args.pack:
        print(pack(target))
    if args.verify:
        _verify(target, args.num_workers)
    if args.stats:
        from drumblender.data.build import stats

        summary = stats.summarize(target)
        picture = target.data_dir.with_name(target.data_dir.name + ".png")
        stats.write_picture(summary, picture)
        print(f"{summary}\n\n{picture} shows it.")
    if args.archive:
        files = write_archive(target, Path(args.archive))
        print(f"{args.archive}: {files} files of {target.data_dir}.")
    if args.upload:
        store = data.places.store()
        print(f"Uploaded {upload(store, Path(args.upload), args.force)} to {store.bucket}.")
    if args.stream:
        place = place_of(args.stream, data.places.url, data.places.region)
        print(put(target, place, args.force))
    if not shard and not only_upload:
        print(describe(target))


def _refuse_bucket_options(args: argparse.Namespace) -> None:
    """Refuse options that a dataset on this machine does not know."""
    for name, value in (
        ("--cluster", args.cluster),
        ("--block_size", args.block_size),
        ("--dry_run", args.dry_run),
    ):
        if value:
            raise UsageError(
                f"{name} is for a dataset in a bucket; set data_dir to an address such as "
                "s3://bucket/prefix, or file:///folder on a disk that all machines share."
            )


def _check_upload(store: "Store", path: Path, archive: Optional[str], force: bool) -> None:
    """Refuse at once what an upload would refuse after hours of preprocessing and packing."""
    from drumblender.data.sources.upload import refuse_existing

    if not path.is_file() and (archive is None or Path(archive) != path):
        raise UsageError(f"{path} is not there to upload; write it first with --archive {path}.")
    if not force:
        refuse_existing(store, path.name)


def _parse_shard(text: Optional[str]) -> Optional[Tuple[int, int]]:
    """Read K/N as two numbers."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--shard {text} is no K/N with K from 1 to N; give --shard 1/8, say.")
    return int(match[1]), int(match[2])


def _datamodule(path: str) -> "AudioDataModule":
    """Make the datamodule that a data file, or the data section of an experiment, describes."""
    from drumblender.config import load_config

    config = load_config(path)
    section = config.get("data", config)
    if not isinstance(section, dict) or "class_path" not in section:
        raise UsageError(
            f"{path} describes no dataset; give a file with class_path and init_args, "
            "such as those in cfg/data, or one with a data section."
        )

    from jsonargparse import ArgumentError, ArgumentParser

    from drumblender.data import AudioDataModule

    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(AudioDataModule, "data", required=True)
    try:
        parsed = parser.parse_object({"data": section})
    except ArgumentError as error:
        raise UsageError(
            f"{path} does not describe a dataset: {condense(str(error))}; correct it."
        ) from error
    data = parser.instantiate_classes(parsed).data
    data.check_options()
    return data


def _verify(target: "Target", num_workers: Optional[int]) -> None:
    """Print what is wrong with a dataset, and fail if anything is."""
    from drumblender.data.build.packing import verify_all

    problems = verify_all(target, num_workers)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        raise DrumblenderError(
            f"{len(problems)} problems in {target.data_dir}; remove it and prepare it again."
        )
