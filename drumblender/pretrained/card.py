"""Model cards, as the Hugging Face hub shows them [1].

[1] https://huggingface.co/docs/hub/model-cards
"""

import re
from typing import Any, Dict, List, Optional, Tuple

import yaml

from drumblender.pretrained.file import Facts

# Licences that the hub knows by these identifiers; there are more, which are rare for models.
LICENSES = frozenset(
    "afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause bsl-1.0 cc cc-by-2.0 "
    "cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 "
    "cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 "
    "cc-by-sa-4.0 cc0-1.0 ecl-2.0 epl-2.0 eupl-1.1 eupl-1.2 gpl gpl-2.0 gpl-3.0 isc lgpl "
    "lgpl-2.1 lgpl-3.0 mit mpl-2.0 openrail unlicense wtfpl zlib".split()
)


def card(facts: Facts, about: str = "", tested_on: str = "") -> str:
    """Write the card of a model as Markdown, behind the YAML that the hub reads.

    Args:
        facts: what is known of the model.
        about: Markdown that a person wrote, on data, licences and limits.
        tested_on: words that say what the metrics were measured on.
    """
    head = yaml.safe_dump(_metadata(facts, tested_on), sort_keys=False, allow_unicode=True)
    sections = [
        f"# {facts.name}",
        facts.summary,
        _WHAT,
        _USE,
        _table("Model", _model_rows(facts)),
        _table("Training", _training_rows(facts)),
        _metrics(facts, tested_on),
        about.strip(),
    ]
    return f"---\n{head}---\n\n" + "\n\n".join(filter(None, sections)) + "\n"


_WHAT = "A model of Drumblender, which takes drum sounds apart into sinusoids, noise and transient."
_USE = """## Use

```bash
drumblender-synth --model OWNER/NAME drum.wav out.wav   # pip install "drumblender[hub]"
drumblender-synth --model ./FOLDER drum.wav out.wav     # this folder, downloaded
```

```python
voice = drumblender.load("OWNER/NAME")
voice.decompose("drum.wav").with_pitch(-2).write("lower.wav")
```"""


def _metadata(facts: Facts, tested_on: str) -> Dict[str, Any]:
    """Return what the hub reads: licence, library, tags and results."""
    license = facts.license.lower()
    found: Dict[str, Any] = {"license": license}
    if license not in LICENSES:
        slug = re.sub(r"[^a-z0-9.-]+", "-", license).strip("-")
        found = {"license": "other", "license_name": slug}
    found["library_name"] = "drumblender"
    found["pipeline_tag"] = "audio-to-audio"
    found["tags"] = ["drumblender", "drums", "audio", "ddsp"]
    if facts.metrics:
        name = tested_on or "test set"
        data = {"type": re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"), "name": name}
        metrics = [
            {"type": metric, "name": metric, "value": value}
            for metric, value in facts.metrics.items()
        ]
        task = {"type": "audio-to-audio", "name": "Resynthesis of drum sounds"}
        results = [{"task": task, "dataset": data, "metrics": metrics}]
        found["model-index"] = [{"name": facts.name, "results": results}]
    return found


def _model_rows(facts: Facts) -> List[Tuple[str, Any]]:
    """List what is known of the model itself."""
    seconds = facts.num_samples / facts.sample_rate
    return [
        ("license", facts.license),
        ("parameters", f"{facts.parameters:,}".replace(",", " ")),
        ("sample rate", f"{facts.sample_rate} Hz"),
        ("sounds of training are", f"{seconds:.3g} s long"),
        ("modes", f"{facts.analysis['num_modes']}, method {facts.analysis['method']}"),
    ]


def _training_rows(facts: Facts) -> List[Tuple[str, Any]]:
    """List what is known of the training."""
    training, software = facts.training, facts.training.get("software") or {}
    kinds = facts.trained_on
    sounds = kinds.get("sounds")
    only = f"1 ({kinds.get('name')}); other recordings are refused" if sounds == 1 else sounds
    return [
        ("steps", training.get("global_step")),
        ("epochs", training.get("epoch")),
        ("different sounds", only),
        ("seed", facts.configuration.get("seed_everything")),
        ("Drumblender", software.get("version")),
        ("commit", software.get("commit")),
        ("configuration", "`config.yaml`, for `drumblender fit -c`"),
    ]


def _metrics(facts: Facts, tested_on: str) -> Optional[str]:
    """Write the section of the metrics, if there are any."""
    if not facts.metrics:
        return None
    rows = [(f"`{name}`", f"{value:.4g}") for name, value in facts.metrics.items()]
    text = _table("Metrics", rows)
    return text.replace("\n\n", f"\n\nMeans over {tested_on or 'a test set'}.\n\n", 1)


def _table(title: str, rows: List[Tuple[str, Any]]) -> str:
    """Write a section with a table of two columns, without what is not known."""
    lines = [f"| {name} | {_cell(value)} |" for name, value in rows if value is not None]
    return "\n".join([f"## {title}", "", "| | |", "|---|---|", *lines])


def _cell(value: Any) -> str:
    """Write a value so that it stays in its cell."""
    return " ".join(str(value).split()).replace("|", "\\|")
