"""MLflow as a governing registry shows decisions to it: past the guard, in every way it has.

The vault decides, MLflow shows it.  What it shows goes straight to the database, as the guard
would take it for another request.

Beside the aliases, the stages that MLflow had before there were any follow, so that
``models:/credit/Production`` means no version that does not stand there: whatever MLflow has in
Staging or Production beside the one that an alias was set to is put back to None, and that one
takes its place.
"""

from __future__ import annotations

import os
from typing import Any, Final

from mlflow.tracking._model_registry.utils import _get_store

from mlflow_vault.plugin.governing.scoped_host import ScopedHost
from mlflow_vault.plugin.guard import BACKEND_VARIABLE
from mlflow_vault.vault import Vault

STAGES: Final = {"staging": "Staging", "production": "Production"}
NONE: Final = "None"


class ShowingHost(ScopedHost):
    """The database of a governing registry, without its guard.

    Args:
        tracking_uri: Of the server's own tracking.
        registry_uri: The plain URI of the registry's database.
        workspace: The one that the request is for.
    """

    def __init__(self, tracking_uri: str | None, registry_uri: str, workspace: str = "") -> None:
        super().__init__(tracking_uri, registry_uri, workspace)
        self._database = registry_uri

    @property
    def uri(self) -> str:
        """What it is; where it is, clients of the server need not know."""
        return "this registry"

    def governs(self, name: str) -> bool:  # noqa: ARG002 - of any name
        """Nobody stands before a database."""
        return False

    def set_alias(self, name: str, alias: str, number: int) -> None:
        """Let an alias point at a version, and MLflow's old stages follow."""
        super().set_alias(name, alias, number)
        self._follow(name, alias, number)

    def delete_alias(self, name: str, alias: str) -> None:
        """Take an alias away, and MLflow's old stages follow."""
        super().delete_alias(name, alias)
        self._follow(name, alias, 0)

    def _follow(self, model: str, alias: str, number: int) -> None:
        """Put back what MLflow has in the stage of *alias* beside the version *number*."""
        stage = STAGES.get(alias)
        if stage is None:
            return
        name = self._in(model)
        with self._translated(name):
            store: Any = _get_store(self._database)
            moved = False
            while others := _others(store, name, stage, number):
                moved = True
                for other in others:
                    store.transition_model_version_stage(
                        name, other, NONE, archive_existing_versions=False
                    )
            if moved and number:
                store.transition_model_version_stage(
                    name, str(number), stage, archive_existing_versions=False
                )


def governing(vault: Vault, registry_uri: str, workspace: str) -> Vault:
    """Return *vault* as it decides about the models of a workspace of a registry.

    Args:
        vault: The vault.
        registry_uri: The plain URI of the registry's database.
        workspace: The one that the request is for.
    """
    host = ShowingHost(os.environ.get(BACKEND_VARIABLE) or None, registry_uri, workspace)
    return Vault(vault.store, vault.identity, host=lambda: host)


def _others(store: Any, name: str, stage: str, number: int) -> list[str]:
    """The versions in *stage* but *number*, as far as MLflow tells: the latest one alone."""
    latest = store.get_latest_versions(name, [stage])
    return [str(one.version) for one in latest if int(one.version) != number]
