"""The face: one `Vault` and its verbs; most are `engine.files` and `govern.versions`.

Everything here may be called from many threads and after a fork; nothing is held between calls
but what `vault.json` said.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mlflow_vault.engine.identity import identity_of, make_identity
from mlflow_vault.engine.tree import Item
from mlflow_vault.engine.world import World
from mlflow_vault.errors import NotFoundError, PermissionDeniedError
from mlflow_vault.format import layout
from mlflow_vault.govern.versions import Versions
from mlflow_vault.store.address import Address
from mlflow_vault.store.opening import open_store

if TYPE_CHECKING:
    from mlflow_vault.store.protocol import Store

__all__ = ["Item", "Vault"]

_log = logging.getLogger(__name__)
_found: dict[str, Vault] = {}  # vaults by canonical URI; a vault.json never changes


class Vault(Versions):
    """A store with our format in it.

    Example:
        >>> from pathlib import Path
        >>> vault = Vault.init("vault-memory://example")
        >>> vault.write_file(Path(__file__), "1/run/artifacts/vault.py")
        >>> [item.path for item in vault.list("1/run/artifacts")]
        ['1/run/artifacts/vault.py']
    """

    def __repr__(self) -> str:
        return f"Vault({self.uri!r})"

    @classmethod
    def open(cls, uri: str) -> Vault:
        """Open the vault whose root is *uri*.

        Raises:
            NotFoundError: There is no vault.
            UnsupportedError: It needs a newer release, which the message names.
        """
        return cls.at(open_store(address := Address.parse(uri)), World.around(address))

    @classmethod
    def at(cls, store: Store, world: World | None = None) -> Vault:
        """Open the vault in *store*.

        Raises:
            NotFoundError: There is no vault.
            UnsupportedError: It needs a newer release, which the message names.
        """
        return cls(store, identity_of(store), world)

    @classmethod
    def init(cls, uri: str) -> Vault:
        """Make a vault at *uri*, or open the one that is there; of two first makers one wins.

        Raises:
            StorageError: The store cannot be written.
        """
        return cls.init_at(open_store(address := Address.parse(uri)), World.around(address))

    @classmethod
    def init_at(cls, store: Store, world: World | None = None) -> Vault:
        """Make a vault in *store*, or open the one that is there."""
        return cls(store, make_identity(store, world or World()), world)

    @classmethod
    def find(cls, uri: str) -> tuple[Vault, str] | None:
        """Find the vault that *uri* lies in: the nearest folder, itself included, that is one.

        A place above the vault that we may not look at is taken for none.

        Returns:
            The vault and the path of *uri* in it, or None.

        Raises:
            PermissionDeniedError: We may look at none of them.
        """
        address = Address.parse(uri)
        denied: list[PermissionDeniedError] = []
        places = [address, *address.parents()]
        for place in places:
            name = str(place)
            vault = _found.get(name)
            if vault is None:
                try:
                    vault = cls.at(open_store(place), World.around(place))
                except NotFoundError:
                    continue
                except PermissionDeniedError as error:
                    denied.append(error)
                    continue
                _found[name] = vault
            return vault, layout.check_path(address.path[len(place.path) :].strip("/"))
        if len(denied) == len(places):
            raise denied[0]
        return None
