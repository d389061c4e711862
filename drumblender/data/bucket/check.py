"""Verification of a dataset in a bucket: packs are read and compared with what they have to be.

Each pack is read by whoever the engine gives it to, and nothing is downloaded as a whole.
"""

import hashlib
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np
import torch

from drumblender.data.bucket.engine import Engine
from drumblender.data.bucket.layout import IndexLine, index_lines, read_dataset
from drumblender.data.bucket.work import Job
from drumblender.data.pack_index import Unfit
from drumblender.data.packed import PackedSounds
from drumblender.data.reader import REST
from drumblender.data.settings import DatasetSettings, refuse_other
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.progress import progress
from drumblender.signal import trim_leading_silence

_FIELDS = ("filename", "feature_file", REST)


@dataclass(frozen=True)
class Contents:
    """The sounds of one pack, in the form that a reader of packs takes for a dataset.

    Attributes:
        data_dir: folder of the pack.
        keys: keys of the sounds.
        metadata: their metadata.
        sample_rate: in Hz.
        num_samples: number of samples of each sound.
        fields: metadata fields that name what a sound consists of.
    """

    data_dir: Path
    keys: List[str]
    metadata: Dict[str, Any]
    sample_rate: int
    num_samples: int
    fields: Tuple[str, ...]

    def file_fields(self) -> Tuple[str, ...]:
        """Return the fields."""
        return self.fields

    @classmethod
    def of(cls, folder: Path, line: IndexLine, settings: DatasetSettings) -> "Contents":
        """Return the contents of a pack that lies in a folder."""
        first = next(iter(line.sounds.values()))
        fields = tuple(name for name in _FIELDS if name in first)
        rate, length = settings.sample_rate, settings.num_samples
        return cls(folder, list(line.sounds), line.sounds, rate, length, fields)


@dataclass(frozen=True)
class _Check:
    """What a worker has to know to check packs."""

    job: Job
    settings: DatasetSettings

    def __call__(self, line: IndexLine) -> Tuple[int, List[str]]:
        """Return the number of sounds of a pack, and what is wrong with it."""
        self.job.check_version()
        place = self.job.out_place()
        title = place.title(line.pack)
        with tempfile.TemporaryDirectory(prefix="drumblender-verify-") as folder:
            path = Path(folder, "pack")
            try:
                data = place.read(line.pack)
                if data is None:
                    return len(line.sounds), [f"{title} is missing."]
                path.write_bytes(data)
                if hashlib.sha256(data).hexdigest() not in line.pack or len(data) != line.size:
                    return len(line.sounds), [f"{title} is damaged."]
                del data
                pack = PackedSounds(path, Contents.of(Path(folder), line, self.settings))
            except Unfit as reason:
                return len(line.sounds), [f"{title} does not fit its index: {reason}."]
            return len(line.sounds), list(self._wrong(pack, line))

    def _wrong(self, pack: PackedSounds, line: IndexLine) -> Iterator[str]:
        """Yield what is wrong with the sounds of a pack."""
        keys = list(line.sounds)
        for index in pack.damaged():
            yield f"{keys[index]} in {line.pack} is damaged."
        analysis, length = self.settings.analysis, self.settings.num_samples
        for index, key in enumerate(keys):
            audio = pack.read(index, "filename")
            if not torch.isfinite(audio).all():
                yield f"{key} holds samples that are not numbers."
            elif not len(trim_leading_silence(audio[0], self.settings.silence_db)):
                yield f"{key} is silent."
            if analysis is None:
                continue
            parameters = pack.read(index, "feature_file")
            shape = (3, analysis.num_modes, length // analysis.hop_length + 1)
            if tuple(parameters.shape) != shape:
                yield f"{key} has features {tuple(parameters.shape)}, not {shape}."
            elif not torch.isfinite(parameters).all():
                yield f"{key} has modal parameters that are not numbers."
            elif parameters[0].min() < 0 or parameters[0].max() > math.pi:
                yield f"{key} has frequencies outside 0 to pi rad/sample."
            if self.settings.keeps_rest and not torch.isfinite(pack.read(index, REST)).all():
                yield f"{key} has a noise or transient that is not a number."


def verify(
    job: Job, settings: DatasetSettings, engine: Engine, share: float = 1.0
) -> Tuple[int, List[str]]:
    """Check the packs of a dataset.

    Args:
        job: addresses of the dataset.
        settings: settings that it has to have.
        engine: what does the work.
        share: share of the packs that is checked, 0 to 1. They are evenly spread.

    Returns:
        The number of sounds that were checked, and a sentence for each thing that is wrong.

    Raises:
        DrumblenderError: if there is no whole dataset.
        UsageError: if the share is none.
    """
    if not 0 < share <= 1:
        raise UsageError(f"--verify_share is {share}; give more than 0 and at most 1.")
    place = job.out_place()
    description = read_dataset(place)
    problems = []
    try:
        refuse_other(str(place), description.content, settings, any_version=True)
    except DrumblenderError as error:
        problems.append(str(error))
    lines = list(index_lines(place, description))
    chosen = _spread(lines, share)
    total, count = sum(len(line.sounds) for line in chosen), 0
    with progress("Verify", total) as bar:
        for sounds, found in engine.map(_Check(job, settings), chosen):
            problems += found
            count += sounds
            bar.update(sounds)
    held = sum(len(line.sounds) for line in lines)
    if held != description.content["sounds"]:
        problems.append(f"{place} lists {held} of {description.content['sounds']} sounds.")
    return count, sorted(problems)


def _spread(lines: List[IndexLine], share: float) -> List[IndexLine]:
    """Return a share of the packs, evenly spread."""
    count = max(1, round(share * len(lines)))
    return [lines[int(index)] for index in np.linspace(0, len(lines) - 1, count)]
