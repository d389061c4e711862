"""Requests, jobs and reports, the values that say what shall happen and what did."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Optional, Tuple

from drumblender.errors import DrumblenderError, sentence_of, trace
from drumblender.files.takes import Take
from drumblender.sound.changes import Changes


@dataclass(frozen=True)
class Request:
    """A request, which says what shall happen to all recordings.

    Attributes:
        config: configuration file, or the checkpoint if there is no configuration file. None for
            the voice that needs no training.
        checkpoint: checkpoint of the model. None if ``config`` suffices.
        device: as in :func:`~drumblender.sound.voice.load`.
        precision: as in :func:`~drumblender.sound.voice.load`.
        force: as in :func:`~drumblender.sound.voice.load`.
        seed: seed of all that is drawn by chance. None stands for another one each time.
        changes: changes that are made to each sound.
        parts: pairs of the name of a part and the recording to take it from.
        variations: number of variations to write of each recording. 0 stands for the sound itself.
        stereo: whether to keep all channels, instead of the first one.
        sample_rate: sample rate of what is written, in Hz. None stands for that of each recording.
        bits: 16 or 24 bits per sample, or 32 for floats.
        normalize: "no", "all" to bring the loudest sound to full scale and all others by the same
            gain, or "each" to bring each sound to full scale.
        stems: folder for files of the parts. None if none shall be written.
        plot: whether to write a picture beside each sound.
        scratch: folder for temporary files.
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
    """A recording, and where it goes.

    Attributes:
        source: file of the recording.
        destination: file to write. Variations add numbers to its name.
        stems: folder for files of the parts. None if none shall be written.
        others: further recordings, which are mixed with it.
        weights: weights of the recording and of the others in the mix.
        parts: pairs of the name of a part and the recording to take it from, beside those of the
            request.
    """

    source: Path
    destination: Path
    stems: Optional[Path] = None
    others: Tuple[Path, ...] = ()
    weights: Tuple[float, ...] = ()
    parts: Tuple[Tuple[str, Path], ...] = ()


@dataclass(frozen=True)
class Report:
    """A report, which says what became of a job.

    Attributes:
        job: the job.
        takes: sounds to be written.
        notes: lines that tell the user something about them.
        error: a sentence that says why the job failed. None if it did not.
        saved: lines that say which files of parts were written.
    """

    job: Job
    takes: Tuple[Take, ...] = ()
    notes: Tuple[str, ...] = ()
    error: Optional[str] = None
    saved: Tuple[str, ...] = ()

    def failed(self, error: Exception) -> "Report":
        """Return this report with a sentence that says why the job failed.

        Any exception becomes a sentence, so that other recordings can go on.
        """
        trace(error)
        return replace(self, error=reason(self.job.source, error))


def reason(source: Path, error: Exception) -> str:
    """Say in one line why a recording failed."""
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
