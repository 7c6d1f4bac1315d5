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


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_local_locations(plain: Any, tmp_path: Path, scheme: str) -> None:
    """A stock server opens a local folder that a client names; that scheme is not ours."""
    experiment = plain.experiment(f"{scheme}{tmp_path}")
    run = plain.call("runs/create", experiment_id=experiment).json()["run"]["info"]["run_id"]
    (tmp_path / run / "artifacts").mkdir(parents=True)
    (tmp_path / run / "artifacts" / "a.txt").write_text("on the server")

    got = plain.ask("GET", f"/get-artifact?run_uuid={run}&path=a.txt")

    assert got.text == "on the server"


def test_other_experiments(plain: Any) -> None:
    """Below the server's own root, an experiment may lie in the folder of another one."""
    with mlflow.start_run(experiment_id="0") as run:
        mlflow.log_text("of the first", "a.txt")
    other = plain.experiment(run.info.artifact_uri)
    made = plain.call("runs/create", experiment_id=other).json()["run"]["info"]["run_id"]
    name = secrets.token_hex(8)
    plain.call("registered-models/create", name=name)
    plain.call("model-versions/create", name=name, source=run.info.artifact_uri)

    listed = plain.ask("GET", f"/api/2.0/mlflow/artifacts/list?run_id={made}")
    got = plain.ask("GET", f"/model-versions/get-artifact?name={name}&version=1&path=a.txt")

    assert listed.ok
    assert got.text == "of the first"
