"""Places: where in a vault lies what MLflow says lies at a location.

A server keeps artifacts for its clients and gives them locations of its own, which are paths in
its vault: ``mlflow-artifacts:/1/models/m-...``.  All others are addresses.

Pure: no I/O.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote, urlsplit

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format import layout
from mlflow_vault.store.address import Address

_PROXIED: Final = "mlflow-artifacts"
_BY_HTTP: Final = "/api/2.0/mlflow-artifacts/artifacts/"


def path_in(vault: str, location: str) -> str:
    """Return the path in the vault at *vault* of what lies at *location*.

    >>> path_in("vault-file:///srv/models", "vault-file:///srv/models/1/a%20b")
    '1/a b'
    >>> path_in("vault-file:///srv/models", "mlflow-artifacts:/1/model#2")
    '1/model#2'

    Raises:
        InvalidInputError: It lies elsewhere.
    """
    parts = urlsplit(location, allow_fragments=False)
    if parts.scheme == _PROXIED:
        return layout.check_path(unquote(parts.path).strip("/"))
    if parts.scheme in {"http", "https"} and _BY_HTTP in parts.path:
        return layout.check_path(unquote(parts.path.partition(_BY_HTTP)[2]).strip("/"))
    here = Address.parse(vault)
    try:
        address = Address.parse(location)
    except InvalidInputError:
        address = None
    if address is None or here not in (address, *address.parents()):
        shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
        raise InvalidInputError(
            f"{shown} lies outside this vault, {vault}: it is not held. Log the model "
            "to an artifact location in the vault to commit it"
        )
    return layout.check_path(address.path[len(here.path) :].strip("/"))
