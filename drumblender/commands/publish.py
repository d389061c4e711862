"""``drumblender publish``, which makes a folder of a checkpoint that others can take."""

import argparse
import json
from pathlib import Path
from typing import Any, Dict, List

from drumblender.commands.report import Parser
from drumblender.errors import DrumblenderError, UsageError
from drumblender.files.text import printable
from drumblender.pretrained.file import size_of


def publish_model(argv: List[str]) -> None:
    """Carry out ``drumblender publish`` with arguments."""
    parser = Parser(
        prog="drumblender publish",
        usage="drumblender publish [CONFIG] CHECKPOINT FOLDER --license ID [options]",
        description="Make a folder of a checkpoint: the weights as safetensors with all that is "
        "needed to use them, the configuration, and a card. `hf upload OWNER/NAME FOLDER` puts it "
        "on the Hugging Face hub. CONFIG is for a checkpoint that does not carry it.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help=argparse.SUPPRESS)
    parser.add_argument(
        "--license", required=True, metavar="ID", help="licence of the weights, such as cc-by-4.0"
    )
    parser.add_argument("--name", help="name of the model (default: that of the folder)")
    parser.add_argument("--summary", default="", metavar="TEXT", help="one line: what it is")
    parser.add_argument(
        "--about", metavar="FILE", help="Markdown for the card: data, licences, limits"
    )
    parser.add_argument(
        "--metrics", metavar="FILE", help="metrics.json of `drumblender test`, for the card"
    )
    parser.add_argument(
        "--tested_on", default="", metavar="TEXT", help="what those metrics were measured on"
    )
    options = parser.parse_intermixed_args(argv)
    if not 2 <= len(options.paths) <= 3:
        raise UsageError("Give CHECKPOINT and FOLDER, and maybe CONFIG in front; see --help.")
    *config, checkpoint, folder = options.paths
    about, metrics = "", {}
    if options.about:
        about = _text(options.about)
    if options.metrics:
        metrics = _metrics(options.metrics)

    from drumblender.tasks.publish import publish

    path = publish(
        folder,
        checkpoint,
        options.license,
        config[0] if config else None,
        options.name,
        options.summary,
        about,
        metrics,
        options.tested_on,
    )
    print(printable(f"Model:  {path} ({size_of(path)})"))
    print(printable(f"Card:   {path.with_name('README.md')}"))
    print(printable(f"Use:    drumblender-synth --model {_typed(folder)} INPUT OUTPUT"))
    print(printable(f"Upload: hf upload OWNER/NAME {folder}"))


def _typed(folder: str) -> str:
    """Return a folder so that it is no name of a model."""
    path = Path(folder)
    return str(path) if path.is_absolute() or folder.startswith(".") else f"./{path}"


def _text(path: str) -> str:
    """Read a text file."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text in UTF-8; give a Markdown file.") from None


def _metrics(path: str) -> Dict[str, float]:
    """Read the means of a file that ``drumblender test`` wrote."""
    try:
        found: Any = json.loads(_text(path))
        means = {name: value["mean"] for name, value in found.items() if isinstance(value, dict)}
    except (ValueError, KeyError, AttributeError):
        means = {}
    if not means:
        raise DrumblenderError(f"{path} holds no means; give metrics.json of `drumblender test`.")
    return {name: mean for name, mean in means.items() if mean is not None}
