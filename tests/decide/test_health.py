"""Health is judged from samples alone; what says nothing is neither healthy nor failing."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mlflow_vault.decide.expression import Field
from mlflow_vault.decide.policy import Policy
from mlflow_vault.decide.policy.health.judge import (
    Condition,
    Observation,
    Sample,
    Setting,
    joined,
    judge_rule,
)
from mlflow_vault.decide.policy.health.schema import Health, HealthRule
from mlflow_vault.decide.policy.health.tally import Tally, advance, reached
from mlflow_vault.govern.policies import read

NOW: Final = 1_800_000_000_000
SINCE: Final = NOW - 3_600_000
AUC: Final = {"name": "auc", "metric": "live/auc", "at_least": 0.7}
GOOD: Final[list[dict[str, Any]]] = [
    AUC,
    {**AUC, "at_most": 0.99, "max_age": "1h", "experiment": "live", "runs": "tags.role = 'live'"},
    {"name": "auc", "metric": "live/auc", "require": "value >= metrics.auc - 0.05 AND age < 1h"},
    {"name": "errors", "prometheus": 'sum(rate(errors{v="$number"}[5m]))', "at_most": 0},
    {"name": "drift", "python": "acme.health:drift", "args": {"limit": 0.2}, "timeout": "5m"},
]
BAD: Final[list[dict[str, Any]]] = [
    {"name": "auc", "at_least": 0.7},
    {"name": "auc", "metric": "a"},
    {**AUC, "prometheus": "up"},
    {**AUC, "name": "a b"},
    {**AUC, "at_least": float("nan")},
    {**AUC, "at_least": "0.7"},
    {**AUC, "at_least": 2, "at_most": 1},
    {**AUC, "runs": "tags.a = 'b'"},
    {**AUC, "max_age": "0s"},
    {**AUC, "args": {"a": 1}},
    {**AUC, "url": "http://169.254.169.254"},
    {"name": "up", "prometheus": "up", "experiment": "live", "at_least": 1},
    {"name": "drift", "python": "acme:drift", "at_least": 1},
    {"name": "drift", "python": "rm -rf"},
    {"name": "auc", "metric": "a", "require": "value >"},
    {"name": "auc", "metric": "a", "require": "metrics.auc > 0.5"},
    {"name": "auc", "metric": "a", "require": "baseline.metrics.auc > value"},
]


def rule(**given: Any) -> HealthRule:
    """A rule that a live metric is at least 0.7."""
    return HealthRule.model_validate({**AUC, **given})


@pytest.mark.parametrize("given", GOOD)
def test_good(given: dict[str, Any]) -> None:
    """What a rule may say is read, and reads back as itself."""
    made = Health.model_validate({"rules": [given]})

    assert Health.model_validate(made.model_dump(mode="json", exclude_defaults=True)) == made
    assert made.rules[0].text


@pytest.mark.parametrize("given", BAD)
def test_bad(given: dict[str, Any]) -> None:
    """A rule that asks nothing, twice, or of an address of its own is refused."""
    with pytest.raises(ValidationError):
        HealthRule.model_validate(given)


@pytest.mark.parametrize(
    "given",
    [
        {"rules": []},
        {"rules": [AUC, AUC]},
        {"rules": [AUC], "failure_limit": 0},
        {"rules": [AUC], "failure_limit": True},
        {"rules": [AUC], "inconclusive_limit": 1001},
        {"rules": [AUC], "delay": "soon"},
    ],
)
def test_bad_health(given: dict[str, Any]) -> None:
    """So are limits that are none, and two rules of one name."""
    with pytest.raises(ValidationError):
        Health.model_validate(given)


def test_in_a_policy() -> None:
    """Health belongs to a promotion, and only production is rolled back."""
    least = "metadata: {name: p}\nhealth: {rules: [{name: a, metric: a, at_least: 1}]}\n"

    policy = read(f"{least}transition: {{to: production}}\n")

    assert policy.health is not None
    assert (policy.health.failure_limit, policy.health.delay) == (3, 300_000)
    assert Policy.model_validate(policy.to_dict()) == policy
    with pytest.raises(ValueError, match="where a promotion leads"):
        read(f"{least}transition: {{to: archived}}\n")
    with pytest.raises(ValueError, match="only production is rolled back"):
        read(f"{least}transition: {{to: staging}}\non_failure: {{rollback_to: last_healthy}}\n")
    with pytest.raises(ValueError, match="did you mean at_least"):
        read(least.replace("at_least", "at_lest") + "transition: {to: production}\n")


SAID: Final[list[tuple[dict[str, Any], Sample, Condition, str]]] = [
    ({}, Sample(0.8, NOW), Condition.HEALTHY, "0.8"),
    ({}, Sample(0.7, NOW), Condition.HEALTHY, "0.7"),
    ({}, Sample(0.6, NOW), Condition.FAILING, "0.6 is less than 0.7"),
    ({"at_most": 0.9}, Sample(0.95), Condition.FAILING, "more than 0.9"),
    ({}, Sample(0.6, NOW - 60_000), Condition.FAILING, "less than"),
    ({}, Sample(), Condition.INCONCLUSIVE, "there is no value"),
    ({}, Sample(reason="no such run"), Condition.INCONCLUSIVE, "no such run"),
    ({}, Sample(float("nan"), NOW), Condition.INCONCLUSIVE, "no finite number"),
    ({}, Sample(float("-inf"), NOW), Condition.INCONCLUSIVE, "no finite number"),
    ({}, Sample(0.1, SINCE - 1), Condition.INCONCLUSIVE, "before this version counted"),
    ({}, Sample(0.1, SINCE), Condition.FAILING, "less than"),
    ({"max_age": "1m"}, Sample(0.8, NOW - 60_001), Condition.INCONCLUSIVE, "more than 1m"),
    ({}, Sample(0.1, NOW + 60_001), Condition.INCONCLUSIVE, "in the future"),
    ({}, Sample(0.1, NOW + 60_000), Condition.FAILING, "less than"),
    (
        {"at_least": None, "require": "value >= metrics.auc - 0.05"},
        Sample(0.8),
        Condition.FAILING,
        "value is 0.8; metrics.auc is 0.9",
    ),
    (
        {"at_least": None, "require": "value >= metrics.other"},
        Sample(0.8),
        Condition.INCONCLUSIVE,
        "metrics.other is missing",
    ),
    (
        {"at_least": None, "require": "value > 0 AND age < 1m"},
        Sample(0.8, NOW - 120_000),
        Condition.FAILING,
        "age is 120000",
    ),
    ({"at_least": None, "require": "value > 0 AND age < 1m"}, Sample(1), Condition.HEALTHY, "1"),
]


@pytest.mark.parametrize(("more", "sample", "condition", "reason"), SAID)
def test_judge(more: dict[str, Any], sample: Sample, condition: Condition, reason: str) -> None:
    """A rule says what it saw; what is missing, stale or no number says nothing."""
    setting = Setting(NOW, SINCE, {Field("metric", "auc"): 0.9})

    found = judge_rule(rule(**more), sample, setting)

    assert found.condition is condition
    assert reason in found.reason


@pytest.mark.parametrize(
    ("sample", "condition"),
    [
        (Sample(passed=True), Condition.HEALTHY),
        (Sample(passed=False, reason="it drifts"), Condition.FAILING),
        (Sample(reason="it raised"), Condition.INCONCLUSIVE),
        (Sample(), Condition.INCONCLUSIVE),
    ],
)
def test_functions(sample: Sample, condition: Condition) -> None:
    """A function says yes or no; what raises or hangs says nothing."""
    asked = HealthRule.model_validate({"name": "drift", "python": "acme:drift"})

    found = judge_rule(asked, sample, Setting(NOW, SINCE))

    assert found.condition is condition
    assert found.reason
    assert found.to_dict()["condition"] == condition.value


@given(st.lists(st.sampled_from(Condition)))
def test_joined(conditions: list[Condition]) -> None:
    """One rule that fails decides, then one that cannot tell."""
    found = joined(conditions)

    assert (found is Condition.FAILING) is (Condition.FAILING in conditions)
    assert (found is Condition.HEALTHY) is (set(conditions) <= {Condition.HEALTHY})


looks = st.lists(st.tuples(st.sampled_from(Condition), st.none() | st.integers(1, 6)), max_size=30)


@given(looks, st.integers(1, 5), st.integers(1, 5))
def test_counting(
    seen: list[tuple[Condition, int | None]], failure_limit: int, inconclusive_limit: int
) -> None:
    """The counts are those of a plain model that keeps every look."""
    health = Health.model_validate(
        {
            "rules": [AUC],
            "failure_limit": failure_limit,
            "inconclusive_limit": inconclusive_limit,
        }
    )
    tally, history = Tally(), list[tuple[Condition, int | None]]()

    for condition, time in seen:
        tally = advance(tally, observation(condition, time), health)
        history.append((condition, time))

        failures = failed(history, failure_limit)
        unknown = in_a_row(history)
        assert tally.failures == min(failures, failure_limit)
        assert tally.inconclusive == min(unknown, inconclusive_limit)
        assert tally.healthy is any(one is Condition.HEALTHY for one, _ in history)
        assert Tally.from_dict(tally.to_dict()) == tally
        limit = reached([Tally(), tally], health)
        assert (limit is Condition.FAILING) is (failures >= failure_limit)
        assert (limit is None) is (failures < failure_limit and unknown < inconclusive_limit)


def failed(history: list[tuple[Condition, int | None]], limit: int) -> int:
    """Count the failures since the last healthy look; a logged one once, and never an older one."""
    count = newest = 0
    for condition, time in history:
        if condition is Condition.HEALTHY:
            count = 0
        elif condition is Condition.FAILING and count < limit and (time is None or time > newest):
            count, newest = count + 1, time or newest
    return count


def in_a_row(history: list[tuple[Condition, int | None]]) -> int:
    """Count the looks at the end that could not tell."""
    count = 0
    while count < len(history) and history[-1 - count][0] is Condition.INCONCLUSIVE:
        count += 1
    return count


def observation(condition: Condition, time: int | None) -> Observation:
    """What a rule says."""
    return Observation("auc", "", condition, "", Sample(0.5, time))


@pytest.mark.parametrize(
    "told", [None, [], {}, {"failures": -1}, {"failures": "1", "inconclusive": 0, "counted": 0}]
)
def test_forgotten(told: object) -> None:
    """What is no tally is as if nothing was remembered."""
    assert Tally.from_dict(told) == Tally()
