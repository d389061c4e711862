"""A library of all kinds of recordings in a bucket, and configurations that make datasets of it."""

import io
import shutil
import tarfile

import pytest

from drumblender.commands.dataset import main
from drumblender.data.bucket.addresses import place_of

RAW, OUT = "libraries/raw", "made/drums"
KIT = """<drumkit_info><name>Old kit</name><instrumentList>
  <instrument><id>0</id><name>BassDrum</name><layer><filename>01.wav</filename></layer></instrument>
  <instrument><id>1</id><name>Snare</name><layer><filename>02.wav</filename></layer></instrument>
</instrumentList></drumkit_info>"""


def fill(project):
    """Put recordings of all kinds into the raw folder: also copies, a broken one, kits."""
    project.fill(packs=2, sounds=5)
    raw = project.folder / "raw"
    shutil.copy(raw / "pack 0" / "kick_1.wav", raw / "pack 1" / "copy é.wav")
    (raw / "pack 0" / "broken.wav").write_bytes(b"x" * 100)
    (raw / "pack 0" / ".DS_Store").write_bytes(b"junk")
    project.write_sound(raw / "loose.wav", 300.0, seconds=1.5)  # longer than a sound of the dataset
    project.write_sound(raw / "sfz" / "samples" / "x1.wav", 310.0)
    (raw / "sfz" / "kit.sfz").write_text('<global>\n#include "parts/map.txt"\n')
    (raw / "sfz" / "parts").mkdir()
    (raw / "sfz" / "parts" / "map.txt").write_text(
        "<region> sample=samples/x1.wav group_label=Snare key=38\n<region> sample=gone.wav key=36\n"
    )
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        sounds = {
            name: project.write_sound(project.folder / "kit" / name, 200.0 + 30 * index)
            for index, name in enumerate(("01.wav", "02.wav"))
        }
        files = {"Top/drumkit.xml": KIT.encode(), "Top/README": b"hello"}
        files.update({f"Top/{name}": path.read_bytes() for name, path in sounds.items()})
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    (raw / "pack 1" / "Old.h2drumkit").write_bytes(buffer.getvalue())
    return raw


def send(client, bucket, folder):
    """Put a folder into the bucket."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            key = f"{RAW}/{path.relative_to(folder).as_posix()}"
            client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())


def objects(client, bucket, prefix=OUT):
    """Name -> bytes of all objects below a prefix."""
    found = {}
    for page in client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=f"{prefix}/"
    ):
        for item in page.get("Contents", ()):
            body = client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
            found[item["Key"][len(prefix) + 1 :]] = body
    return found


def dataset(*arguments):
    """Run the command on the configuration of the bucket."""
    return main(["bucket.yaml", "--block_size", "4", "--num_workers", "1", *arguments])


@pytest.fixture
def there(project, store, client):
    """A library in a bucket and beside it, and configurations for both."""
    raw = fill(project)
    send(client, store.bucket, raw)

    def configure(url=store.url, out=OUT, part="", **options):
        address = f"s3://{store.bucket}"
        project.configure(
            data_dir=f"{address}/{out}",
            data_dir_unprocessed=f"{address}/{RAW}{part}",
            url=url,
            **options,
        )
        project.config.replace("bucket.yaml")
        project.configure(data_dir_unprocessed=f"raw{part}", **options)
        return place_of(f"{address}/{out}", url)

    project.bucket = configure
    configure()
    return project
