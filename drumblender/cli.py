"""Entry points: ``drumblender`` and ``drumblender-analyze``.

Argument parsing only. Whatever goes wrong ends in one sentence and an exit code: 2 for what was
asked, 1 for what failed; ``--debug`` or ``DRUMBLENDER_DEBUG=1`` shows the traceback.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import sys
import threading
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    NoReturn,
    Optional,
    Sequence,
    Tuple,
)

from drumblender import __version__
from drumblender.errors import (
    DEBUG,
    DrumblenderError,
    Stopped,
    UsageError,
    condense,
    did_you_mean,
    finish,
    is_debugging,
    sentence_of,
    suggest,
)
from drumblender.files.text import printable

SECTIONS = ("data", "model", "trainer")
COMMANDS = ("fit", "validate", "test", "predict")
_END_OF_PIPE = 128 + 13  # as when SIGPIPE ends a program

# Here, and not left to Lightning, whose import takes seconds.
HELP = """\
usage: drumblender {fit,validate,test,predict} -c CONFIG [options]

Take drum sounds apart into sinusoids, noise and transient, and put them together again.

  fit        train a model
  validate   compute the loss on the validation set
  test       compute the loss and the metrics on the test set, sound by sound
  predict    resynthesize the test set into WAV files

options:
  -c, --config FILE      experiment, such as cfg/04_noise_parallel_transient_params.yaml;
                         given several times, later files lie over earlier ones
  --data FILE            another dataset, such as cfg/data/one_shots.yaml
  --ckpt_path FILE       checkpoint to go on with, or to test; `last` is that of the last run
  --untrained            test a model without a checkpoint
  --output DIR           where predict writes; --stems and --targets make it write these, too
  --KEY.KEY VALUE        any value of the configuration, such as --trainer.max_epochs 100
  --print_config         show the whole configuration and stop
  --debug                show where an error comes from
  --version              show the version

`drumblender fit --help` lists everything. Other commands: drumblender-dataset,
drumblender-analyze, drumblender-synth."""


def report_errors(command: Callable[[List[str]], None], argv: Optional[Sequence[str]]) -> int:
    """Run a command; say what went wrong in one sentence; give the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in args or is_debugging()
    args = [arg for arg in args if arg != "--debug"]
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
            stop = _behind(error, (Stopped,))
            if isinstance(error, BrokenPipeError) and _is_closed(sys.stdout):
                return _END_OF_PIPE
            if debug and stop is None:
                raise
            code, sentence = (stop.exit_code, str(stop)) if stop else explain(error)
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
    """Exit code and sentence for an exception."""
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
        sentence = sentence_of(error)
        if sentence is not None:
            return 1, sentence
    if isinstance(error, (OSError, RuntimeError)):
        return 1, f"{text} (add --debug for the traceback)"
    return 1, f"{type(error).__name__}: {text} (this may be a defect; add --debug to see where)"


def _behind(error: Optional[BaseException], kinds: Tuple[type, ...]) -> Any:
    """The first of some kinds of exception among an error and what led to it."""
    seen: List[BaseException] = []  # what leads to an error may be itself
    while error is not None and error not in seen:
        if isinstance(error, kinds):
            return error
        seen.append(error)
        error = error.__cause__ or error.__context__
    return None


