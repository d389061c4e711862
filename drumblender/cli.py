"""Entry points: ``drumblender`` and ``drumblender-analyze``.

Argument parsing only. Whatever goes wrong ends in one sentence and an exit code: 2 for what was
asked, 1 for what failed; ``--debug`` or ``DRUMBLENDER_DEBUG=1`` shows the traceback.
"""

import json
import os
import re
import sys
from typing import Callable, List, Optional, Sequence, Tuple

from drumblender import __version__
from drumblender.errors import DrumblenderError, UsageError, condense

SECTIONS = ("data", "model", "trainer")

# Here, and not left to Lightning, whose import takes seconds.
HELP = """\
usage: drumblender {fit,validate,test,predict} -c CONFIG [options]

Take drum sounds apart into sinusoids, noise and transient, and put them together again.

  fit        train a model
  validate   compute the loss on the validation set
  test       compute the loss and the metrics on the test set
  predict    resynthesize the test set

options:
  -c, --config FILE      experiment, such as cfg/04_noise_parallel_transient_params.yaml;
                         given several times, later files lie over earlier ones
  --data FILE            another dataset, such as cfg/data/one_shots.yaml
  --ckpt_path FILE       checkpoint to go on with, or to test
  --KEY.KEY VALUE        any value of the configuration, such as --trainer.max_epochs 100
  --print_config         show the whole configuration and stop
  --debug                show where an error comes from
  --version              show the version

`drumblender fit --help` lists everything. Other commands: drumblender-dataset,
drumblender-analyze, drumblender-synth."""


def report_errors(command: Callable[[List[str]], None], argv: Optional[Sequence[str]]) -> int:
    """Run a command; say what went wrong in one sentence; give the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in args or os.environ.get("DRUMBLENDER_DEBUG", "") not in ("", "0")
    args = [arg for arg in args if arg != "--debug"]
    try:
        command(args)
    except KeyboardInterrupt:
        print("error: interrupted.", file=sys.stderr)
        return 130
    except Exception as error:
        if debug:
            raise
        code, sentence = explain(error)
        print(f"error: {sentence}", file=sys.stderr)
        return code
    return 0


def explain(error: BaseException) -> Tuple[int, str]:
    """Exit code and sentence for an exception."""
    cause: Optional[BaseException] = error
    while cause is not None:  # Lightning and jsonargparse wrap what our classes say.
        if isinstance(cause, DrumblenderError):
            # A process that loads batches sends its whole traceback; the sentence comes last.
            sentence = str(cause).splitlines()[-1] if str(cause) else type(cause).__name__
            return cause.exit_code, re.sub(r"^drumblender\.errors\.\w+: ", "", sentence)
        cause = cause.__cause__ or cause.__context__
    text = " ".join(str(error).split()) or type(error).__name__
    if type(error).__name__ in ("ArgumentError", "NSKeyError", "MisconfigurationException"):
        return 2, f"{condense(text)} (see --help)."
    if isinstance(error, (OSError, RuntimeError)):
        return 1, f"{text} (add --debug for the traceback)"
    return 1, f"{type(error).__name__}: {text} (this may be a defect; add --debug to see where)"


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

    from drumblender.training import DrumblenderCLI

    DrumblenderCLI([args[0], *resolve_files(args[1:])])


def _analyze(args: List[str]) -> None:
    import argparse

    parser = argparse.ArgumentParser(
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
    if options.plain:
        settings = replace(settings, fit=False)
    for source in options.input:
        print(source)
        analyze_file(source, options.output, settings, options.top)
