"""What is decided is what MLflow's own registry, with its own client, shows."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import mlflow
import pytest

import mlflow_vault
from mlflow_vault.decide.policy.roles import EVERYTHING
from mlflow_vault.errors import DeniedError, NotFoundError, StorageError, WaitingError
from mlflow_vault.format.log import Actor
from mlflow_vault.govern.policies import read
from mlflow_vault.govern.release.caller import Caller
from mlflow_vault.plugin.host import MlflowHost
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOB = Caller(Actor("bob", verified=True), (), EVERYTHING)


@pytest.fixture
def name(vaulted: str, tmp_path: Path) -> Iterator[str]:
    """A registered model with two versions, and the policies for it."""
    called = f"credit {secrets.token_hex(4)}"
    location = mlflow.MlflowClient().get_experiment(vaulted).artifact_location
    os.environ["MLFLOW_VAULT_URI"] = location
    for number in (1, 2):
        (tmp_path / "model.txt").write_text(str(number))
        with mlflow.start_run(experiment_id=vaulted) as run:
            mlflow.log_artifact(str(tmp_path / "model.txt"), "model")
            mlflow.log_metric("f1", 0.9 + number / 100)
        mlflow_vault.commit(f"runs:/{run.info.run_id}/model", name=called)
    models = f"metadata: {{name: NAME, models: '{called}'}}\n"
    vault = Vault.open(location)
    for text in (
        models.replace("NAME", "to-staging") + "transition: {to: staging}\n"
        "require: ['metrics.f1 > 0.9']\n",
        models.replace("NAME", "to-production") + "transition: {from: staging, to: production}\n"
        "baseline: '@production'\nwithout_baseline: skip\n"
        "metrics: {f1: {min_absolute_change: 0.001, greater_is_better: true}}\n"
        "approvals: {min: 1}\nintegrity: {verified: true}\n",
    ):
        vault.policies.apply(read(text), "admin")
    yield called
    del os.environ["MLFLOW_VAULT_URI"]


def _shown(name: str) -> tuple[dict[str, int], dict[int, str | None]]:
    """What MLflow's own client says: aliases, and the stage that each version's tag names."""
    client = mlflow.MlflowClient()
    aliases = client.get_registered_model(name).aliases
    return {alias: int(to) for alias, to in aliases.items()}, {
        number: client.get_model_version(name, str(number)).tags.get("mlflow_vault.stage")
        for number in (1, 2)
    }


def test_story(name: str) -> None:
    """Promoted, replaced, rolled back, archived: the registry shows each."""
    vault = mlflow_vault.fluent.vault_of()
    shown = []
    for number in (1, 2):
        reference = f"models:/{name}/{number}"
        mlflow_vault.promote(reference, to="staging")
        with pytest.raises(WaitingError, match="0 of 1"):
            mlflow_vault.promote(reference, to="production")
        with pytest.raises(DeniedError, match="nobody checked who it was"):
            mlflow_vault.approve(reference)
        vault.releases.approve(reference, caller=BOB)
        mlflow_vault.promote(reference, to="production")
        shown.append(_shown(name))
    mlflow_vault.rollback(name, reason="too slow")
    shown.append(_shown(name))
    mlflow_vault.archive(f"models:/{name}/2", reason="it was bad")
    shown.append(_shown(name))

    assert shown == [
        ({"production": 1}, {1: "production", 2: None}),
        ({"production": 2}, {1: None, 2: "production"}),
        ({"production": 1}, {1: "production", 2: None}),
        ({"production": 1}, {1: "production", 2: "archived"}),
    ]
    assert mlflow_vault.version(f"models:/{name}@production").number == 1
    assert mlflow_vault.search_versions(f"name = '{name}' AND stage = 'archived'").rows()
    assert mlflow_vault.status(name).drift == ()


def test_around(name: str) -> None:
    """Who moves an alias by MLflow's own client is found out, and the next decision mends it."""
    client = mlflow.MlflowClient()
    mlflow_vault.promote(f"models:/{name}/1", to="staging")
    client.set_registered_model_alias(name, "staging", "2")
    client.set_registered_model_alias(name, "champion", "2")

    drift = mlflow_vault.status(name).drift
    mlflow_vault.promote(f"models:/{name}/1", to="staging")

    assert f"MLflow shows {name}/2 in staging, decided is {name}/1" in drift[0]
    assert _shown(name)[0] == {"staging": 1, "champion": 2}


def test_host(name: str) -> None:
    """Aliases and tags are set, read and taken away; what is missing is told or needs nothing."""
    host, held = MlflowHost(), MlflowHost().resolve(f"models:/{name}/2")

    host.set_alias(name, "best", 1)
    host.set_alias(name, "best", 2)
    host.tag(held, {"a": "1", "b": "2"})
    host.untag(held, ["a", "never set"])

    assert host.aliases(name) == {"best": 2}
    tags = host.resolve(f"models:/{name}/2").tags
    assert ("a" in tags, tags["b"]) == (False, "2")
    host.delete_alias(name, "best")
    host.delete_alias(name, "best")
    assert host.aliases(name) == {}
    assert host.aliases(f"{name} other") == {}
    with pytest.raises(NotFoundError):
        host.set_alias(name, "best", 7)
    assert not host.governs(name)


def test_unreachable(name: str) -> None:
    """Where MLflow does not answer nothing is decided, and nothing is shown."""
    vault = mlflow_vault.fluent.vault_of()
    gone = MlflowHost(registry_uri="sqlite:////dev/null/mlflow.db")
    cut = Vault(vault.store, vault.identity, host=lambda: gone)

    with pytest.raises(StorageError):
        cut.promote(f"models:/{name}/1", to="staging")

    assert not vault.releases.standing(name)


def test_another_registry(name: str, tmp_path: Path) -> None:
    """A version that this MLflow does not have is not promoted here."""
    vault = mlflow_vault.fluent.vault_of()
    other = MlflowHost(registry_uri=f"sqlite:///{tmp_path}/mlflow.db")
    apart = Vault(vault.store, vault.identity, host=lambda: other)

    with pytest.raises(NotFoundError, match=r"has no .*/1 that is b3:"):
        apart.promote(f"models:/{name}/1", to="staging")

    assert not vault.releases.standing(name)
