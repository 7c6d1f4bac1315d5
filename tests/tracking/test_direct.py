"""An ordinary `mlflow server` whose clients write to a vault directly opens its own vaults only."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import mlflow.sklearn
import pytest
from mlflow.exceptions import MlflowException

from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

    LogModel = Callable[[str], Any]
    Names = Callable[[str | Path], list[str]]

RUN = "0" * 32
REFUSED = {400, 500}  # MLflow before 3.15 turns some refusals into errors of its own


def test_first_write_makes_the_vault(plain: Any) -> None:
    """The first artifact below a default root makes the vault there, and the server reads it."""
    with mlflow.start_run(experiment_id="0") as run:
        mlflow.log_text("hello", "notes/a.txt")

    vault = Vault.open(plain.vault("root"))
    listed = plain.ask("GET", f"/api/2.0/mlflow/artifacts/list?run_id={run.info.run_id}")
    shown = plain.ask("GET", f"/get-artifact?run_uuid={run.info.run_id}&path=notes/a.txt")

    assert run.info.artifact_uri == f"vault-file:{plain.folder}/root/0/{run.info.run_id}/artifacts"
    assert [item.path for item in vault.list()] == ["0"]
    assert [item["path"] for item in listed.json()["files"]] == ["notes"]
    assert shown.text == "hello"


def test_direct_model(plain: Any, names: Names, log_model: LogModel) -> None:
    """A model logged straight to a vault registers through the server under a hyphened scheme."""
    logged = log_model("0")
    name = secrets.token_hex(8)
    version = mlflow.register_model(logged.model_uri, name)

    by_version = mlflow.artifacts.download_artifacts(f"models:/{name}/1")
    shown = plain.ask("GET", f"/model-versions/get-artifact?name={name}&version=1&path=MLmodel")

    assert version.status == "READY"
    assert names(by_version) == names(mlflow.artifacts.download_artifacts(logged.model_uri))
    assert shown.text == (Path(by_version) / "MLmodel").read_text()
    assert mlflow.sklearn.load_model(f"models:/{name}/1").predict([[5.0, 0.0, 0.0]])[0]


def test_source_is_a_location(plain: Any, log_model: LogModel) -> None:
    """A version whose source is a vault's URI is registered and served; a `+` breaks it.

    The server decodes the `+` of ``vault+file`` into a space, which is why our own schemes
    have a hyphen.
    """
    location = mlflow.get_logged_model(log_model("0").model_id).artifact_location
    name = secrets.token_hex(8)
    plain.call("registered-models/create", name=name)

    hyphen = plain.call("model-versions/create", name=name, source=location)
    plus = plain.call(
        "model-versions/create", name=name, source=location.replace("vault-", "vault+")
    )
    shown = plain.ask("GET", f"/model-versions/get-artifact?name={name}&version=1&path=MLmodel")

    assert hyphen.status_code == 200, hyphen.text
    assert shown.status_code == 200
    assert plus.status_code == 400


def test_artifacts_of_other_places(plain: Any, tmp_path: Path) -> None:
    """The server opens no location that is not below its own roots, vault or not."""
    other, secret = plain.vault("other"), tmp_path / "secret"
    secret.write_text("secret")
    Vault.init(other).write_file(secret, f"{RUN}/artifacts/MLmodel")
    name = secrets.token_hex(8)
    plain.call("registered-models/create", name=name)

    sources = ["vault-file:///etc", "vault-file:/etc", f"{other}/{RUN}/artifacts"]
    for number, source in enumerate(sources, 1):
        created = plain.call("model-versions/create", name=name, source=source)
        if not created.ok:
            assert created.status_code == 400
            continue
        for path in ("hostname", "MLmodel"):
            got = plain.ask(
                "GET", f"/model-versions/get-artifact?name={name}&version={number}&path={path}"
            )
            assert got.status_code == 400, got.text
            assert "MLFLOW_VAULT_ALLOWED_ROOTS" in got.text
            assert "secret" not in got.text


@pytest.mark.parametrize("location", ["other", "etc"])
def test_experiments_at_other_places(plain: Any, location: str) -> None:
    """An experiment may say that it lies elsewhere; the server does not look there."""
    uri = plain.vault("other") if location == "other" else "vault-file:///etc"
    experiment = plain.experiment(uri)
    run = plain.call("runs/create", experiment_id=experiment).json()["run"]["info"]["run_id"]

    listed = plain.ask("GET", f"/api/2.0/mlflow/artifacts/list?run_id={run}")
    got = plain.ask("GET", f"/get-artifact?run_uuid={run}&path=hostname")

    assert {listed.status_code, got.status_code} <= REFUSED


def test_a_vault_the_operator_allowed(plain: Any) -> None:
    """The server opens a vault elsewhere that its operator listed, once it has been made."""
    experiment = plain.experiment(plain.vault("allowed"))
    with mlflow.start_run(experiment_id=experiment) as run, pytest.raises(MlflowException) as error:
        mlflow.log_text("hello", "a.txt")
    Vault.init(plain.vault("allowed"))
    mlflow.MlflowClient().log_text(run.info.run_id, "hello", "a.txt")

    got = plain.ask("GET", f"/get-artifact?run_uuid={run.info.run_id}&path=a.txt")

    assert f"mlflow-vault init {plain.vault('allowed')}" in str(error.value)
    assert got.text == "hello"


def test_trace(plain: Any) -> None:
    """What a client keeps of a trace lies in the vault."""

    @mlflow.trace  # type: ignore[untyped-decorator]
    def answer(question: str) -> str:
        return question.upper()

    mlflow.set_experiment(experiment_id="0")
    answer("why")
    mlflow.flush_trace_async_logging()
    trace_id = mlflow.get_last_active_trace_id()
    assert trace_id is not None
    trace = mlflow.MlflowClient().get_trace(trace_id)
    location = trace.info.tags["mlflow.artifactLocation"]
    repository = mlflow.artifacts.get_artifact_repository(location)
    repository.upload_trace_data('{"spans": []}')

    assert trace.data.spans[0].outputs == "WHY"
    assert location == f"vault-file:{plain.folder}/root/0/traces/{trace_id}/artifacts"
    assert [item.path for item in repository.list_artifacts()] == ["traces.json"]
