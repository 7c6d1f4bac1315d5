"""A vault in memory with versions to promote; its clock stands still until it is told to move."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlflow_vault.decide.policy.roles import EVERYTHING
from mlflow_vault.engine.identity import make_identity
from mlflow_vault.engine.world import World
from mlflow_vault.format.log import Actor
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.policies import read
from mlflow_vault.govern.release.caller import Caller
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.registry import Registry
from mlflow_vault.testing.vaults import write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.release.releases import Releases
    from mlflow_vault.store.protocol import Store

START = 1_767_225_600.0
HOUR = 3600.0
STAGING = "metadata: {name: to-staging}\ntransition: {to: staging}\n"
PRODUCTION = "metadata: {name: to-production}\ntransition: {from: staging, to: production}\n"
VOTES = PRODUCTION + "approvals: {min: 1}\n"


def caller(name: str, *roles: str, verified: bool = True) -> Caller:
    """Somebody whom a server authenticated."""
    return Caller(Actor(name, verified), roles, EVERYTHING)


@dataclass
class Stage:
    """A vault, its registry, and the time."""

    store: Store = field(default_factory=lambda: MemoryStore("models"))
    registry: Registry = field(default_factory=Registry)
    time: float = START
    made: int = 0

    @property
    def vault(self) -> Vault:
        """The vault, as another process opens it."""
        return self.at(self.store)

    def at(self, store: Store, registry: Any = None) -> Vault:
        """The vault in *store*, as another process opens it."""
        world = World(now=lambda: self.time)
        return Vault(store, make_identity(store, world), world, lambda: registry or self.registry)

    @property
    def releases(self) -> Releases:
        """What is decided there."""
        return self.vault.releases

    def apply(self, *texts: str) -> None:
        """Let policies be in force."""
        for text in texts:
            self.vault.policies.apply(read(text), "admin")

    def version(
        self, name: str = "credit", author: str = "ann", place: str = "m", **facts: Any
    ) -> Version:
        """Commit a version of a model."""
        self.made += 1
        model = f"{place}-{self.made:032x}"
        folder = f"1/models/{model}/artifacts"
        vault = self.vault
        write(vault, f"{folder}/model.bin", b"%d" % self.made)
        uri = f"models:/{model}"
        location = f"{vault.uri}/{folder}"
        self.registry.known[uri] = Held(
            uri, location, model_id=model, experiment_id="1", author=author
        )
        self.registry.told[location] = {"run": {"user": author}, **facts}
        return vault.commit(uri, name=name)

    def aliases(self, name: str = "credit") -> dict[str, int]:
        """What the registry shows."""
        return self.registry.aliases(name)

    def tags(self, number: int, name: str = "credit") -> str:
        """The stage that a version's tag names."""
        held = self.registry.resolve(f"models:/{name}/{number}")
        return held.tags.get("mlflow_vault.stage", "")

    def logged(self, actions: Iterable[str] = ()) -> list[str]:
        """What the audit log has, in order."""
        return [
            str(entry.action)
            for entry in self.vault.audit.search()
            if not actions or entry.action in actions
        ]
