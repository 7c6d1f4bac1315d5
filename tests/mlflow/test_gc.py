"""`mlflow gc` removes what it removes from a local folder, and keeps what is sealed."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pytest
from click.testing import CliRunner
from mlflow.artifacts import get_artifact_repository
from mlflow.exceptions import MlflowException

from mlflow_vault.format import layout
from mlflow_vault.format.record import Kind, frame_json
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    Tell = Callable[[Callable[[str], object]], Any]
    Seen = Callable[[str], dict[str, int | None]]
    Collect = Callable[..., Result]

WEIGHTS = "weights.txt"


@pytest.fixture
def collect(tracking: str) -> Collect:
    """Run `mlflow gc` with some options and return how it went."""
    # The module pulls in MLflow's server, whose imports warn: not while tests are collected.
    from mlflow.cli import gc  # noqa: PLC0415

    def run(*options: str) -> Result:
        places = ["--backend-store-uri", tracking, "--tracking-uri", tracking]
        return CliRunner().invoke(gc, [*places, *options])

    return run


@pytest.fixture
def registered(folder: Path) -> Callable[[str], tuple[str, str]]:
    """Log a model, register it as a first version, return its id and the version's name."""

    def make(experiment: str) -> tuple[str, str]:
        client = mlflow.MlflowClient()
        model_id = client.create_logged_model(experiment, "model").model_id
        # Past the repository of MLflow, so that nothing remembers that it was not sealed yet.
        location = client.get_logged_model(model_id).artifact_location
        if location.startswith("vault"):
            vault, root = vault_of(location)
            vault.write_file(folder / "a.txt", f"{root}/{WEIGHTS}")
        else:
            (folder / WEIGHTS).write_text("alpha")
            client.log_model_artifact(model_id, str(folder / WEIGHTS))
        client.finalize_logged_model(model_id, "READY")
        name = secrets.token_hex(8)
        client.create_registered_model(name)
        client.create_model_version(name, f"models:/{model_id}")
        (folder / WEIGHTS).write_text("other")
        return str(model_id), name

    return make


def vault_of(location: str) -> tuple[Vault, str]:
    """Return the vault of *location*, as another process would open it, and the path in it."""
    found = Vault.find(location)
    if found is None:  # the first write would make it
        raise LookupError(location)
    vault, path = found
    return Vault.at(vault.store), path


def seal(location: str, body: bytes | None = None) -> None:
    """Seal *location*; a *body* of one's own makes a seal that is none."""
    vault, path = vault_of(location)
    record = frame_json(Kind.SEAL, {"path": path, "version": "models:/fraud/3"})
    vault.store.put(layout.seal_key(path), record if body is None else body)


def test_gc(tell: Tell, seen: Seen, collect: Collect, folder: Path) -> None:
    """Artifacts of deleted runs go; those of the others stay."""

    def story(experiment: str) -> object:
        runs = []
        for _ in range(2):
            with mlflow.start_run(experiment_id=experiment) as run:
                mlflow.log_artifacts(str(folder))
            runs.append(run)
        mlflow.delete_run(runs[0].info.run_id)

        done = collect("--run-ids", runs[0].info.run_id)

        return done.exit_code, [seen(run.info.artifact_uri) for run in runs]

    code, (gone, kept) = tell(story)

    assert code == 0
    assert gone == {}
    assert kept["inner/deep/c.bin"] == 10240


