"""From a raw folder of recordings to a dataset: WAV files, modal features and metadata.

Two passes, audio and analysis, each over all sounds in parallel. A dataset grows in
``<data_dir>.partial`` and gets its name in one step when it is whole; every finished file is
written under a temporary name, moved in place and then entered in a journal with its size and
checksum, so that a run that was stopped at any moment goes on where it was. What each file becomes
depends on nothing but the file and the settings: any number of processes gives the same bytes.
"""

import contextlib
import functools
import hashlib
import io
import json
import re
import shutil
import sys
import time
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor

from drumblender.analysis.modal import AnalysisSettings, CQTModalAnalysis
from drumblender.data import atomic, raw
from drumblender.data.audio import load_audio, read_metadata
from drumblender.data.parallel import Workers
from drumblender.data.progress import progress
from drumblender.data.recording import Unusable, read_one_shot, wav_bytes
from drumblender.errors import DrumblenderError, UsageError

FORMAT_VERSION = 1
SETTINGS_FILE = "drumblender.json"
SKIPPED_FILE = "skipped.txt"
JOURNAL_FILE = "journal.jsonl"
FILES = "audio"  # folder of the WAV and feature files
FILE_FIELDS = ("filename", "feature_file")

_GPU_BATCH = 64

Metadata = Dict[str, Dict[str, Any]]
Stamp = Tuple[int, int]  # size and checksum of a file, or size and time of a recording
Journal = Dict[str, Tuple[Stamp, Stamp]]  # file -> (stamp of what it was made of, its own stamp)
Skipped = Dict[str, Tuple[str, str]]  # key -> (file, reason)


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
        return {"format": FORMAT_VERSION, **asdict(self)}


@dataclass
class Report:
    """What a run did.

    Attributes:
        data_dir: where the result is.
        done: sounds that were computed.
        reused: sounds that were there already.
        skipped: (file, reason) of those that could not be used.
        seconds: that it took.
    """

    data_dir: Path
    done: int
    reused: int
    skipped: List[Tuple[str, str]]
    seconds: float

    def __str__(self) -> str:
        lines = [f"skipped {name}: {reason}" for name, reason in self.skipped]
        where = f" (listed in {self.data_dir / SKIPPED_FILE})" if self.skipped else ""
        lines.append(
            f"{self.data_dir}: {self.done} done, {self.reused} reused, "
            f"{len(self.skipped)} skipped{where}, in {self.seconds:.1f} s."
        )
        return "\n".join(lines)


# --- Whole datasets ------------------------------------------------------------------------------


def preprocess(
    raw_dir: Path,
    data_dir: Path,
    meta_file: str,
    settings: DatasetSettings,
    num_workers: Optional[int] = None,
    device: str = "cpu",
    shard: Optional[Tuple[int, int]] = None,
) -> Report:
    """Make a dataset of a raw folder, or bring one up to date.

    Args:
        raw_dir: folder of recordings, see :mod:`drumblender.data.raw`.
        data_dir: the dataset; what is there and still fits is reused.
        meta_file: metadata, in the raw folder (where there is some) and in the dataset.
        settings: of the dataset.
        num_workers: processes; all cores when None.
        device: where the analysis runs; anything but ``cpu`` does it in batches.
        shard: (k, n) for the k-th of n parts, which goes to ``<data_dir>.shard-k-of-n``.

    Raises:
        UsageError: when the dataset is there with other settings.
        DrumblenderError: when no recording can be used.
    """
    _check_analysis(settings, device)
    if raw_dir.resolve() in (data_dir.resolve(), *data_dir.resolve().parents):
        raise UsageError(
            f"data_dir {data_dir} lies inside the raw folder {raw_dir}, whose files it would "
            "become; set another data_dir."
        )
    sounds = {sound.key: sound for sound in raw.find_sounds(raw_dir, meta_file)}
    library = {"sounds": len(sounds), "digest": raw.fingerprint(sounds)}
    if shard is not None:
        k, n = shard
        data_dir = data_dir.with_name(f"{data_dir.name}.shard-{k}-of-{n}")
        sounds = {key: sound for key, sound in sounds.items() if _shard_of(key, n) == k}
    with atomic.exclusive(data_dir), Workers(num_workers) as workers:
        build = _Build(data_dir, settings, _reusable(data_dir, settings))
        tasks = []
        for key, sound in sounds.items():
            source = raw_dir / sound.name
            tasks.append(build.task(key, f"{FILES}/{key}.wav", source, _state(source)))
        audio = build.run(functools.partial(workers.map, _make_audio), tasks, "Audio")
        features = audio
        if settings.analysis is not None:
            tasks = [
                build.task(key, f"{FILES}/{key}.pt", build.folder / made.task.name, made.stamp)
                for key, made in audio.items()
            ]
            features = build.run(_analyzer(workers, device), tasks, "Modal analysis")
        metadata: Metadata = {}
        for key in sorted(features):
            metadata[key] = {"filename": audio[key].task.name, **sounds[key].metadata()}
            if settings.analysis is not None:
                metadata[key]["feature_file"] = features[key].task.name
        skipped = {key: (sounds[key].name, reason) for key, reason in build.failures.items()}
        if sounds and not metadata:
            raise _nothing_left(raw_dir, skipped)
        build.remove_strays(metadata)
        reused = sum(audio[key].reused and features[key].reused for key in metadata)
        return build.finish(meta_file, metadata, skipped, library, reused)


