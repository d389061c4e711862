"""Any bytes are a kit or a refusal, and every kit is read as it was meant."""

import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import escape

import strategies
from hypothesis import example, given
from hypothesis import strategies as st

from drumblender.data.library.hydrogen import instruments

KIT = """<?xml version="1.0" encoding="UTF-8"?>
<drumkit_info xmlns="http://www.hydrogen-music.org/drumkit"><name>Kit</name><instrumentList>
 <instrument><id>0</id><name>Kick &amp; more</name>
  <layer><filename>01.wav</filename><min>0.5</min></layer>
  <layer><filename>ä/02.wav</filename></layer></instrument>
 <instrument><name>Snare</name><instrumentComponent><layer><filename>s.flac</filename></layer>
 </instrumentComponent></instrument></instrumentList></drumkit_info>"""

# Whatever a file or an instrument may be called; a line break in XML may come back as another one.
TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=12
)
NAMES = TEXT.filter(str.strip)


@given(
    strategies.broken(
        KIT.encode(),
        KIT.encode("utf-16"),
        KIT.replace("UTF-8", "latin-1").encode("latin-1"),
        b"<!DOCTYPE k [<!ENTITY a 'b'>]><k><instrument><name>&a;</name></instrument></k>",
    )
)
@example(b"")
@example(b"<?xml version='1.0' encoding='idna'?><k/>")
def test_any_bytes_are_a_kit_or_a_refusal(content):
    try:
        found = instruments(content)
    except (ValueError, ElementTree.ParseError):
        return
    assert all(isinstance(file, str) and file and isinstance(name, str) for file, name in found)


@given(
    st.lists(st.tuples(TEXT, st.lists(NAMES, max_size=3)), max_size=5),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.booleans(),
)
def test_what_was_written_is_read(kit, encoding, declares):
    xml = "".join(
        f"<instrument><name>{escape(name)}</name>"
        + "".join(f"<layer><filename>{escape(file)}</filename></layer>" for file in files)
        + "</instrument>"
        for name, files in kit
    )
    declaration = f'<?xml version="1.0" encoding="{encoding.upper()[:6]}"?>' if declares else ""
    document = f"{declaration}<kit><instrumentList>{xml}</instrumentList></kit>"

    found = instruments(document.encode(encoding))

    assert found == [(file.strip(), name) for name, files in kit for file in files]
