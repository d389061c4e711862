"""Archives of datasets."""

import shutil
from pathlib import Path, PurePosixPath
from typing import Callable

from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.archives import extract


def unpack(archive: Path, data_dir: Path, meta_file: str, check: Callable[[Path], None]) -> None:
    """Unpack the archive of a dataset into ``data_dir``, which must not hold anything yet.

    Whether the archive has a top folder or not, ``meta_file`` ends up in ``data_dir`` itself.

    Args:
        archive: tar file, plain or compressed (gzip, Zstandard, bzip2, xz).
        data_dir: where the dataset shall be.
        meta_file: file that marks the folder of the dataset inside the archive.
        check: called with the unpacked folder; raises when that is not a whole dataset.
    """
    if data_dir.exists() and any(data_dir.iterdir()):
        raise UsageError(
            f"{data_dir} holds files but no {meta_file}; correct meta_file, set another data_dir, "
            "or remove that folder."
        )
    temporary = data_dir.with_name(data_dir.name + ".unpack")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        extract(archive, temporary)
        found = sorted(temporary.rglob(meta_file), key=lambda path: len(path.parts))
        if not found:
            raise DrumblenderError(
                f"{archive} holds no {meta_file}, so it is not the archive of this dataset; "
                "correct archive or meta_file in the configuration."
            )
        root = found[0]
        for _ in PurePosixPath(meta_file).parts:
            root = root.parent
        check(root)
        if data_dir.exists():  # an empty folder, which not every system replaces
            data_dir.rmdir()
        root.rename(data_dir)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
