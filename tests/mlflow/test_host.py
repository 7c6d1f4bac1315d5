"""What governance hears of MLflow's registry is what the registry says."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import mlflow

from mlflow_vault.plugin import host
from mlflow_vault.plugin.host import MlflowHost

if TYPE_CHECKING:
    import pytest


def test_registered(vaulted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every version is told of, on however many pages, with its tags and its aliases."""
    monkeypatch.setattr(host, "_PAGE", 2)
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
