"""``drumblender-analyze``: see what the modal analysis finds in a recording.

Argument parsing only; what it does is in :mod:`drumblender.commands.modes`.
"""

from pathlib import Path
from typing import Dict, List, Optional, Sequence

from drumblender.commands.report import Parser, report_errors
from drumblender.errors import UsageError
from drumblender.files.text import printable


def main(argv: Optional[Sequence[str]] = None) -> int:
    """``drumblender-analyze``: see what the modal analysis finds in a recording."""
    return report_errors(_analyze, argv)


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
        help="sinusoids only where the sound is tonal, what remains as transient and noise, and "
        "when each stroke begins",
    )
    parser.add_argument(
        "--method",
        metavar="NAME",
        help="coverage (the default), plain, separating, or the class path of an analysis of your "
        "own, such as my_module.MyAnalysis",
    )
    parser.add_argument("--top", type=int, default=12, help="modes to print (default: %(default)s)")
    options = parser.parse_args(args)

    from dataclasses import replace

    from drumblender.analysis import AnalysisSettings
    from drumblender.commands.modes import analyze_file
    from drumblender.config import load_config
    from drumblender.tasks.checkpoint import analysis_settings

    settings = AnalysisSettings()
    if options.config:
        config = load_config(options.config)
        settings = analysis_settings(config.get("data", config).get("init_args") or {})
    if options.num_modes is not None:
        if options.num_modes < 1:
            raise UsageError(f"--num_modes is {options.num_modes}; give 1 or more.")
        settings = replace(settings, num_modes=options.num_modes)
    ways = {"--plain": options.plain, "--separate": options.separate, "--method": options.method}
    given = [name for name, value in ways.items() if value]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} are ways to analyze; give one of them.")
    method = "plain" if options.plain else "separating" if options.separate else options.method
    if method not in (None, settings.method):
        settings = replace(settings, method=method, fit=True, method_kwargs=None)
    if method == "separating":
        settings = replace(settings, hop_length=64)
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
