"""``drumblender-app``, which serves a page on which drums are taken apart, changed and mixed.

This module only parses arguments. The page is in :mod:`drumblender.app`.
"""

import argparse
import importlib.util
import os
from pathlib import Path
from typing import List, Optional, Sequence

from drumblender.commands.report import Parser, report_errors
from drumblender.errors import UsageError
from drumblender.files.text import printable
from drumblender.pretrained.table import models_table

PASSWORD = "DRUMBLENDER_PASSWORD"  # in the environment
_MOST = 4


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run ``drumblender-app`` with arguments, and return its exit code."""
    return report_errors(_app, argv)


def _parser() -> argparse.ArgumentParser:
    """Describe the options."""
    parser = Parser(
        prog="drumblender-app",
        description="Show a page in the browser on which drums are taken apart, changed and mixed "
        "by hand. It is served by this machine for this machine, and nothing leaves it. Up to four "
        "DRUMS are there from the beginning; others are dropped on the page.",
        epilog="--debug shows where an error comes from.",
    )
    parser.add_argument(
        "drums", nargs="*", metavar="DRUM", help="recordings, or .drum files, to begin with"
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="take a model, as in drumblender-synth: a name, owner/model, or a file (default: "
        "parts are measured)",
    )
    parser.add_argument("--list_models", action="store_true", help="list the models that are here")
    parser.add_argument("--device", default="auto", help="cpu, cuda, ... (default: %(default)s)")
    parser.add_argument(
        "--force",
        action="store_true",
        help="let a model that was trained on one recording give its noise to others",
    )
    parser.add_argument(
        "--no_browser", action="store_true", help="only print the address of the page"
    )
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="port of the page (default: a free one)"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="NAME",
        help="address to serve at (default: %(default)s, which only this machine reaches); any "
        "other one needs a password",
    )
    parser.add_argument(
        "--password",
        metavar="TEXT",
        help=f"ask for a password; better, set {PASSWORD} in the environment, where others on "
        "this machine do not see it",
    )
    return parser


def _app(argv: List[str]) -> None:
    """Carry out a command line."""
    options = _parser().parse_args(argv)
    if options.list_models:
        return print(models_table())
    if any(importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise UsageError(
            'The page needs a web server; install it with pip install "drumblender[app]".'
        )
    if len(options.drums) > _MOST:
        raise UsageError(f"{len(options.drums)} DRUMS are too many; give {_MOST} at most.")
    if not 0 <= options.port < 65536:
        raise UsageError(f"--port is {options.port}; give a number from 0 to 65535.")
    password = options.password if options.password is not None else os.environ.get(PASSWORD)

    from drumblender.app.serving import check_password, listen, serve

    check_password(options.host, password)
    with listen(options.host, options.port) as opened:
        from drumblender.app.pages import application
        from drumblender.files.memory import keep_memory
        from drumblender.sound import load

        keep_memory()
        print("Loading ...", flush=True)
        voice = load(options.model, device=options.device, force=options.force)
        drums = [voice.read(Path(path), 0, stereo=True, whole=False) for path in options.drums]
        model = options.model or "measured"
        serve(
            application(voice, printable(model), drums),
            opened,
            options.host,
            password,
            not options.no_browser,
        )
