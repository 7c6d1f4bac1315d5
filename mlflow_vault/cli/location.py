"""From what a person types to a vault and a path in it."""

from __future__ import annotations

import re
from typing import Final

from mlflow_vault.errors import NotFoundError
from mlflow_vault.store.address import Address
from mlflow_vault.vault import Vault

_URI: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def address_of(where: str) -> Address:
    """Read *where*: a URI, or a plain path, relative to the current folder.

    Raises:
        InvalidInputError: It is neither.
    """
    return Address.parse(where) if _URI.match(where) else Address.of_path(where)


def find_vault(where: str) -> tuple[Vault, str]:
    """Find the vault at or above *where*, and the path of *where* in it.

    Raises:
        InvalidInputError: *where* is no place.
        NotFoundError: There is no vault.
    """
    address = address_of(where)
    found = Vault.find(str(address))
    if found is None:
        raise NotFoundError(
            f"no vault lies at or above {address}; make one: mlflow-vault init {address}"
        )
    return found


def find_something(where: str) -> tuple[Vault, str]:
    """Do `find_vault`, and make sure that something is at *where*.

    Raises:
        InvalidInputError: *where* is no place.
        NotFoundError: There is no vault, or nothing in it by that name.
    """
    vault, path = find_vault(where)
    if vault.stat(path) is None:
        raise NotFoundError(f"there is nothing at {path} in {vault.uri}; see: mlflow-vault ls")
    return vault, path
