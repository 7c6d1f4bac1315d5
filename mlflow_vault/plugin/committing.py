"""Commits what somebody registered: what the registry calls behind every client's back.

The model may be in a vault or not; outside of every vault it stays what MLflow makes of it.
Whoever the server authenticated is the author of the version, and can be none of its approvers.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.plugin.governing.actor import actor_of_request
from mlflow_vault.plugin.governing.scoped_host import active_workspace
from mlflow_vault.plugin.governing.showing import ShowingHost
from mlflow_vault.plugin.guard import BACKEND_VARIABLE, DESTINATION_VARIABLE, HostPolicy
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

_PROXIED: Final = "mlflow-artifacts"

_logger = logging.getLogger(__name__)


def on_registered(version: ModelVersion, store_uri: str) -> None:
    """Commit the model *version* that was made in the registry *store_uri*, if a vault holds it.

    Raises:
        VaultError: It is in a vault, and cannot be committed.
    """
    backend = os.environ.get(BACKEND_VARIABLE) or None
    host = ShowingHost(backend, store_uri, active_workspace())
    held = host.held(version)
    location = _real(held.location)
    policy = HostPolicy.from_environment(os.environ)
    try:
        policy.check(location)
    except InvalidInputError:
        _logger.debug("%s is outside every vault: %s", held.uri, location)
        return
    found = Vault.find(location)
    if found is None:
        return
    vault = Vault(found[0].store, found[0].identity, host=lambda: host)
    lacking = vault.lacking(held.name, held.tags)
    if lacking:
        _logger.warning("%s is registered without %s", held.uri, "; ".join(lacking))
    actor = actor_of_request()
    held = replace(held, location=location, author=actor.name if actor.verified else held.author)
    vault.adopt(held, actor if actor.verified else None)


def _real(location: str) -> str:
    """Return where the server keeps what clients know by a proxied location."""
    parts = urlsplit(location, allow_fragments=False)
    if parts.scheme != _PROXIED:
        return location
    destination: Any = os.environ.get(DESTINATION_VARIABLE, "")
    path = parts.path.strip("/").replace("#", "%23")  # an address has no fragment
    return f"{destination.rstrip('/')}/{path}"
