"""A dataset while it is made: the folder in which it grows until it is whole.

A dataset grows in ``<data_dir>.partial`` and gets its name in one step when it is whole. Every
finished file is written under a temporary name, moved into place and then entered in the journal,
so that a run that was stopped at any moment goes on where it was.
"""

import contextlib
import functools
import hashlib
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from drumblender.data.build.journal import (
    JOURNAL_FILE,
    Appended,
    Journal,
    Made,
    Stamp,
    journal_line,
    read_journal,
)
from drumblender.data.build.recipe import Outcome, Outcomes, Recipe
from drumblender.data.build.report import SKIPPED_FILE, BuildReport
from drumblender.data.library.names import UNKNOWN
from drumblender.data.reader import Metadata, files_of
from drumblender.data.settings import (
    CUT,
    DEVICES,
    LEFT_OUT,
    SETTINGS_FILE,
    DatasetSettings,
    read_settings,
    refuse_other,
)
from drumblender.files import atomic
from drumblender.files.progress import progress
from drumblender.files.text import printable

FILES = "audio"  # folder of the WAV and feature files

Skipped = Dict[str, Tuple[str, str]]  # key -> (file, reason)


class GrowingDataset:
    """The folder in which a dataset grows until it is whole.

    Args:
        data_dir: folder that it becomes.
        settings: settings of the dataset.
        existing: journal of the files in ``data_dir`` that may be taken over.
        suffix: ending of the folder's name, behind that of ``data_dir``.

    Attributes:
        folder: the folder.
        journal: entry of each file in it, which says how the file was made.
        failures: maps keys to why there is no file.
        devices: names of the devices on which features were measured.
    """

    def __init__(
        self,
        data_dir: Path,
        settings: DatasetSettings,
        existing: Optional[Journal] = None,
        suffix: str = ".partial",
    ):
        self.data_dir = data_dir
        self.settings = settings
        self.existing = existing or {}
        self.folder = data_dir.with_name(data_dir.name + suffix)
        self.failures: Dict[str, str] = {}
        self.devices: Set[str] = set()
        self._devices_of = functools.lru_cache(_devices_of)
        self._start = time.monotonic()
        stored = read_settings(self.folder)
        if stored is None:
            shutil.rmtree(self.folder, ignore_errors=True)
            atomic.write_json(self.folder / SETTINGS_FILE, settings.to_json())
        else:
            refuse_other(self.folder, stored, settings, "was begun")
            self.devices.update(stored.get(DEVICES, ()))
        self.journal = read_journal(self.folder)

    def recipe(self, key: str, name: str, source: Path, origin: Stamp) -> Recipe:
        """Return the recipe of one file, which knows where the file was made before.

        Args:
            key: key of the sound.
            name: name of the file in the dataset.
            source: the file that it is made of.
            origin: stamp by which the content of ``source`` is known.
        """
        before = None
        if name in self.journal:
            before = (self.folder, self.journal[name])
        elif name in self.existing:
            before = (self.data_dir, self.existing[name])
        return Recipe(key, source, origin, self.folder, name, self.settings, before)

    def run(
        self,
        function: Callable[[Sequence[Recipe]], Outcomes],
        recipes: Sequence[Recipe],
        what: str,
    ) -> Dict[str, Outcome]:
        """Carry out recipes, enter what they made in the journal, and show progress.

        Args:
            function: function that carries out recipes. It gives the outcomes in any order.
            recipes: one for each file to make.
            what: name of the work in the progress bar.

        Returns:
            The outcomes by key, where there is a file. The other keys get into ``failures``.
        """
        made = {}
        with (
            Appended(self.folder / JOURNAL_FILE) as journal,
            progress(what, len(recipes)) as bar,
            contextlib.closing(function(recipes)) as outcomes,
        ):
            journal.write("\n")  # ends the line that a process left when it was killed
            try:
                for outcome in outcomes:
                    recipe = outcome.recipe
                    if outcome.stamp is None:
                        self.failures[recipe.key] = outcome.reason
                    else:
                        self._note_devices(outcome)
                        made[recipe.key] = outcome
                        self.journal[recipe.name] = Made(recipe.origin, outcome.stamp, outcome.cut)
                        journal.write(journal_line(recipe.name, self.journal[recipe.name]))
                    bar.update()
            except KeyboardInterrupt:
                bar.close()
                print(
                    f"{what}: stopped after {bar.n} of {len(recipes)} sounds; "
                    "the same command goes on from here.",
                    file=sys.stderr,
                )
                raise
        return made

    def _note_devices(self, outcome: Outcome) -> None:
        """Store the name of the device on which a feature was measured."""
        devices = {outcome.device} if outcome.device else set()
        before = outcome.recipe.before
        if outcome.reused and before is not None and before[0] != self.folder:
            devices = self._devices_of(before[0])
        if not devices <= self.devices:
            self.devices |= devices
            # Before the file is entered: a run that goes on from here has to know.
            atomic.write_json(
                self.folder / SETTINGS_FILE,
                {**self.settings.to_json(), DEVICES: sorted(self.devices)},
            )

    def mark_duplicates(self, metadata: Metadata) -> None:
        """Enter ``duplicate_of`` in the metadata of each sound that is the same as another one.

        The first key of equal sounds gets no such mark. Sounds are equal whose audio files are:
        recordings that differ in format, name or further channels may become the same sound.
        """
        alike: Dict[Stamp, List[str]] = {}
        for key in sorted(metadata):
            metadata[key].pop("duplicate_of", None)
            alike.setdefault(self.journal[metadata[key]["filename"]].stamp, []).append(key)
        for keys in alike.values():
            firsts: Dict[bytes, str] = {}
            for key in keys if len(keys) > 1 else ():
                # Checksums of 32 bits meet by chance in a library of 100 000.
                content = (self.folder / metadata[key]["filename"]).read_bytes()
                first = firsts.setdefault(hashlib.sha256(content).digest(), key)
                if first != key:
                    metadata[key]["duplicate_of"] = first

    def remove_strays(self, metadata: Metadata) -> None:
        """Remove files that are half-written, or that belong to a sound that is gone."""
        wanted = {name for item in metadata.values() for name in files_of(item)}
        for path in (self.folder / FILES).glob("*"):
            if f"{FILES}/{path.name}" not in wanted:
                path.unlink()

    def finish(
        self,
        meta_file: str,
        metadata: Metadata,
        skipped: Skipped,
        library: Optional[Dict[str, Any]],
        reused: int,
        left_out: Sequence[Tuple[str, str]] = (),
        cut: Optional[Mapping[str, float]] = None,
    ) -> BuildReport:
        """Write what describes the dataset, and give the dataset its name.

        Args:
            meta_file: name of the metadata.
            metadata: the metadata.
            skipped: sounds that could not be used.
            library: number and digest of all sounds of the raw folder, by which shards are merged.
            reused: number of sounds that had been computed before.
            left_out: files that the raw metadata does not name, each with a reason.
            cut: seconds of the recordings that were cut, by key. None stands for what the journal
                says.
        """
        if cut is None:
            made = {key: self.journal[item["filename"]] for key, item in metadata.items()}
            cut = {key: entry.cut for key, entry in made.items() if entry.cut}
        listed = [*sorted(skipped.values()), *left_out]
        text = "".join(f"{printable(n)}\t{printable(why)}\n" for n, why in listed)
        atomic.write(self.folder / SKIPPED_FILE, text.encode())
        files = {name for item in metadata.values() for name in files_of(item)}
        names = sorted(files & self.journal.keys())
        text = "".join(journal_line(name, self.journal[name]) for name in names)
        atomic.write(self.folder / JOURNAL_FILE, text.encode())
        description = {**self.settings.to_json(), "library": library}
        if self.settings.analysis is not None:
            description[DEVICES] = sorted(self.devices)
        description["skipped"] = dict(sorted(skipped.items()))
        if left_out:
            description[LEFT_OUT] = left_out
        description[CUT] = dict(sorted(cut.items()))
        atomic.write_json(self.folder / SETTINGS_FILE, description)
        atomic.write_json(self.folder / meta_file, metadata)
        atomic.put_in_place(self.folder, self.data_dir)
        return BuildReport(
            self.data_dir,
            done=len(metadata) - reused,
            reused=reused,
            skipped=sorted(skipped.values()),
            duplicates={
                key: item["duplicate_of"]
                for key, item in metadata.items()
                if "duplicate_of" in item
            },
            seconds=time.monotonic() - self._start,
            length=self.settings.num_samples / self.settings.sample_rate,
            devices=sorted(self.devices),
            left_out=left_out,
            cut=cut,
            untyped=Counter(
                str(item.get("sample_pack_key"))
                for item in metadata.values()
                if item.get("type") == UNKNOWN
            ),
        )


def _devices_of(folder: Path) -> Set[str]:
    """Return the names of the devices on which the features of a dataset were measured."""
    return set((read_settings(folder) or {}).get(DEVICES, ()))
