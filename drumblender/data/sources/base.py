"""Sources of datasets, and how a dataset is made of the first source that has something to give.

To add a source, derive a class from :class:`Source`, if it gives whole datasets, or from
:class:`Recordings`, if it gives recordings that have to be preprocessed. A configuration names it
under ``source``.
"""

import abc
import json
import shutil
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Callable, Optional, Sequence, Tuple

from drumblender.data.build.preprocess import preprocess
from drumblender.data.build.report import BuildReport
from drumblender.data.library.folder import UNFINISHED, is_there
from drumblender.data.target import Target
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files import atomic


class Source(abc.ABC):
    """A place that a whole dataset comes from.

    Messages call it ``str(source)``.
    """

    kind = "source"  # what messages call such a source, and the option that names it

    def __str__(self) -> str:
        return type(self).__name__

    def applies(self, target: Target) -> bool:
        """Return whether there is something to make the dataset of.

        It is asked before anything is fetched, so it has to answer at once.
        """
        return True

    def remedy(self, target: Target) -> str:
        """Say what to put where, so that the source applies. It is empty if that is impossible."""
        return ""

    @abc.abstractmethod
    def fetch(self, folder: Path) -> None:
        """Put the files of the dataset into a folder, or into one folder in it.

        Nobody sees the folder before it is checked, and it is removed after an error.

        Args:
            folder: an empty folder.

        Raises:
            DrumblenderError: if that is impossible. The message says what to do.
        """

    def prepare(self, target: Target) -> None:
        """Make the dataset, unless another process does so at the same time."""
        with atomic.exclusive(target.data_dir):
            if not target.is_there():  # by the process that this one waited for
                put_in_place(self, target.data_dir, target.meta_file, target.open_whole)


class Recordings(Source):
    """A place that recordings come from, of which a dataset is made in the raw folder."""

    @abc.abstractmethod
    def fetch(self, folder: Path) -> None:
        """Put recordings into a folder. What came before a stop is still in it.

        Args:
            folder: the raw folder.

        Raises:
            DrumblenderError: if that is impossible. The message says what to do.
        """

    def raw_folder(self, target: Target) -> Path:
        """Return the raw folder, which is fetched unless all of it exists."""
        raw_dir = raw_dir_of(target)
        with atomic.exclusive(raw_dir):
            if not is_there(raw_dir):
                atomic.write(raw_dir / UNFINISHED, json.dumps({"source": str(self)}).encode())
                self.fetch(raw_dir)
                (raw_dir / UNFINISHED).unlink()
        return raw_dir

    def preprocess(
        self,
        target: Target,
        num_workers: Optional[int] = None,
        device: str = "cpu",
        shard: Optional[Tuple[int, int]] = None,
    ) -> BuildReport:
        """Make the dataset of the recordings, or bring it up to date.

        Args:
            target: the dataset.
            num_workers: number of processes. None stands for all cores.
            device: name of the device that measures features.
            shard: (k, n) for the k-th of n parts, as in
                :func:`~drumblender.data.build.preprocess.preprocess`.
        """
        where = (self.raw_folder(target), target.data_dir, target.meta_file, target.settings)
        return preprocess(*where, num_workers, device, shard, target.raw_meta_file)

    def prepare(self, target: Target) -> None:
        """Make the dataset of the recordings, and tell what was done."""
        # Who trains chose a dataset that may be a selection, and need not know what it leaves out.
        print(replace(self.preprocess(target), left_out=()))


def prepare(target: Target, sources: Sequence[Source]) -> None:
    """Make a dataset of the first source that applies, unless it exists.

    Raises:
        DrumblenderError: if no source applies, or if the dataset cannot be made.
        UsageError: if the dataset has other settings than it should.
    """
    if not target.is_there():
        source = next((source for source in sources if source.applies(target)), None)
        if source is None:
            places = [text for text in (source.remedy(target) for source in sources) if text]
            otherwise = "set data_dir_unprocessed, or correct source"
            remedy = f"put {' or '.join(places)}" if places else otherwise
            raise DrumblenderError(
                f"There is no dataset in {target.data_dir} and nothing to make it of; {remedy}."
            )
        source.prepare(target)
    target.check_settings()


def recordings_among(sources: Sequence[Source], target: Target) -> Recordings:
    """Return the source of recordings that applies, or else one that says why none does.

    Raises:
        UsageError: if no source gives recordings.
    """
    found = [source for source in sources if isinstance(source, Recordings)]
    if not found:
        raise UsageError(
            f"--preprocess needs recordings, and {sources[0]} gives whole datasets; leave it out."
        )
    return next((source for source in found if source.applies(target)), found[-1])


def raw_dir_of(target: Target) -> Path:
    """Return the raw folder.

    Raises:
        UsageError: if the configuration names none.
    """
    if target.raw_dir is None:
        raise UsageError(
            "The configuration names no raw folder; set data_dir_unprocessed to the folder "
            "of your recordings."
        )
    return target.raw_dir


def put_in_place(
    source: Source, data_dir: Path, meta_file: str, check: Callable[[Path], object]
) -> None:
    """Fetch a whole dataset, check it, and give it its name in one step.

    The source may put it into a folder of its own. ``meta_file`` ends up in ``data_dir`` itself.

    Args:
        source: the source.
        data_dir: folder of the dataset, which must not hold anything yet.
        meta_file: name of the metadata, by which the folder of the dataset is found.
        check: function that gets that folder, and raises if it is not the whole dataset.
    """
    if data_dir.exists() and any(data_dir.iterdir()):
        raise UsageError(
            f"{data_dir} holds files but no {meta_file}; correct meta_file, set another data_dir, "
            "or remove that folder."
        )
    temporary = data_dir.with_name(data_dir.name + ".unpack")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with atomic.disk_errors(data_dir):
            temporary.mkdir(parents=True)
        source.fetch(temporary)
        found = sorted(temporary.rglob(meta_file), key=lambda path: len(path.parts))
        if not found:
            raise DrumblenderError(
                f"{source} holds no {meta_file}, so it is not the {source.kind} of this dataset; "
                f"correct {source.kind} or meta_file in the configuration."
            )
        root = found[0]
        for _ in PurePosixPath(meta_file).parts:
            root = root.parent
        check(root)
        if data_dir.exists():  # an empty folder, which not every system replaces
            data_dir.rmdir()
        root.rename(data_dir)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
