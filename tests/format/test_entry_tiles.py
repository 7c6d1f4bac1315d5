"""Entries side by side are read back one by one, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.format.entry_tiles import cut, entries_path, join
from mlflow_vault.format.log import LARGEST
from mlflow_vault.format.merkle import WIDTH


@given(st.lists(st.binary(max_size=20), min_size=WIDTH, max_size=WIDTH))
def test_round_trip(entries: list[bytes]) -> None:
    """What is put side by side is cut apart again."""
    assert cut(join(entries)) == entries


def test_spelling() -> None:
    """These bytes and names are C2SP's."""
    assert join([b"ab", b"", b"c"]) == b"\0\2ab\0\0\0\1c"
    assert entries_path(7) == "tile/entries/007"
    assert entries_path(1_234_067) == "tile/entries/x001/x234/067"
    assert cut(join([b"x" * LARGEST] * WIDTH))[-1] == b"x" * LARGEST


@pytest.mark.parametrize(
    "stored",
    [b"", b"\0", b"\0\1", b"\0\2a", b"\0\0" * 255, b"\0\0" * 257, b"\0\0" * 256 + b"\0"],
)
def test_damaged(stored: bytes) -> None:
    """What is no full tile is refused."""
    with pytest.raises(ValueError, match="it"):
        cut(stored)
