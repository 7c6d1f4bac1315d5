"""`mlflow server --registry-store-uri vault-sqlite:...`, and a client that has MLflow alone."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 120.0  # seconds for the server to answer
DIGEST = "mlflow_vault.digest"


@pytest.fixture(scope="module", params=["uvicorn", "gunicorn"])
def client(
    request: pytest.FixtureRequest,
    tracking: str,
    ordinary: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[MlflowClient]:
    """A client of a server whose artifacts are in a vault and go through the server."""
    assert ordinary  # the database is there
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(tracking.removeprefix("sqlite:///"), folder / "mlflow.db")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--registry-store-uri", f"vault-sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", f"vault-file://{folder}/root"]
    command += ["--gunicorn-opts", "--timeout 60"] if request.param == "gunicorn" else []
    environment = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("MLFLOW", "_MLFLOW"))
    }
    environment |= {"PYTHONWARNINGS": "ignore", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    try:
        uri = f"http://127.0.0.1:{port}"
        wait(uri, server, folder / "log")
        yield MlflowClient(uri, uri)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def wait(uri: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server answers."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and server.poll() is None:
        try:
            if requests.get(f"{uri}/health", timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


@pytest.fixture
def source(
    client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str]:
    """A model in the server's vault, logged through the server, and its run."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", client.tracking_uri)  # for the proxy's address
    (tmp_path / "weights.txt").write_text(secrets.token_hex(8))
    experiment = client.create_experiment(secrets.token_hex(8))
    run = client.create_run(experiment)
    client.log_artifact(run.info.run_id, str(tmp_path / "weights.txt"), "model")
    return f"{run.info.artifact_uri}/model", str(run.info.run_id)


def test_registered(client: MlflowClient, source: tuple[str, str]) -> None:
    """What any client registers is committed, is found by its tag, and cannot be made to lie."""
    name = secrets.token_hex(8)
    client.create_registered_model(name)

    made = client.create_model_version(name, *source)

    digest = made.tags[DIGEST]
    assert digest.startswith("b3:")
    assert [found.tags for found in client.search_model_versions(f"name='{name}'")] == [made.tags]
    with pytest.raises(MlflowException, match="is set by it alone"):
        client.set_model_version_tag(name, "1", DIGEST, "b3:no")
    with pytest.raises(MlflowException, match="is set by it alone"):
        client.delete_model_version_tag(name, "1", DIGEST)
    copy = client.copy_model_version(f"models:/{name}/1", f"{name}-copy")
    assert copy.tags[DIGEST] == digest


def test_refused(client: MlflowClient, source: tuple[str, str]) -> None:
    """What cannot be committed is not registered, and the client hears why."""
    name = secrets.token_hex(8)
    client.create_registered_model(name)

    with pytest.raises(MlflowException, match="there are no files at") as raised:
        client.create_model_version(name, f"{source[0]}/nothing", source[1])

    assert raised.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert list(client.search_model_versions(f"name='{name}'")) == []


def test_prompt(client: MlflowClient) -> None:
    """Prompts pass through untouched."""
    name = secrets.token_hex(8)

    registry = client._get_registry_client()  # MLflow's own goes on asking from a thread

    registry.create_prompt(name)
    made = registry.create_prompt_version(name, "Say {{word}}")

    assert (made.template, made.version) == ("Say {{word}}", 1)
