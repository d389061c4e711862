"""What shall happen to recordings, as values: a request, its jobs, and reports of them."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Optional, Tuple

from drumblender.errors import DrumblenderError, sentence_of, trace
from drumblender.files.takes import Take
from drumblender.sound.changes import Changes


@dataclass(frozen=True)
class Request:
    """What shall happen, the same for all recordings.

    Attributes:
        config: configuration file, or the checkpoint when it is the only one. None for the voice
            that needs no training.
        checkpoint: or None.
        device: as of :func:`~drumblender.sound.voice.load`.
        precision: as well.
        force: let a model that was trained on one recording take others.
        seed: of everything random; other noise each time when None.
        changes: of each sound.
        parts: (name, file) of parts to take from other recordings.
        variations: how many to write of each; 0 for the sound itself.
        stereo: keep channels.
        sample_rate: of what is written; the recording's when None.
        bits: 16, 24 or 32.
        normalize: "no", "all" for one gain that brings the loudest sound to full scale, or "each".
        stems: folder for the parts, or None.
        plot: write a picture beside each sound.
        scratch: folder for what is not written yet.
    """

    config: Optional[Path] = None
    checkpoint: Optional[Path] = None
    device: str = "auto"
    precision: str = "32-true"
    force: bool = False
    seed: Optional[int] = None
    changes: Changes = field(default_factory=Changes)
    parts: Tuple[Tuple[str, Path], ...] = ()
    variations: int = 0
    stereo: bool = False
    sample_rate: Optional[int] = None
    bits: int = 24
    normalize: str = "no"
    stems: Optional[Path] = None
    plot: bool = False
    scratch: Path = Path(".")


@dataclass(frozen=True)
class Job:
    """A recording and where it goes.

    Attributes:
        source: the recording.
        destination: the file to write; variations are numbered.
        stems: folder of its stems, or None.
    """

    source: Path
    destination: Path
    stems: Optional[Path] = None


@dataclass(frozen=True)
class Report:
    """What became of a job: sounds to write and what to say, or why it failed."""

    job: Job
    takes: Tuple[Take, ...] = ()
    notes: Tuple[str, ...] = ()
    error: Optional[str] = None

    def failed(self, error: Exception) -> "Report":
        """The same with an error; whatever is wrong with one recording, the others go on."""
        trace(error)
        return replace(self, error=_reason(self.job.source, error))


def _reason(source: Path, error: Exception) -> str:
    """One line that says why a recording failed."""
    if isinstance(error, DrumblenderError):
        return str(error)
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"{source} takes more memory than there is; cut it, or take fewer --num_workers."
    sentence = sentence_of(error) if isinstance(error, OSError) else None
    if sentence is not None:
        return sentence
    kind = type(error).__name__
    return f"{source}: {kind}{': ' if text else ''}{text} (add --debug to see where)"
