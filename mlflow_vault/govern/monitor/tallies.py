"""What is remembered between two looks: statements about the version, one for each change.

A look that changes nothing keeps nothing, so that a monitor may look every minute for years.  Each
statement has all counts of one policy, so the last one is all that has to be known.

    {"policy":"credit-production","policy_digest":"b3:...","stage":"production","decision":7,"look":3,
     "condition":"failing","rules":{"auc":{"failures":2,...,"condition":"failing","value":0.61,
     "reason":"..."}},"alerts":{"rolled_back":{"slack":true}}}

Which one is the last, its number says, not its time: clocks jump.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.policy.health.judge import Condition, joined
from mlflow_vault.decide.policy.health.tally import Tally, advance
from mlflow_vault.format.canonical import plain
from mlflow_vault.format.statement import Kind, Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlflow_vault.decide.policy.health.judge import Observation
    from mlflow_vault.decide.policy.health.schema import Health
    from mlflow_vault.decide.policy.schema import Policy
    from mlflow_vault.govern.monitor.observing import Watched


_REASON: Final = 300  # characters


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of a version under one policy, while it stands in one stage.

    Attributes:
        look: The number of the look that it is of; 0 if there was none.
        tallies: By rule.
        alerts: Of each event, by way, whether the alert was delivered.
        refused: When a rollback was refused last, in milliseconds since 1970; 0 if none was.
    """

    look: int = 0
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    alerts: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    refused: int = 0

    def after(self, observations: Iterable[Observation], health: Health) -> Memory:
        """Return this after one more look, whose number is still to be given."""
        tallies = {
            one.rule: advance(self.tallies.get(one.rule, Tally()), one, health)
            for one in observations
        }
        return replace(self, tallies=tallies)

    def says_as(self, other: Memory) -> bool:
        """Whether *other* says the same."""
        return self == replace(other, look=self.look)


def recall(statements: Iterable[Statement], policy: Policy, seen: Watched) -> Memory:
    """Return what is remembered of *seen* under *policy*; what cannot be read is forgotten."""
    last = Memory()
    wanted = {
        "policy_digest": str(policy.digest),
        "stage": seen.stage,
        "decision": seen.stand.decision,
    }
    for one in statements:
        body = dict(one.body)
        if one.kind != Kind.HEALTH or not wanted.items() <= body.items():
            continue
        look, rules, alerts = body.get("look"), body.get("rules"), body.get("alerts")
        if type(look) is int and look >= last.look and isinstance(rules, dict):
            tallies = {name: Tally.from_dict(told) for name, told in rules.items()}
            last = Memory(look, tallies, _alerts(alerts), _time(body.get("refused")))
    return last


def body_of(
    memory: Memory, policy: Policy, seen: Watched, observations: Iterable[Observation]
) -> dict[str, Any]:
    """Return what a statement says: *memory*, and what was seen at that look, if one was taken."""
    found = {one.rule: one for one in observations}
    conditions = [one.condition for one in found.values()] or [Condition.FAILING]
    rules = {name: tally.to_dict() for name, tally in memory.tallies.items()}
    for name, one in found.items():
        seen_there = one.to_dict() | {"reason": one.reason[:_REASON]}
        seen_there.pop("text")  # the policy says it
        rules[name] = seen_there | rules[name]
    told: dict[str, Any] = plain(
        {
            "policy": policy.name,
            "policy_digest": str(policy.digest),
            "stage": seen.stage,
            "decision": seen.stand.decision,
            "look": memory.look,
            "condition": joined(conditions).value,
            "rules": rules,
            "alerts": {event: dict(ways) for event, ways in memory.alerts.items()},
            "refused": memory.refused,
        }
    )
    return told


def _alerts(told: Any) -> dict[str, dict[str, bool]]:
    if not isinstance(told, dict):
        return {}
    return {
        event: {way: done is True for way, done in ways.items()}
        for event, ways in told.items()
        if isinstance(ways, dict)
    }


def _time(told: Any) -> int:
    return told if type(told) is int and told > 0 else 0
