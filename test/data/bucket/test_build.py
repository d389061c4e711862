"""Datasets in a bucket, made of a bucket by the real command, and compared with one machine's."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from buckets import OUT, RAW, dataset, objects, send, there
from proxy import proxy_to

from drumblender.commands.dataset import main
from drumblender.data.bucket import pace
from drumblender.data.bucket.addresses import place_of
from drumblender.data.bucket.check import Contents
from drumblender.data.bucket.layout import index_lines, read_dataset, read_metadata, settings_from
from drumblender.data.bucket.listing import Part, Recording
from drumblender.data.bucket.place import Item
from drumblender.data.bucket.plan import cut
from drumblender.data.build.journal import read_journal
from drumblender.data.dataset import AudioWithParametersDataset, AudioWithPartsDataset
from drumblender.data.library.sounds import RawSound
from drumblender.data.packed import PackedSounds

__all__ = ["there"]  # a fixture


@pytest.mark.parametrize(
    ("part", "options", "kind"),
    [
        ("", {}, AudioWithParametersDataset),
        ("/sfz", {"method": "separating", "hop_length": 64}, AudioWithPartsDataset),
    ],
    ids=["whole library", "separating"],
)
def test_a_dataset_in_a_bucket_is_what_one_machine_makes(
    there, client, store, capsys, part, options, kind
):
    place = there.bucket(part=part, **options)
    assert main([str(there.config), "--preprocess", "--num_workers", "1"]) == 0
    here = there.data_dir
    assert dataset("--preprocess", "--verify") == 0
    assert f"{len(there.metadata())} sounds are right." in capsys.readouterr().out

    description = read_dataset(place)
    metadata = read_metadata(place, description)
    assert json.dumps(metadata, indent=1) + "\n" == (here / "meta.json").read_text()
    settings = json.loads((here / "drumblender.json").read_text())
    assert description.content["library"] == settings["library"]
    skipped = place.read_whole(description.content["skipped_list"])
    assert skipped == (here / "skipped.txt").read_bytes()
    assert description.content["cut"] == len(settings["cut"])

    # The files are those of one machine, byte for byte, and so are the values in the packs.
    journal = {name: list(made.stamp) for name, made in read_journal(here).items()}
    made = [json.loads(body) for name, body in objects(client, store.bucket).items()
            if name.startswith("made/")]  # fmt: skip
    assert {k: v for m in made for pack in m["packs"] for k, v in pack["is"].items()} == journal
    local = kind(here, "meta.json", 8000, 4000)
    for line in index_lines(place, description):
        path = there.folder / "pack.safetensors"
        path.write_bytes(place.read_whole(line.pack))
        contents = Contents.of(there.folder, line, settings_from(description.content))
        pack = PackedSounds(path, contents)
        for index, key in enumerate(contents.keys):
            for field in contents.fields:
                torch.testing.assert_close(
                    pack.read(index, field), local.load(local.keys.index(key), field),
                    rtol=0, atol=0,
                )  # fmt: skip


def test_statistics_are_told_by_manifests_alone(there, client, store, capsys):
    assert main([str(there.config), "--preprocess", "--num_workers", "1"]) == 0
    assert main([str(there.config), "--stats"]) == 0
    table = capsys.readouterr().out
    place = there.bucket()
    assert dataset("--preprocess") == 0
    for name in objects(client, store.bucket):
        if name.startswith("packs/"):
            place.remove(name)
    capsys.readouterr()
    assert dataset("--stats") == 0
    numbers = [line for line in capsys.readouterr().out.splitlines() if "  " in line]
    assert numbers
    assert numbers == [line for line in table.splitlines() if line in numbers]


def test_raw_metadata_describes_recordings_in_a_bucket(there, client, store):
    kit = ["pack 1/Old.h2drumkit", "gone.wav"]
    described = {
        "Mine": {"type": "acoustic", "folders": {"a": {"path": "pack 0", "instrument": "tom"}}},
        "Kit": {"type": "electronic", "maker": "me", "folders": kit},
    }
    Path("raw/meta.json").write_text(json.dumps(described))
    send(client, store.bucket, Path("raw"))
    assert main([str(there.config), "--preprocess", "--num_workers", "1"]) == 0
    assert dataset("--preprocess") == 0

    place = place_of(f"s3://{store.bucket}/{OUT}", store.url)
    description = read_dataset(place)
    assert read_metadata(place, description) == there.metadata()
    here = (there.data_dir / "skipped.txt").read_text()
    said = place.read_whole(description.content["skipped_list"]).decode()
    # Only the address of the metadata is another one.
    assert said.replace(f"s3://{store.bucket}/{RAW}/", "raw/") == here


def test_a_killed_run_goes_on_and_nothing_but_what_was_in_flight_is_read_twice(
    there, client, store, announcing, monkeypatch, capsys
):
    monkeypatch.setattr(pace, "_PAUSE_S", 0.0)
    assert dataset("--preprocess") == 0
    alone = objects(client, store.bucket)
    with proxy_to(store.url) as proxy:
        there.bucket(url=proxy.address, out="made/other")
        command = ["drumblender.commands.dataset", "bucket.yaml", "--preprocess"]
        run = announcing(*command, "--block_size", "4", "--num_workers", "1")
        run.wait_for_steps(5 + 6)  # five parts are listed, and six recordings are made
        run.process.kill()
        run.end()
        assert "dataset.json" not in objects(client, store.bucket, "made/other")
        assert dataset("--stats") == 1
        assert "is not whole yet" in capsys.readouterr().err
        # The store is busy, and connections break.
        proxy.fail(path=f"{RAW}/", status=503, times=3)
        proxy.fail(path=f"{RAW}/", after=100, times=2)
        assert dataset("--preprocess") == 0

        read = [p for m, p, _ in proxy.requests if m == "GET" and f"/{RAW}/" in p]
        sounds = [path for path in read if path.endswith((".wav", ".h2drumkit"))]
        assert len(set(sounds)) == 15
        # Besides what went wrong, a block at most.
        assert len(sounds) <= 15 + 3 + 2 + 4
        before = len(sounds)
        assert dataset("--preprocess") == 0
        read = [p for m, p, _ in proxy.requests if m == "GET" and f"/{RAW}/" in p]
        assert len([p for p in read if p.endswith((".wav", ".h2drumkit"))]) == before
    assert objects(client, store.bucket, "made/other") == alone


def test_a_recording_more_changes_few_blocks():
    def blocks(names):
        sounds = [RawSound(name, name, "pack", "acoustic", "kick") for name in names]
        part = Part([Recording(Item(sound.name, 1, "", ""), sound) for sound in sounds])
        return {tuple(r.item.name for r in block) for block in cut([part], 20)}

    names = [f"{index:05d}.wav" for index in range(1000)]
    before = blocks(names)
    sizes = [len(block) for block in before]
    assert max(sizes) <= 20
    assert sum(sizes) / len(sizes) > 12
    changed = [
        len(blocks([*names[:place], f"{place:05d}b.wav", *names[place:]]) - before)
        for place in range(0, 1000, 90)
    ]
    assert max(changed) <= 12
    assert sum(changed) / len(changed) < 3


def test_a_dataset_is_brought_up_to_date(there, client, store):
    assert dataset("--preprocess") == 0
    before = objects(client, store.bucket)
    there.write_sound(Path("raw/sfz/kick_11.wav"), 500.0)
    send(client, store.bucket, Path("raw"))
    assert dataset("--preprocess") == 0
    after = objects(client, store.bucket)

    # What is named by its content is never written over.
    assert {n for n in before if before[n] != after[n]} <= {"dataset.json", "recordings.json"}
    assert json.loads(after["dataset.json"])["sounds"] == 16


def test_a_recording_that_changes_meanwhile_is_noticed(there, client, store, capsys):
    with proxy_to(store.url) as proxy:
        there.bucket(url=proxy.address)
        key, body = f"{RAW}/pack 0/kick_3.wav", Path("raw/pack 0/kick_0.wav").read_bytes()

        def replace():
            client.put_object(Bucket=store.bucket, Key=key, Body=body)

        proxy.meanwhile = ("GET", "kick_3.wav", replace)
        assert dataset("--preprocess") == 1
        assert "kick_3.wav has changed since it was listed" in capsys.readouterr().err
        assert dataset("--preprocess") == 0
        assert "2 duplicates" in capsys.readouterr().out


def test_shards_make_blocks_and_merging_makes_the_whole(there, client, store, capsys):
    assert dataset("--preprocess") == 0
    alone = objects(client, store.bucket)
    there.bucket(out="made/other")
    assert dataset("--preprocess", "--shard", "1/2") == 0
    assert dataset("--merge") == 1
    assert "blocks; run the shards again" in capsys.readouterr().err
    assert dataset("--preprocess", "--shard", "2/2") == 0
    assert dataset("--merge") == 0

    assert objects(client, store.bucket, "made/other") == alone


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(there, client, store, capsys):
    assert dataset("--preprocess", "--dry_run") == 0
    output = capsys.readouterr().out
    assert "Nothing was written." in output
    assert " 0 of " in output
    assert not objects(client, store.bucket)


def test_damage_is_found_and_named(there, client, store, capsys):
    assert dataset("--preprocess") == 0
    name, body = next(x for x in objects(client, store.bucket).items() if x[0].startswith("packs/"))
    damaged = bytearray(body)
    damaged[5000] ^= 1
    client.put_object(Bucket=store.bucket, Key=f"{OUT}/{name}", Body=bytes(damaged))
    assert dataset("--verify") == 1
    assert f"{name} is damaged." in capsys.readouterr().err
    client.delete_object(Bucket=store.bucket, Key=f"{OUT}/{name}")
    assert dataset("--verify") == 1
    assert f"{name} is missing." in capsys.readouterr().err


def test_a_share_of_the_packs_is_verified(there, client, store, capsys):
    assert dataset("--preprocess") == 0
    packs = [name for name in objects(client, store.bucket) if name.startswith("packs/")]
    capsys.readouterr()
    assert dataset("--verify") == 0
    whole = int(re.search(r"(\d+) sounds are right", capsys.readouterr().out)[1])
    assert dataset("--verify", "--verify_share", str(1 / len(packs))) == 0
    assert 0 < int(re.search(r"(\d+) sounds are right", capsys.readouterr().out)[1]) < whole
    assert dataset("--verify", "--verify_share", "0") == 2


def test_init_writes_a_configuration_for_a_bucket(there, store, capsys):
    assert main(["here.yaml", "--init", "raw"]) == 0
    table = capsys.readouterr().out.split("\n\n")[0]
    address = f"s3://{store.bucket}/{RAW}"
    assert main(["new.yaml", "--init", address, "--url", store.url]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[:4] == table.splitlines()[:4]
    assert json.loads(Path("new.json").read_text()) == json.loads(Path("here.json").read_text())
    assert f"data_dir: s3://{store.bucket}/libraries/dataset/new\n" in Path("new.yaml").read_text()
    assert main(["new.yaml", "--preprocess", "--dry_run"]) == 0


def test_settings_of_another_dataset_are_refused(there, capsys):
    assert dataset("--preprocess") == 0
    there.bucket(num_modes=9)
    assert dataset("--preprocess") == 2
    assert "num_modes" in capsys.readouterr().err
    there.bucket()
    assert dataset("--pack") == 2
    assert main([str(there.config), "--preprocess", "--dry_run"]) == 2
    assert "set data_dir to an address" in capsys.readouterr().err


@pytest.mark.parametrize("scheme", ["s3", "file", "memory"])
def test_places_are_alike(scheme, store, tmp_path):
    pytest.importorskip("fsspec")
    addresses = {
        "s3": f"s3://{store.bucket}/a",
        "file": f"file://{tmp_path}/a",
        "memory": "memory://a",
    }
    place = place_of(addresses[scheme], store.url)
    content = np.random.default_rng(0).bytes(20 << 20)
    big = tmp_path / "big"
    big.write_bytes(content)
    place.write("x/y/big.bin", big)
    place.write("x/small.txt", b"hello")
    place.write("top.txt", b"top")

    assert place.read("x/small.txt") == b"hello"
    assert place.read("x/small.txt", 1, 3) == b"el"
    assert place.read("x/none") is None
    assert sorted(item.name for item in place.items()) == ["top.txt", "x/small.txt", "x/y/big.bin"]
    files, folders = place.top()
    assert ([item.name for item in files], folders) == (["top.txt"], ["x"])
    item = next(item for item in place.items("x/") if item.size > 10)
    place.fetch(item, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    place.remove("top.txt")
    place.remove("top.txt")
    assert place.read("top.txt") is None
