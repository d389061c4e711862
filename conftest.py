"""What holds for tests and doctests alike: one thread in each process, and how many processes."""

import os
from pathlib import Path

# Threads cost more than they bring where sounds are this short, above all beside other programs.
# What tests start inherits it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Hypothesis keeps what it knows of characters and modules in a folder that git does not see.
os.environ.setdefault(
    "HYPOTHESIS_STORAGE_DIRECTORY", str(Path(__file__).parent / ".pytest_cache" / "hypothesis")
)


def pytest_xdist_auto_num_workers(config):
    """All tests run on all cores; some, named by a person, in this process, which starts sooner."""
    runs_all = config.args_source is config.ArgsSource.TESTPATHS
    return None if runs_all else 0