def preprocess_features(
    data_dir: Path,
    meta_file: str,
    settings: DatasetSettings,
    num_workers: Optional[int] = None,
    device: str = "cpu",
) -> Report:
    """Measure the modal features of a dataset again; its audio stays as it is.

    Works on datasets that were made elsewhere, too.

    Args:
        data_dir: the dataset.
        meta_file: its metadata.
        settings: of the dataset; those of the analysis may be new.
        num_workers: processes; all cores when None.
        device: where the analysis runs; anything but ``cpu`` does it in batches.
    """
    if settings.analysis is None:
        raise UsageError(
            "--preprocess_features needs a configuration of drumblender.data.ModalDataModule; "
            "this one knows no modal features."
        )
    _check_analysis(settings, device)
    with atomic.exclusive(data_dir), Workers(num_workers) as workers:
        before = read_metadata(data_dir / meta_file)
        stored = read_settings(data_dir)
        if stored is not None:
            refuse_other(data_dir, stored, replace(settings, analysis=None))
        journal = read_journal(data_dir)
        build = _Build(data_dir, settings, suffix=".features.partial")
        tasks = []
        for key, item in before.items():
            name = item["filename"]
            origin = journal[name][1] if name in journal else _state(data_dir / name)
            feature = item.get("feature_file") or str(Path(name).with_suffix(".pt"))
            tasks.append(build.task(key, feature, data_dir / name, origin))
        features = build.run(_analyzer(workers, device), tasks, "Modal analysis")
        build.journal = {**journal, **build.journal}
        # Everything else in the folder comes along, whoever put it there.
        ours = {task.name for task in tasks} | {meta_file, SETTINGS_FILE, JOURNAL_FILE}
        for path in sorted(data_dir.rglob("*")):
            name = path.relative_to(data_dir).as_posix()
            if path.is_file() and name not in ours:
                atomic.link(path, build.folder / name)
        metadata = {
            key: {**before[key], "feature_file": features[key].task.name}
            for key in before
            if key in features
        }
        skipped = {key: (before[key]["filename"], why) for key, why in build.failures.items()}
        if not metadata:
            raise _nothing_left(data_dir, skipped)
        stored = stored or {}
        skipped.update({key: tuple(entry) for key, entry in stored.get("skipped", {}).items()})
        reused = sum(made.reused for made in features.values())
        return build.finish(meta_file, metadata, skipped, stored.get("library"), reused)


def merge(data_dir: Path, meta_file: str, settings: DatasetSettings) -> Report:
    """Make one dataset of the shards that lie beside ``data_dir``, and remove them.

    Raises:
        DrumblenderError: when a shard, a sound or a file is missing.
    """
    with atomic.exclusive(data_dir), Workers() as workers:
        if data_dir.exists():
            raise UsageError(f"{data_dir} is there already; remove it to merge shards anew.")
        shards, library = _read_shards(data_dir, settings)
        build = _Build(data_dir, settings)
        metadata: Metadata = {}
        skipped: Skipped = {}
        tasks = []
        for folder, stored in shards.items():
            items = _read_shard_metadata(folder / meta_file)
            journal = read_journal(folder)
            metadata.update(items)
            skipped.update({key: tuple(entry) for key, entry in stored["skipped"].items()})
            for key, item in items.items():
                for name in _files_of(item):
                    origin, stamp = journal.get(name, ((0, 0), (0, 0)))
                    before = (folder, origin, stamp)
                    tasks.append(
                        _Task(key, folder / name, origin, build.folder, name, settings, before)
                    )
        found = metadata.keys() | skipped.keys()
        if raw.fingerprint(found) != library["digest"]:
            raise DrumblenderError(
                f"The shards of {data_dir} hold {len(found)} of {library['sounds']} sounds; "
                "make them all again from the same raw folder."
            )
        build.run(functools.partial(workers.map, _take_over), tasks, "Merge")
        if build.failures:
            key = min(build.failures)
            raise DrumblenderError(
                f"Files of the shards of {data_dir} are missing or damaged, those of {key} for "
                "one; copy or make the shards again."
            )
        metadata = dict(sorted(metadata.items()))
        report = build.finish(meta_file, metadata, skipped, library, len(metadata))
        for folder in shards:
            shutil.rmtree(folder)
        return report


