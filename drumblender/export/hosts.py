"""Writing of folders with instruments for hosts, and the check of what was written."""

import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
import torch

from drumblender.errors import UsageError
from drumblender.export import neutone, nn_tilde
from drumblender.export.instrument.building import instrument_of
from drumblender.export.instrument.instrument import BEGINNING, Instrument, range_of
from drumblender.export.manifest import MANIFEST, number
from drumblender.export.write import (
    CARD,
    check_new,
    copy_card,
    facts_of,
    load_any,
    name_of,
    new_folder,
    rate_of,
    software,
)
from drumblender.files import atomic
from drumblender.sound import Sound, Voice
from drumblender.sound.controls import by_name

PathLike = Union[str, Path]
KIND, FORMAT = "drumblender.instrument", 1
HOSTS = ("nn~", "neutone")
# The difference has to be below this level, relative to the peak of the sound.
LIMIT = -90.0
# Seed of the noise of a sound, which is the same in every export.
_SEED = 0
# nn~ has an inlet for each drum.
_MOST = 32
# Sizes of blocks that hosts ask for, as a check does.
_BLOCKS = (128, 512, 32, 2048, 64, 1024, 8192, 256)


@dataclass(frozen=True)
class Played:
    """What came of one drum in a check.

    Attributes:
        name: name of the drum, and of the host.
        difference: largest difference from the sound, in dB relative to its peak.
        late: number of samples by which the hit comes after the trigger or the stroke.
    """

    name: str
    difference: float
    late: int


def export_instrument(
    model: PathLike,
    folder: PathLike,
    sources: Sequence[PathLike],
    hosts: Sequence[str] = ("nn~",),
    config: Optional[PathLike] = None,
    sample_rate: Optional[int] = None,
    untrained: bool = False,
    submit: bool = False,
) -> Tuple[List[Sound], Path]:
    """Write a folder with an instrument that hosts play.

    Args:
        model: name of a model, a model file, a checkpoint or a configuration; or "measured".
        folder: folder to write, which must not exist or be empty.
        sources: recordings, or files of parts (``.drum``), each of which becomes a drum.
        hosts: hosts to write for, of :data:`HOSTS`.
        config: configuration of a checkpoint that carries none.
        sample_rate: sample rate of a measured model's instrument, in Hz. None stands for 48 kHz.
        untrained: whether ``model`` is a configuration, whose weights are drawn.
        submit: whether to run the checks that Neutone asks for before a model is submitted.

    Returns:
        The drums, and the manifest.

    Raises:
        UsageError: if the folder holds something, if a host is unknown or does not take so many
            drums or channels, or if a model, a sound or a rate does not fit.
        DrumblenderError: if a model or a sound cannot be read, or if the disk refuses a file.
    """
    folder = Path(folder)
    _check(hosts, sources)
    check_new(folder)
    loaded, path = load_any(model, config, untrained)
    rate = rate_of(loaded, sample_rate)
    voice = Voice(loaded)
    sounds = [_read(voice, Path(source), rate) for source in sources]
    channels = max(sound.channels for sound in sounds)
    if "neutone" in hosts and channels > 2:
        raise UsageError(f"{sounds[0].name} has {channels} channels, and Neutone has two; mix it.")
    names = _names(sources)
    instrument = instrument_of(sounds)
    facts = facts_of(path)
    with new_folder(folder) as temporary:
        files = {}
        if "nn~" in hosts:
            files["nn~"] = f"{_plain(folder.name)}.ts"
            nn_tilde.script(instrument, names).save(str(temporary / files["nn~"]))
        if "neutone" in hosts:
            files["neutone"] = f"{_plain(folder.name)}.nm"
            summary = f"{names[0]}, of sinusoids, noise and transient, played by strokes."
            neutone.save(instrument_of(sounds), names[0], summary, temporary, submit)
            (temporary / "model.nm").rename(temporary / files["neutone"])
            (temporary / "metadata.json").rename(temporary / "neutone.json")
        content = {
            "kind": KIND,
            "format": FORMAT,
            "name": folder.name,
            "model": name_of(model, facts),
            "license": facts.license if facts else None,
            "sample_rate": rate,
            "channels": instrument.channels,
            "latency": {"forward": 0, "stems": 0, "pad": int(instrument.pad.latency)},
            "drums": [
                {"name": name, "seconds": round(sound.seconds, 4)}
                for name, sound in zip(names, sounds)
            ],
            "controls": _controls(instrument),
            "files": {host: _file(temporary / name) for host, name in files.items()},
            "software": software(),
        }
        atomic.write_json(temporary / MANIFEST, content)
        (temporary / CARD).write_text(_card(content), encoding="utf-8")
        copy_card(path, temporary)
    return sounds, folder / MANIFEST


def check_instrument(folder: PathLike, sounds: Sequence[Sound]) -> List[Played]:
    """Load what was written, play each drum in blocks of changing sizes, and compare.

    Args:
        folder: folder that :func:`export_instrument` wrote.
        sounds: the drums.

    Returns:
        What came of each drum in each host.
    """
    folder = Path(folder)
    content = json.loads((folder / MANIFEST).read_text())
    found = []
    if "nn~" in content["files"]:
        module = torch.jit.load(str(folder / content["files"]["nn~"]["file"]))
        for i, sound in enumerate(sounds):
            module.reset()
            trigger = torch.zeros(1, len(sounds), _length(sound))
            trigger[0, i, 100] = 1.0
            name = f"{content['drums'][i]['name']} in nn~"
            found.append(_compared(name, sound, _in_blocks(module.forward, trigger)[0], 100))
    if "neutone" in content["files"]:
        neutone.sdk()
        module = torch.jit.load(str(folder / content["files"]["neutone"]["file"]))
        stroke = torch.zeros(1, _length(sounds[0]))
        burst = torch.rand(1, 200, generator=torch.Generator().manual_seed(0)) - 0.5
        stroke[:, 100:300] = 0.9 * burst.sign()
        module.set_daw_sample_rate_and_buffer_size(content["sample_rate"], 512)
        blocks = [module.forward(block, None).clone() for block in stroke.split(512, dim=1)]
        name = f"{content['drums'][0]['name']} in Neutone"
        late = module.calc_model_delay_samples() + module.calc_buffering_delay_samples()
        found.append(_compared(name, sounds[0], torch.cat(blocks, 1), 100, late))
    return found


