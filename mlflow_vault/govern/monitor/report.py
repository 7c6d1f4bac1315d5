"""What a look of the monitor found, and what was done about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlflow_vault.decide.policy.health.judge import Condition, joined
from mlflow_vault.format.canonical import plain
from mlflow_vault.format.showing import html_table
from mlflow_vault.govern.monitor.alerts.alert import line

if TYPE_CHECKING:
    from mlflow_vault.decide.policy.health.judge import Observation


@dataclass(frozen=True, slots=True)
class Looked:
    """What one policy says of one version.

    Attributes:
        model: The registered model.
        number: The model version's.
        stage: Where it stands, or stood until this look.
        policy: The policy's name.
        condition: What its rules say together.
        observations: What each says.
        event: ``failing``, ``rolled_back``, ``rollback_failed``, ``inconclusive``, ``lost`` where
            somebody else moved it first; empty while no limit is reached.
        outcome: What was done, in words.
        problems: What went wrong beside: alerts that reached nobody, memory that was not kept.
    """

    model: str
    number: int
    stage: str
    policy: str
    condition: Condition
    observations: tuple[Observation, ...] = ()
    event: str = ""
    outcome: str = ""
    problems: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """This as plain values that JSON has."""
        told: dict[str, Any] = plain(
            {
                "model": self.model,
                "number": self.number,
                "stage": self.stage,
                "policy": self.policy,
                "condition": self.condition.value,
                "event": self.event,
                "outcome": self.outcome,
                "rules": [one.to_dict() for one in self.observations],
                "problems": list(self.problems),
            }
        )
        return told

    def __str__(self) -> str:
        head = f"{self.model}/{self.number} in {self.stage}: {self.condition.value}"
        lines = [f"{head}, says {self.policy}"]
        lines += [f"    {self.outcome}"] if self.outcome else []
        for one in self.observations:
            lines.append(f"    {one.condition.value:<13}{one.rule}: {one.text} ({one.reason})")
        lines += [f"    problem: {problem}" for problem in self.problems]
        return "\n".join(map(line, lines))


@dataclass(frozen=True, slots=True)
class Report:
    """What a look found.

    Attributes:
        looks: At each version, by each policy that watches it.
        problems: What could not be looked at at all.
    """

    looks: tuple[Looked, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def condition(self) -> Condition:
        """How everything is, taken together."""
        unseen = [Condition.INCONCLUSIVE] if self.problems else []
        return joined([*(one.condition for one in self.looks), *unseen])

    @property
    def exit_code(self) -> int:
        """0 healthy, 1 failing, rolled back or an alert reached nobody, 3 inconclusive."""
        if any(one.problems for one in self.looks):
            return Condition.FAILING.exit_code
        return self.condition.exit_code

    def to_dict(self) -> dict[str, Any]:
        """This as plain values that JSON has."""
        return {
            "condition": self.condition.value,
            "exit_code": self.exit_code,
            "looks": [one.to_dict() for one in self.looks],
            "problems": [line(problem) for problem in self.problems],
        }

    def __repr__(self) -> str:
        return f"Report({len(self.looks)} looks, {self.condition.value})"

    def __str__(self) -> str:
        if not self.looks and not self.problems:
            return "nothing stands in a stage for which a policy in force has health rules"
        return "\n".join([*map(str, self.looks), *map(line, self.problems)])

    def _repr_html_(self) -> str:
        rows = [
            (f"{one.model}/{one.number}", one.stage, one.policy, one.condition.value, one.outcome)
            for one in self.looks
        ]
        return html_table(repr(self), rows, ("version", "stage", "policy", "is", "done"))
