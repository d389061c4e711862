"""How far along a long run is, with rate and time left."""

import sys

from tqdm import tqdm

BYTES = {"unit": "B", "unit_scale": True, "unit_divisor": 1024}  # of a bar that counts them


def progress(what: str, total: float, unit: str = " sounds", **options) -> tqdm:
    """A progress bar on stderr; few lines where that is no terminal but a log file."""
    interval = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(
        desc=what, total=total, unit=unit, mininterval=interval, dynamic_ncols=True, **options
    )
