"""How far along a long run is, with rate and time left."""

import sys
from typing import Any, Dict, Optional

from tqdm import tqdm

# Options of a bar that counts bytes.
BYTES: Dict[str, Any] = {"unit": "B", "unit_scale": True, "unit_divisor": 1024}


def progress(what: str, total: Optional[float], unit: str = " sounds", **options: Any) -> tqdm:
    """Return a progress bar on stderr; few lines where that is no terminal but a log file."""
    interval = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(
        desc=what, total=total, unit=unit, mininterval=interval, dynamic_ncols=True, **options
    )
