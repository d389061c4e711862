"""``drumblender``, which trains, validates, tests and predicts with LightningCLI."""

import json
from typing import List, Optional, Sequence

from drumblender import __version__
from drumblender.commands.report import report_errors
from drumblender.errors import UsageError, did_you_mean

SECTIONS = ("data", "model", "trainer")
COMMANDS = ("fit", "validate", "test", "predict", "publish", "export")

# Here, and not left to Lightning, whose import takes seconds.
HELP = """\
usage: drumblender {fit,validate,test,predict} -c CONFIG [options]
       drumblender publish [CONFIG] CHECKPOINT FOLDER --license ID [options]
       drumblender export [CONFIG] MODEL FOLDER [options]

Take drum sounds apart into sinusoids, noise and transient, and put them together again.

  fit        train a model
  validate   compute the loss on the validation set
  test       compute the loss and the metrics on the test set, sound by sound
  predict    resynthesize the test set into WAV files
  publish    make a folder of a checkpoint that others, and the Hugging Face hub, can take
  export     make programs of a model (ONNX, torch.export, TorchScript) for other software

options:
  -c, --config FILE      experiment, such as cfg/04_noise_parallel_transient_params.yaml;
                         given several times, later files lie over earlier ones
  --data FILE            another dataset, such as cfg/data/one_shots.yaml
  --ckpt_path FILE       checkpoint to go on with, or to test; `last` is that of the last run;
                         the name of a model, and a model file, work as well
  --untrained            test a model without a checkpoint
  --output DIR           where predict writes; --stems and --targets make it write these, too
  --KEY.KEY VALUE        any value of the configuration, such as --trainer.max_epochs 100
  --print_config         show the whole configuration and stop
  --debug                show where an error comes from
  --version              show the version

`drumblender fit --help`, and the same of publish and export, list everything. Other commands:
drumblender-dataset, drumblender-analyze, drumblender-synth."""


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run ``drumblender`` with arguments, and return its exit code."""
    return report_errors(_lightning, argv)


def resolve_files(args: Sequence[str]) -> List[str]:
    """Replace the configuration files on a command line by what they hold.

    All ``-c FILE`` become one configuration. In it, ``--data FILE.yaml`` replaces a section, and so
    do ``--model`` and ``--trainer`` (see :mod:`drumblender.config`). The other arguments follow it.
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
    """Carry out a command line."""
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
    if args[0] == "publish":
        from drumblender.commands.publish import publish_model

        return publish_model(args[1:])
    if args[0] == "export":
        from drumblender.commands.export import export_command

        return export_command(args[1:])
    resolved = resolve_files(args[1:])

    from drumblender.commands.lightning import DrumblenderCLI

    DrumblenderCLI([args[0], *resolved], command=args)
