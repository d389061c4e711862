"""Kits of samplers, as their programs write them."""

import io
import json
import tarfile

import pytest

from drumblender.data.kits import sfz_regions
from drumblender.data.raw import find_sounds
from drumblender.dataset_cli import main

OLD_HYDROGEN = """<drumkit_info>
 <name>Old kit</name>
 <instrumentList>
  <instrument><id>0</id><name>BassDrum</name>
   <layer><filename>01.wav</filename><min>0.5</min><max>1</max></layer>
   <layer><filename>02.wav</filename><min>0</min><max>0.5</max></layer>
  </instrument>
  <instrument><id>1</id><name>Crash &amp; more</name>
   <layer><filename>CB_03.wav</filename></layer></instrument>
  <instrument><id>2</id><name>17</name></instrument>
 </instrumentList>
</drumkit_info>"""
NEW_HYDROGEN = """<?xml version="1.0" encoding="UTF-8"?>
<drumkit_info xmlns="http://www.hydrogen-music.org/drumkit">
 <name>New kit</name>
 <instrumentList><instrument><id>0</id><name>Floor Tom</name>
  <instrumentComponent><component_id>0</component_id>
   <layer><filename>a b.flac</filename></layer></instrumentComponent>
 </instrument></instrumentList>
</drumkit_info>"""
OLDEST_HYDROGEN = """<drumkit_info><instrumentList>
  <instrument><name>Snare caf\xe9\x01</name><filename>s.wav</filename></instrument>
</instrumentList></drumkit_info>"""


def put_all(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("latin-1") if isinstance(content, str) else content)


def found(folder):
    """name -> (pack, instrument, problem)"""
    return {
        sound.name: (sound.sample_pack_key, sound.instrument, sound.problem)
        for sound in find_sounds(folder, "meta.json")
    }


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "raw"


