"""What comes back of a version, and what of its artifact path is not of it."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.engine.export import write_out
from mlflow_vault.engine.seals import Seals
from mlflow_vault.errors import InvalidInputError, SealedError, StorageError
from mlflow_vault.format import layout
from mlflow_vault.govern.keeping import check_out
from mlflow_vault.testing.vaults import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlflow_vault.vault import Vault

    Log = Callable[..., str]

FILES = {"MLmodel": b"flavors: {}\n", "data/weights": b"w", "data/more": b"m"}


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _unseal(vault: Vault) -> None:
    for found in vault.store.list(layout.SEALS):
        vault.store.delete(found.key)
    vault._seals._looks.clear()


def test_folder_that_is_there(vault: Vault, log: Log, tmp_path: Path) -> None:
    """A folder that is there stays itself: it may be a volume, or closed to others."""
    version = vault.commit(log(1, FILES))
    place = tmp_path / "volume"
    place.mkdir(mode=0o700)
    before = place.stat().st_ino

    vault.checkout(version, place)

    assert _files(place) == FILES
    assert place.stat().st_ino == before
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_folder_that_others_write_to(vault: Vault, log: Log, tmp_path: Path) -> None:
    """What others put into the folder meanwhile is not mixed with the version."""
    version = vault.commit(log(1, FILES))

    def other(_: int) -> None:
        (tmp_path / "MLmodel").write_bytes(b"theirs")

    with pytest.raises(StorageError, match="written to meanwhile"):
        vault.checkout(version, tmp_path, progress=other)

    assert _files(tmp_path) == {"MLmodel": b"theirs"}


def test_paths_that_are_one_to_the_disk(vault: Vault, log: Log, tmp_path: Path) -> None:
    """Where a disk takes two paths for one, nothing is checked out, instead of one of both."""
    version = vault.commit(log(1, FILES))
    entry = vault.entries(version)["MLmodel"]
    entries = {"MLmodel": entry, "./MLmodel": entry}  # as "mlmodel" is where case does not count

    with pytest.raises(InvalidInputError, match="another of its files"):
        check_out(version, entries, vault._reader, tmp_path / "out", lambda _: None)

    assert not list(tmp_path.iterdir())


def test_path_that_leads_out(tmp_path: Path) -> None:
    """A place outside the destination is refused: to Windows a component "C:" is a disk."""
    found = write_out([("D:/x", tmp_path / "x")], tmp_path / "out", lambda *_: None)

    assert [damage.path for damage in found.damaged] == ["D:/x"]
    assert "leads out" in found.damaged[0].reason


def test_written_beside(vault: Vault, log: Log) -> None:
    """A new file that was written around the seal is reported: MLflow would load it, too."""
    version = vault.commit(log(1, FILES), name="fraud")
    _unseal(vault)
    write(vault, f"{version.origin.path}/code/evil.py", b"import os")

    damaged = vault.verify("models:/fraud/1").damaged

    assert [damage.path for damage in damaged] == ["code/evil.py"]
    assert "besides" in damaged[0].reason


def test_committed_again_after_that(vault: Vault, log: Log) -> None:
    """More metadata does not make a version of what was written around its seal."""
    version = vault.commit(log(1, FILES), name="fraud")
    seal = next(iter(vault.store.list(layout.SEALS))).key
    stored = vault.store.get(seal)
    _unseal(vault)
    write(vault, f"{version.origin.path}/code/evil.py", b"import os")
    vault.store.put(seal, stored)

    with pytest.raises(SealedError, match=rf"Check {version.digest} out"):
        vault.commit("models:/fraud/1", metadata={"owner": "risk"})

    assert vault.versions("fraud") == (version,)
    assert not list(vault.store.list(layout.INTENTS))


def test_seal_of_what_never_came_about(vault: Vault, log: Log) -> None:
    """A seal whose commit died names the version that is committed there after all."""
    uri = log(1, FILES)
    path = f"1/models/{uri.removeprefix('models:/')}/artifacts"
    Seals(vault.store, vault._world).put(
        path, version="fraud/1", digest="b3:" + "0" * 64, commit="0" * 32
    )

    version = vault.commit(uri)

    assert vault.version(uri) == version
    assert vault.commit(uri) == version