def test_sealed(
    vaulted: str, seen: Seen, collect: Collect, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is sealed keeps its bytes; `gc` ends well, with one warning, and removes the rest."""
    with mlflow.start_run(experiment_id=vaulted) as run:
        mlflow.log_artifacts(str(folder))
    seal(f"{run.info.artifact_uri}/inner")
    mlflow.delete_run(run.info.run_id)

    done = collect("--run-ids", run.info.run_id)

    warnings = [record.message for record in caplog.records if "sealed" in record.message]
    assert done.exit_code == 0, done.output
    assert len(warnings) == 1
    assert warnings[0].startswith("Kept 1 sealed artifact(s)")
    assert [path for path in seen(run.info.artifact_uri) if "." in path] == [
        "inner/b b é.txt",
        "inner/deep/c.bin",
    ]
    down = get_artifact_repository(run.info.artifact_uri).download_artifacts("inner/deep/c.bin")
    assert Path(down).read_bytes() == (folder / "inner" / "deep" / "c.bin").read_bytes()


def test_first_error(vaulted: str, ordinary: str, collect: Collect) -> None:
    """`gc` stops at the first error of a repository: what is left stays until the next time."""
    client = mlflow.MlflowClient()
    with mlflow.start_run(experiment_id=vaulted) as run:
        mlflow.log_text("alpha", "a.txt")
    model = client.create_logged_model(ordinary, "model")
    client.delete_run(run.info.run_id)
    client.delete_logged_model(model.model_id)
    options = ["--run-ids", run.info.run_id, "--logged-model-ids", model.model_id]
    seal(run.info.artifact_uri, b"damaged")

    stopped = collect(*options)
    vault, path = vault_of(run.info.artifact_uri)
    vault.store.delete(layout.seal_key(path))
    done = collect(*options)

    assert isinstance(stopped.exception, MlflowException)
    assert stopped.exception.error_code == "DATA_LOSS"
    assert model.model_id not in stopped.output
    assert done.exit_code == 0
    assert f"{model.model_id} has been permanently deleted" in done.output


def test_traces_stay(tell: Tell, seen: Seen, collect: Collect) -> None:
    """Artifacts of deleted traces stay, whatever `gc` removes; nothing else removes them."""

    def story(experiment: str) -> object:
        client = mlflow.MlflowClient()
        with mlflow.start_run(experiment_id=experiment) as run:
            mlflow.log_text("alpha", "a.txt")
        trace_id = client.start_trace("asked", experiment_id=experiment).trace_id
        client.end_trace(trace_id)
        mlflow.flush_trace_async_logging()
        location = client.get_trace(trace_id).info.tags["mlflow.artifactLocation"]
        get_artifact_repository(location).upload_trace_data('{"spans": []}')
        client.delete_run(run.info.run_id)
        deleted = client.delete_traces(experiment, trace_ids=[trace_id])

        done = collect("--run-ids", run.info.run_id)

        return deleted, done.exit_code, seen(run.info.artifact_uri), list(seen(location))

    assert tell(story) == (1, 0, {}, ["traces.json"])


def test_unsealed_version(
    tell: Tell,
    seen: Seen,
    collect: Collect,
    registered: Callable[[str], tuple[str, str]],
    folder: Path,
) -> None:
    """A version's files change, then go, and it stays READY; in a vault too while unsealed."""

    def story(experiment: str) -> object:
        client = mlflow.MlflowClient()
        model_id, name = registered(experiment)
        location = client.get_logged_model(model_id).artifact_location

        client.log_model_artifact(model_id, str(folder / WEIGHTS))
        changed = mlflow.artifacts.load_text(f"models:/{name}/1/{WEIGHTS}")
        client.delete_logged_model(model_id)
        done = collect("--logged-model-ids", model_id)

        version = client.get_model_version(name, "1")
        return changed, done.exit_code, seen(location), version.status

    assert tell(story) == ("other", 0, {}, "READY")


def test_sealed_version(
    vaulted: str, collect: Collect, registered: Callable[[str], tuple[str, str]], folder: Path
) -> None:
    """Where a version's files are sealed, MLflow can neither change nor remove them."""
    client = mlflow.MlflowClient()
    model_id, name = registered(vaulted)
    location = client.get_logged_model(model_id).artifact_location
    seal(location)

    with pytest.raises(MlflowException, match="sealed") as refused:
        client.log_model_artifact(model_id, str(folder / WEIGHTS))
    client.delete_logged_model(model_id)
    done = collect("--logged-model-ids", model_id)

    assert refused.value.error_code == "PERMISSION_DENIED"
    assert done.exit_code == 0
    assert mlflow.artifacts.load_text(f"{location}/{WEIGHTS}") == "alpha"
    assert mlflow.artifacts.load_text(f"models:/{name}/1/{WEIGHTS}") == "alpha"
