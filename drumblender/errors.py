"""Errors that a person can act on.

Every message is one sentence that names the file or option at fault and the remedy; the command
lines print it without a traceback and exit with the class's code.
"""


class DrumblenderError(Exception):
    """Something in the outside world is not as it has to be: a file, a folder, a server."""

    exit_code = 1


class UsageError(DrumblenderError):
    """What the person asked for cannot be done as asked: an option or a configuration key."""

    exit_code = 2
