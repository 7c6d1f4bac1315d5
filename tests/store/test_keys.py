"""No key climbs out of a store."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.store.keys import check_key, check_prefix, check_span

pieces = st.sampled_from(
    ["a", "b!", ".", "..", "...", "/", "//", "tmp", "TMP", "\\", "\0", "\n", "\x7f"]
)


@example("a/..")
@example("tmp")
@given(st.text() | st.lists(pieces).map("".join))
def test_accepted_keys_are_harmless(key: str) -> None:
    """A key is refused, or it is normal, relative, printable ASCII and no temporary."""
    try:
        check_key(key)
    except InvalidInputError:
        return

    assert posixpath.normpath(f"/root/{key}") == f"/root/{key}"
    assert key.isascii()
    assert key.isprintable()
    assert "\\" not in key
    assert key.lower().split("/")[0] != "tmp"


@given(st.lists(st.text("abc!-_.0", min_size=1).filter(lambda c: c.strip(".")), min_size=1))
def test_ordinary_keys(components: list[str]) -> None:
    """What a layout makes is a key, and with a slash a prefix."""
    key = "/".join(components)

    check_key(key)
    check_prefix(key + "/")
    with pytest.raises(InvalidInputError):
        check_prefix(key)


def test_spans() -> None:
    """A span starts in the object and does not end before it starts."""
    check_span(0, None)
    check_span(5, 5)
    for start, stop in ((-1, None), (5, 4), (-1, -1)):
        with pytest.raises(InvalidInputError, match="no bytes"):
            check_span(start, stop)
