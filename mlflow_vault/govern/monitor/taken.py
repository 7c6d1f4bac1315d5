"""A look that was taken: one policy's, at one version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlflow_vault.decide.policy.health.judge import Condition, joined
from mlflow_vault.govern.monitor.report import Looked

if TYPE_CHECKING:
    from mlflow_vault.decide.policy.health.judge import Observation
    from mlflow_vault.decide.policy.health.schema import Health
    from mlflow_vault.decide.policy.schema import Policy
    from mlflow_vault.govern.monitor.observing import Watched


@dataclass(frozen=True, slots=True)
class Look:
    """One policy's look at one version.

    Attributes:
        policy: The policy.
        health: Its rules.
        seen: The version.
        observations: What each rule says of it.
        now: Milliseconds since 1970.
    """

    policy: Policy
    health: Health
    seen: Watched
    observations: tuple[Observation, ...]
    now: int

    @property
    def reasons(self) -> tuple[str, ...]:
        """What each rule says that is not healthy."""
        return tuple(
            f"{one.rule}: {one.text}: {one.reason}"
            for one in self.observations
            if one.condition is not Condition.HEALTHY
        )

    def found(self) -> Looked:
        """Return this as the report has it."""
        condition = joined(one.condition for one in self.observations)
        held = self.seen.held
        return Looked(
            held.name, held.number, self.seen.stage, self.policy.name, condition, self.observations
        )
