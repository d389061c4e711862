"""Files of a raw folder as sounds, and the keys that name them in the dataset."""

import hashlib
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Dict, Iterable, List, Mapping


@dataclass(frozen=True)
class RawSound:
    """One file of a raw folder.

    Attributes:
        name: path of the file relative to the raw folder, with ``/``.
        key: name of the sound in the dataset. It depends on sample pack and name only, so it never
            changes.
        sample_pack_key: sample pack that the sound belongs to.
        type: acoustic, electronic or unknown.
        instrument: instrument that was recorded.
        extra: further keys that the raw metadata gives its sample pack and its folder.
        archive: archive that holds the file, relative to the raw folder. ``name`` goes on inside of
            it.
        problem: why the file cannot be a sound, as far as that is known without reading it.
    """

    name: str
    key: str
    sample_pack_key: str
    type: str
    instrument: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    archive: str = ""
    problem: str = ""

    def metadata(self) -> Dict[str, Any]:
        """Return the entry of the sound in the dataset's metadata, without its files."""
        return {
            "type": self.type,
            "sample_pack_key": self.sample_pack_key,
            "instrument": self.instrument,
            **self.extra,
        }


def fingerprint(keys: Iterable[str]) -> str:
    """Make a digest of keys, by which shards can tell whether they were made of one library."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def key_of(pack: str, name: str, as_it_is: bool = False) -> str:
    """Make the key that names a sound in the dataset.

    Args:
        pack: the sample pack that the sound belongs to.
        name: path of the sound in the raw folder.
        as_it_is: whether names get two keys that differ only in how accents are composed.
    """
    identity = f"{pack}\n{name}"
    if not as_it_is:
        identity = unicodedata.normalize("NFC", identity)
    digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return "-".join([*filter(None, map(_slug, (pack, PurePosixPath(name).stem))), digest])


def with_keys_of_their_own(sounds: Iterable[RawSound]) -> List[RawSound]:
    """Give another key to each sound that would share one.

    A name has one key whether its accents are composed or not, because copying from one system to
    another changes that. Only where both are there, the one that is not composed gets another key.
    """
    sounds = sorted(sounds, key=lambda sound: sound.name)
    count = Counter(sound.key for sound in sounds)
    result: Dict[str, RawSound] = {}
    for sound in sounds:
        key = sound.key
        if count[key] > 1 and not unicodedata.is_normalized("NFC", sound.name):
            key = key_of(sound.sample_pack_key, sound.name, as_it_is=True)
        while key in result:  # by chance: a checksum of 40 bits tells two names of a million apart
            key += "x"
        result[key] = replace(sound, key=key)
    return list(result.values())


def _slug(text: str) -> str:
    """Return the letters and digits of a name that every file system takes, 40 at most."""
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:40]