# --- What is stored with a dataset ---------------------------------------------------------------


def read_settings(folder: Path) -> Optional[Dict[str, Any]]:
    """The settings stored with a dataset; None when there are none, as in published ones."""
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return None
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        version = stored["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise DrumblenderError(
            f"{path} is broken; remove {folder} and prepare the dataset again."
        ) from error
    if version != FORMAT_VERSION:
        raise DrumblenderError(
            f"{folder} has format {version}, which this version of drumblender does not know; "
            "update drumblender, or set another data_dir."
        )
    return stored


def refuse_other(
    folder: Path, stored: Mapping[str, Any], settings: DatasetSettings, how: str = "was made"
) -> None:
    """Refuse a folder that was made with other settings.

    Where no features are wanted, those that are there do no harm.

    Raises:
        UsageError: names each setting that differs.
    """
    wanted = settings.to_json()
    analysis = wanted.pop("analysis")
    if analysis is not None:
        if stored.get("analysis") is None:
            raise UsageError(
                f"{folder} {how} without modal features; add them with "
                "drumblender-dataset CONFIG --preprocess_features, or set another data_dir."
            )
        wanted = {**analysis, **wanted}
        stored = {**stored["analysis"], **stored}
    different = [name for name in wanted if stored.get(name) != wanted[name]]
    if different:
        made = ", ".join(f"{name} {stored.get(name)}" for name in different)
        says = ", ".join(f"{name} {wanted[name]}" for name in different)
        raise UsageError(
            f"{folder} {how} with {made} but the configuration says {says}; change the "
            "configuration, set another data_dir, or remove that folder."
        )


def read_journal(folder: Path) -> Journal:
    """What every file of a dataset was made of, and what it has to look like."""
    journal: Journal = {}
    with contextlib.suppress(FileNotFoundError):
        for line in (folder / JOURNAL_FILE).read_text(encoding="utf-8").splitlines():
            # The last line of a process that was killed may be cut.
            with contextlib.suppress(ValueError, KeyError, TypeError):
                entry = json.loads(line)
                journal[entry["file"]] = (tuple(entry["of"]), tuple(entry["is"]))
    return journal


def _journal_line(name: str, entry: Tuple[Stamp, Stamp]) -> str:
    return json.dumps({"file": name, "of": entry[0], "is": entry[1]}) + "\n"


def _files_of(item: Mapping[str, Any]) -> List[str]:
    return [item[name] for name in FILE_FIELDS if name in item]


def _reusable(data_dir: Path, settings: DatasetSettings) -> Journal:
    """The journal of the dataset that is there, provided that it may be brought up to date."""
    if not data_dir.exists() or (data_dir.is_dir() and not any(data_dir.iterdir())):
        return {}
    stored = read_settings(data_dir)
    if stored is None:
        raise UsageError(
            f"{data_dir} holds files that were not made here, which preprocessing would replace; "
            "set another data_dir, or remove that folder."
        )
    refuse_other(data_dir, stored, settings)
    if settings.analysis is None and stored["analysis"] is not None:
        raise UsageError(
            f"{data_dir} has modal features, which this configuration would remove; "
            "set another data_dir."
        )
    return read_journal(data_dir)


# --- Shards --------------------------------------------------------------------------------------


def _shard_of(key: str, n: int) -> int:
    """Which of shards 1 to n a sound belongs to, whatever else is in the raw folder."""
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % n + 1


