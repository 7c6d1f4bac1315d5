"""Ranges of downloads: planned right, and never of two files joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.errors import StorageError
from mlflow_vault.plugin.server import Streaming, Wanted, _pieces, plan_range
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path

sizes = st.integers(0, 50)
numbers = st.integers(0, 60)


@given(size=sizes, first=numbers, last=st.none() | numbers)
def test_from(size: int, first: int, last: int | None) -> None:
    """``bytes=first-last`` is what a slice of the file would be, or outside it."""
    wanted = plan_range(f"bytes={first}-{'' if last is None else last}", size)
    expected = range(size)[first : size if last is None else last + 1]

    if last is not None and last < first:
        assert wanted == Wanted(0, size, partial=False)
    elif not expected:
        assert wanted is None
    else:
        assert wanted == Wanted(expected[0], expected[-1] + 1, partial=True)


@given(size=sizes, count=numbers)
def test_last(size: int, count: int) -> None:
    """``bytes=-count`` is the last *count* bytes, or all there are."""
    expected = range(size)[max(size - count, 0) :]
    wanted = plan_range(f"bytes=-{count}", size)

    assert wanted == (Wanted(expected[0], size, partial=True) if expected else None)


@given(text=st.none() | st.text(max_size=12), size=sizes)
def test_anything_else(text: str | None, size: int) -> None:
    """A header that is no single range of bytes asks for the whole file."""
    wanted = plan_range(text, size)

    assert wanted is None or 0 <= wanted.start <= wanted.stop <= size


def test_replaced_on_the_way(tmp_path: Path) -> None:
    """A file that is replaced while it is sent is never sent to its end."""
    vault = Vault.init(f"vault-file://{tmp_path / 'vault'}")
    (tmp_path / "file").write_bytes(b"old" * 1000)
    vault.write_file(tmp_path / "file", "f")
    wanted = Streaming(vault, "f")
    entry = wanted.vault.entry(wanted.path)
    (tmp_path / "file").write_bytes(b"new" * 1000)
    vault.write_file(tmp_path / "file", "f")

    with pytest.raises(StorageError, match="replaced"):
        list(_pieces(wanted, entry, Wanted(0, 3000, partial=False)))
