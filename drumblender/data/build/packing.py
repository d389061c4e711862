"""Packing, which puts a dataset into one file beside its files and checks that file."""

import warnings
from typing import List, Optional

from drumblender.data import packed
from drumblender.data.build.journal import read_journal
from drumblender.data.build.verify import verify
from drumblender.data.packed import PACKED_FILE
from drumblender.data.target import Target
from drumblender.files import atomic


def pack(target: Target) -> str:
    """Put a dataset into one file, which training reads instead, and say what was done."""
    target.check_settings()
    with atomic.exclusive(target.data_dir):
        path = target.data_dir / PACKED_FILE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an outdated file is what this is for
            dataset = target.open_whole()
        if dataset.packed is not None:
            return f"{path} holds the dataset as it is."
        known = {name: made.stamp for name, made in read_journal(target.data_dir).items()}
        packed.write(dataset, known)
    return f"{path}: {len(dataset)} sounds, {path.stat().st_size / 2**20:.0f} MiB."


def verify_all(target: Target, num_workers: Optional[int] = None) -> List[str]:
    """Check all files of a dataset, and then the packed one; a sentence for what is wrong."""
    parameter_key = target.dataset_kwargs.get("parameter_key", "feature_file")
    where = (target.data_dir, target.meta_file, target.settings)
    problems = verify(*where, num_workers, parameter_key)
    return problems or packed.verify(target.open_whole())
