"""What a server may open: its own vaults, and no location a client made up.

MLflow keeps clients from naming the server's local files by looking at the scheme, and a
scheme of a plugin's passes.  So a client could register ``vault-file:///etc`` as a model's
source and have the server look there.  Inside a server process a location is therefore
opened only at or below

- the server's ``--default-artifact-root`` or ``--artifacts-destination``, or
- a root its operator listed in ``MLFLOW_VAULT_ALLOWED_ROOTS``, separated by commas.

Outside a server anything goes: a client's files are its own.

Pure: the environment is an argument.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.store.address import FILE, Address

if TYPE_CHECKING:
    from collections.abc import Mapping

ALLOWED_VARIABLE: Final = "MLFLOW_VAULT_ALLOWED_ROOTS"
# What `mlflow server` tells its workers; the first one marks a server's process.
ROOT_VARIABLE: Final = "_MLFLOW_SERVER_ARTIFACT_ROOT"
DESTINATION_VARIABLE: Final = "_MLFLOW_SERVER_ARTIFACT_DESTINATION"
BACKEND_VARIABLE: Final = "_MLFLOW_SERVER_FILE_STORE"  # its database

_OURS: Final = re.compile(r"vault[-+]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """Which locations this process may open, and where it may make a vault.

    Attributes:
        inside: Whether this is a server's process; all else means nothing outside one.
        own: The server's own roots; a first write makes the vault there.
        allowed: Roots of vaults that its operator added.
    """

    inside: bool
    own: tuple[Address, ...] = ()
    allowed: tuple[Address, ...] = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> HostPolicy:
        """Read what `mlflow server` told this process, and its operator's list.

        Raises:
            InvalidInputError: One of them is no vault's address.
        """
        if ROOT_VARIABLE not in environment:
            return cls(inside=False)
        own = (environment.get(name, "") for name in (ROOT_VARIABLE, DESTINATION_VARIABLE))
        allowed = (root.strip() for root in environment.get(ALLOWED_VARIABLE, "").split(","))
        return cls(
            inside=True,
            own=tuple(Address.parse(root) for root in own if _OURS.match(root)),
            allowed=tuple(Address.parse(root) for root in allowed if root),
        )

    def check(self, uri: str) -> Address:
        """Refuse a location that this process has no business with; return it parsed.

        Raises:
            InvalidInputError: It is no vault's address, climbs, or lies outside the server's
                roots.
        """
        address = Address.parse(uri)
        if self.inside and _root_of(address, self.own + self.allowed) is None:
            raise InvalidInputError(
                f"this server does not open {address}: it lies outside its own artifact root and "
                f"destination. Its operator can list the vault in {ALLOWED_VARIABLE}."
            )
        return address

    def own_root(self, address: Address) -> str | None:
        """Return the root of this server that *address* lies under, the innermost one."""
        root = _root_of(address, self.own)
        return None if root is None else str(root)

    def hidden(self) -> tuple[str, ...]:
        """Return where this server's own roots lie, in all spellings that a message may have."""
        spelled = {str(root) for root in self.own}
        for root in self.own:
            if root.scheme == FILE:  # elsewhere the path alone says little and is often short
                spelled |= {root.path, quote(root.path)}
        return tuple(sorted(spelled, key=len, reverse=True))


def _root_of(address: Address, roots: tuple[Address, ...]) -> Address | None:
    around = {address, *address.parents()}
    return max((root for root in roots if root in around), key=lambda r: len(r.path), default=None)
