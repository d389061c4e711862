"""Settings of a kit that is to be made. This module imports no PyTorch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional, Tuple

from drumblender.kits.trim import USUAL_TAIL
from drumblender.kits.velocity import USUAL_RANGE
from drumblender.sound.changes import Changes

# Forms of kits, and what they are called.
FORMATS = {
    "sfz": "SFZ, for Sforzando and other ARIA players",
    "hydrogen": "Hydrogen (.h2drumkit)",
    "decent": "Decent Sampler (.dspreset)",
    "folder": "a folder of samples with General MIDI names, and a .mid that plays all",
}
USUAL_LAYERS, USUAL_ROUND_ROBINS = 4, 3


@dataclass(frozen=True)
class Shape:
    """The layers and samples that are made of each drum.

    Attributes:
        layers: number of velocity layers. None stands for those of the kit, and for 4 where it has
            none.
        round_robins: number of samples in each layer. None stands for those of the kit, and for 3
            where it has none.
        humanize: amount of humanization.
        range_db: level of velocity 127 beside that of velocity 1, in dB.
        tail: level below which a sound has decayed, in dB below its loudest moment.
    """

    layers: Optional[int] = None
    round_robins: Optional[int] = None
    humanize: float = 1.0
    range_db: float = USUAL_RANGE
    tail: float = USUAL_TAIL


@dataclass(frozen=True)
class Other:
    """Another kit, and what is taken from it.

    Attributes:
        kit: the kit, as a file or a folder.
        amount: how far to go toward that kit by blending, from 0 to 1. If it is None, drums keep
            their modes and take all else from that kit.
    """

    kit: Path
    amount: Optional[float] = None


@dataclass(frozen=True)
class KitRequest:
    """What shall be made of all drums of a kit.

    Attributes:
        config: as in :class:`~drumblender.jobs.request.Request`.
        checkpoint: as there.
        device: as there.
        precision: as there.
        seed: seed of all that is drawn by chance. None stands for another one each time.
        other: another kit that drums are combined with. None if there is none.
        changes: changes that are made to each drum.
        shape: the layers and samples of each drum.
        sample_rate: sample rate of all samples, in Hz. None stands for that of each recording.
        bits: 16 or 24 bits per sample, or 32 for floats.
        formats: forms to write, of ``FORMATS``.
    """

    config: Optional[Path] = None
    checkpoint: Optional[Path] = None
    device: str = "auto"
    precision: str = "32-true"
    seed: Optional[int] = None
    other: Optional[Other] = None
    changes: Changes = field(default_factory=Changes)
    shape: Shape = field(default_factory=Shape)
    sample_rate: Optional[int] = None
    bits: int = 24
    formats: Tuple[str, ...] = tuple(FORMATS)
