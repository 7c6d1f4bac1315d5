"""Metrics are judged as MLflow judges them, wherever MLflow has an answer that makes sense."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.models import MetricThreshold
from mlflow.models.evaluation.validation import ModelValidationFailedException, _validate

from mlflow_vault.decide.policy import Context, Policy, Subject, judge

near = st.floats(-1e6, 1e6, allow_nan=False) | st.sampled_from([0.0, 1.0, 0.5, 1e-10, -1e-10])
values = near | st.integers(-100, 100)
rules = st.fixed_dictionaries(
    {"greater_is_better": st.booleans()},
    optional={
        "threshold": values,
        "min_absolute_change": st.floats(1e-9, 10) | st.integers(1, 5),
        "min_relative_change": st.floats(0, 1),
    },
).filter(lambda rule: len(rule) > 1)


def ours(rule: dict[str, Any], candidate: Any, baseline: Any) -> bool:
    """Whether the policy lets *candidate* pass."""
    policy = Policy.model_validate(
        {"metadata": {"name": "x"}, "transition": {"to": "staging"}, "metrics": {"m": rule}}
    )
    one = Subject("m/2", "b3:1", "m", facts={"metrics": {"m": candidate}})
    other = Subject("m/1", "b3:2", "m", facts={"metrics": {"m": baseline}})
    return judge(policy, one, other, Context(now=1)).passed


@settings(max_examples=400, deadline=None)
@given(rules, values, values)
def test_as_mlflow(rule: dict[str, Any], candidate: float, baseline: float) -> None:
    """What passes MLflow's check of thresholds passes ours, and nothing else does."""
    try:
        _validate({"m": MetricThreshold(**rule)}, {"m": candidate}, {"m": baseline})
        theirs = True
    except ModelValidationFailedException:
        theirs = False

    assert ours(rule, candidate, baseline) is theirs


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf"), None, "1", True])
@pytest.mark.parametrize("greater", [True, False])
def test_no_number(bad: Any, *, greater: bool) -> None:
    """What is no finite number denies, on either side; MLflow lets it pass or fails on it."""
    rule = {"greater_is_better": greater, "min_relative_change": 0.0}

    assert not ours({**rule, "threshold": 0 if greater else 9}, bad, 1.0)
    assert not ours(rule, 1.0, bad)
    assert ours(rule, 1.0, 1.0)
