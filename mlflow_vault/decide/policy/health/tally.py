"""How often in a row a rule failed, or could not tell: what is remembered between two looks.

    failing        one more failure, if the sample is a new one
    healthy        no failure any more
    inconclusive   leaves failures as they are; counted by itself, and forgotten at any answer

A figure that was logged once fails once, however often it is looked at; what is asked anew at every
look fails anew.  Counts stop at their limits, so that what stays as it is need not be kept again.

Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.policy.health.judge import Condition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow_vault.decide.policy.health.judge import Observation
    from mlflow_vault.decide.policy.health.schema import Health

_COUNTS: Final = ("failures", "inconclusive", "counted")


@dataclass(frozen=True, slots=True)
class Tally:
    """What is remembered of one rule while one version stands in one stage.

    Attributes:
        failures: In a row, at most the policy's `failure_limit`.
        inconclusive: In a row, at most the policy's `inconclusive_limit`.
        counted: The time of the last sample that was counted as a failure; 0 if none has one.
        healthy: Whether it ever was healthy there.
    """

    failures: int = 0
    inconclusive: int = 0
    counted: int = 0
    healthy: bool = False

    def to_dict(self) -> dict[str, Any]:
        """This as plain values."""
        return {
            "failures": self.failures,
            "inconclusive": self.inconclusive,
            "counted": self.counted,
            "healthy": self.healthy,
        }

    @classmethod
    def from_dict(cls, told: Any) -> Tally:
        """Undo `to_dict`; what cannot be that is as if nothing was remembered."""
        if not isinstance(told, dict):
            return cls()
        counts: dict[str, Any] = {name: told.get(name) for name in _COUNTS}
        if not all(type(count) is int and count >= 0 for count in counts.values()):
            return cls()
        return cls(**counts, healthy=told.get("healthy") is True)


def advance(tally: Tally, observation: Observation, health: Health) -> Tally:
    """Return *tally* after one more look."""
    if observation.condition is Condition.INCONCLUSIVE:
        count = min(health.inconclusive_limit, tally.inconclusive + 1)
        return replace(tally, inconclusive=count)
    if observation.condition is Condition.HEALTHY:
        return replace(tally, failures=0, inconclusive=0, healthy=True)
    time = observation.sample.time
    seen = time is not None and time <= tally.counted
    if seen or tally.failures >= health.failure_limit:
        return replace(tally, inconclusive=0)
    counted = tally.counted if time is None else time
    return replace(tally, failures=tally.failures + 1, inconclusive=0, counted=counted)


def reached(tallies: Iterable[Tally], health: Health) -> Condition | None:
    """Say which limit was reached: FAILING, INCONCLUSIVE, or None for neither."""
    counted = tuple(tallies)
    if any(tally.failures >= health.failure_limit for tally in counted):
        return Condition.FAILING
    if any(tally.inconclusive >= health.inconclusive_limit for tally in counted):
        return Condition.INCONCLUSIVE
    return None
