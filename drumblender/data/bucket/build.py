"""Making a dataset in a bucket of recordings in a bucket, with any engine.

The driver lists the recordings (see :mod:`.plan`), gives the blocks that are not made to an engine
(see :mod:`.work`), and makes the dataset whole (see :mod:`.whole`). It may be killed at any time,
as any worker may: what is made is known by the manifests in the bucket, and the same command goes
on.
"""

import functools
import time
from dataclasses import dataclass
from typing import List, Optional, Set, Tuple

from drumblender.data.bucket.engine import Engine
from drumblender.data.bucket.layout import RECORDINGS, find_dataset, made_of
from drumblender.data.bucket.place import Changed, Place
from drumblender.data.bucket.plan import Plan, Planner, bytes_per_sound
from drumblender.data.bucket.whole import Whole, make_whole
from drumblender.data.bucket.work import Job, make_block
from drumblender.data.build.recipe import cached_analysis
from drumblender.data.settings import refuse_other
from drumblender.data.target import Target
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.progress import progress
from drumblender.files.text import printable

_SECONDS = 0.06  # of one core for a sound of two seconds, roughly; a plan says what it may cost


@dataclass
class Run:
    """What a run did.

    Attributes:
        place: place of the dataset.
        recordings: number of recordings.
        made: number of sounds that were made in this run.
        read: bytes of the recordings of this run.
        written: bytes that were written in this run.
        blocks: number of blocks of this run.
        reused: number of blocks that had been made before.
        seconds: how long it took.
        whole: the dataset. None if other shards are still missing.
    """

    place: Place
    recordings: int
    made: int = 0
    read: int = 0
    written: int = 0
    blocks: int = 0
    reused: int = 0
    seconds: float = 0.0
    whole: Optional[Whole] = None

    def __str__(self) -> str:
        lines = []
        done = (
            f"{self.place}: {self.made} sounds made in {self.blocks} blocks, "
            f"{self.reused} blocks reused, {_size(self.read)} read and {_size(self.written)} "
            f"written, in {self.seconds:.1f} s."
        )
        if self.whole is None:
            return f"{done} The dataset is not whole before --merge."
        content = self.whole.description.content
        lines += [f"skipped {name}: {reason}" for name, reason in self.whole.examples]
        if content["skipped"] or content["left_out"]:
            lines.append(
                f"{content['skipped']} recordings are skipped and {content['left_out']} left out; "
                f"{self.place.title(content['skipped_list'])} lists them."
            )
        if self.whole.untyped:
            lines.append(
                f"{self.whole.untyped} sounds are of unknown type, and no filter by sample_types "
                "takes them; write acoustic or electronic in the raw metadata (--init makes it)."
            )
        if self.whole.cut:
            lines.append(
                f"{self.whole.cut} sounds are cut; to keep more of them, raise num_samples in the "
                "configuration and set another data_dir."
            )
        lines.append(
            f"{done} It has {content['sounds']} sounds ({content['duplicates']} duplicates) in "
            f"{content['packs']} packs, {_size(content['bytes'])}."
        )
        return "\n".join(map(printable, lines))


