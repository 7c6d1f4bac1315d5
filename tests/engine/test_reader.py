"""A file goes where it is wanted, whole, or the error says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlflow_vault.config import MIB
from mlflow_vault.engine.reader import _windows
from mlflow_vault.errors import (
    InvalidInputError,
    StorageError,
)
from mlflow_vault.format.coding.codec import Codec
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.rows import Part, Row
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.vaults import write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path


def _vault() -> Vault:
    vault = Vault.init_at(MemoryStore())
    write(vault, "a/small", b"small")
    return vault


def test_destination(tmp_path: Path) -> None:
    """A place that cannot be written is the store's error, in words, and leaves nothing."""
    vault = _vault()
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()

    for target in (tmp_path / "file" / "x", tmp_path / "folder", tmp_path / "no" / "x"):
        with pytest.raises(StorageError, match="cannot be written"):
            vault.read_file("a/small", target)
    with pytest.raises(StorageError, match="cannot be made"):
        vault.export("a", tmp_path / "file")

    assert sorted(file.name for file in tmp_path.rglob("*")) == ["file", "folder"]


@pytest.mark.parametrize(
    "name", ["x" * 255, "\u00e4" * 100, "\u6f22" * 70], ids=["x", "two bytes", "three bytes"]
)
def test_long_names(name: str, tmp_path: Path) -> None:
    """A name as long as a disk allows can be downloaded under it."""
    vault = Vault.init_at(MemoryStore())
    write(vault, name, b"plain")

    vault.read_file(name, tmp_path / name)

    assert (tmp_path / name).read_bytes() == b"plain"


def test_spans() -> None:
    """A span that begins before the file is refused, however it is read."""
    vault = _vault()

    with pytest.raises(InvalidInputError):
        vault.read_span("a/small", -1, 3)
    with pytest.raises(InvalidInputError):
        vault.iter_file("a/small", -1)
    assert vault.read_span("a/small", 9, 12) == b""


def _chunk(number: int, size: int, *bases: int) -> Row:
    """Return row *number*: a delta against all of *bases*, or stored whole."""
    codec = Codec.DICTIONARY if bases else Codec.RAW
    parts = tuple(Part(base, 0, 1) for base in bases)
    return Row(Digest.of(bytes([number // 256, number % 256])), size, codec, bytes(16), 0, 3, parts)


def test_windows_count_bases() -> None:
    """Small chunks with large bases, each others, are decoded few at a time."""
    anchors = [_chunk(number, 4 * MIB) for number in range(30)]
    deltas = [_chunk(100 + number, 1, *range(3 * number, 3 * number + 3)) for number in range(10)]
    table = [*anchors, *deltas]

    windows = list(_windows(deltas, table))

    assert [row for window in windows for row in window] == deltas
    assert [len(window) for window in windows] == [2] * 5


def test_windows_share_bases() -> None:
    """Chunks that share a base need it once."""
    anchor = _chunk(0, 4 * MIB)
    deltas = [_chunk(1 + number, 65536, 0) for number in range(600)]

    assert [len(window) for window in _windows(deltas, [anchor, *deltas])] == [256, 256, 88]
