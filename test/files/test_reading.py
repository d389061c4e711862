"""Odd audio files, as programs of all kinds write them, and what there is in them."""

import io
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import strategies
from hypothesis import assume, given
from hypothesis import strategies as st

from drumblender.files.reading import Unreadable, duration, open_recording, read_channels

RATE = 44100
TONE = (0.4 * np.sin(np.arange(17640) / 9)).astype(np.float32)


def encoded(kind="WAV", samples=TONE, subtype=None, rate=RATE):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, subtype, format=kind)
    return buffer.getvalue()


def tag(size, footer=False):
    """An ID3v2 tag of so many bytes behind its head of ten."""
    length = bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
    head = b"ID3\x04\x00" + (b"\x10" if footer else b"\x00") + length
    return head + bytes(size) + (b"3DI" + head[3:] if footer else b"")


def read(tmp_path, content, name="x.wav"):
    (tmp_path / name).write_bytes(content)
    return read_channels(tmp_path / name)[0][:, 0]


def with_data_size(content, size, riff_size=None):
    content = bytearray(content)
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", size)
    if riff_size is not None:
        content[4:8] = struct.pack("<I", riff_size)
    return bytes(content)


@pytest.mark.parametrize(
    "kind", ["WAV", "WAVEX", "AIFF", "FLAC", "OGG", "AU", "CAF", "W64", "RF64"]
)
@pytest.mark.parametrize(
    "front", [tag(0), tag(100), tag(10_000), tag(300_000), tag(77, footer=True), tag(9) + tag(2000)]
)
def test_a_tag_in_front_costs_no_sample(tmp_path, kind, front):
    content = encoded(kind)

    expected, found = read(tmp_path, content), read(tmp_path, front + content)

    assert len(expected) == len(TONE)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("behind", [b"TAG" + bytes(125), b"APETAGEX" + bytes(200), bytes(1000)])
def test_a_tag_behind_adds_no_sample(tmp_path, behind):
    assert len(read(tmp_path, encoded() + behind)) == len(TONE)


@pytest.mark.parametrize("bits", [16, 24])
def test_a_flac_of_unknown_length_is_read_to_its_end(tmp_path, bits):
    stereo = np.stack([TONE, -TONE], 1)
    content = bytearray(encoded("FLAC", stereo, f"PCM_{bits}"))
    expected = soundfile.read(io.BytesIO(content), dtype="float32")[0]
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    (tmp_path / "x.flac").write_bytes(content)

    with open_recording(tmp_path / "x.flac") as file:
        assert file.frames is None
        blocks = list(file.blocks(1000))

    np.testing.assert_array_equal(np.concatenate(blocks), expected)
    assert {len(block) for block in blocks[:-1]} == {1000}
    assert duration(tmp_path / "x.flac") == 0
    with open_recording(tmp_path / "x.flac") as file:
        assert sum(map(len, file.blocks(1000, frames=2500))) == 2500


UNKNOWN = [0, 0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0xFFFFFFFF, 0xFFFFFFDB, 0xFFFFFF00]
UNKNOWN += [2_000_000_000, 1_000_000_000, 1_999_999_964, 0x40000000, 0x3FFFFFDC]


@pytest.mark.parametrize("size", UNKNOWN)
@pytest.mark.parametrize("riff", ["right", "alike"])
def test_a_wav_that_was_streamed_is_read_to_its_end(tmp_path, size, riff):
    riff_size = min(size + 36, 0xFFFFFFFF) if riff == "alike" else None
    content = with_data_size(encoded(), size, riff_size)

    assert len(read(tmp_path, content)) == len(TONE)
    assert duration(tmp_path / "x.wav") == pytest.approx(0.4)


def test_a_wav_without_samples_but_with_chunks_behind_holds_none(tmp_path):
    content = (
        with_data_size(encoded(samples=TONE[:0]), 0) + b"LIST" + struct.pack("<I", 4) + b"INFO"
    )

    with pytest.raises(Unreadable, match="holds no samples"):
        read(tmp_path, content)


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "AIFF", "AU", "FLAC", "W64", "RF64", "MP3"])
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_a_copy_that_broke_off_is_refused(tmp_path, kind, part):
    content = encoded(kind)

    with pytest.raises(Unreadable, match=r"x\.wav is (truncated|broken)"):
        read(tmp_path, content[: int(len(content) * part)])


