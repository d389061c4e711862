"""Kits of samplers, as their programs write them."""

import io
import json
import os
import sys
import tarfile

import pytest

from drumblender.commands.dataset import main
from drumblender.data.library.scan import find_sounds
from drumblender.data.library.sfz import sfz_regions
from drumblender.data.library.unpack import unpack_archives

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
    text = "<global>key=1 <group>lokey=1\n<region>sample=1.wav\nhikey=2 <region>sample=2.wav"
    text += "<group><region>sample=3 4.wav <global><region>sample=5.wav"

    regions = [(r.pop("sample"), " ".join(sorted(r))) for r in sfz_regions(text)]

    assert regions == [
        ("1.wav", "hikey key lokey"),
        ("2.wav", "key lokey"),
        ("3 4.wav", "key"),
        ("5.wav", ""),
    ]


def test_kits_that_point_outside_or_at_themselves_reach_nothing(raw):
    (raw.parent / "secret.wav").parent.mkdir(exist_ok=True)
    (raw.parent / "secret.wav").write_bytes(b"x")
    put_all(
        raw,
        {
            "a/kit.sfz": "<region> sample=../../secret.wav <region> sample=/etc/passwd",
            "kit.sfz": "<region> sample=. <region> sample=/ <region> sample=a",
            "b/kit.sfz": '#include "kit.sfz" <region> sample=..',
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


def kit_xml(*instruments, head=""):
    body = "".join(
        f"<instrument><name>{name}</name><layer><filename>{file}</filename></layer></instrument>"
        for name, file in instruments
    )
    return f"{head}<drumkit_info><instrumentList>{body}</instrumentList></drumkit_info>".encode()


@pytest.mark.parametrize("encoding", ["ansi", "rot13", "hex", "x-user-defined", "utf-16", "utf-7x"])
def test_an_encoding_that_python_does_not_know_stops_nothing(raw, encoding):
    head = f'<?xml version="1.0" encoding="{encoding}"?>'
    put_all(raw, {"kit/drumkit.xml": kit_xml(("Tom", "1.wav"), head=head), "kit/1.wav": b"x"})

    assert found(raw) == {"kit/1.wav": ("kit", "tom", "")}


def test_xml_in_utf_16_is_read(raw):
    head = '<?xml version="1.0" encoding="utf-16"?>'
    text = kit_xml(("Snare", "1.wav"), head=head).decode().encode("utf-16")
    put_all(raw, {"kit/drumkit.xml": text, "kit/1.wav": b"x"})

    assert found(raw) == {"kit/1.wav": ("kit", "snare", "")}


def test_entities_that_multiply_are_refused_and_deep_nesting_is_not_slow(raw):
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    deep = (
        b"<drumkit_info>" + b"<instrument>" * 50_000 + b"<name>Tom</name><filename>1.wav</filename>"
    )
    deep += b"</instrument>" * 50_000 + b"</drumkit_info>"
    put_all(
        raw,
        {
            "bomb/drumkit.xml": kit_xml(("Tom", "1.wav"), head=bomb),
            "bomb/1.wav": b"x",
            "deep/drumkit.xml": deep,
            "deep/1.wav": b"x",
        },
    )

    sounds = found(raw)

    assert "declares entities" in sounds["bomb/drumkit.xml"][2]
    assert sounds["bomb/1.wav"][2] == ""
    assert sounds["deep/1.wav"] == ("deep", "tom", "")


@pytest.mark.skipif(sys.platform == "darwin", reason="platform: file systems fold names")
def test_the_very_name_wins_over_one_that_differs_in_case(raw):
    put_all(
        raw,
        {
            "h/drumkit.xml": kit_xml(("Kick", "A.wav"), ("Snare", "a.wav"), ("Tom", "B.WAV")),
            **{f"h/{name}": b"x" for name in ("A.wav", "a.wav", "b.wav")},
            "s/s.sfz": "<region> region_label=Kick sample=A.wav"
            "<region> region_label=Hat sample=a.wav",
            **{f"s/{name}": b"x" for name in ("A.wav", "a.wav")},
        },
    )

    assert {name: instrument for name, (_, instrument, _) in found(raw).items()} == {
        "h/A.wav": "kick",
        "h/a.wav": "snare",
        "h/b.wav": "tom",
        "s/A.wav": "kick",
        "s/a.wav": "hihat",
    }


def test_a_sample_that_was_converted_keeps_its_label(raw):
    put_all(raw, {"kit/drumkit.xml": kit_xml(("Cowbell", "q.wav")), "kit/q.flac": b"x"})

    assert found(raw) == {"kit/q.flac": ("kit", "cowbell", "")}


@pytest.mark.skipif(sys.platform == "darwin", reason="platform: names are UTF-8")
def test_a_kit_in_latin_1_names_files_in_latin_1_and_in_utf_8(raw):
    text = b"<group> group_label=Cowbell <region> sample=caf\xe9.wav"
    for folder, name in (("one", b"caf\xe9.wav"), ("two", "caf\u00e9.wav".encode())):
        put_all(raw, {f"{folder}/kit.sfz": text})
        with open(os.path.join(os.fsencode(raw / folder), name), "wb"):
            pass

    sounds = found(raw)

    assert [(pack, instrument) for pack, instrument, _ in sounds.values()] == [
        ("one", "cowbell"),
        ("two", "cowbell"),
    ]


def test_an_archive_in_latin_1_is_described_and_unpacked(raw, tmp_path):
    name = b"K/d\xe9.wav".decode("utf-8", "surrogateescape")
    head = '<?xml version="1.0" encoding="ISO-8859-1"?>'
    xml = kit_xml(("Kick", "d\xe9.wav"), head=head).decode().encode("latin-1")
    put_all(raw, {"kit.h2drumkit": archive({"K/drumkit.xml": xml, name: b"sound"})})

    (sound,) = find_sounds(raw, "meta.json")
    sources, problems = unpack_archives(raw, [sound], tmp_path / "unpacked")

    assert (sound.sample_pack_key, sound.instrument, sound.problem) == ("kit", "kick", "")
    assert sources[sound.key].read_bytes() == b"sound"
    assert not problems


def test_members_of_an_archive_that_are_twice_there_or_have_impossible_names(raw, tmp_path):
    buffer = io.BytesIO()
    members = [("drumkit.xml", kit_xml(("Snare", "a.wav"))), ("a.wav", b"old"), ("a.wav", b"new")]
    members += [("a.wav/b.wav", b"in a file"), ("n" * 300 + ".wav", b"x"), ("A.WAV", b"upper")]
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    put_all(raw, {"kit.h2drumkit": buffer.getvalue()})

    sounds = find_sounds(raw, "meta.json")
    sources, problems = unpack_archives(raw, sounds, tmp_path / "unpacked")

    content = {s.name: sources[s.key].read_bytes() for s in sounds if s.key in sources}
    assert content == {
        "kit.h2drumkit/A.WAV": b"upper",
        "kit.h2drumkit/a.wav": b"new",
        "kit.h2drumkit/a.wav/b.wav": b"in a file",
    }
    assert not problems
    (long,) = (sound for sound in sounds if sound.problem)
    assert "a name of 304 bytes" in long.problem


def test_an_archive_that_is_damaged_behind_its_names_does_not_stop_the_others(raw, tmp_path):
    files = {"drumkit.xml": kit_xml(("Tom", "a.wav")), "a.wav": b"x"}
    put_all(raw, {"a.h2drumkit": archive(files), "b.h2drumkit": archive(files)})
    sounds = find_sounds(raw, "meta.json")
    (raw / "a.h2drumkit").write_bytes(b"changed since")

    sources, problems = unpack_archives(raw, sounds, tmp_path / "unpacked")

    bad, good = sounds
    assert "cannot be unpacked" in problems[bad.key]
    assert sources.keys() == {good.key}


def test_several_kits_in_one_archive_are_packs_with_labels(raw):
    files = {"K/drumkit.xml": kit_xml(("Kick", "1.wav")), "K/1.wav": b"x"}
    files.update({"L/drumkit.xml": kit_xml(("Clap", "1.wav")), "L/1.wav": b"x"})
    files.update({"M/drumkit.xml": b"<broken", "M/1.wav": b"x"})
    put_all(raw, {"two.h2drumkit": archive(files)})

    sounds = found(raw)

    assert sounds["two.h2drumkit/K/1.wav"] == ("K", "kick", "")
    assert sounds["two.h2drumkit/L/1.wav"] == ("L", "clap", "")
    assert sounds["two.h2drumkit/M/1.wav"] == ("two", "unknown", "")
    assert "no kit that can be read" in sounds["two.h2drumkit/M/drumkit.xml"][2]


def test_sfz_expands_names_in_includes_and_resets_the_default_path(raw):
    text = """#define $dir parts
#define $K kick
#include "$dir/$K.sfz"
<control> default_path=sub/ note_offset=2
<group> <region> sample=z.wav key=36
<control>
<group> group_label=Hat <region> sample=y.wav
#include "nowhere.sfz"
<group> group_label=Clap <region> sample=c.wav
"""
    put_all(
        raw,
        {
            "kit/s.sfz": text,
            "kit/parts/kick.sfz": "<group> group_label=Kick\r<region> sample=$K.wav",
            **{f"kit/{name}": b"x" for name in ("kick.wav", "sub/z.wav", "y.wav", "c.wav")},
        },
    )

    sounds = found(raw)

    assert "includes nowhere.sfz, which is not there" in sounds.pop("kit/s.sfz")[2]
    assert {name: instrument for name, (_, instrument, _) in sounds.items()} == {
        "kit/c.wav": "clap",
        "kit/kick.wav": "kick",
        "kit/sub/z.wav": "snare",  # key 38
        "kit/y.wav": "hihat",
    }


LONG = 300_000


@pytest.mark.parametrize(
    "text",
    [
        "<region> sample=a" + " " * LONG + "x.wav",
        "<region> sample=" + "a" * LONG,
        "a" * LONG + " <region> " + "b" * LONG,
        "<" * LONG,
        "=" * LONG,
        "a=" * LONG,
        "/*" * LONG,
        " //" * LONG,
        "<region " * (LONG // 8),
        "<region>sample=a" * (LONG // 16),
        "#define $a " * (LONG // 11),
        "".join(f"#define $a{i} $a{i - 1}$a{i - 1}\n" for i in range(10_000)) + "$a9999",
        "#define $a " + "b" * 1000 + "\n" + "$a" * LONG,
        '#include "s.sfz"\n' * (LONG // 17),
    ],
    ids=range(14),
)
def test_any_sfz_is_read_in_time_that_grows_with_its_length(text):
    # Where time grows with the square of the length, this takes hours.
    regions = list(sfz_regions(text))

    assert len(regions) <= text.count("sample")
    assert all(len(region["sample"]) <= 2048 for region in regions)


def tar_of(*members):
    """A tar file of (name, content) or (name, type, target of a link)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, *what in members:
            info = tarfile.TarInfo(name)
            content = what[0] if len(what) == 1 else b""
            if len(what) == 2:
                info.type, info.linkname = what
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_a_link_inside_an_archive_is_left_out_and_one_that_leads_out_refuses_the_archive(raw):
    kit = [("K/drumkit.xml", kit_xml(("Tom", "a.wav"))), ("K/a.wav", b"x")]
    put_all(
        raw,
        {
            "hard.h2drumkit": tar_of(*kit, ("K/b.wav", tarfile.LNKTYPE, "K/a.wav")),
            "soft.h2drumkit": tar_of(*kit, ("K/b.wav", tarfile.SYMTYPE, "../K/a.wav")),
            "again.h2drumkit": tar_of(
                ("K/a.wav", tarfile.SYMTYPE, "b.wav"), *kit, ("K/b.wav", b"y")
            ),
            "out.h2drumkit": tar_of(*kit, ("K/b.wav", tarfile.SYMTYPE, "../../a.wav")),
            "device.h2drumkit": tar_of(*kit, ("K/b.wav", tarfile.CHRTYPE, "")),
        },
    )

    sounds = found(raw)

    for name in ("hard", "soft"):
        assert sounds[f"{name}.h2drumkit/K/a.wav"] == (name, "tom", "")
        assert sounds[f"{name}.h2drumkit/K/b.wav"][2] == "is a link in an archive"
    assert sounds["again.h2drumkit/K/a.wav"][2] == sounds["again.h2drumkit/K/b.wav"][2] == ""
    assert len(sounds) == 8
    assert "is unsafe" in sounds["out.h2drumkit"][2]
    assert "is unsafe" in sounds["device.h2drumkit"][2]


def test_an_archive_from_windows_is_read(raw, tmp_path):
    members = ("K\\drumkit.xml", kit_xml(("Tom", "a.wav"))), ("K\\a.wav", b"x")
    put_all(raw, {"Kit.h2drumkit": tar_of(*members)})

    sounds = find_sounds(raw, "meta.json")
    sources, _ = unpack_archives(raw, sounds, tmp_path / "unpacked")

    (sound,) = sounds
    assert (sound.name, sound.instrument) == ("Kit.h2drumkit/K/a.wav", "tom")
    assert sources[sound.key].read_bytes() == b"x"


def test_an_archive_with_a_damaged_header_is_not_taken_for_its_first_half(raw):
    content = bytearray(tar_of(("drumkit.xml", kit_xml()), ("a.wav", b"x"), ("b.wav", b"x")))
    content[content.index(b"b.wav") + 3] ^= 1
    put_all(raw, {"Kit.h2drumkit": bytes(content)})

    assert "a damaged header" in found(raw)["Kit.h2drumkit"][2]


def test_an_archive_that_unpacks_to_more_than_a_kit_can_be_is_refused_at_once(raw):
    huge = tarfile.TarInfo("a.wav")
    huge.size = 1 << 40
    many = [(f"{index}/" * 3, tarfile.DIRTYPE, "") for index in range(100)]
    put_all(
        raw,
        {
            "huge.h2drumkit": huge.tobuf() + bytes(10240),
            "path.h2drumkit": tar_of(
                ("drumkit.xml", kit_xml()),
                *many,
                *(("a/" * 200_000 + name, b"") for name in ("1.wav", "2.wav")),
            ),
            "text.h2drumkit": archive({"drumkit.xml": b" " * (17 << 20)}),
        },
    )

    sounds = found(raw)

    assert "more than a kit can be" in sounds["huge.h2drumkit"][2]
    long = [name for name in sounds if name.startswith("path.h2drumkit/")]
    assert len(long) == 2
    assert all(len(name) < 300 and "a path of 400" in sounds[name][2] for name in long)
    assert "no kit that can be read" in sounds["text.h2drumkit"][2]


def test_xml_whose_attributes_multiply_is_refused(raw):
    head = '<!DOCTYPE x [<!ATTLIST layer a CDATA "aaaa">]>'
    put_all(raw, {"kit/drumkit.xml": kit_xml(("Tom", "1.wav"), head=head)})

    assert "declares entities" in found(raw)["kit/drumkit.xml"][2]


@pytest.mark.skipif(sys.platform == "darwin", reason="platform: names are UTF-8")
def test_text_with_names_in_two_encodings_finds_both(raw):
    text = "<group> group_label=Cowbell <region> sample=ü1.wav <region> sample=".encode()
    put_all(raw, {"kit/kit.sfz": text + b"\xfc2.wav"})
    for name in ("ü1.wav".encode(), b"\xfc2.wav"):
        with open(os.path.join(os.fsencode(raw / "kit"), name), "wb"):
            pass

    assert {entry[1:] for entry in found(raw).values()} == {("cowbell", "")}


def test_what_is_called_a_kit_and_is_none_is_reported(raw):
    put_all(
        raw,
        {
            "page.sfz": "<!DOCTYPE html><html><body>404: not found</body></html>",
            "binary.sfz": bytes(range(256)),
            "empty.sfz": b"",
            "empty/drumkit.xml": b"",
            "long.sfz": "<region> sample=a" + " " * 10_000 + "x.wav",
            "deep/0.sfz": "<region> sample=x.wav\n" + '#include "1.sfz"',
            **{f"deep/{i}.sfz": f'#include "{i + 1}.sfz"' for i in range(1, 200)},
            "whole/kit.sfz": '#include "parts/a.sfz"',
            "whole/parts/a.sfz": '#define $X x\n#include "b.sfz"',
            "whole/parts/b.sfz": "<region> sample=$X.wav region_label=Tom",
            "whole/x.wav": b"x",
        },
    )

    sounds = found(raw)

    for name, reason in (
        ("page.sfz", "holds no regions"),
        ("binary.sfz", "is no text"),
        ("empty.sfz", "holds no regions"),
        ("empty/drumkit.xml", "no element found"),
        ("long.sfz", "says sample of 10006 characters"),
        ("deep/0.sfz", "includes too many files"),
    ):
        assert reason in sounds[name][2]
    assert sounds["whole/x.wav"] == ("whole", "tom", "")


def test_what_looks_like_a_comment_or_a_header_in_a_name_is_none():
    text = "// see a/*.wav\n<region> sample=I <3 a = b.wav key=36 // c\n<region> sample=c//d.wav"

    samples = [region["sample"] for region in sfz_regions(text + "\n/* <region> sample=e.wav")]

    assert samples == ["I <3 a = b.wav", "c//d.wav"]
