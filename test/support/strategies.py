"""Bytes that are nearly what a reader reads, or not at all."""

from hypothesis import strategies as st


def mutations(content, most=8):
    """Content of which some bytes are changed, doubled, left out, or cut off at the end."""
    position = st.integers(0, max(0, len(content) - 1))
    change = st.tuples(
        st.sampled_from(["set", "insert", "remove", "repeat", "cut"]),
        position,
        st.integers(1, 64),
        st.binary(min_size=1, max_size=8),
    )
    return st.lists(change, min_size=1, max_size=most).map(lambda all: _changed(content, all))


def _changed(content, changes):
    for kind, at, count, new in changes:
        if kind == "set":
            content = content[:at] + new + content[at + len(new) :]
        elif kind == "insert":
            content = content[:at] + new + content[at:]
        elif kind == "remove":
            content = content[:at] + content[at + count :]
        elif kind == "repeat":
            content = content[: at + count] + content[at:]
        else:
            content = content[:at]
    return content


def broken(*contents):
    """Any bytes, or one of some contents with mutations."""
    return st.one_of(st.binary(max_size=200), *map(mutations, contents))