@pytest.mark.parametrize("peak", [17, 127, 32768, 8388607, 2.0**31, 1e6, 1e37])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_integers_stored_as_floats_are_refused(tmp_path, peak, subtype):
    samples = TONE.astype(float) / TONE.max() * peak

    with pytest.raises(Unreadable, match=r"up to .* integers stored as floats; export it again"):
        read(tmp_path, encoded(samples=samples, subtype=subtype))


def test_floats_above_full_scale_are_read(tmp_path):
    loud = TONE / TONE.max() * 8

    np.testing.assert_array_equal(read(tmp_path, encoded(samples=loud, subtype="FLOAT")), loud)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_no_numbers_are_refused_wherever_they_are(tmp_path, value):
    samples = np.concatenate([np.zeros(200_000), [value], TONE])

    with pytest.raises(Unreadable, match="not numbers"):
        read(tmp_path, encoded(samples=samples, subtype="DOUBLE"))


@pytest.mark.parametrize("rate", [0, 1, 999, 1_000_001, 2_000_000_000])
def test_an_impossible_rate_is_refused(tmp_path, rate):
    content = bytearray(encoded())
    content[24:28] = struct.pack("<I", rate)

    with pytest.raises(Unreadable):
        read(tmp_path, bytes(content))


def test_what_is_no_regular_file_is_refused_without_opening_it(tmp_path):
    os.mkfifo(tmp_path / "fifo.wav")
    (tmp_path / "dangling.wav").symlink_to("/nowhere/x.wav")

    for name in ("fifo.wav", ".", "dangling.wav", "nowhere.wav", "zero\0byte.wav", "x" * 300):
        with pytest.raises(Unreadable):
            read_channels(tmp_path / name)
    with pytest.raises(Unreadable, match="is no regular file"):
        read_channels("/dev/zero")


@pytest.mark.skipif(sys.platform == "darwin", reason="platform: names are UTF-8")
def test_a_name_that_is_no_utf_8_is_opened(tmp_path):
    name = b"latin1_\xe9_kick.wav".decode("utf-8", "surrogateescape")

    assert len(read(tmp_path, encoded(), name)) == len(TONE)


def test_any_damage_is_one_error_and_nothing_on_the_terminal(tmp_path):
    rng = np.random.default_rng(0)
    contents = {kind: encoded(kind) for kind in ("WAV", "AIFF", "FLAC", "OGG", "MP3", "CAF", "AU")}
    for kind, content in contents.items():
        for number in range(25):
            damaged = bytearray(content)
            for position in rng.integers(0, 120 if number % 2 else len(content), 6):
                damaged[position] = rng.integers(256)
            (tmp_path / f"{kind}{number}").write_bytes(damaged[: rng.integers(1, len(content))])
    program = """if True:
        import sys
        from pathlib import Path
        from drumblender.files.reading import Unreadable, read_channels
        for path in sorted(Path(sys.argv[1]).iterdir()):
            try:
                assert len(read_channels(path)[0])
            except Unreadable:
                pass
    """

    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True
    )

    assert (result.returncode, result.stderr, result.stdout) == (0, "", "")


@pytest.mark.parametrize("kind", ["OGG", "MP3"])
def test_streams_that_follow_each_other_in_one_file_are_all_read(tmp_path, kind):
    one, two = encoded(kind), encoded(kind, TONE[::-1].copy())

    joined = read(tmp_path, one + two)

    assert len(joined) == len(read(tmp_path, one)) + len(read(tmp_path, two))


def put(content, position, value):
    content = bytearray(content)
    content[position : position + len(value)] = value
    return bytes(content)


def behind(content, mark):
    return content.index(mark) + len(mark)


AIFF, AU, CAF, W64 = (encoded(kind) for kind in ("AIFF", "AU", "CAF", "W64"))
STREAMED = {
    "aiff 2e9": put(AIFF, behind(AIFF, b"SSND"), struct.pack(">I", 2_000_000_000)),
    "au -1": put(AU, 8, b"\xff" * 4),
    "au 0": put(AU, 8, bytes(4)),
    "au 2e9": put(AU, 8, struct.pack(">I", 2_000_000_000)),
    "caf -1": put(CAF, behind(CAF, b"data"), b"\xff" * 8),
    "w64 2^63-1": put(W64, behind(W64, b"data") + 12, struct.pack("<Q", 2**63 - 1)),
}


