"""Whether a version is healthy by one rule: yes, no, or nobody can say.

What is missing, stale, no number, or from before the version stood where it stands says neither.

Pure: no I/O.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide import expression
from mlflow_vault.decide.expression import NOW, fields
from mlflow_vault.decide.policy.durations import rough, spell
from mlflow_vault.decide.policy.health.schema import AGE, VALUE, read_health_condition
from mlflow_vault.decide.policy.rules.case import SKEW
from mlflow_vault.format.canonical import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlflow_vault.decide.expression import Field, Value
    from mlflow_vault.decide.policy.health.schema import HealthRule


class Condition(Enum):
    """How somebody is."""

    HEALTHY = "healthy"
    FAILING = "failing"
    INCONCLUSIVE = "inconclusive"

    @property
    def exit_code(self) -> int:
        """What a command that asked ends with."""
        return _EXIT_CODES[self]


_EXIT_CODES: Final = {Condition.HEALTHY: 0, Condition.FAILING: 1, Condition.INCONCLUSIVE: 3}


@dataclass(frozen=True, slots=True)
class Sample:
    """What was found for a rule.

    Attributes:
        value: The figure; None if there is none.
        time: When it was logged, milliseconds since 1970; None for what was asked just now.
        passed: What a function answered; None where there is none, or no answer.
        reason: Why there is nothing, or what the function said.
        source: Where it was found.
    """

    value: float | None = None
    time: int | None = None
    passed: bool | None = None
    reason: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one rule says of a version now.

    Attributes:
        rule: Its name.
        text: The rule, as people would say it.
        condition: What it says.
        reason: Why.
        sample: What it looked at.
    """

    rule: str
    text: str
    condition: Condition
    reason: str
    sample: Sample

    def to_dict(self) -> dict[str, Any]:
        """This observation as plain values that JSON has."""
        told: dict[str, Any] = plain(
            {
                "rule": self.rule,
                "text": self.text,
                "condition": self.condition.value,
                "reason": self.reason,
                "value": self.sample.value,
                "time": self.sample.time,
                "source": self.sample.source,
            }
        )
        return told


@dataclass(frozen=True, slots=True)
class Setting:
    """What a rule is judged in.

    Attributes:
        now: Milliseconds since 1970.
        since: From when on samples are about the version.
        values: What a condition may ask of the version.
    """

    now: int
    since: int
    values: Mapping[Field, Value] = field(default_factory=dict)


def judge_rule(rule: HealthRule, sample: Sample, setting: Setting) -> Observation:
    """Say whether the version is healthy by *rule*, from *sample* alone."""
    lacking = _lacking(rule, sample, setting)
    if lacking:
        return Observation(rule.name, rule.text, Condition.INCONCLUSIVE, lacking, sample)
    if rule.python is not None:
        condition = Condition.HEALTHY if sample.passed else Condition.FAILING
        reason = sample.reason or ("yes" if sample.passed else "no")
        return Observation(rule.name, rule.text, condition, reason, sample)
    condition, reason = _measured(rule, sample, setting)
    return Observation(rule.name, rule.text, condition, reason, sample)


def joined(conditions: Iterable[Condition]) -> Condition:
    """Join what rules say: one that fails decides, then one that cannot tell."""
    found = set(conditions)
    for worse in (Condition.FAILING, Condition.INCONCLUSIVE):
        if worse in found:
            return worse
    return Condition.HEALTHY


def _lacking(rule: HealthRule, sample: Sample, setting: Setting) -> str:
    """Say why *sample* says nothing; empty if it does."""
    if rule.python is not None:
        return "" if sample.passed is not None else sample.reason or "it gave no answer"
    if sample.value is None:
        return sample.reason or "there is no value"
    if not math.isfinite(sample.value):
        return f"{sample.value} is no finite number"
    return "" if sample.time is None else _untimely(rule, sample.value, sample.time, setting)


def _untimely(rule: HealthRule, value: float, time: int, setting: Setting) -> str:
    age = setting.now - time
    if age < -SKEW:
        return f"{value:g} was logged {rough(-age)} in the future: check the clocks"
    if time < setting.since:
        return f"{value:g} is from before this version counted, {rough(max(0, age))} ago"
    if age > rule.max_age:
        return f"{value:g} is {rough(age)} old, more than {spell(rule.max_age)}"
    return ""


def _measured(rule: HealthRule, sample: Sample, setting: Setting) -> tuple[Condition, str]:
    value = sample.value or 0.0
    told = [f"{value:g}"]
    if rule.at_least is not None and value < rule.at_least:
        return Condition.FAILING, f"{value:g} is less than {rule.at_least:g}"
    if rule.at_most is not None and value > rule.at_most:
        return Condition.FAILING, f"{value:g} is more than {rule.at_most:g}"
    if rule.require is None:
        return Condition.HEALTHY, told[0]
    tree = read_health_condition(rule.require)
    age = max(0, setting.now - (setting.now if sample.time is None else sample.time))
    given: dict[Field, Value] = {VALUE: value, AGE: age, NOW: setting.now}
    asked = {one: given.get(one, setting.values.get(one)) for one in fields(tree)}
    told = [f"{one} is {found!s:.80}" for one, found in asked.items() if found not in (None, ())]
    holds = expression.judge(tree, asked.get)
    if holds is None:
        lacking = [f"{one} is missing" for one, found in asked.items() if found in (None, ())]
        return Condition.INCONCLUSIVE, "unknown: " + "; ".join(lacking or told)
    return (Condition.HEALTHY if holds else Condition.FAILING), "; ".join(told)
