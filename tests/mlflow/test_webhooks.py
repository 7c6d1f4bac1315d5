"""`mlflow server` delivers webhooks; the receiver takes those that its secret signed."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import mlflow
import pytest
import requests
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent
from mlflow.tracking import MlflowClient

from mlflow_vault.decide.policy import Policy
from mlflow_vault.fluent import Vault
from mlflow_vault.govern.triggers.deliveries import Deliveries
from mlflow_vault.govern.triggers.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 120.0  # seconds for the server to answer
SOON = 20.0  # seconds for a delivery
SECRET = "a-secret-that-both-know"
ANOTHER = "a-secret-of-theirs-alone"
POLICY = {
    "metadata": {"name": "credit-staging", "models": "credit-*"},
    "transition": {"from": "none", "to": "staging", "automatic": True},
    "require": "tags.reviewed = 'yes'",
}
EVENTS = [
    WebhookEvent(WebhookEntity.MODEL_VERSION, WebhookAction.CREATED),
    WebhookEvent(WebhookEntity.MODEL_VERSION_TAG, WebhookAction.SET),
    WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED),
    WebhookEvent(WebhookEntity.PROMPT, WebhookAction.CREATED),
]


@pytest.fixture(scope="module")
def client(tracking: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowClient]:
    """A client of a server that may deliver to this machine, over plain HTTP."""
    folder: Path = tmp_path_factory.mktemp("webhooks")
    # A database that has its tables saves the server the seconds of all migrations.
    made, copy = (sqlite3.connect(one) for one in (tracking[10:], folder / "mlflow.db"))
    with closing(made), closing(copy):
        made.backup(copy)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    outside = {name: text for name, text in os.environ.items() if "MLFLOW" not in name}
    environment = outside | {
        "PYTHONWARNINGS": "ignore",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_CACHE_TTL": "0",
    }
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    try:
        uri = f"http://127.0.0.1:{port}"
        end = time.monotonic() + PATIENCE
        while not _answers(uri):
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.2)
        yield MlflowClient(uri, uri)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def _answers(uri: str) -> bool:
    try:
        return requests.get(f"{uri}/health", timeout=5).ok
    except requests.RequestException:
        return False


class Woken:
    """Whom the receiver woke."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def wait_for(self, *names: str) -> None:
        """Wait until it woke these, and nobody else."""
        end = time.monotonic() + SOON
        while len(self.names) < len(names) and time.monotonic() < end:
            time.sleep(0.02)
        assert self.names == list(names)
        self.names.clear()


@pytest.fixture(scope="module")
def woken(client: MlflowClient) -> Iterator[Woken]:
    """A receiver that the server delivers to."""
    made = Woken()
    server = Receiver(("127.0.0.1", 0), Deliveries([SECRET]), made.names.append)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/"
    client.create_webhook("vault", url, EVENTS, secret=SECRET)
    client.create_webhook("forger", url, EVENTS, secret=ANOTHER)
    client.create_webhook("careless", url, EVENTS)
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def test_delivered(client: MlflowClient, woken: Woken) -> None:
    """Versions, tags and aliases wake once each, though three webhooks tell of them."""
    name = secrets.token_hex(4)
    client.create_registered_model(name)

    client.create_model_version(name, "s3://models/one")
    woken.wait_for(name)
    client.set_model_version_tag(name, "1", "size", "ä" * 1000)
    woken.wait_for(name)
    client.set_registered_model_alias(name, "champion", "1")
    woken.wait_for(name)


def test_tried(client: MlflowClient, woken: Woken) -> None:
    """MLflow's own button for trying a webhook says who is welcome."""
    by_name = {webhook.name: webhook for webhook in client.list_webhooks()}

    said = {name: client.test_webhook(by_name[name].webhook_id) for name in by_name}

    statuses = {name: result.response_status for name, result in said.items()}
    assert statuses == {"vault": 202, "forger": 401, "careless": 401}
    woken.wait_for("example_model")


def test_prompts(client: MlflowClient, woken: Woken) -> None:
    """Prompts wake nobody."""
    name = secrets.token_hex(4)
    client.create_registered_model(name)
    prompt = WebhookEvent(WebhookEntity.PROMPT, WebhookAction.CREATED)
    webhook = next(one for one in client.list_webhooks() if one.name == "vault")

    result = client.test_webhook(webhook.webhook_id, prompt)

    assert (result.response_status, result.response_body) == (200, '{"said": "ignored"}')
    assert woken.names == []


@pytest.fixture
def listener(tracking: str, client: MlflowClient, tmp_path: Path) -> Iterator[Vault]:
    """`mlflow-vault listen` in a process of its own, for a vault whose policy is automatic."""
    for point in (mlflow.set_tracking_uri, mlflow.set_registry_uri):
        point(client.tracking_uri)
    vault = Vault.init(f"vault-file://{tmp_path}/vault")
    vault.policies.apply(Policy.model_validate(POLICY), "ann")
    environment = {name: text for name, text in os.environ.items() if "MLFLOW" not in name} | {
        "MLFLOW_TRACKING_URI": client.tracking_uri,
        "MLFLOW_VAULT_WEBHOOK_SECRET": SECRET,
        "PYTHONWARNINGS": "ignore",
    }
    words = ["listen", "--vault", vault.uri, "--port", "0", "--every", "1h"]
    start = "import sys; from mlflow_vault.cli.main import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", start, *words], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        port = said.partition(" port ")[2].partition(";")[0]
        webhook = client.create_webhook(
            "listener", f"http://127.0.0.1:{port}/", EVENTS, secret=SECRET
        )
        yield vault
        client.delete_webhook(webhook.webhook_id)
        process.terminate()
        rest = process.stderr.read()
        assert process.wait(30) == 143, said + rest
        assert "moved" in rest
    for point in (mlflow.set_tracking_uri, mlflow.set_registry_uri):
        point(tracking)


def test_promoted(client: MlflowClient, listener: Vault, tmp_path: Path) -> None:
    """A version that somebody registers stands in staging as soon as it passes."""
    name = f"credit-{secrets.token_hex(4)}"
    (tmp_path / "weights.txt").write_text("1")
    experiment = client.create_experiment(name, f"{listener.uri}/1")
    run = client.create_run(experiment)
    client.log_artifact(run.info.run_id, str(tmp_path / "weights.txt"), "model")
    version = listener.commit(f"runs:/{run.info.run_id}/model", name=name)

    time.sleep(2.0)  # nothing passes yet
    assert client.get_registered_model(name).aliases == {}
    client.set_model_version_tag(name, str(version.number), "reviewed", "yes")

    end = time.monotonic() + SOON
    while not client.get_registered_model(name).aliases and time.monotonic() < end:
        time.sleep(0.1)
    aliases = client.get_registered_model(name).aliases
    assert {alias: int(number) for alias, number in aliases.items()} == {"staging": 1}
    assert [one.to for one in listener.releases.decisions(name)] == ["staging"]
    assert not listener.releases.around.statements.of(name, version.digest)