def archive(files, mode="w:gz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_a_hydrogen_kit_is_a_pack_and_says_what_its_files_are(raw):
    put_all(
        raw,
        {
            "kits/Mine/drumkit.xml": OLD_HYDROGEN,
            "kits/Mine/01.wav": b"x",
            "kits/Mine/CB_03.wav": b"x",
            "kits/Mine/unused clap.wav": b"x",
            "kits/other.wav": b"x",
            "New/drumkit.xml": NEW_HYDROGEN,
            "New/a b.flac": b"x",
            "Oldest/drumkit.xml": OLDEST_HYDROGEN,
            "Oldest/s.wav": b"x",
        },
    )

    assert found(raw) == {
        "kits/Mine/01.wav": ("Mine", "kick", ""),
        "kits/Mine/02.wav": (
            "Mine",
            "unknown",
            "is not there, but kits/Mine/drumkit.xml names it",
        ),
        "kits/Mine/CB_03.wav": ("Mine", "cymbals", ""),
        "kits/Mine/unused clap.wav": ("Mine", "clap", ""),
        "kits/other.wav": ("kits", "unknown", ""),
        "New/a b.flac": ("New", "tom", ""),
        "Oldest/s.wav": ("Oldest", "snare", ""),
    }


def test_the_raw_folder_itself_may_be_a_kit(raw):
    put_all(raw, {"drumkit.xml": OLD_HYDROGEN, "01.wav": b"x", "02.wav": b"x", "CB_03.wav": b"x"})

    assert set(found(raw).values()) == {("raw", "kick", ""), ("raw", "cymbals", "")}


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_a_hydrogen_archive_is_a_pack_of_sounds(project, mode, capsys):
    project.fill(packs=1, sounds=1)
    content = (project.folder / "raw" / "pack 0" / "kick_0.wav").read_bytes()
    files = {"Top/drumkit.xml": OLD_HYDROGEN.encode(), "Top/01.wav": content, "Top/README": b"!"}
    (project.folder / "raw" / "My Kit.h2drumkit").write_bytes(archive(files, mode))
    for _ in range(2):  # again: what has not changed is reused
        assert main([str(project.config), "--preprocess", "--verify"]) == 0
        kit = [i for i in project.metadata().values() if i["sample_pack_key"] == "My Kit"]
        assert [item["instrument"] for item in kit] == ["kick"]
        skipped = (project.data_dir / "skipped.txt").read_text()
        assert "My Kit.h2drumkit/Top/README\tis broken or no audio" in skipped
        assert "My Kit.h2drumkit/Top/02.wav\tis not there" in skipped
        assert [path.name for path in project.data_dir.parent.iterdir()] == ["drums"]
    assert ": 0 done, 2 reused" in capsys.readouterr().out


def test_an_archive_that_is_none_or_unsafe_is_reported_and_the_others_are_used(raw):
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(link)
    put_all(
        raw,
        {
            "text.h2drumkit": b"404",
            "evil.h2drumkit": buffer.getvalue(),
            "empty.h2drumkit": archive({"a.wav": b"x"}),
            "broken/drumkit.xml": "<drumkit_info>",
            "good/kick.wav": b"x",
        },
    )

    sounds = found(raw)

    problems = {name: problem for name, (_, _, problem) in sounds.items() if problem}
    assert "damaged or no tar archive" in problems["text.h2drumkit"]
    assert "is a link" in problems["evil.h2drumkit"]
    assert "holds no drumkit.xml" in problems["empty.h2drumkit"]
    assert "is no kit that can be read" in problems["broken/drumkit.xml"]
    assert sounds["good/kick.wav"] == ("good", "kick", "")


def test_raw_metadata_may_name_an_archive_and_files_in_it(raw):
    files = {"drumkit.xml": OLD_HYDROGEN.encode(), "01.wav": b"x", "02.wav": b"x", "CB_03.wav": b""}
    put_all(raw, {"a/Kit.h2drumkit": archive(files)})
    folders = {
        "kit": {"path": "a/Kit.h2drumkit"},
        "one": {"path": "a/Kit.h2drumkit/02.wav", "instrument": "tom"},
    }
    (raw / "meta.json").write_text(json.dumps({"P": {"folders": folders}}))

    assert found(raw) == {
        "a/Kit.h2drumkit/01.wav": ("P", "kick", ""),
        "a/Kit.h2drumkit/02.wav": ("P", "tom", ""),
        "a/Kit.h2drumkit/CB_03.wav": ("P", "cymbals", ""),
    }


SFZ = """// A kit, written on Windows
<control> default_path=..\\Samples\\ #define $TOM FloorTom
#define $NUMBER 3
<global> ampeg_release=1
<master> master_label=Snares
<group> key=38
<region> sample=S nare\\hard hit.wav lovel=100 // the loud one
<region> lovel=0 sample=S nare\\SOFT HIT.wav
<master>
<group> group_label=Zing
 sample=c1.wav
<region> lokey=49 hikey=49
<region> sample=*silence
/* <region> sample=gone.wav */
<region> sample=t$NUMBER.wav region_label=$TOM
<region> sample=x1.wav key=c2
<region> sample=nowhere.wav
#include "parts/more.sfz"
"""


def test_an_sfz_kit_is_a_pack_and_says_what_its_files_are(raw):
    names = ("S nare/Hard Hit.wav", "S nare/Soft Hit.wav", "c1.wav", "t3.wav", "x1.wav", "x2.wav")
    put_all(
        raw,
        {
            "Lib/Programs/kit.sfz": SFZ,
            "Lib/Programs/parts/more.sfz": "<region> sample=x2.wav key=42",
            "Lib/Samples/unused kick.wav": b"x",
            **{f"Lib/Samples/{name}": b"x" for name in names},
        },
    )

    sounds = found(raw)

    nowhere = sounds.pop("Lib/Samples/nowhere.wav")
    assert nowhere[2] == "is not there, but Lib/Programs/kit.sfz names it"
    assert sounds == {
        "Lib/Samples/S nare/Hard Hit.wav": ("Lib", "snare", ""),
        "Lib/Samples/S nare/Soft Hit.wav": ("Lib", "snare", ""),
        "Lib/Samples/c1.wav": ("Lib", "cymbals", ""),  # by its key, the only hint
        "Lib/Samples/t3.wav": ("Lib", "tom", ""),
        "Lib/Samples/unused kick.wav": ("Lib", "kick", ""),
        "Lib/Samples/x1.wav": ("Lib", "kick", ""),
        "Lib/Samples/x2.wav": ("Lib", "hihat", ""),
    }


def test_an_opcode_holds_for_all_regions_below_until_the_next_of_its_kind():
    text = "<global>a=g <group>b=1\n<region>sample=1.wav\nc=2 <region>sample=2.wav"
    text += "<group><region>sample=3 4.wav <global><region>sample=5.wav"

    regions = [(r.pop("sample"), "".join(sorted(r))) for r in sfz_regions(text)]

    assert regions == [("1.wav", "abc"), ("2.wav", "ab"), ("3 4.wav", "a"), ("5.wav", "")]


def test_kits_that_point_outside_or_at_themselves_reach_nothing(raw):
    (raw.parent / "secret.wav").parent.mkdir(exist_ok=True)
    (raw.parent / "secret.wav").write_bytes(b"x")
    put_all(
        raw,
        {
            "a/kit.sfz": "<region> sample=../../secret.wav <region> sample=/etc/passwd",
            "b/kit.sfz": '#include "kit.sfz"',
            "c/kit.sfz": '#include "../../../etc/passwd"',
            "d/kick.wav": b"x",
        },
    )

    sounds = found(raw)

    assert "is not there" in sounds["../secret.wav"][2]
    assert "is not there" in sounds["/etc/passwd"][2]
    assert "includes itself" in sounds["b/kit.sfz"][2]
    assert "which is not there" in sounds["c/kit.sfz"][2]
    assert sounds["d/kick.wav"] == ("d", "kick", "")
