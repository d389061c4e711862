"""Settings of a dataset, on which its files depend besides the recordings, and the settings file.

The settings file ``drumblender.json`` also lists which recordings were skipped, cut or left out,
and why.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, Mapping, Optional, Union

from drumblender.analysis.settings import AnalysisSettings
from drumblender.errors import DrumblenderError, UsageError

FORMAT_VERSION = 1
SETTINGS_FILE = "drumblender.json"
# Keys of that file besides the settings.
DEVICES = "analyzed_on"  # names of the devices on which features were measured
LEFT_OUT = "left_out"  # (file, reason) of what the raw metadata does not name
CUT = "cut"  # key -> seconds that the recording goes on for, of those that were cut
# What parsing JSON, and looking for what should be in it, may raise.
NOT_READABLE = (
    ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip


@dataclass(frozen=True)
class DatasetSettings:
    """The settings that the files of a dataset depend on, besides the recordings.

    Attributes:
        sample_rate: sample rate of the audio, in Hz.
        num_samples: number of samples of every sound.
        analysis: settings by which modal features are measured. None for a dataset without
            features.
        silence_db: level in dB relative to full scale. A sound begins with the first frame whose
            RMS is above it.
    """

    sample_rate: int
    num_samples: int
    analysis: Optional[AnalysisSettings] = None
    silence_db: float = -60.0

    @property
    def keeps_rest(self) -> bool:
        """Whether the dataset also holds what its analysis leaves without the modes."""
        return self.analysis is not None and self.analysis.method == "separating"

    def to_json(self) -> Dict[str, Any]:
        """Return the settings in the form of ``drumblender.json``."""
        version = {} if self.analysis is None else {"analysis_version": self.analysis.version}
        return {"format": FORMAT_VERSION, **asdict(self), **version}


def read_settings(folder: Path) -> Optional[Dict[str, Any]]:
    """Read the settings file of a dataset. Published datasets have none, which gives None.

    Raises:
        DrumblenderError: if the file is broken, or written by a newer version of the package.
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return None
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        version = stored["format"]
        whole = version != FORMAT_VERSION or _is_description(stored)
    except NOT_READABLE:
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
    folder: Union[Path, str],
    stored: Mapping[str, Any],
    settings: DatasetSettings,
    how: str = "was made",
    any_version: bool = False,
) -> None:
    """Refuse a dataset that was made with other settings.

    Features do no harm where none are wanted.

    Args:
        folder: the dataset, or the address of one.
        stored: content of its settings file.
        settings: the settings that it has to have.
        how: the verb of the message: the dataset "was made" or "was begun" with other settings.
        any_version: whether features of another version of the analysis will do. They do for use,
            but no other features may be added to them.

    Raises:
        UsageError: names each setting that differs.
    """
    wanted = asdict(settings)
    analysis = wanted.pop("analysis")
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
    if settings.analysis is None or any_version:
        return  # the class that measured need not be here
    version = settings.analysis.version
    if stored.get("analysis_version") != version:
        raise UsageError(
            f"{folder} {how} by version {stored.get('analysis_version', 0)} of the modal analysis "
            f"and this is version {version}, which would mix; measure all features again with "
            "drumblender-dataset CONFIG --preprocess_features, or remove that folder."
        )


def _is_description(stored: Mapping[str, Any]) -> bool:
    """Return whether the content of a settings file has the form of such files."""
    library, skipped = stored.get("library"), stored.get("skipped", {})
    devices, cut = stored.get(DEVICES, []), stored.get(CUT, {})
    return (
        isinstance(stored["analysis"], (dict, type(None)))
        and isinstance(devices, list)
        and all(isinstance(device, str) for device in devices)
        and (library is None or {"sounds", "digest"} <= dict(library).keys())
        and _are_pairs(skipped.values())
        and all(checked_seconds(seconds) >= 0 for seconds in cut.values())
        and _are_pairs(stored.get(LEFT_OUT, []))
    )


def _are_pairs(entries: Iterable[Any]) -> bool:
    """Return whether each entry consists of two texts."""
    return all(len(entry) == 2 and {type(text) for text in entry} == {str} for entry in entries)


def checked_seconds(number: float) -> float:
    """Return a duration as a number.

    Raises:
        ValueError: if it is negative or not finite.
    """
    if not 0 <= number < math.inf:
        raise ValueError(number)
    return float(number)
