"""Facts about MLflow's clients and servers together that the vault is built on."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import mlflow
import pytest

from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("name", "kept"), [("a#b.txt", "a"), ("a?b.txt", "a")])
def test_unquoted_names(plain: Any, tmp_path: Path, name: str, kept: str) -> None:
    """Through a proxy MLflow's client cuts a name at its `#` or `?`: the vault never sees it."""
    (tmp_path / name).write_text("alpha")
    folder = secrets.token_hex(8)
    with mlflow.start_run(experiment_id=plain.proxied()) as run:
        mlflow.log_artifact(str(tmp_path / name), folder)

    listed = mlflow.MlflowClient().list_artifacts(run.info.run_id, folder)

    assert [item.path for item in listed] == [f"{folder}/{kept}"]


@pytest.mark.parametrize("name", ["a#b.txt", "a?b.txt"])
def test_names_kept(plain: Any, tmp_path: Path, name: str) -> None:
    """Straight to a vault the same names are kept."""
    (tmp_path / name).write_text("alpha")
    with mlflow.start_run(experiment_id="0") as run:
        mlflow.log_artifact(str(tmp_path / name))

    found = Vault.find(run.info.artifact_uri)

    assert plain.url
    assert found is not None
    assert list(found[0].walk(found[1])) == [f"{found[1]}/{name}"]
