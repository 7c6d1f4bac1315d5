"""Where a disk, a user or a server sets limits: an error that says so, and a retry works."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.errors import (
    InvalidInputError,
    StorageError,
)
from mlflow_vault.format import layout
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import noise
from mlflow_vault.testing.vaults import contents, read, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD = noise(0, 400_000)


@pytest.fixture
def vault() -> Vault:
    """A vault that holds something at ``a``."""
    vault = Vault.init_at(MemoryStore())
    write(vault, "a", OLD)
    return vault


def _untouched(vault: Vault) -> bool:
    found = contents(vault)
    left = list(vault.store.list(layout.INTENTS))
    return found == {"a": OLD} and not left


@contextmanager
def _as_nobody() -> Iterator[None]:
    """Give up the right to read everything, where the tests run as root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_permissions(vault: Vault, tmp_path: Path) -> None:
    """What may not be read or written is named, with the reason."""
    file, folder, target = tmp_path / "file", tmp_path / "folder", tmp_path / "target"
    file.write_bytes(b"secret")
    file.chmod(0)
    (folder / "inner").mkdir(parents=True)
    (folder / "inner").chmod(0)
    target.mkdir(mode=0o555)
    try:
        with _as_nobody():
            with pytest.raises(InvalidInputError, match="Permission denied"):
                vault.write_file(file, "a")
            with pytest.raises(InvalidInputError, match="Permission denied"):
                vault.write_folder(folder, "b")
            with pytest.raises(StorageError, match="Permission denied"):
                vault.read_file("a", target / "x")
    finally:
        (folder / "inner").chmod(0o700)

    assert _untouched(vault)


def test_spool(vault: Vault, tmp_path: Path) -> None:
    """A stream is spooled where one says, and leaves nothing behind."""
    vault.write_stream(io.BytesIO(b"x" * 1000), "b", folder=tmp_path)
    with pytest.raises(StorageError, match="could not be spooled"):
        vault.write_stream(io.BytesIO(b"y"), "b", folder=tmp_path / "missing")

    assert read(vault, "b") == b"x" * 1000
    assert not list(tmp_path.iterdir())


def test_stream_that_breaks(vault: Vault) -> None:
    """A stream that breaks off is an error, and nothing is committed."""

    class Broken(io.BytesIO):
        """Half an upload."""

        def read(self, size: int | None = -1) -> bytes:
            piece = super().read(size)
            if not piece:
                raise ConnectionResetError(104, "Connection reset by peer")
            return piece

    with pytest.raises(StorageError, match="Connection reset"):
        vault.write_stream(Broken(noise(5, 500_000)), "a")

    assert _untouched(vault)


FULL_DISK = """
    import resource, sys
    from pathlib import Path
    from mlflow_vault.errors import StorageError
    from mlflow_vault.vault import Vault

    vault = Vault.open("vault-file://" + sys.argv[1])
    file, target = Path(sys.argv[2]), Path(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    for act in (
        lambda: vault.write_file(file, "a/w"),
        lambda: vault.read_file("a/w", target),
        lambda: vault.export("a", target.parent / "exported"),
        lambda: vault.write_stream(file.open("rb"), "a/w", folder=target.parent),
    ):
        try:
            act()
        except StorageError as error:
            print(error)
        else:
            raise SystemExit("a full disk went unnoticed")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert vault.verify().is_whole
    vault.write_file(file, "a/w")
    vault.read_file("a/w", target)
"""


def test_full_disk(tmp_path: Path) -> None:
    """A full disk under the vault, the destination or the spool: an error, then a retry works."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    root, file, target = tmp_path / "vault", tmp_path / "new", tmp_path / "out" / "target"
    target.parent.mkdir()
    target.write_bytes(b"what was there")
    vault = Vault.init(f"vault-file://{root}")
    write(vault, "a/w", OLD)
    file.write_bytes(noise(9, 500_000))
    script = textwrap.dedent(FULL_DISK)

    done = subprocess.run(
        [sys.executable, "-c", script, str(root), str(file), str(target)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    messages = done.stdout.splitlines()
    assert len(messages) == 4
    assert "raise it (ulimit -f)" in messages[0].lower()
    assert "File too large" in messages[1]
    assert target.read_bytes() == file.read_bytes()
    assert read(vault, "a/w") == file.read_bytes()
    assert not list(tmp_path.rglob("*.part"))
    assert not list((root / "tmp").iterdir())