def _read_shards(
    data_dir: Path, settings: DatasetSettings
) -> Tuple[Dict[Path, Dict[str, Any]], Dict[str, Any]]:
    """All shards of a dataset with what is stored about them, and about the library."""
    pattern = re.compile(re.escape(data_dir.name) + r"\.shard-(\d+)-of-(\d+)")
    found = {}
    for path in data_dir.parent.iterdir():
        match = pattern.fullmatch(path.name)
        if match:
            found[int(match[1]), int(match[2])] = path
    counts = {n for _, n in found}
    if len(counts) != 1:
        raise UsageError(
            f"Beside {data_dir} there are shards of {len(counts)} divisions"
            f" ({', '.join(f'--shard K/{n}' for n in sorted(counts)) or 'none'}); "
            "make all the shards of one, and remove others."
        )
    (n,) = counts
    missing = [k for k in range(1, n + 1) if (k, n) not in found]
    if missing:
        raise DrumblenderError(
            f"{data_dir} lacks {len(missing)} of {n} shards; "
            f"make them with --shard {missing[0]}/{n}"
            + (f", {', '.join(f'{k}/{n}' for k in missing[1:])}." if missing[1:] else ".")
        )
    shards = {}
    for _, folder in sorted(found.items()):
        stored = read_settings(folder)
        if stored is None or "library" not in stored:
            raise DrumblenderError(f"{folder} is no whole shard; make it again.")
        refuse_other(folder, stored, settings)
        shards[folder] = stored
    libraries = [stored["library"] for stored in shards.values()]
    if any(library != libraries[0] for library in libraries):
        raise DrumblenderError(
            f"The shards of {data_dir} were made of different raw folders; "
            "make them all again from the same one."
        )
    return shards, libraries[0]


def _read_shard_metadata(path: Path) -> Metadata:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DrumblenderError(f"{path} is missing or broken; make that shard again.") from error


# --- A dataset that grows ------------------------------------------------------------------------


class _Build:
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
        self._start = time.monotonic()
        stored = read_settings(self.folder)
        if stored is None:
            shutil.rmtree(self.folder, ignore_errors=True)
            atomic.write_json(self.folder / SETTINGS_FILE, settings.to_json())
        else:
            refuse_other(self.folder, stored, settings, "was begun")
        self.journal = read_journal(self.folder)

    def task(self, key: str, name: str, source: Path, origin: Stamp) -> "_Task":
        """The task of making one file, knowing where it was made before."""
        before = None
        if name in self.journal:
            before = (self.folder, *self.journal[name])
        elif name in self.existing:
            before = (self.data_dir, *self.existing[name])
        return _Task(key, source, origin, self.folder, name, self.settings, before)

    def run(
        self,
        function: Callable[[Sequence["_Task"]], Iterator["_Outcome"]],
        tasks: Sequence["_Task"],
        what: str,
    ) -> Dict[str, "_Outcome"]:
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
            (self.folder / JOURNAL_FILE).open("a", encoding="utf-8") as journal,
            progress(what, len(tasks)) as bar,
            contextlib.closing(function(tasks)) as outcomes,
        ):
            try:
                for outcome in outcomes:
                    task = outcome.task
                    if outcome.stamp is None:
                        self.failures[task.key] = outcome.reason
                    else:
                        made[task.key] = outcome
                        self.journal[task.name] = (task.origin, outcome.stamp)
                        journal.write(_journal_line(task.name, self.journal[task.name]))
                        journal.flush()
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

    def remove_strays(self, metadata: Metadata) -> None:
        """Remove what is half-written, or of a sound that is gone."""
        wanted = {name for item in metadata.values() for name in _files_of(item)}
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
    ) -> Report:
        """Write what describes the dataset, and give it its name.

        Args:
            meta_file: name of the metadata.
            metadata: of the sounds.
            skipped: sounds that could not be used.
            library: what the whole raw folder holds, for shards to be merged.
            reused: how many sounds were there before.
        """
        lines = [f"{name}\t{reason}\n" for name, reason in sorted(skipped.values())]
        text = "".join(lines).encode("utf-8", "backslashreplace")
        atomic.write(self.folder / SKIPPED_FILE, text)
        files = {name for item in metadata.values() for name in _files_of(item)}
        names = sorted(files & self.journal.keys())
        text = "".join(_journal_line(name, self.journal[name]) for name in names)
        atomic.write(self.folder / JOURNAL_FILE, text.encode())
        description = {**self.settings.to_json(), "library": library}
        description["skipped"] = dict(sorted(skipped.items()))
        atomic.write_json(self.folder / SETTINGS_FILE, description)
        atomic.write_json(self.folder / meta_file, metadata)
        atomic.put_in_place(self.folder, self.data_dir)
        return Report(
            self.data_dir,
            done=len(metadata) - reused,
            reused=reused,
            skipped=sorted(skipped.values()),
            seconds=time.monotonic() - self._start,
        )


