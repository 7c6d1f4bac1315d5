"""A vault in memory whose clock is held, with versions that were promoted, and a receiver."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from mlflow_vault.decide.policy.health.judge import Sample
from mlflow_vault.engine.identity import make_identity
from mlflow_vault.engine.world import World
from mlflow_vault.format.statement import Kind
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.monitor.alerts.delivery import Alerts, Patience
from mlflow_vault.govern.monitor.alerts.targets import Targets
from mlflow_vault.govern.monitor.watch import Monitor
from mlflow_vault.govern.policies import read
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.receiver import receiving
from mlflow_vault.testing.registry import Registry
from mlflow_vault.testing.vaults import write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlflow_vault.format.statement import Statement
    from mlflow_vault.govern.monitor.report import Report
    from mlflow_vault.store.protocol import Store
    from mlflow_vault.testing.receiver import Receiver

START = 1_767_225_600.0
POLICY = """
metadata: {name: credit-production, models: ["credit*"]}
transition: {to: production}
health:
  rules: [{name: auc, metric: live/auc, experiment: live, at_least: 0.7, max_age: 1h}]
  failure_limit: 3
  inconclusive_limit: 2
  delay: 1m
on_failure: {rollback_to: last_healthy, alert: webhook}
"""


@dataclass
class Ward:
    """What is watched: a vault, its registry, and the time."""

    store: Store = field(default_factory=lambda: MemoryStore("models"))
    registry: Registry = field(default_factory=Registry)
    time: float = START
    targets: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    made: int = 0

    def at(self, store: Store | None = None) -> Vault:
        """The vault, as another process opens it."""
        world = World(now=lambda: self.time)
        chosen = self.store if store is None else store
        return Vault(chosen, make_identity(chosen, world), world, lambda: self.registry)

    @property
    def vault(self) -> Vault:
        """The vault, as another process opens it."""
        return self.at()

    def apply(self, text: str = POLICY) -> None:
        """Let a policy be in force."""
        self.vault.policies.apply(read(text), "admin")

    def promote(self, name: str = "credit", to: str = "production", **facts: Any) -> int:
        """Commit a version and promote it; return its number."""
        self.made += 1
        model = f"m-{self.made:032x}"
        place = f"1/models/{model}/artifacts"
        vault = self.vault
        write(vault, f"{place}/model.bin", b"%d" % self.made)
        location = f"{vault.uri}/{place}"
        held = Held(f"models:/{model}", location, model_id=model, experiment_id="1")
        self.registry.known[held.uri] = held
        self.registry.told[location] = facts
        version = vault.commit(held.uri, name=name)
        vault.promote(version, to=to)
        return version.number

    def log(self, value: float, key: str = "live/auc", experiment: str = "live") -> None:
        """Log a live metric, now."""
        self.registry.measured[experiment, key] = Sample(value, int(self.time * 1000))

    def look(
        self, name: str = "", *, minutes: float = 1, environment: Mapping[str, str] | None = None
    ) -> Report:
        """Look, some minutes later, as another process does."""
        self.time += 60 * minutes
        return self.monitor(self.vault, environment).look(name)

    def monitor(self, vault: Vault, environment: Mapping[str, str] | None = None) -> Monitor:
        """A monitor of *vault*."""
        asked = self.environment if environment is None else environment
        around = replace(vault.releases.around, environment=asked)
        patience = Patience(tries=2, total=2, first_wait=0.01)
        targets = Targets.model_validate(self.targets)
        return Monitor(around, Alerts(targets, around.environment, patience))

    def standing(self, name: str = "credit", stage: str = "production") -> int:
        """Who stands in a stage, by the ledger; the registry says the same."""
        number = self.vault.releases.standing(name)[stage].number
        assert self.registry.aliases(name)[stage] == number
        return number

    def kept(self, number: int, name: str = "credit") -> list[Statement]:
        """What is kept of what was seen of a version, in order."""
        vault = self.vault
        digest = vault.version(f"models:/{name}/{number}").digest
        said = vault.releases.around.statements.of(name, digest)
        found = [one for one in said if one.kind == Kind.HEALTH]
        return sorted(found, key=lambda one: one.body["look"])

    def logged(self, action: str) -> list[Any]:
        """What the audit log says happened."""
        return [one.after for one in self.vault.audit.search() if one.action == action]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that answers ``ok``."""
    with receiving() as made:
        yield made


@pytest.fixture
def ward(receiver: Receiver) -> Ward:
    """Version 2 in production, version 1 before it; alerts go to the receiver."""
    made = Ward(targets={"webhook": {"url": receiver.url}})
    made.apply()
    made.promote()
    made.time += 3600
    made.promote()
    made.time += 60
    return made


@pytest.fixture(scope="session")
def new_ward() -> type[Ward]:
    """Makes one that nobody is alerted of."""
    return Ward
