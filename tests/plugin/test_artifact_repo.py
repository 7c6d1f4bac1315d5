"""The door itself: what it opens, where it makes vaults, what it refuses."""

from __future__ import annotations

import inspect
import logging
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.artifact import artifact_repo as mlflow_repository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from mlflow_vault.format import layout
from mlflow_vault.format.record import Kind, frame_json
from mlflow_vault.plugin.artifact_repo import VaultArtifactRepository
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

HEX = "0123456789abcdef" * 2


def repository(uri: str) -> Any:
    """Get the repository as MLflow does."""
    return get_artifact_repository(uri)


def code(call: Callable[[], object]) -> str:
    """Return the code of the error that *call* ends with."""
    with pytest.raises(MlflowException) as caught:
        call()
    return str(caught.value.error_code)


# What it is.


def test_entry_points() -> None:
    """MLflow finds it under each of our schemes."""
    found = {point.name: point.load() for point in entry_points(group="mlflow.artifact_repository")}

    for scheme in ("vault-file", "vault-memory", "vault+file", "vault+memory"):
        assert found[scheme] is VaultArtifactRepository


def test_nothing_is_left_abstract() -> None:
    """Every method MLflow calls abstract is ours; its metaclass would not notice one missing."""
    parents = [*mlflow_repository.ArtifactRepository.__mro__, *VaultArtifactRepository.__bases__]
    abstract = {
        name
        for parent in parents
        for name, member in inspect.getmembers(parent)
        if getattr(member, "__isabstractmethod__", False)
    }

    assert abstract >= {"log_artifact", "log_artifacts", "list_artifacts", "_download_file"}
    assert abstract <= set(vars(VaultArtifactRepository))


def test_import_costs() -> None:
    """MLflow loads this module with every import: it brings no engine, and opens nothing."""
    script = (
        "import sys, mlflow\n"
        "from mlflow.artifacts import get_artifact_repository\n"
        f"made = get_artifact_repository('vault-file:///nowhere/7/{HEX}/artifacts')\n"
        "ours = [name for name in sys.modules if name.startswith('mlflow_vault.')]\n"
        "print([name for name in ours if '.engine' in name or name == 'mlflow_vault.vault'])\n"
        "print(type(made).__name__)\n"
    )

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-2:] == ["[]", "VaultArtifactRepository"]


def test_what_logging_imports(tmp_path: Path) -> None:
    """Logging and loading bring nothing of governance; parsers come with what is large and new."""
    script = (
        "import os, sys, pathlib\n"
        "from mlflow.artifacts import get_artifact_repository\n"
        f"work = pathlib.Path({str(tmp_path)!r})\n"
        f"made = get_artifact_repository(f'vault-file://{{work}}/vault/7/{HEX}/artifacts')\n"
        "def ours(*names):\n"
        "    found = [one for one in sys.modules if one.startswith('mlflow_vault.')]\n"
        "    print([one for one in found if one.startswith(names)])\n"
        "def log_and_load(size):\n"
        "    (work / 'file').write_bytes(os.urandom(size))\n"
        "    for folder in ('a', 'b'): made.log_artifact(work / 'file', folder)\n"
        "    loaded = made.download_artifacts('b/file', work)\n"
        "    assert pathlib.Path(loaded).read_bytes() == (work / 'file').read_bytes()\n"
        "log_and_load(1000)\n"
        "ours('mlflow_vault.format.tensors', 'mlflow_vault.engine.write.coder')\n"
        "log_and_load(1000_000)\n"
        "ours('mlflow_vault.engine.write.coder')\n"
        "heavy = 'decide.policy decide.lineage decide.expression decide.anomalies decide.pairs'\n"
        "heavy += ' govern.diff govern.index govern.searching govern.audit.audit govern.release'\n"
        "ours(*(f'mlflow_vault.{name}' for name in heavy.split()))\n"
    )

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-3:] == ["[]", "['mlflow_vault.engine.write.coder']", "[]"]


def test_imported_first() -> None:
    """Whoever imports us before MLflow still finds our schemes registered."""
    script = (
        "import mlflow_vault.plugin.artifact_repo\n"
        "from mlflow.artifacts import get_artifact_repository\n"
        "print(type(get_artifact_repository('vault-memory://x')).__name__)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "VaultArtifactRepository"
    assert "Failure attempting to register" not in done.stderr


# Inside a server.


def test_server_opens_its_own(
    root: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a server's process the vault is made at its root, and no other place is opened."""
    other = f"vault-file://{tmp_path}/other"
    Vault.init(other)
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", "mlflow-artifacts:/")
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_DESTINATION", root)

    made = repository(f"{root}/anything/at/all")
    assert made.list_artifacts() == []
    made.log_artifact(file)

    assert Vault.open(root).stat("anything/at/all/file.txt") is not None
    for elsewhere in (other, f"{other}/7/{HEX}/artifacts", "vault-file:///etc", f"{root}2"):
        assert code(lambda uri=elsewhere: repository(uri)) == "INVALID_PARAMETER_VALUE"  # type: ignore[misc]


def test_server_makes_no_vault_elsewhere(
    root: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A root that the operator only allowed has to be a vault already."""
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", "mlflow-artifacts:/")
    monkeypatch.setenv("MLFLOW_VAULT_ALLOWED_ROOTS", root)
    made = repository(f"{root}/7/{HEX}/artifacts")

    assert code(lambda: made.log_artifact(file)) == "INVALID_PARAMETER_VALUE"
    Vault.init(root)
    made.log_artifact(file)


# What may not be changed.


def test_sealed(root: str, file: str, caplog: pytest.LogCaptureFixture) -> None:
    """Deleting what is sealed keeps it, warns once and goes on; writing to it is refused."""
    vault = Vault.init(root)
    for folder in ("one", "two"):
        vault.write_file(Path(file), f"7/{HEX}/artifacts/{folder}/file.txt")
    sealed = f"7/{HEX}/artifacts/one"
    vault.store.create(
        layout.seal_key(sealed), frame_json(Kind.SEAL, {"path": sealed, "version": "scorer/1"})
    )
    made = repository(f"{root}/7/{HEX}/artifacts")

    with caplog.at_level(logging.WARNING, "mlflow_vault"):
        made.delete_artifacts()

    assert [item.path for item in made.list_artifacts()] == ["one"]
    assert len(caplog.records) == 1
    assert sealed in caplog.text
    assert code(lambda: made.log_artifact(file, "one")) == "PERMISSION_DENIED"


def test_damage(root: str, file: str, tmp_path: Path) -> None:
    """A damaged artifact is an error and no file."""
    made = repository(f"{root}/7/{HEX}/artifacts")
    made.log_artifact(file)
    entry = next(path for path in (tmp_path / "root" / "tree").rglob("*") if path.is_file())
    entry.chmod(0o644)
    entry.write_bytes(entry.read_bytes()[:-1] + b"?")

    assert code(lambda: made._download_file("file.txt", tmp_path / "down")) == "DATA_LOSS"
    with pytest.raises(MlflowException):
        made.download_artifacts("file.txt", str(tmp_path))
    assert not list(tmp_path.glob("down*"))
