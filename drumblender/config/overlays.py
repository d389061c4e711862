"""Configuration files as overlays on a base, with paths relative to the file.

- ``base: other.yaml`` in a mapping takes that file first and puts the mapping's other keys on top.
- A string that ends in ``.yaml`` stands for that file's content. It replaces what a base says
  there, so that nothing of one dataset or network remains in another.
- ``${config_dir}`` in a string is the folder of the file that says so.

Files named inside a configuration are looked for relative to it. Every other path, of datasets and
of logs, stays relative to the working directory.
"""

import re
from pathlib import Path
from typing import Any, Dict, Sequence, Tuple, Union

import yaml

from drumblender.errors import UsageError

# Endings of files with weights, and of configurations.
CHECKPOINTS = (".ckpt", ".pt", ".pth", ".safetensors")
CONFIGURATIONS = (".yaml", ".yml", ".json")


class _Loader(yaml.SafeLoader):
    """A reader of YAML 1.1 that takes 1e-4 for a number, which the standard takes for text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(?:\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


class _Whole(dict):
    """A mapping from a file of its own, which replaces what it is put on top of."""


def is_configuration(path: Union[str, Path]) -> bool:
    """Return whether a file is a configuration, by its name or its beginning, and no checkpoint."""
    path = Path(path)
    if path.suffix.lower() in CONFIGURATIONS:
        return True
    if path.suffix.lower() in CHECKPOINTS or not path.is_file():
        return False
    with path.open("rb") as file:
        beginning = file.read(8)
    # ZIP archives and pickles, which checkpoints are, and the length that a file of safetensors
    # begins with. Text holds no zeros.
    return not beginning.startswith((b"PK", b"\x80")) and b"\0" not in beginning


def load_config(path: Union[str, Path]) -> Dict[str, Any]:
    """Read a configuration file with all that it names.

    Args:
        path: a YAML file.

    Raises:
        UsageError: if it is missing, is not YAML or includes itself, or if a file that it names
            does.
    """
    return _read(Path(path), ())


def merge(base: Any, overlay: Any) -> Any:
    """Put ``overlay`` on top of ``base``: mappings merge by key, anything else is replaced.

    A mapping that names another ``class_path`` replaces the whole, because the arguments of one
    class mean nothing to another.

    >>> merge({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}})
    {'a': {'x': 1, 'y': 3}}
    """
    if not (isinstance(base, dict) and isinstance(overlay, dict)) or isinstance(overlay, _Whole):
        return overlay
    if "class_path" in overlay and overlay["class_path"] != base.get("class_path"):
        return overlay
    return {**base, **{k: merge(base.get(k), v) for k, v in overlay.items()}}


def _read(path: Path, parents: Tuple[Path, ...]) -> Dict[str, Any]:
    """Read a file that ``parents`` lead to."""
    path = path.expanduser().resolve()
    if path in parents:
        raise UsageError(f"{path}: includes itself; remove the circle of `base:` or file names.")
    if not path.is_file():
        named = f" (named in {parents[-1]})" if parents else ""
        raise UsageError(f"Configuration {path}{named} does not exist; check the path.")
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"Configuration {path} is not valid YAML: {reason}") from None
    if not isinstance(config, dict):
        raise UsageError(f"Configuration {path} must hold `key: value` lines; it holds none.")
    return _expand(config, path, (*parents, path))


def _expand(node: Any, path: Path, parents: Tuple[Path, ...]) -> Any:
    """Replace the names of files in a configuration by what they hold."""
    if isinstance(node, str):
        if node.endswith((".yaml", ".yml")) and "://" not in node and "\n" not in node:
            return _read(path.parent / node, parents)
        return node.replace("${config_dir}", str(path.parent))
    if isinstance(node, list):
        return [_expand(item, path, parents) for item in node]
    if not isinstance(node, dict):
        return node
    result: Dict[str, Any] = {}
    bases = node.get("base", [])
    for base in [bases] if isinstance(bases, str) else bases:
        result = merge(result, _read(path.parent / base, parents))
    own = {}
    for key, value in node.items():
        if key != "base":
            own[key] = _expand(value, path, parents)
            if isinstance(own[key], dict) and (isinstance(value, str) or "base" in value):
                own[key] = _Whole(own[key])
    return merge(result, own)


def compose(files: Sequence[Union[str, Path]], **sections: Union[str, Path]) -> Dict[str, Any]:
    """Merge configuration files in their order, and replace named sections by files.

    Args:
        files: files of whole configurations.
        sections: maps keys to files, such as ``data="cfg/data/one_shots.yaml"``. Nothing of the
            section that was there before remains, because what names one dataset misleads about
            another.

    Raises:
        UsageError: if a file is missing or is no configuration.
    """
    config: Dict[str, Any] = {}
    for file in files:
        config = merge(config, load_config(file))
    for key, file in sections.items():
        config[key] = load_config(file)
    return config