@dataclass(frozen=True)
class Building:
    """A dataset in a bucket that is to be made.

    Attributes:
        target: the dataset.
        job: what workers have to know.
        block_size: number of sounds in a block at most. None stands for as many as make 64 MiB.
    """

    target: Target
    job: Job
    block_size: Optional[int] = None

    def preprocess(self, engine: Engine, shard: Optional[Tuple[int, int]] = None) -> Run:
        """Make the blocks that are not made, and then the whole.

        Args:
            engine: what does the work.
            shard: (k, n) for the k-th of n parts of the blocks, which does not make the whole.

        Raises:
            UsageError: if there is a dataset with other settings.
            DrumblenderError: if a store or a worker fails. The same command goes on.
        """
        start = time.monotonic()
        out = self.job.out_place()
        self._check(out)
        planner = self._planner(out)
        plan = self._stored(planner, out) or planner.list(engine)
        blocks = [block for block in plan.blocks if shard is None or _is_in(block[0], shard)]
        missing = _missing(out, blocks)
        run = Run(out, plan.recordings, reused=len(blocks) - len(missing))
        counts = {name: count for name, count, _ in missing}
        with progress("Preprocess", sum(counts.values())) as bar:
            try:
                for done in engine.map(functools.partial(make_block, self.job), list(counts)):
                    run.blocks += 1
                    run.made += done.sounds
                    run.read += done.read
                    run.written += done.written
                    bar.update(counts[done.block])
            except Changed:
                out.remove(RECORDINGS)  # so that the next run lists anew
                raise
        if shard is None:
            run.whole = make_whole(out, plan, self.target.settings)
        run.seconds = time.monotonic() - start
        return run

    def merge(self) -> Run:
        """Make the whole of blocks that shards have made.

        Raises:
            DrumblenderError: if a block is missing.
        """
        start = time.monotonic()
        out = self.job.out_place()
        self._check(out)
        planner = self._planner(out)
        plan = planner.stored()
        if plan is None:
            raise DrumblenderError(
                f"{out} has no blocks of these settings; make them first, with --preprocess "
                "--shard K/N."
            )
        missing = _missing(out, plan.blocks)
        if missing:
            raise DrumblenderError(
                f"{out} lacks {len(missing)} of {len(plan.blocks)} blocks; run the shards again, "
                "or --preprocess without --shard."
            )
        run = Run(out, plan.recordings, reused=len(plan.blocks))
        run.whole = make_whole(out, plan, self.target.settings)
        run.seconds = time.monotonic() - start
        return run

    def dry_run(self, engine: Engine) -> str:
        """Say what would be done, read and written, without doing it.

        Args:
            engine: what would do the work, and lists the recordings.
        """
        out = self.job.out_place()
        self._check(out)
        planner = self._planner(out)
        stored = self._stored(planner, out)
        plan = stored or planner.list(engine, write=False)
        missing = _missing(out, plan.blocks)
        sounds, size = sum(n for _, n, _ in missing), sum(size for _, _, size in missing)
        settings = self.target.settings
        hours = sounds * _SECONDS * settings.num_samples / settings.sample_rate / 2 / 3600
        cores = engine.cores()
        archives = " (an archive counts as one)"
        return (
            f"{planner.raw}: {plan.recordings} recordings{archives}, {_size(plan.size)}, "
            f"{'as listed before' if stored else 'listed now'}.\n"
            f"{out}: {len(plan.blocks) - len(missing)} of {len(plan.blocks)} blocks are made.\n"
            f"To do: {sounds} recordings in {len(missing)} blocks, {_size(size)} to read, about "
            f"{_size(sounds * bytes_per_sound(settings))} to write, about {hours:.1f} core hours, "
            f"with {cores} cores {hours / cores:.1f} hours.\n"
            f"Requests: about {sounds + len(missing)} to read and {3 * len(missing)} to write.\n"
            "Nothing was written."
        )

    def _planner(self, out: Place) -> Planner:
        """Return what lists the recordings."""
        return Planner(self.job.raw_place(), out, self.target, self.block_size)

    def _check(self, out: Place) -> None:
        """Refuse impossible settings, and a dataset with others, before hours of work."""
        settings = self.target.settings
        if settings.analysis is not None:
            cached_analysis(settings.analysis)
        if self.job.raw_place().address == out.address:
            raise UsageError(f"data_dir and the recordings are both {out}; set another data_dir.")
        found = find_dataset(out)
        if found is not None:
            refuse_other(str(out), found.content, settings)

    def _stored(self, planner: Planner, out: Place) -> Optional[Plan]:
        """Return the plan of a run that was stopped; None if all must be listed."""
        plan, found = planner.stored(), find_dataset(out)
        if plan is not None and found is not None and found.content["plan"] == plan.digest:
            return None  # that one is whole; there may be more recordings by now
        return plan


def _is_in(block: str, shard: Tuple[int, int]) -> bool:
    """Return whether a block belongs to the k-th of n parts."""
    k, n = shard
    return int(block, 16) % n == k - 1


def _missing(out: Place, blocks: List[Tuple[str, int, int]]) -> List[Tuple[str, int, int]]:
    """Return the blocks that are not made, by one listing."""
    made: Set[str] = {item.name for item in out.items("made/")} if blocks else set()
    return [block for block in blocks if made_of(block[0]) not in made]


def _size(count: float) -> str:
    """Return a number of bytes in a unit that a person reads.

    >>> _size(1500), _size(64 << 20)
    ('1.5 kB', '67.1 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
