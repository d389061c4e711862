"""Lets a run fail whose tests are skipped for lack of something that could be installed.

The reason of a skip begins with the kind of what is lacking: ``hardware:``, ``platform:``, or
``apt:`` for packages of the system. A run that is given ``--may-lack KIND`` fails what is skipped
for anything else, such as a package of Python.
"""

import pytest


def pytest_addoption(parser):
    parser.addoption(
        "--may-lack",
        action="append",
        metavar="KIND",
        help="fail tests that are skipped for lack of anything but this; may be given again",
    )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    _refuse(outcome.get_result(), item.config)


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    outcome = yield
    _refuse(outcome.get_result(), collector.config)


def _refuse(report, config):
    """Make a failure of a skip whose reason is not one that the run allows."""
    allowed = config.getoption("--may-lack")
    if allowed is None or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2]
    reason = reason[len("Skipped: ") :] if reason.startswith("Skipped: ") else reason
    if reason.partition(":")[0] not in allowed:
        report.outcome = "failed"
        report.longrepr = f"skipped, but may lack only {', '.join(allowed)}: {reason}"
