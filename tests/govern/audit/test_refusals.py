"""What a seal refused is in the log, and a program that tries for ever does not fill it."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.engine.world import World
from mlflow_vault.errors import SealedError
from mlflow_vault.format import layout
from mlflow_vault.format.digest import Digest
from mlflow_vault.govern.audit.refusals import MOST, QUIET
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.vaults import write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlflow_vault.format.log import LogEntry

MODEL = "1/run/artifacts/model"
DIGEST = Digest.of(b"model")


class Scene:
    """A vault with a sealed model, and a clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.vault = Vault.init_at(MemoryStore(), World(monotonic=lambda: self.now))
        write(self.vault, f"{MODEL}/MLmodel", b"model")
        self.seal(MODEL)

    def seal(self, path: str) -> None:
        """Seal a path, as a commit would."""
        seals = self.vault._seals
        seals.put(path, version="fraud/1", digest=str(DIGEST), commit="00" * 16)

    def refuse(self, path: str = f"{MODEL}/new") -> None:
        """Try to write."""
        with pytest.raises(SealedError, match="fraud/1"):
            self.vault.write_stream(io.BytesIO(b"other"), path)

    def entries(self) -> list[LogEntry]:
        """What the log says."""
        return list(self.vault.audit.search())


@pytest.fixture
def scene() -> Scene:
    """A sealed model."""
    return Scene()


def test_log_that_cannot_be_imported(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal stands where the log's code cannot be loaded, as when too many files are open."""
    monkeypatch.setitem(sys.modules, "mlflow_vault.govern.audit.audit", None)

    scene.refuse()

    assert not scene.vault.list(f"{MODEL}/new")


def test_every_way_to_write(scene: Scene, tmp_path: Path) -> None:
    """A refused write is logged however it was asked for: who, which version, which path."""
    (tmp_path / "MLmodel").write_bytes(b"other")
    asks: tuple[Callable[[], None], ...] = (
        lambda: scene.vault.write_file(tmp_path / "MLmodel", f"{MODEL}/MLmodel"),
        lambda: scene.vault.write_folder(tmp_path, MODEL),
        lambda: scene.vault.write_stream(io.BytesIO(b"other"), f"{MODEL}/MLmodel"),
    )
    for ask in asks:
        scene.now += QUIET
        with pytest.raises(SealedError):
            ask()
    found = scene.entries()

    assert [entry.action for entry in found] == ["write_refused"] * 3
    assert {(entry.subject.name, entry.subject.digest) for entry in found} == {(MODEL, DIGEST)}
    assert [entry.before["asked"] for entry in found] == [
        f"{MODEL}/MLmodel",
        MODEL,
        f"{MODEL}/MLmodel",
    ]
    assert {entry.after["refused"] for entry in found} == {1}


def test_a_hot_loop(scene: Scene) -> None:
    """A thousand refusals are one entry; the next one, ten minutes later, says how many."""
    for number in range(1000):
        scene.refuse(f"{MODEL}/{number}")
    assert len(scene.entries()) == 1

    scene.now += QUIET
    scene.refuse()
    assert [entry.after["refused"] for entry in scene.entries()] == [1, 1000]


def test_many_paths(scene: Scene) -> None:
    """A program that goes through many sealed paths is logged 64 times in ten minutes."""
    for number in range(MOST + 20):
        scene.seal(f"1/run{number}/artifacts")
        scene.refuse(f"1/run{number}/artifacts/new")
    assert len(scene.entries()) == MOST

    scene.now += QUIET
    scene.refuse()
    assert scene.entries()[-1].after["refused"] == 21


def test_deletes(scene: Scene) -> None:
    """Refused deletes are logged in the same way, besides refused writes."""
    scene.refuse()
    for _ in range(5):
        assert scene.vault.delete(MODEL) == (MODEL,)

    assert [entry.action for entry in scene.entries()] == ["write_refused", "delete_refused"]


def test_the_log_cannot_be_written(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal stands also where it cannot be logged."""
    scene.vault.audit._log.store.put(layout.log_key(0), b"noise")

    scene.refuse()

    assert "not in the audit log" in caplog.text


def test_nothing_refused(scene: Scene) -> None:
    """What is allowed is not logged, and other errors are theirs."""
    write(scene.vault, "1/other/artifacts/a", b"a")
    with pytest.raises(FileNotFoundError):
        list(scene.vault.iter_file("1/none"))

    assert scene.entries() == []
