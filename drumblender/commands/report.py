"""The answers of every command: errors are one sentence, and options have whole names.

Whatever goes wrong ends in one sentence and an exit code, which is 2 for a wrong request and 1 for
a failure. ``--debug`` or ``DRUMBLENDER_DEBUG=1`` shows the traceback.
"""

import argparse
import contextlib
import os
import re
import select
import signal
import sys
import threading
from typing import (
    Any,
    Callable,
    Iterator,
    List,
    NoReturn,
    Optional,
    Sequence,
    Tuple,
)

from drumblender.errors import (
    DEBUG,
    DrumblenderError,
    Stopped,
    UsageError,
    condense,
    finish,
    is_debugging,
    sentence_of,
    suggest,
)
from drumblender.files.text import printable

_END_OF_PIPE = 128 + 13  # as when SIGPIPE ends a program


def report_errors(command: Callable[[List[str]], None], argv: Optional[Sequence[str]]) -> int:
    """Run a command, say in one sentence what went wrong, and return the exit code.

    Args:
        command: function of the arguments.
        argv: arguments. None stands for those of the program.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in args or is_debugging()
    args = [arg for arg in args if arg != "--debug"]
    if os.getcwd() not in sys.path:  # last, so that nothing there hides what is installed
        sys.path.append(os.getcwd())
    _print_anything()
    with _ended_by_signals(), _debugging(debug):
        try:
            command(args)
            _flush()
        except SystemExit:  # of --help
            _flush()
            raise
        except KeyboardInterrupt:
            code, sentence = 130, "interrupted."
        except Stopped as stop:
            code, sentence = stop.exit_code, str(stop)
        except Exception as error:
            behind = _behind(error, (Stopped,))
            if isinstance(error, BrokenPipeError) and _is_closed(sys.stdout):
                return _END_OF_PIPE
            if debug and behind is None:
                raise
            code, sentence = (behind.exit_code, str(behind)) if behind else explain(error)
        else:
            return 0
        if code > 128 and os.environ.get("LOCAL_RANK", "0") != "0":
            # The first process of several says so, and would be killed for a failure of another.
            return 0
    with contextlib.suppress(OSError):  # a terminal that is gone hears nothing
        _flush()
        if sentence:
            print(f"error: {printable(sentence)}", file=sys.stderr)
    return code


def explain(error: BaseException) -> Tuple[int, str]:
    """Return the exit code and the sentence for an exception."""
    cause = _behind(error, (DrumblenderError,))
    if cause is not None:  # Lightning and jsonargparse wrap what our classes say.
        sentence = str(cause) or type(cause).__name__
        if "Traceback (most recent call last)" in sentence:
            # A process that loads batches sends it all; the sentence comes last.
            sentence = sentence.splitlines()[-1]
        return cause.exit_code, re.sub(r"^drumblender\.errors\.\w+: ", "", sentence)
    text = " ".join(str(error).split()) or type(error).__name__
    if type(error).__name__ in ("ArgumentError", "NSKeyError", "MisconfigurationException"):
        return 2, finish(condense(str(error)))
    if isinstance(error, OSError):
        known = sentence_of(error)
        if known is not None:
            return 1, known
    if isinstance(error, (OSError, RuntimeError)):
        return 1, f"{text} (add --debug for the traceback)"
    return 1, f"{type(error).__name__}: {text} (this may be a defect; add --debug to see where)"


def _behind(error: Optional[BaseException], kinds: Tuple[type, ...]) -> Any:
    """Find the first of some kinds of exception in an error and in what led to it."""
    seen: List[BaseException] = []  # what leads to an error may be itself
    while error is not None and error not in seen:
        if isinstance(error, kinds):
            return error
        seen.append(error)
        error = error.__cause__ or error.__context__
    return None


def _print_anything() -> None:
    """Print names with escapes for what the terminal's encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def _debugging(on: bool) -> Iterator[None]:
    """Pass ``--debug`` on to everything that this command calls, and to its processes."""
    before = os.environ.get(DEBUG)
    if on:
        os.environ[DEBUG] = "1"
    try:
        yield
    finally:
        if on and before is None:
            del os.environ[DEBUG]


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let signals end the program through everything that cleans up behind itself.

    A signal that is ignored, as by nohup, stays ignored.
    """
    names = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    here = threading.current_thread() is threading.main_thread()
    numbers = [n for n in numbers if here and signal.getsignal(n) == signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, Stopped.by_signal)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _flush() -> None:
    """Write what waits in the streams of the program."""
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def _is_closed(stream: Any) -> bool:
    """Return whether nobody reads a stream any more, and throw away what waits in it."""
    try:
        stream.flush()
        if not _lost_its_reader(stream):
            return False
    except BrokenPipeError:
        pass
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return True


def _lost_its_reader(stream: Any) -> bool:
    """Ask the system whether the other end of a pipe is closed. A stream without buffer keeps
    nothing that another write would show it by."""
    if not hasattr(select, "poll"):  # on Windows
        return False
    with contextlib.suppress(OSError, ValueError):
        asked = select.poll()
        asked.register(stream.fileno(), select.POLLERR)
        return any(event & select.POLLERR for _, event in asked.poll(0))
    return False


class Parser(argparse.ArgumentParser):
    """An argparse parser that takes options by their whole names only, and raises its errors."""

    def __init__(self, **options: Any):
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raise an error of the command line as a sentence.

        Raises:
            UsageError: always.
        """
        raise UsageError(finish(message + suggest(message, self._option_string_actions)))