def _check(hosts: Sequence[str], sources: Sequence[PathLike]) -> None:
    """Refuse hosts that are unknown or miss something, and numbers of drums that do not fit."""
    for host in hosts:
        if host not in HOSTS:
            raise UsageError(f"There is no host {host}; take some of {', '.join(HOSTS)}.")
    if not sources:
        raise UsageError("An instrument needs drums; give --sounds with recordings.")
    if len(sources) > _MOST:
        raise UsageError(
            f"{len(sources)} drums are too many for one instrument; give up to {_MOST}."
        )
    if "neutone" in hosts:
        neutone.sdk()
        if len(sources) > 1:
            raise UsageError("Neutone plays one drum; give --sounds with one recording.")


def _read(voice: Voice, path: Path, sample_rate: int) -> Sound:
    """Take a recording apart, or open a file of parts, at a sample rate."""
    sound = voice.read(path, seed=None if path.suffix == ".drum" else _SEED)
    return sound.at_rate(sample_rate) if voice.engine.is_measured else sound


def _names(sources: Sequence[PathLike]) -> List[str]:
    """Name drums by their files, each in another way."""
    names: List[str] = []
    for source in sources:
        name = _plain(Path(source).stem)
        count = sum(1 for other in names if re.sub(r"_\d+$", "", other) == name)
        names.append(f"{name}_{count + 1}" if count else name)
    return names


def _plain(name: str) -> str:
    """Keep of a name what hosts take: letters, digits, - and _."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", name).strip("_") or "drum"


def _file(path: Path) -> Dict[str, Any]:
    """Describe a file."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return {"file": path.name, "bytes": len(content), "sha256": digest}


def _controls(instrument: Instrument) -> List[Dict[str, Any]]:
    """Describe the controls of an instrument."""
    made = []
    for name in instrument.NAMES:
        control, (lowest, highest) = by_name(name), range_of(name)
        made.append(
            {
                "name": name,
                "unit": control.unit,
                "lowest": number(lowest),
                "highest": highest,
                "neutral": instrument.values[name],
                "meaning": control.help,
                "moves": name not in BEGINNING,
                "knob": neutone.KNOBS.index(name) if name in neutone.KNOBS else None,
            }
        )
    return made


def _card(content: Dict[str, Any]) -> str:
    """Write what a person reads first in the folder."""
    channels = "one channel" if content["channels"] == 1 else f"{content['channels']} channels"
    lines = [
        f"# {content['name']}, an instrument",
        "",
        f"Drums: {', '.join(drum['name'] for drum in content['drums'])}. {content['sample_rate']} "
        f"Hz, {channels}, made by Drumblender with the model {content['model']}"
        f" (license of the model: {content['license'] or 'not given'}).",
        "",
    ]
    for host, file in content["files"].items():
        lines.append(f"- `{file['file']}`: {host}, {file['bytes'] / 1e6:.1f} MB")
    lines += ["", "| control | unit | range | counts |", "|---|---|---|---|"]
    for control in content["controls"]:
        when = "at once, within 20 ms" if control["moves"] else "for hits that begin afterwards"
        span = f"{control['lowest']} to {control['highest']}"
        lines.append(f"| `{control['name']}` | {control['unit']} | {span} | {when} |")
    lines += [
        "",
        "A trigger is a signal that rises above 0, and its value is the level. A hit begins at that"
        f" very sample. A hit that the sound of a pad plays begins {content['latency']['pad']} "
        "samples after the stroke.",
        "",
    ]
    return "\n".join(lines)


def _length(sound: Sound) -> int:
    """Return a number of samples that holds a sound and something before and after it."""
    return 1024 * (2 + math.ceil((sound.timeline.total + 2048) / 1024))


def _in_blocks(forward: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Let a signal go through a module in blocks of changing sizes."""
    made: List[torch.Tensor] = []
    begin = 0
    with torch.inference_mode():
        while begin < x.shape[-1]:
            size = _BLOCKS[len(made) % len(_BLOCKS)]
            made.append(forward(x[..., begin : begin + size]).clone())
            begin += size
    return torch.cat(made, -1)


def _compared(
    name: str, sound: Sound, made: torch.Tensor, trigger: int, expected: int = 0
) -> Played:
    """Find out how late a hit is, and how much it differs from its sound."""
    whole = np.atleast_2d(sound.render(sound.timeline.sample_rate).T)
    heard = np.abs(made.numpy()).max(0)
    peak = float(np.abs(whole).max())
    if not heard.any():
        return Played(name, math.inf, 0)
    # What is silent in front of a drum is left out, so that its loudest moment says where it is.
    early = int(np.abs(whole).max(0).argmax()) - int(heard.argmax())
    first = int((heard > 0).argmax())
    whole = whole[:, first + early :]
    rest = made.numpy()[:, first : first + whole.shape[1]]
    difference = float(np.abs(rest - whole[:, : rest.shape[1]]).max()) / peak
    return Played(name, 20 * math.log10(max(difference, 1e-9)), first - trigger - expected)
