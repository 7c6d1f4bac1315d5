"""A file goes where it is wanted, whole, or the error says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlflow_vault.errors import (
    InvalidInputError,
    StorageError,
)
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
