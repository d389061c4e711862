"""The report of a run that made a dataset, for a person."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Sequence, Tuple

from drumblender.data.build.one_shot import LONGEST_S
from drumblender.files.text import printable, some

SKIPPED_FILE = "skipped.txt"
_MOST_SHOWN = 20  # files with the same reason, and duplicates; the dataset lists them all


@dataclass
class BuildReport:
    """What a run that made a dataset did.

    Attributes:
        data_dir: the dataset.
        done: number of sounds that were computed.
        reused: number of sounds that had been computed before.
        skipped: (file, reason) of the files that could not be used.
        duplicates: key -> key of the same sound.
        seconds: how long the run took.
        length: length of every sound, in seconds.
        devices: names of the devices on which features were measured, in this run and before.
        left_out: (file, reason) of the files that the raw metadata does not name.
        cut: key -> seconds that the recording goes on for, of the sounds that were cut.
        untyped: sample pack -> number of its sounds that are neither said to be acoustic nor
            electronic.
    """

    data_dir: Path
    done: int
    reused: int
    skipped: List[Tuple[str, str]]
    duplicates: Dict[str, str]
    seconds: float
    length: float
    devices: Sequence[str] = ()
    left_out: Sequence[Tuple[str, str]] = ()
    cut: Mapping[str, float] = field(default_factory=dict)
    untyped: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [*_few("skipped", self.skipped), *_few("left out", self.left_out)]
        if self.left_out:
            lines.append(
                f"{len(self.left_out)} files of the raw folder are not in its metadata; add them "
                "there (drumblender-dataset OTHER.yaml --init writes entries to copy), or leave "
                f"them out. {self.data_dir / SKIPPED_FILE} lists them."
            )
        if len(self.devices) > 1:
            lines.append(
                f"Its features were measured on {' and '.join(self.devices)}: "
                "the same modes, but not to the last digit."
            )
        lines += [*self._about_types(), *self._about_cuts()]
        shown = list(self.duplicates.items())[:_MOST_SHOWN]
        lines += [f"duplicate {key}: is the same sound as {first}" for key, first in shown]
        where = f" (listed in {self.data_dir / SKIPPED_FILE})" if self.skipped else ""
        same = f", {len(self.duplicates)} duplicates" if self.duplicates else ""
        lines.append(
            f"{self.data_dir}: {self.done} done, {self.reused} reused, "
            f"{len(self.skipped)} skipped{where}{same}, in {self.seconds:.1f} s."
        )
        return "\n".join(map(printable, lines))

    def _about_types(self) -> Iterator[str]:
        """Yield what to do about sounds of unknown type, if there are any."""
        if self.untyped:
            yield (
                f"{sum(self.untyped.values())} sounds are of unknown type, and no filter by "
                f"sample_types takes them: those of {some(self.untyped)}; write acoustic or "
                "electronic in the raw metadata (--init makes it), and run the same command again."
            )

    def _about_cuts(self) -> Iterator[str]:
        """Yield what to do about sounds that were cut, if there are any."""
        if self.cut:
            key = max(self.cut, key=self.cut.__getitem__)
            longest = f"{self.cut[key]:.1f}" if self.cut[key] < LONGEST_S else f"over {LONGEST_S}"
            yield (
                f"{len(self.cut)} sounds are cut at {self.length:g} s; the longest, {key}, lasts "
                f"{longest} s. To keep more of them, raise num_samples in the configuration and "
                "set another data_dir."
            )


def _few(what: str, entries: Sequence[Tuple[str, str]]) -> List[str]:
    """Return a line for each file, but only one for the rest of thousands with the same reason."""
    lines: List[str] = []
    count: Counter[str] = Counter()
    for name, reason in entries:
        count[reason] += 1
        if count[reason] <= _MOST_SHOWN:
            lines.append(f"{what} {name}: {reason}")
    more = {reason: number - _MOST_SHOWN for reason, number in count.items()}
    lines += [f"{what} {n} more files: each {reason}" for reason, n in more.items() if n > 0]
    return lines
