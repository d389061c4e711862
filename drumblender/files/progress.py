"""A bar that shows how far along a long run is, with its rate and the time left."""

import sys
from typing import Any, Dict, Optional

from tqdm import tqdm

# Options of a bar that counts bytes.
BYTES: Dict[str, Any] = {"unit": "B", "unit_scale": True, "unit_divisor": 1024}


def progress(what: str, total: Optional[float], unit: str = " sounds", **options: Any) -> tqdm:
    """Make a progress bar on stderr. In a log file it writes few lines.

    Args:
        what: text in front of the bar.
        total: number of things to count. None if it is not known.
        unit: what is counted, with a space in front.
        options: further options of tqdm.
    """
    interval = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(
        desc=what, total=total, unit=unit, mininterval=interval, dynamic_ncols=True, **options
    )
