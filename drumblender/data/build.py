"""A dataset while it is made: the folder it grows in, and how each file gets there.

A dataset grows in ``<data_dir>.partial`` and gets its name in one step when it is whole. Every
finished file is written under a temporary name, moved in place and then entered in a journal with
its size and checksum, so that a run that was stopped at any moment goes on where it was. What each
file becomes depends on nothing but the file and the settings.
"""

import contextlib
import functools
import hashlib
import io
import json
import math
import shutil
import sys
import time
import zlib
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
    Union,
)

import torch
from torch import Tensor

from drumblender.analysis.modal import CQTModalAnalysis
from drumblender.analysis.settings import AnalysisSettings
from drumblender.data.audio import load_audio
from drumblender.data.names import UNKNOWN
from drumblender.data.recording import LONGEST_S, Unusable, read_with_length, wav_bytes
from drumblender.errors import DrumblenderError, UsageError, trace
from drumblender.files import atomic
from drumblender.files.parallel import Workers, available_cores
from drumblender.files.paths import leads_outside
from drumblender.files.progress import progress
from drumblender.files.text import printable, some

FORMAT_VERSION = 1
SETTINGS_FILE = "drumblender.json"
SKIPPED_FILE = "skipped.txt"
JOURNAL_FILE = "journal.jsonl"
FILES = "audio"  # folder of the WAV and feature files
DEVICES = "analyzed_on"  # in the settings file, beside the settings
FILE_FIELDS = ("filename", "feature_file")
LEFT_OUT = "left_out"  # in the settings file: what the raw metadata does not name
_MOST_SHOWN = 20  # files with the same reason, and duplicates; the dataset lists them all
CUT = "cut"  # in the settings file, too: key -> seconds, of recordings that were cut
_LONGEST_LINE = 1 << 16  # of the journal, in bytes
# What parsing JSON, and looking for what should be in it, may raise.
_NOT_READABLE = (
    ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip

# Sounds that are read at once for a device; the analysis divides them if they are too many.
_BATCH = 256

Metadata = Dict[str, Dict[str, Any]]
Stamp = Tuple[int, int]  # size and checksum of a file, or size and time of a recording
Journal = Dict[str, "Made"]  # file -> how it was made
Skipped = Dict[str, Tuple[str, str]]  # key -> (file, reason)


class Made(NamedTuple):
    """How a file of a dataset was made.

    Attributes:
        of: stamp of what it was made of.
        stamp: its own.
        cut: seconds that the recording goes on for, if it was cut; else 0.
    """

    of: Stamp
    stamp: Stamp
    cut: float = 0.0


@dataclass(frozen=True)
class DatasetSettings:
    """What a dataset's files depend on besides the recordings; stored with it.

    Attributes:
        sample_rate: of the audio, in Hz.
        num_samples: of every sound.
        analysis: how modal features are measured; None for a dataset without.
        silence_db: frame RMS in dB relative to full scale up to which a beginning is silence.
    """

    sample_rate: int
    num_samples: int
    analysis: Optional[AnalysisSettings] = None
    silence_db: float = -60.0

    def to_json(self) -> Dict[str, Any]:
        """As stored in ``drumblender.json``."""
        version = {} if self.analysis is None else {"analysis_version": self.analysis.version}
        return {"format": FORMAT_VERSION, **asdict(self), **version}


@dataclass
class Report:
    """What a run did.

    Attributes:
        data_dir: where the result is.
        done: sounds that were computed.
        reused: sounds that were there already.
        skipped: (file, reason) of those that could not be used.
        duplicates: key -> key of the same sound.
        seconds: that it took.
        length: of every sound, in seconds.
        devices: on which its features were measured, in this run and before.
        left_out: (file, reason) of those that the raw metadata does not name.
        cut: key -> seconds that a recording goes on for, of those that were cut.
        untyped: pack -> sounds of which nobody said whether they are acoustic or electronic.
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
        if self.untyped:
            yield (
                f"{sum(self.untyped.values())} sounds are of unknown type, and no filter by "
                f"sample_types takes them: those of {some(self.untyped)}; write acoustic or "
                "electronic in the raw metadata (--init makes it), and run the same command again."
            )

    def _about_cuts(self) -> Iterator[str]:
        if self.cut:
            key = max(self.cut, key=self.cut.__getitem__)
            longest = f"{self.cut[key]:.1f}" if self.cut[key] < LONGEST_S else f"over {LONGEST_S}"
            yield (
                f"{len(self.cut)} sounds are cut at {self.length:g} s; the longest, {key}, lasts "
                f"{longest} s. To keep more of them, raise num_samples in the configuration and "
                "set another data_dir."
            )


def _few(what: str, entries: Sequence[Tuple[str, str]]) -> List[str]:
    """A line for each file, but not for thousands with the same reason."""
    lines: List[str] = []
    count = Counter()
    for name, reason in entries:
        count[reason] += 1
        if count[reason] <= _MOST_SHOWN:
            lines.append(f"{what} {name}: {reason}")
    more = {reason: number - _MOST_SHOWN for reason, number in count.items()}
    lines += [f"{what} {n} more files: each {reason}" for reason, n in more.items() if n > 0]
    return lines


# --- What is stored with a dataset ---------------------------------------------------------------


def read_settings(folder: Path) -> Optional[Dict[str, Any]]:
    """The settings stored with a dataset; None when there are none, as in published ones."""
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return None
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        version = stored["format"]
        whole = version != FORMAT_VERSION or _is_description(stored)
    except _NOT_READABLE:
        whole = False
    if not whole:
        raise DrumblenderError(f"{path} is broken; remove {folder} and prepare the dataset again.")
    if version != FORMAT_VERSION:
        raise DrumblenderError(
            f"{folder} has format {version}, which this version of drumblender does not know; "
            "update drumblender, or set another data_dir."
        )
    return stored


def refuse_other(
    folder: Path,
    stored: Mapping[str, Any],
    settings: DatasetSettings,
    how: str = "was made",
    any_version: bool = False,
) -> None:
    """Refuse a folder that was made with other settings.

    Where no features are wanted, those that are there do no harm.

    Args:
        folder: the dataset.
        stored: what is stored with it.
        settings: that it has to have.
        how: it came to be, for the message.
        any_version: take features of another version of the analysis, too: to use them, not to
            add others.

    Raises:
        UsageError: names each setting that differs.
    """
    wanted = settings.to_json()
    analysis = wanted.pop("analysis")
    version = wanted.pop("analysis_version", None)
    if analysis is not None:
        if stored.get("analysis") is None:
            raise UsageError(
                f"{folder} {how} without modal features; add them with "
                "drumblender-dataset CONFIG --preprocess_features, or set another data_dir."
            )
        wanted = {**analysis, **wanted}
        # Datasets from before there was a choice of methods say which one only by ``fit``.
        method = "coverage" if stored["analysis"].get("fit", True) else "plain"
        stored = {"method": method, **stored["analysis"], **stored}
    different = [name for name in wanted if stored.get(name) != wanted[name]]
    if different:
        made = ", ".join(f"{name} {stored.get(name)}" for name in different)
        says = ", ".join(f"{name} {wanted[name]}" for name in different)
        raise UsageError(
            f"{folder} {how} with {made} but the configuration says {says}; change the "
            "configuration, set another data_dir, or remove that folder."
        )
    if version is not None and not any_version and stored.get("analysis_version") != version:
        raise UsageError(
            f"{folder} {how} by version {stored.get('analysis_version', 0)} of the modal analysis "
            f"and this is version {version}, which would mix; measure all features again with "
            "drumblender-dataset CONFIG --preprocess_features, or remove that folder."
        )


def _is_description(stored: Mapping[str, Any]) -> bool:
    """Whether what is stored in the settings file has the form that it is written in."""
    library, skipped = stored.get("library"), stored.get("skipped", {})
    devices, cut = stored.get(DEVICES, []), stored.get(CUT, {})
    return (
        isinstance(stored["analysis"], (dict, type(None)))
        and isinstance(devices, list)
        and all(isinstance(device, str) for device in devices)
        and (library is None or {"sounds", "digest"} <= dict(library).keys())
        and _are_pairs(skipped.values())
        and all(_seconds(seconds) >= 0 for seconds in cut.values())
        and _are_pairs(stored.get(LEFT_OUT, []))
    )


def _are_pairs(entries: Iterable[Any]) -> bool:
    return all(len(entry) == 2 and {type(text) for text in entry} == {str} for entry in entries)


def read_journal(folder: Path) -> Journal:
    """How every file of a dataset was made; what cannot be read counts as not made."""
    journal: Journal = {}
    with contextlib.suppress(OSError), (folder / JOURNAL_FILE).open("rb") as file:
        # Of whatever got into the file, no more than a line is read at once.
        for line in iter(functools.partial(file.readline, _LONGEST_LINE), b""):
            # The last line of a process that was killed may be cut.
            with contextlib.suppress(*_NOT_READABLE):
                entry = json.loads(line)
                made = Made(_stamp(entry["of"]), _stamp(entry["is"]), _seconds(entry.get(CUT, 0.0)))
                journal[str(entry["file"])] = made
    return journal


def _stamp(numbers: Sequence[int]) -> Stamp:
    first, second = numbers
    return int(first), int(second)


def _seconds(number: float) -> float:
    if not 0 <= number < math.inf:
        raise ValueError(number)
    return float(number)


def _journal_line(name: str, made: Made) -> str:
    cut = {CUT: made.cut} if made.cut else {}
    return json.dumps({"file": name, "of": made.of, "is": made.stamp, **cut}) + "\n"


def files_of(item: Mapping[str, Any]) -> List[str]:
    return [item[name] for name in FILE_FIELDS if item.get(name) is not None]


def refuse_outside(metadata: Path, items: Metadata) -> None:
    """Refuse metadata whose files, which are written anew, lie outside of the dataset."""
    for item in items.values():
        for name in files_of(item):
            if leads_outside(name):
                raise DrumblenderError(
                    f"{metadata} names {printable(name)}, which lies outside of the dataset; do "
                    "not use this dataset, or move that file into it."
                )


# --- A dataset that grows ------------------------------------------------------------------------


class Build:
    """The folder in which a dataset grows until it is whole.

    Args:
        data_dir: what it shall become.
        settings: of the dataset.
        existing: the journal of the files in ``data_dir`` that may be taken over.
        suffix: of the folder's name.
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
        self.failures: Dict[str, str] = {}  # key -> reason
        self.devices: Set[str] = set()  # on which the features were measured
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

    def task(self, key: str, name: str, source: Path, origin: Stamp) -> "Task":
        """The task of making one file, knowing where it was made before."""
        before = None
        if name in self.journal:
            before = (self.folder, self.journal[name])
        elif name in self.existing:
            before = (self.data_dir, self.existing[name])
        return Task(key, source, origin, self.folder, name, self.settings, before)

    def run(
        self,
        function: Callable[[Sequence["Task"]], Iterator["Outcome"]],
        tasks: Sequence["Task"],
        what: str,
    ) -> Dict[str, "Outcome"]:
        """Carry out tasks, enter what they made in the journal, and show progress.

        Args:
            function: from tasks to outcomes.
            tasks: one for each file to make.
            what: to call it beside the progress bar.

        Returns:
            Key -> outcome, of those that made a file; the others are in ``failures``.
        """
        made = {}
        with (
            _Appended(self.folder / JOURNAL_FILE) as journal,
            progress(what, len(tasks)) as bar,
            contextlib.closing(function(tasks)) as outcomes,
        ):
            journal.write("\n")  # ends the line that a process left when it was killed
            try:
                for outcome in outcomes:
                    task = outcome.task
                    if outcome.stamp is None:
                        self.failures[task.key] = outcome.reason
                    else:
                        self._note_devices(outcome)
                        made[task.key] = outcome
                        self.journal[task.name] = Made(task.origin, outcome.stamp, outcome.cut)
                        journal.write(_journal_line(task.name, self.journal[task.name]))
                    bar.update()
            except KeyboardInterrupt:
                bar.close()
                print(
                    f"{what}: stopped after {bar.n} of {len(tasks)} sounds; "
                    "the same command goes on from here.",
                    file=sys.stderr,
                )
                raise
        return made

    def _note_devices(self, outcome: "Outcome") -> None:
        devices = {outcome.device} if outcome.device else set()
        if outcome.reused and outcome.task.before[0] != self.folder:
            devices = self._devices_of(outcome.task.before[0])
        if not devices <= self.devices:
            self.devices |= devices
            # Before the file is entered: a run that goes on from here has to know.
            atomic.write_json(
                self.folder / SETTINGS_FILE,
                {**self.settings.to_json(), DEVICES: sorted(self.devices)},
            )

    def mark_duplicates(self, metadata: Metadata) -> None:
        """Say of each sound that another one is the same, by the content of its audio file.

        The first key of those that are the same gets no mark. Recordings that differ in format,
        name or further channels may become the same sound.
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
        """Remove what is half-written, or of a sound that is gone."""
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
    ) -> Report:
        """Write what describes the dataset, and give it its name.

        Args:
            meta_file: name of the metadata.
            metadata: of the sounds.
            skipped: sounds that could not be used.
            library: what the whole raw folder holds, for shards to be merged.
            reused: how many sounds were there before.
            left_out: files that the raw metadata does not name, and why they are no sounds.
            cut: of recordings that were cut, in place of what the journal says.
        """
        if cut is None:
            made = {key: self.journal[item["filename"]] for key, item in metadata.items()}
            cut = {key: entry.cut for key, entry in made.items() if entry.cut}
        listed = [*sorted(skipped.values()), *left_out]
        text = "".join(f"{printable(n)}\t{printable(why)}\n" for n, why in listed).encode()
        atomic.write(self.folder / SKIPPED_FILE, text)
        files = {name for item in metadata.values() for name in files_of(item)}
        names = sorted(files & self.journal.keys())
        text = "".join(_journal_line(name, self.journal[name]) for name in names)
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
        return Report(
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


class _Appended:
    """A text file that grows; what was written is in the file at once."""

    def __init__(self, path: Path):
        self._path = path

    def __enter__(self) -> "_Appended":
        with atomic.disk_errors(self._path):
            self._file = self._path.open("a", encoding="utf-8")
        return self

    def write(self, text: str) -> None:
        with atomic.disk_errors(self._path):
            self._file.write(text)
            self._file.flush()

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # of what write has told
            self._file.close()


def _devices_of(folder: Path) -> Set[str]:
    return set((read_settings(folder) or {}).get(DEVICES, ()))


# --- One file ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """Make one file of a dataset.

    Attributes:
        key: of the sound.
        source: the file that it is made of.
        origin: identifies the content of ``source``.
        folder: that the dataset grows in.
        name: of the file in ``folder``.
        settings: of the dataset.
        before: the folder where the file was made before, and how.
    """

    key: str
    source: Path
    origin: Stamp
    folder: Path
    name: str
    settings: DatasetSettings
    before: Optional[Tuple[Path, Made]] = None


@dataclass(frozen=True)
class Outcome:
    task: Task
    stamp: Optional[Stamp] = None
    reused: bool = False
    reason: str = ""
    device: str = ""  # on which a feature was measured
    cut: float = 0.0  # see Made


def analyzer(workers: Workers, device: str) -> Callable[[Sequence[Task]], Iterator[Outcome]]:
    if device == "cpu":
        return functools.partial(workers.map, _make_features)
    return functools.partial(_make_features_in_batches, device)


def make_audio(task: Task) -> Outcome:
    return _reuse(task) or _attempt(task, lambda: _audio_bytes(task))


def _audio_bytes(task: Task) -> Tuple[bytes, float]:
    s = task.settings
    audio, cut = read_with_length(task.source, s.sample_rate, s.num_samples, s.silence_db)
    return wav_bytes(audio, s.sample_rate), cut


def _make_features(task: Task) -> Outcome:
    return _reuse(task) or _attempt(task, lambda: _feature_bytes(_analyze(task)), "cpu")


def _make_features_in_batches(device: str, tasks: Sequence[Task]) -> Iterator[Outcome]:
    """In this process, for a device that processes would only fight over.

    Threads read the next batch and write the last one while the device works.
    """
    if not tasks:
        return
    kind = torch.device(device).type
    analysis = CQTModalAnalysis(tasks[0].settings.analysis, batched=kind != "mps")
    label = device if kind == "cpu" else kind
    batches = [tasks[i : i + _BATCH] for i in range(0, len(tasks), _BATCH)]
    with ThreadPoolExecutor(available_cores()) as pool:

        def read(batch: Sequence[Task]) -> List[Future]:
            return [pool.submit(lambda task: _reuse(task) or _stored_audio(task), t) for t in batch]

        ahead, writing = read(batches[0]), []
        for batch, following in zip(batches, [*batches[1:], []]):
            found = [future.result() for future in ahead]
            ahead = read(following)
            yield from (outcome for outcome in found if isinstance(outcome, Outcome))
            pairs = [(t, x) for t, x in zip(batch, found) if isinstance(x, Tensor)]
            features = _analyze_together(analysis, device, [x for _, x in pairs])
            yield from (future.result() for future in writing)
            writing = [
                pool.submit(_attempt, task, functools.partial(_feature_bytes, parameters), label)
                for (task, _), parameters in zip(pairs, features)
            ]
        yield from (future.result() for future in writing)


def _analyze_together(
    analysis: CQTModalAnalysis, device: str, sounds: List[Tensor]
) -> List[Union[Tensor, Unusable]]:
    if not sounds:
        return []
    with contextlib.suppress(Exception):
        return list(analysis(torch.stack(sounds).to(device)))
    # Something is wrong with one sound, then the others go on; or with all, then it is the device.
    features: List[Union[Tensor, Unusable]] = []
    for sound in sounds:
        try:
            features.append(analysis(sound.to(device)))
        except Exception as error:
            features.append(_unusable(error))
    if len(features) > 1 and not any(isinstance(made, Tensor) for made in features):
        raise DrumblenderError(
            f"--device {device} fails: every sound {features[-1]}; run the same command again, "
            "which goes on where it stopped, or without --device to use the processor."
        )
    return features


def take_over(task: Task) -> Outcome:
    return _reuse(task) or Outcome(task, reason="is missing or damaged")


def _reuse(task: Task) -> Optional[Outcome]:
    """The file as it was made before, if it is whole and was made of the same."""
    if task.before is None:
        return None
    folder, made = task.before
    if made.of != task.origin or file_stamp(folder / task.name) != made.stamp:
        return None
    if folder != task.folder:
        atomic.link(folder / task.name, task.folder / task.name)
    return Outcome(task, made.stamp, reused=True, cut=made.cut)


def _attempt(task: Task, content: Callable[[], Tuple[bytes, float]], device: str = "") -> Outcome:
    try:
        data, cut = content()
    except Unusable as error:
        return Outcome(task, reason=str(error))
    except (MemoryError, DrumblenderError):
        raise  # of this machine or of the dataset, not of one sound
    except Exception as error:  # whatever one strange file does, the others go on
        trace(error)
        return Outcome(task, reason=f"cannot be used ({type(error).__name__}: {error})")
    atomic.write(task.folder / task.name, data)
    return Outcome(task, (len(data), zlib.crc32(data)), device=device, cut=cut)


def _stored_audio(task: Task) -> Tensor:
    return load_audio(task.source, task.settings.sample_rate, task.settings.num_samples)[0]


def _analyze(task: Task) -> Tensor:
    audio = _stored_audio(task)
    try:
        return cached_analysis(task.settings.analysis)(audio)
    except Exception as error:  # whatever one strange sound does, the others go on
        raise _unusable(error) from error


def _unusable(error: Exception) -> Unusable:
    trace(error)
    return Unusable(f"cannot be analyzed ({type(error).__name__}: {error})")


@functools.lru_cache(maxsize=1)
def cached_analysis(settings: AnalysisSettings) -> CQTModalAnalysis:
    return CQTModalAnalysis(settings)


def _feature_bytes(parameters: Union[Tensor, Unusable]) -> Tuple[bytes, float]:
    if isinstance(parameters, Unusable):
        raise parameters
    if not torch.isfinite(parameters).all():
        raise Unusable("has modal parameters that are not numbers")
    # torch.save to a path would put the file's name among the bytes.
    buffer = io.BytesIO()
    torch.save(parameters.float().contiguous().clone(), buffer)
    return buffer.getvalue(), 0.0


def file_stamp(path: Path) -> Optional[Stamp]:
    """Size and checksum of a file; None when it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return len(data), zlib.crc32(data)