# --- One file ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Task:
    """Make one file of a dataset.

    Attributes:
        key: of the sound.
        source: the file that it is made of.
        origin: identifies the content of ``source``.
        folder: that the dataset grows in.
        name: of the file in ``folder``.
        settings: of the dataset.
        before: (folder, origin, stamp) where the file was made before.
    """

    key: str
    source: Path
    origin: Stamp
    folder: Path
    name: str
    settings: DatasetSettings
    before: Optional[Tuple[Path, Stamp, Stamp]] = None


@dataclass(frozen=True)
class _Outcome:
    task: _Task
    stamp: Optional[Stamp] = None
    reused: bool = False
    reason: str = ""


def _analyzer(workers: Workers, device: str) -> Callable[[Sequence[_Task]], Iterator[_Outcome]]:
    if device == "cpu":
        return functools.partial(workers.map, _make_features)
    return functools.partial(_make_features_in_batches, device)


def _make_audio(task: _Task) -> _Outcome:
    s = task.settings
    return _reuse(task) or _attempt(
        task,
        lambda: wav_bytes(
            read_one_shot(task.source, s.sample_rate, s.num_samples, s.silence_db), s.sample_rate
        ),
    )


def _make_features(task: _Task) -> _Outcome:
    return _reuse(task) or _attempt(task, lambda: _feature_bytes(_analyze(task)))


def _make_features_in_batches(device: str, tasks: Sequence[_Task]) -> Iterator[_Outcome]:
    """In this process, for a device that processes would only fight over."""
    batch: List[_Task] = []
    for position, task in enumerate(tasks, 1):
        reused = _reuse(task)
        if reused:
            yield reused
        else:
            batch.append(task)
        if batch and (len(batch) == _GPU_BATCH or position == len(tasks)):
            audio = torch.stack([_stored_audio(member) for member in batch]).to(device)
            parameters = _analysis(task.settings.analysis)(audio).cpu()
            for member, content in zip(batch, parameters):
                yield _attempt(member, functools.partial(_feature_bytes, content))
            batch = []


def _take_over(task: _Task) -> _Outcome:
    return _reuse(task) or _Outcome(task, reason="is missing or damaged")


def _reuse(task: _Task) -> Optional[_Outcome]:
    """The file as it was made before, if it is whole and was made of the same."""
    if task.before is None:
        return None
    folder, origin, stamp = task.before
    if origin != task.origin or file_stamp(folder / task.name) != stamp:
        return None
    if folder != task.folder:
        atomic.link(folder / task.name, task.folder / task.name)
    return _Outcome(task, stamp, reused=True)


def _attempt(task: _Task, content: Callable[[], bytes]) -> _Outcome:
    try:
        data = content()
    except Unusable as error:
        return _Outcome(task, reason=str(error))
    atomic.write(task.folder / task.name, data)
    return _Outcome(task, (len(data), zlib.crc32(data)))


def _stored_audio(task: _Task) -> Tensor:
    return load_audio(task.source, task.settings.sample_rate, task.settings.num_samples)[0]


def _analyze(task: _Task) -> Tensor:
    audio = _stored_audio(task)
    try:
        return _analysis(task.settings.analysis)(audio)
    except Exception as error:  # whatever one strange sound does, the others go on
        raise Unusable(f"cannot be analyzed ({type(error).__name__}: {error})") from error


@functools.lru_cache(maxsize=1)
def _analysis(settings: AnalysisSettings) -> CQTModalAnalysis:
    return CQTModalAnalysis(settings)


def _feature_bytes(parameters: Tensor) -> bytes:
    if not torch.isfinite(parameters).all():
        raise Unusable("has modal parameters that are not numbers")
    # torch.save to a path would put the file's name among the bytes.
    buffer = io.BytesIO()
    torch.save(parameters.float().contiguous().clone(), buffer)
    return buffer.getvalue()


def _check_analysis(settings: DatasetSettings, device: str) -> None:
    """Let what is impossible fail here and not in a worker."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"--device {device} is not on this machine; leave it out to use the processor."
        ) from error
    if settings.analysis is not None:
        _analysis(settings.analysis)


def file_stamp(path: Path) -> Optional[Stamp]:
    """Size and checksum of a file; None when it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return len(data), zlib.crc32(data)


def _state(path: Path) -> Stamp:
    """What tells, without reading it, that a file has changed."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _nothing_left(folder: Path, skipped: Skipped) -> DrumblenderError:
    first = "; ".join(f"{name} {reason}" for name, reason in sorted(skipped.values())[:3])
    more = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    return DrumblenderError(
        f"None of the {len(skipped)} files in {folder} can be used ({first}{more}); "
        "put recordings of drums there."
    )
