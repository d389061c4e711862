"""The first step with sounds in a bucket: files to edit, made of what names and kits say."""

from pathlib import Path
from typing import Dict, List, Optional, Sequence

from drumblender.data.bucket.addresses import place_of
from drumblender.data.bucket.listing import skeletons
from drumblender.data.library.begin import check_names, dataset_name, write_for
from drumblender.data.library.sounds import RawSound
from drumblender.errors import DrumblenderError


def write_configuration(
    config: Path,
    address: str,
    url: Optional[str] = None,
    force: bool = False,
    types: Sequence[str] = (),
) -> str:
    """Write the configuration of a dataset of recordings in a bucket, and raw metadata beside it.

    The dataset goes beside the recordings, into ``dataset/NAME``.

    Args:
        config: YAML file to write. The metadata gets the same name with ``.json``.
        address: address of the recordings.
        url: endpoint of the store.
        force: whether to replace files that are there.
        types: types that a person says, as for
            :func:`drumblender.data.library.begin.write_configuration`.

    Returns:
        A table of what was recognized.

    Raises:
        DrumblenderError: if there are no recordings.
    """
    check_names(config, force)
    place = place_of(address, url)
    sounds: List[RawSound] = []
    folders: Dict[str, List[str]] = {}
    for library in skeletons(place):
        found, _ = library.scan()
        sounds += found
        for pack, paths in library.pack_folders().items():
            folders.setdefault(pack, []).extend(paths)
    if not sounds:
        raise DrumblenderError(f"{place} holds no recordings; correct the address.")
    scheme, _, path = place.address.partition("://")
    home = path.rpartition("/")[0] or path  # a bucket has nothing beside it
    places = {
        "data_dir": f"{scheme}://{home}/dataset/{dataset_name(config)}",
        "data_dir_unprocessed": place.address,
        **({"url": url} if url else {}),
    }
    return write_for(config, place.address, sounds, folders, places, types)
