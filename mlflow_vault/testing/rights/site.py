"""A vault that an admin made, in which somebody with fewer rights tries something."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.policy import Policy
from mlflow_vault.format import layout
from mlflow_vault.format.log import Actor
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.release.caller import Caller
from mlflow_vault.testing.models import noise
from mlflow_vault.testing.registry import Registry
from mlflow_vault.testing.vaults import write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from mlflow_vault.format.statement import Statement
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.audit.keys import Signer
    from mlflow_vault.govern.signing.keys import Key
    from mlflow_vault.store.protocol import Store

LARGE: Final = 270_000  # bytes; more than an entry holds inline, so there is a pack
CALLER: Final = Caller(Actor("bob", verified=True), ("risk",))
_POLICIES: Final[tuple[dict[str, Any], ...]] = (
    {"metadata": {"name": "staging"}, "transition": {"to": "staging"}},
    {
        "metadata": {"name": "production"},
        "transition": {"to": "production"},
        "approvals": {"min": 1, "roles": ["risk"]},
    },
)


@dataclass
class Site:
    """A vault that an admin made, and somebody who tries something there.

    Attributes:
        own: The store, as the admin sees it.
        store: The store, as somebody sees it.
        key: Signs models.
        signer: Signs checkpoints.
        standing: A version that stands in staging, as `begin` made it; nobody moves it.
        statement: The key of a statement about it.
    """

    own: Store
    store: Store
    key: Key
    signer: Signer
    registry: Registry = field(default_factory=Registry)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    standing: Version = field(init=False)
    statement: str = ""

    def seen_by(self, store: Store) -> Site:
        """The same vault, tried by whoever sees *store*."""
        seen = Site(self.own, store, self.key, self.signer, self.registry, self.numbers)
        seen.standing, seen.statement = self.standing, self.statement
        return seen

    def begin(self) -> None:
        """Make the vault, with policies, a version and a checkpoint."""
        vault = Vault.init_at(self.own)
        for policy in _POLICIES:
            whole = {"kind": "PromotionPolicy", **policy}
            vault.policies.apply(Policy.model_validate(whole), "admin")
        self.standing = self.staged()
        self.statement = say(self.admins, self.standing).key
        vault.audit.checkpoint(self.signer)

    @property
    def admins(self) -> Vault:
        """The vault, as the admin opens it."""
        return self._opened(self.own)

    @property
    def vault(self) -> Vault:
        """The vault, as somebody opens it."""
        return self._opened(self.store)

    def logged(self) -> str:
        """Let the admin log a model; return its reference."""
        number = next(self.numbers)
        model = f"m-{number:032x}"
        path = f"1/models/{model}/artifacts"
        for name, plain in (("MLmodel", b"flavors: {}"), ("w.bin", noise(number, LARGE))):
            write(self.admins, f"{path}/{name}", plain)
        uri = f"models:/{model}"
        self.registry.known[uri] = Held(uri, f"{self.own.uri}/{path}", model_id=model)
        return uri

    def version(self) -> Version:
        """Let the admin commit a version of a registered model of its own."""
        uri = self.logged()
        return self.admins.commit(uri, name=f"model-{next(self.numbers)}")

    def staged(self) -> Version:
        """Let the admin commit one, and promote it to staging."""
        version = self.version()
        self.admins.releases.promote(version.label, to="staging", caller=CALLER)
        return version

    def pack(self) -> str:
        """The key of some pack."""
        return next(iter(self.own.list(layout.PACKS))).key

    def _opened(self, store: Store) -> Vault:
        found = Vault.at(store)
        return Vault(store, found.identity, host=lambda: self.registry)


def say(vault: Vault, version: Version) -> Statement:
    """Keep a result beside *version*."""
    return vault.releases.evidence(
        version.label, type="test-result", name="holdout", passed=True, caller=CALLER
    )
