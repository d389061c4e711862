#!/usr/bin/env python3
"""The pictures of the app in the documentation, taken in Debian's Chromium.

    python scripts/screenshots.py          # docs/images/app*.webp
    python scripts/screenshots.py FOLDER   # the same in another folder

It needs chromium and chromium-driver of the system, and the packages of `pip install -e ".[dev]"`.
"""

import argparse
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

import drumblender

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "test" / "support"))

from browser import Keys, Person, chromium  # noqa: E402
from pages import serving_page  # noqa: E402

RECORDINGS = ROOT / "audio/one-shots"
FOUR = (
    "drum/tom/drum_tom_mid_hard.flac",
    "drum/snare/drum_snare_hard.flac",
    "bd/kick/bd_fat.flac",
    "elec/cymbals/elec_bell.flac",
)
QUALITY = 82  # of WebP, at which letters stay sharp


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "docs/images")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    voice = drumblender.load(device="cpu")
    with serving_page(voice) as (address, _), tempfile.TemporaryDirectory() as downloads:
        with chromium(downloads) as driver:
            person = Person(driver, address)
            person.find("#play-changes").click()
            four_on_the_pad(person)
            save(person, folder / "app.webp")
            person.set_window(400, 900, 2)
            save(person, folder / "app_narrow.webp")
            person.come_anew()
            person.find("#play-changes").click()
            two_and_takes(person)
            save(person, folder / "app_dark.webp")


def four_on_the_pad(person: Person) -> None:
    """Blend four drums, and change the blend."""
    person.set_window(1280, 860, 1.5)
    person.choose_drums(*(RECORDINGS / name for name in FOUR))
    person.press(Keys.SHIFT, *[Keys.ARROW_LEFT] * 2, Keys.ARROW_UP, on="#pad")
    person.set("decay", "1.4")
    person.set("brightness", "1")
    person.select("[data-from=transient]", "B")
    person.press("t")
    person.wait("document.querySelectorAll('.take').length === 2")


def two_and_takes(person: Person) -> None:
    """Morph between two drums, and keep takes."""
    person.set_window(1280, 860, 1.5, "dark")
    person.choose_drums(*(RECORDINGS / name for name in FOUR[:2]))
    for count, pitch in enumerate(("0", "-3", "5"), 2):
        person.set("pitch", pitch)
        person.press("t")
        person.wait(f"document.querySelectorAll('.take').length === {count}")
    person.press(*[Keys.ARROW_LEFT] * 15, on=".morph input")


def save(person: Person, path: Path) -> None:
    """Save what the window shows."""
    person.run("document.activeElement.blur()")
    person.wait_for_picture()
    picture = Image.open(io.BytesIO(person.driver.get_screenshot_as_png())).convert("RGB")
    picture.save(path, quality=QUALITY, method=6)
    print(f"{path}: {picture.width} x {picture.height}, {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
