"""What releases take from around them: the vault, what is in force, MLflow, and the clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mlflow_vault.govern.committing import user
from mlflow_vault.govern.release.keeping.ledger import Ledger
from mlflow_vault.govern.release.keeping.showing import show
from mlflow_vault.govern.release.keeping.statements import Statements

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlflow_vault.decide.policy.evidence import Finding
    from mlflow_vault.decide.transitions import Showing
    from mlflow_vault.engine.world import World
    from mlflow_vault.format.decision import Decision
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.host import Host
    from mlflow_vault.govern.knowledge import Knowledge
    from mlflow_vault.govern.policies.force import Force
    from mlflow_vault.govern.release.caller import Caller

BELIEVED: Final = 5.0  # seconds that we believe who decides


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where releases happen.

    Attributes:
        vault: The versions, and the audit log.
        policies: What is in force.
        host: MLflow.
        world: Clock and randomness.
        signed: Says whether somebody who is trusted signed a version.
        environment: Variables: where the secrets of one-time codes are.
    """

    vault: Knowledge
    policies: Force
    host: Callable[[], Host]
    world: World
    signed: Callable[[Version], Finding]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    _governed: dict[str, tuple[bool, float]] = field(default_factory=dict, repr=False)

    def ledger(self, model: str) -> Ledger:
        """Return what was decided about *model*."""
        return Ledger(self.vault.store, self.world, self.vault.identity, model)

    @property
    def statements(self) -> Statements:
        """What was said of versions."""
        return Statements(self.vault.store, self.world, self.vault.identity)

    def governs(self, model: str) -> bool:
        """Whether MLflow's registry itself decides about *model*; asked once in a few seconds.

        MLflow reads all versions of a model to tell.
        """
        now = self.world.monotonic()
        found, since = self._governed.get(model, (False, -BELIEVED))
        if now - since >= BELIEVED:
            found = self.host().governs(model)
            self._governed[model] = (found, now)
        return found

    def now(self) -> int:
        """The time, in milliseconds since 1970."""
        return int(self.world.now() * 1000)

    def caller(self) -> Caller:
        """Who runs this process, as they say."""
        return self.policies.claimed(user())

    def carry_out(self, ledger: Ledger) -> Decision | None:
        """Finish what was decided, by whomever; return the newest decision.

        A registry that decides by itself finishes it itself.
        """
        if self.governs(ledger.model):
            return ledger.head()

        def apply(wanted: Showing) -> None:
            show(self.host(), ledger.model, wanted)

        return ledger.carry_out(self.vault.audit, apply)
