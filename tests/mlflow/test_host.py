"""What governance hears of MLflow's registry is what the registry says."""

from __future__ import annotations

import secrets

import mlflow
import pytest

from mlflow_vault.errors import StorageError
from mlflow_vault.govern.placing import path_in
from mlflow_vault.plugin import registered
from mlflow_vault.plugin.committing import _real
from mlflow_vault.plugin.guard import DESTINATION_VARIABLE
from mlflow_vault.plugin.host import MlflowHost


def test_registered(vaulted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every version is told of, on however many pages, with its tags and its aliases."""
    monkeypatch.setattr(registered, "_PAGE", 2)
    client = mlflow.MlflowClient()
    name = secrets.token_hex(8)
    location = client.get_experiment(vaulted).artifact_location
    client.create_registered_model(name)
    for number in range(1, 6):
        client.create_model_version(name, f"{location}/model", tags={"number": str(number)})
    for alias, to in (("champion", "2"), ("best", "2"), ("latest-good", "5")):
        client.set_registered_model_alias(name, alias, to)

    told = list(MlflowHost().registered(name))

    assert [(one.number, one.tags["number"]) for one in told] == [
        (number, str(number)) for number in range(1, 6)
    ]
    assert {one.number: one.aliases for one in told if one.aliases} == {
        2: ("best", "champion"),
        5: ("latest-good",),
    }
    assert [one for one in MlflowHost().registered() if one.name == name] == told
    assert list(MlflowHost().registered(f"{name}-other")) == []


@pytest.mark.parametrize("name", ["o'brien", 'say "it"', "both ' and \"", "a@b", "100 %", " lead"])
def test_odd_names(vaulted: str, name: str) -> None:
    """A model is found by whatever name MLflow allows."""
    client = mlflow.MlflowClient()
    called = f"{name} {secrets.token_hex(4)}"
    location = client.get_experiment(vaulted).artifact_location
    for other in (called, f"{called}2"):
        client.create_registered_model(other)
        client.create_model_version(other, f"{location}/{other}")

    assert [held.name for held in MlflowHost().registered(called)] == [called]
    for suffix in ("1", "latest"):
        assert MlflowHost().resolve(f"models:/{called}/{suffix}").name == called


def test_located(vaulted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many versions nothing is asked for each, until where its files are is wanted."""
    name = secrets.token_hex(8)
    model = mlflow.initialize_logged_model(experiment_id=vaulted)
    client = mlflow.MlflowClient()
    client.create_registered_model(name)
    client.create_model_version(name, f"models:/{model.model_id}", model_id=model.model_id)
    asked = MlflowHost()

    with monkeypatch.context() as patch:
        for question in ("get_model_version_download_uri", "get_logged_model", "get_run"):
            patch.delattr(mlflow.MlflowClient, question)
        (held,) = asked.registered(name)

    assert held.model_id == model.model_id
    located = asked.located(held)
    assert located.location == model.artifact_location
    assert located.experiment_id == vaulted
    assert asked.resolve(f"models:/{name}/1") == asked.resolve(f"models:/{name}/latest") == located


def test_proxied_locations(monkeypatch: pytest.MonkeyPatch) -> None:
    """What clients know by a proxied location is found whole where the server keeps it."""
    monkeypatch.setenv(DESTINATION_VARIABLE, "vault-file:///srv/models/")
    root = "vault-file:///srv/models"

    for location in ("mlflow-artifacts:/1/a b#2", "mlflow-artifacts://host:80/1/a%20b%232"):
        assert path_in(root, _real(location)) == path_in(root, location) == "1/a b#2"
    assert _real("s3://b/1/x") == "s3://b/1/x"


def test_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is told without the password that stands in its address."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = "http://me:hidden@127.0.0.1:9"
    asked = MlflowHost(uri, uri)

    for ask in (lambda: list(asked.registered("x")), lambda: asked.resolve("models:/x/1")):
        with pytest.raises(StorageError, match=r"MLflow at http://127\.0\.0\.1:9, asked") as raised:
            ask()
        assert "hidden" not in str(raised.value)


def test_what_mlflow_stands_on_fails() -> None:
    """A failure of a database, or of a store of artifacts, is ours to say; its password is not."""
    with (
        pytest.raises(StorageError, match=r"asked for models:/x/1, failed: OSError") as raised,
        MlflowHost("sqlite://")._translated("models:/x/1"),
    ):
        raise OSError("cannot connect to postgresql://me:hidden@db/mlflow")
    assert "hidden" not in str(raised.value)
