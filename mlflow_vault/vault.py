"""The face: one `Vault` and its verbs; most are `engine.files`, `govern.versions` and their heirs.

Everything here may be called from many threads and after a fork; nothing is held between calls
but what `vault.json` said.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from mlflow_vault.engine.identity import identity_of, make_identity
from mlflow_vault.engine.tree import Item
from mlflow_vault.engine.world import World
from mlflow_vault.errors import NotFoundError, PermissionDeniedError
from mlflow_vault.format import layout
from mlflow_vault.format.log import Actor
from mlflow_vault.govern.committing import user
from mlflow_vault.govern.governance import Governance
from mlflow_vault.store.address import Address
from mlflow_vault.store.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from mlflow_vault.decide.policy import Policy
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.bundle.bundle import Bundle
    from mlflow_vault.govern.references import Reference
    from mlflow_vault.govern.release.caller import Caller
    from mlflow_vault.govern.signing.trust import Trust
    from mlflow_vault.govern.triggers.rounds import Round
    from mlflow_vault.store.protocol import Store

__all__ = ["Item", "Vault"]

_log = logging.getLogger(__name__)
_found: dict[str, Vault] = {}  # vaults by canonical URI; a vault.json never changes


class Vault(Governance):
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
        for place, look in zip(places, cls._looks(places), strict=False):
            try:
                vault = _found[str(place)] = look()
            except NotFoundError:
                continue
            except PermissionDeniedError as error:
                denied.append(error)
                continue
            return vault, layout.check_path(address.path[len(place.path) :].strip("/"))
        if len(denied) == len(places):
            raise denied[0]
        return None

    @classmethod
    def _looks(cls, places: Sequence[Address]) -> list[Callable[[], Vault]]:
        """What opens the vault at each of *places*, as far as the first that is known already.

        Behind a network all are asked at once.
        """

        def opened(place: Address, store: Store) -> Vault:
            return _found.get(str(place)) or cls.at(store, World.around(place))

        known = next((n for n, place in enumerate(places) if str(place) in _found), len(places))
        unknown = places[: known + 1]
        first = open_store(places[0])
        stores = [first, *(open_store(place, first) for place in unknown[1:])]
        looks = [partial(opened, *each) for each in zip(unknown, stores, strict=True)]
        if len(unknown) == 1 or World.around(places[0]).near:
            return list(looks)
        with ThreadPoolExecutor(len(unknown), "vault-find") as pool:
            return [pool.submit(look).result for look in looks]

    def checkout(
        self,
        reference: Reference,
        destination: Path,
        *,
        require_signature: Trust | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Version:
        """Write a version's files to a new or empty folder, each verified: all, or nothing.

        It asks neither MLflow nor the artifact path for them, so it works after ``mlflow gc``.

        Args:
            reference: A version.
            destination: A new or empty folder.
            require_signature: Whose signature it must have.
            progress: Told the bytes as they are done.

        Raises:
            InvalidInputError: There is something at *destination*.
            UntrustedError: It is not signed by who is trusted.
            CorruptionError: A file cannot be read as it was committed.
            StorageError: The store failed, or *destination* cannot be written.
        """
        version = self.version(reference)
        if require_signature is not None:
            self.require_signature(version, require_signature)
        return super().checkout(version, destination, progress=progress)

    def promote_candidates(self, name: str = "", *, caller: Caller | None = None) -> Round:
        """Move every version that the policies which are automatic let pass; docs/triggers.md.

        Args:
            name: Only of this registered model.
            caller: Who asks, as a server knows them; None for who runs this process.

        Returns:
            What became of each candidate; one that fails does not stop the others.

        Example:
            >>> print(Vault.init("vault-memory://rounds").promote_candidates())
            no candidates
        """
        from mlflow_vault.govern.triggers.desk import VaultDesk  # noqa: PLC0415 - few ask
        from mlflow_vault.govern.triggers.rounds import promote_candidates  # noqa: PLC0415

        releases, force = self.releases, self.policies
        who = caller or force.caller(Actor(user()))
        return promote_candidates(VaultDesk(releases, force, self._host, who, caller), name)

    def bundle(
        self,
        model: str,
        *,
        stage: str = "",
        decision: int | None = None,
        policies: Iterable[Policy] = (),
    ) -> Bundle:
        """Return one file that proves a decision, to be verified without vault and network.

        Args:
            model: A registered model.
            stage: The decision by which a version stands there now.
            decision: Or the one with this number.
            policies: Those that it was judged by and that never were in force.

        Raises:
            NotFoundError: There is no such decision.
            InvalidInputError: No checkpoint of the audit log covers it yet.

        Example:
            >>> Vault.init("vault-memory://proving").bundle("credit", stage="production")
            Traceback (most recent call last):
            ...
            mlflow_vault.errors.NotFoundError: no version of 'credit' stands in production ...
        """
        from mlflow_vault.govern.bundle.making import Ground, make  # noqa: PLC0415 - few ask

        ground = Ground(self.store, self._world, self.identity, self._records, self.policies)
        return make(ground, model, stage=stage, decision=decision, policies=policies)