def _print_anything() -> None:
    """Print names that the terminal's encoding lacks with escapes, instead of failing at them."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def _debugging(on: bool) -> Iterator[None]:
    """Let all that this command calls, and its processes, know of ``--debug``."""
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
    """Let what ends a program from outside pass through all that cleans up behind itself.

    What is ignored, as by nohup, stays so.
    """
    numbers = [signal.SIGTERM, signal.SIGHUP]
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
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def _is_closed(stream: Any) -> bool:
    """Whether nobody reads a stream any more; then what waits in it is thrown away."""
    try:
        stream.flush()
        return False
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return True


class Parser(argparse.ArgumentParser):
    """argparse that takes options by their whole names, and whose errors are sentences."""

    def __init__(self, **options: Any):
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise UsageError(finish(message + suggest(message, self._option_string_actions)))


def main(argv: Optional[Sequence[str]] = None) -> int:
    """``drumblender``: train, validate, test and predict with LightningCLI."""
    return report_errors(_lightning, argv)


def analyze_main(argv: Optional[Sequence[str]] = None) -> int:
    """``drumblender-analyze``: see what the modal analysis finds in a recording."""
    return report_errors(_analyze, argv)


def resolve_files(args: Sequence[str]) -> List[str]:
    """Replace configuration files on a command line by what they hold.

    All ``-c FILE`` become one configuration, in which ``--data FILE.yaml`` (or model, trainer)
    replaces a section; see :mod:`drumblender.config`. Other arguments stay, after it.
    """
    from drumblender.config import compose, modernize

    files, sections, rest = [], {}, []
    queue = list(args)
    while queue:
        arg = queue.pop(0)
        name, equals, value = arg.partition("=")
        section = name[2:] if name.startswith("--") else ""
        if name in ("-c", "--config") or section in SECTIONS:
            if not equals:
                if not queue:
                    raise UsageError(f"{name} needs a value, such as {name} cfg/FILE.yaml.")
                value = queue.pop(0)
            if name in ("-c", "--config"):
                files.append(value)
                continue
            if value.endswith((".yaml", ".yml")):
                sections[section] = value
                continue
            arg = f"{name}={value}"
        rest.append(arg)
    if not files and not sections:
        return rest
    config = compose(files, **sections)
    if config.get("trainer"):
        config = modernize(config)
    return ["--config", json.dumps(config), *rest]


def _lightning(args: List[str]) -> None:
    if not args:
        raise UsageError("Say what to do: drumblender {fit,validate,test,predict} -c CONFIG.")
    if args[0] in ("-h", "--help"):
        return print(HELP)
    if args[0] == "--version":
        return print(__version__)
    if args[0] not in COMMANDS:
        raise UsageError(
            f"{args[0]} is none of {', '.join(COMMANDS)}, one of which comes first"
            f"{did_you_mean(args[0], COMMANDS)}"
        )
    resolved = resolve_files(args[1:])

    from drumblender.training import DrumblenderCLI

    DrumblenderCLI([args[0], *resolved], command=args)


def _analyze(args: List[str]) -> None:
    parser = Parser(
        prog="drumblender-analyze",
        description="Write the sinusoids of a recording, what remains without them, a picture, and "
        "the modal parameters (.npz, .json); print the modes that matter.",
    )
    parser.add_argument("input", nargs="+", help="audio files")
    parser.add_argument("--output", default="modes", help="folder (default: %(default)s)")
    parser.add_argument("--config", help="take the analysis settings from a configuration")
    parser.add_argument("--num_modes", type=int, help="sinusoids at most")
    parser.add_argument(
        "--plain", action="store_true", help="peaks as they are, without the fit to the waveform"
    )
    parser.add_argument(
        "--separate",
        action="store_true",
        help="sinusoids only where the sound is tonal, and what remains as transient and noise",
    )
    parser.add_argument("--top", type=int, default=12, help="modes to print (default: %(default)s)")
    options = parser.parse_args(args)

    from dataclasses import replace

    from drumblender.analysis import AnalysisSettings
    from drumblender.checkpoint import analysis_settings
    from drumblender.config import load_config
    from drumblender.modes import analyze_file

    settings = AnalysisSettings()
    if options.config:
        config = load_config(options.config)
        settings = analysis_settings(config.get("data", config).get("init_args") or {})
    if options.num_modes is not None:
        if options.num_modes < 1:
            raise UsageError(f"--num_modes is {options.num_modes}; give 1 or more.")
        settings = replace(settings, num_modes=options.num_modes)
    if options.plain and options.separate:
        raise UsageError("--plain and --separate are two ways to analyze; give one of them.")
    if options.plain:
        settings = replace(settings, method="plain")
    if options.separate:
        settings = replace(settings, method="separating", fit=True, hop_length=64)
    stems: Dict[str, str] = {}
    for source in options.input:
        other = stems.setdefault(Path(source).stem, source)
        if other != source:
            raise UsageError(
                f"{source} and {other} would be written to the same names in {options.output}; "
                "analyze one after the other, into folders of their own (--output)."
            )
    for source in options.input:
        print(printable(source))
        analyze_file(source, options.output, settings, options.top)