@pytest.mark.parametrize("name", STREAMED)
def test_other_containers_that_were_streamed_are_read_to_their_end(tmp_path, name):
    assert len(read(tmp_path, STREAMED[name])) == len(TONE)


@pytest.mark.parametrize("claimed", [5_000, 2**36 - 1])
def test_a_flac_that_claims_another_length_than_it_has_is_read_whole(tmp_path, claimed):
    content = bytearray(encoded("FLAC"))
    content[21] = content[21] & 0xF0 | claimed >> 32
    content[22:26] = struct.pack(">I", claimed & 0xFFFFFFFF)

    assert len(read(tmp_path, bytes(content))) == len(TONE)


def test_what_stands_behind_a_sound_is_no_part_of_it(tmp_path):
    for content in (W64 + b"TAG" + bytes(125), encoded() + encoded()):
        assert len(read(tmp_path, content)) == len(TONE)


@pytest.mark.parametrize("kind", ["AVR", "MAT4", "MAT5", "MPC2K", "VOC", "NIST", "SVX", "CAF"])
def test_half_a_file_of_any_format_is_refused(tmp_path, kind):
    content = encoded(kind)

    with pytest.raises(Unreadable):
        read(tmp_path, content[: len(content) // 2])


def test_an_error_of_who_reads_is_not_one_of_the_file(tmp_path):
    (tmp_path / "x.wav").write_bytes(encoded())

    with pytest.raises(OSError, match="of the caller"):
        with open_recording(tmp_path / "x.wav"):
            raise OSError(28, "of the caller")


SHORT = np.stack([TONE[:600], -TONE[:600]], 1)
FORMATS = ["WAV", "WAVEX", "AIFF", "FLAC", "OGG", "AU", "CAF", "W64", "RF64", "MP3", "NIST", "VOC"]
FORMATS += ["SDS", "AVR", "SVX", "PVF", "MAT4", "MAT5", "MPC2K", "IRCAM"]


def short(kind):
    samples = SHORT[:, 0] if kind in ("SDS", "SVX") else SHORT
    return encoded(kind, samples, rate=22050)


@pytest.mark.parametrize("kind", FORMATS)
@given(data=st.data())
def test_any_bytes_are_a_recording_or_a_sentence(kind, data):
    content = short(kind)
    # Most of the changes hit the header, where sizes and counts are.
    head, rest = content[:128], content[128:]
    content = data.draw(
        st.one_of(
            strategies.mutations(head).map(lambda changed: changed + rest),
            strategies.mutations(content),
            st.binary(max_size=64).map(lambda begin: begin + content),
        )
    )
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "x.wav"
        path.write_bytes(content)
        assert duration(path) >= 0
        try:
            samples, rate = read_channels(path)
        except Unreadable as refusal:
            sentence = str(refusal)
        else:
            sentence = ""
    if sentence:
        assert sentence.startswith(f"{path} ")
        assert "\n" not in sentence
    else:
        assert samples.dtype == np.float32
        assert len(samples)
        assert np.isfinite(samples).all()
        assert rate > 0


@given(
    st.sampled_from(["WAV", "WAVEX", "AIFF", "FLAC", "AU", "CAF", "W64", "RF64"]),
    st.integers(1, 4),
    st.integers(1000, 192_000),
    st.integers(1, 3000),
    st.integers(0, 2**32 - 1),
)
def test_what_was_written_is_read(kind, channels, rate, frames, seed):
    # FLAC's header holds rates above 16 bits in tens of Hz only.
    assume(kind != "FLAC" or rate < 2**16 or rate % 10 == 0)
    samples = np.random.default_rng(seed).integers(-(2**15), 2**15, (frames, channels), np.int16)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "x.wav"
        soundfile.write(path, samples, rate, "PCM_16", format=kind)

        found, its_rate = read_channels(path)

        assert its_rate == rate
        assert duration(path) == frames / rate
        np.testing.assert_array_equal(found, samples / np.float32(2**15))
