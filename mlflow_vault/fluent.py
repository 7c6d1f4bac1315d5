"""The verbs of `Vault` as functions, for the vault and the MLflow of this process.

The vault is the one that ``MLFLOW_VAULT_URI`` names, else the one that holds what is asked for,
else the one in which MLflow's default experiment keeps its artifacts.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import InvalidInputError, NotFoundError
from mlflow_vault.govern.host import attach, attached
from mlflow_vault.govern.references import full
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.host import Host
    from mlflow_vault.govern.references import Reference
    from mlflow_vault.govern.syncing import Sync

__all__ = ["Vault", "checkout", "commit", "sync", "vault_of", "version", "versions"]

VARIABLE: Final = "MLFLOW_VAULT_URI"


def _mlflow() -> Host:
    from mlflow_vault.plugin.host import MlflowHost  # noqa: PLC0415 - seconds, and not all need it

    return MlflowHost()


attach(_mlflow)


def vault_of(reference: object = "") -> Vault:
    """Find the vault that the functions of this module would use for *reference*.

    Raises:
        NotFoundError: There is none; the message says how to name one.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Vault.open(named)
    host = attached()
    locations = []
    if isinstance(reference, str) and ":/" in full(reference):
        with suppress(NotFoundError):  # MLflow forgot it; a vault may not have
            locations.append(host.resolve(full(reference)).location)
    locations.append(host.default_location())
    for location in locations:
        try:
            found = Vault.find(location)
        except InvalidInputError:
            continue  # no vault's address
        if found is not None:
            return found[0]
    raise NotFoundError(
        f"no vault holds {' or '.join(locations)}: set {VARIABLE} to the vault's URI, or open it "
        "yourself with mlflow_vault.Vault.open"
    )


def commit(
    model_uri: str,
    *,
    name: str = "",
    parent: Reference | Sequence[Reference] = (),
    metadata: Mapping[str, Any] | None = None,
) -> Version:
    """Make an immutable version of a model; see `Vault.commit`."""
    return vault_of(model_uri).commit(model_uri, name=name, parent=parent, metadata=metadata)


def versions(name: str) -> tuple[Version, ...]:
    """The versions of a registered model, by number; see `Vault.versions`."""
    return vault_of(f"models:/{name}/latest").versions(name)


def version(reference: Reference) -> Version:
    """Return the version that *reference* means; see `Vault.version`."""
    return vault_of(reference).version(reference)


def checkout(reference: Reference, destination: Path) -> Version:
    """Write a version's files to a new or empty folder, verified; see `Vault.checkout`."""
    return vault_of(reference).checkout(reference, destination)


def sync(name: str = "") -> Sync:
    """Commit what was registered past the vault; see `Vault.sync`."""
    return vault_of().sync(name)
