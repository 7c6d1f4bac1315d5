"""A server opens what its operator named, however a client spells something else."""

from __future__ import annotations

import pytest

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.plugin.guard import HostPolicy
from mlflow_vault.store.address import Address

SERVER = {
    "_MLFLOW_SERVER_ARTIFACT_ROOT": "vault-file:///srv/ml",
    "_MLFLOW_SERVER_ARTIFACT_DESTINATION": "vault+memory://store/ml/inner",
    "MLFLOW_VAULT_ALLOWED_ROOTS": " vault-file:///mnt/a%20b, vault-file:///mnt/old/,",
}


@pytest.mark.parametrize(
    "uri",
    [
        "vault-file:///srv/ml",
        "vault-file:/srv/ml/7/run/artifacts",
        "vault+file://localhost/srv//ml/",
        "VAULT-FILE:///srv/ml/x",
        "vault-memory://store/ml/inner/x",
        "vault-file:///mnt/a%20b/x",
        "vault-file:///mnt/old/x",
    ],
)
def test_inside(uri: str) -> None:
    """A server's roots and what lies below them are open, in each harmless spelling."""
    assert HostPolicy.from_environment(SERVER).check(uri) == Address.parse(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "vault-file:///etc",
        "vault-file:/etc",
        "vault-file:///srv",
        "vault-file:///srv/mlx",
        "vault-file:///SRV/ml",
        "vault-file:///srv/ml/../x",
        "vault-file:///srv/ml/%2e%2e/x",
        "vault-file:///srv/ml/%252e%252e/x",
        "vault-file:///srv/ml\0/x",
        "vault-file://elsewhere/srv/ml",
        "vault-file:srv/ml",
        "vault-memory://store/ml",
        "vault-memory://other/ml/inner",
        "vault-memory:///srv/ml",
        "vault-file:///mnt/a",
        "file:///srv/ml",
        "",
    ],
)
def test_outside(uri: str) -> None:
    """Everything else is refused before anything is opened."""
    with pytest.raises(InvalidInputError):
        HostPolicy.from_environment(SERVER).check(uri)


def test_own_roots() -> None:
    """Vaults are made at a server's own roots only, the innermost one."""
    policy = HostPolicy.from_environment(
        SERVER | {"_MLFLOW_SERVER_ARTIFACT_DESTINATION": "vault-file:///srv/ml/proxied"}
    )

    def root(uri: str) -> str | None:
        return policy.own_root(Address.parse(uri))

    assert root("vault-file:/srv/ml/7/x") == "vault-file:///srv/ml"
    assert root("vault-file:/srv/ml/proxied/7/x") == "vault-file:///srv/ml/proxied"
    assert root("vault-file:///mnt/old/x") is None


def test_no_server() -> None:
    """Outside a server any vault's address is fine, and only that."""
    policy = HostPolicy.from_environment({"MLFLOW_VAULT_ALLOWED_ROOTS": "vault-file:///mnt"})

    assert policy.check("vault-file:///etc") == Address.parse("vault-file:///etc")
    with pytest.raises(InvalidInputError):
        policy.check("vault-file:///srv/../etc")


def test_other_servers() -> None:
    """A server whose own artifacts are elsewhere opens no vault but the allowed ones."""
    policy = HostPolicy.from_environment(
        {
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": "./mlartifacts",
        }
    )

    with pytest.raises(InvalidInputError, match="MLFLOW_VAULT_ALLOWED_ROOTS"):
        policy.check("vault-file:///srv/ml")


def test_hidden() -> None:
    """What a server must not tell is where its own roots lie, the longest spelling first."""
    policy = HostPolicy.from_environment(
        SERVER | {"_MLFLOW_SERVER_ARTIFACT_ROOT": "vault-file:///srv/m%20l"}
    )

    assert policy.hidden() == (
        "vault-memory://store/ml/inner",
        "vault-file:///srv/m%20l",
        "/srv/m%20l",
        "/srv/m l",
    )
    assert HostPolicy.from_environment({}).hidden() == ()
