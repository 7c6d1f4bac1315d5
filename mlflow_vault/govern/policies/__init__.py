"""Policies in files: reads and checks them, tries their examples, asks their custom checks.

    check(path) -> Policy                           what is wrong is told with line and column
    examples(policy) -> (Tried, ...)                what the policy says of its own examples
    run_checks(policy, candidate, baseline)         custom checks, each in a process of its own
    judge(policy, candidate, baseline, context)     the verdict; `subject` makes the versions
    backtest(policy, history)                       what it would have said of past promotions

Written down in docs/policies.md.
"""

from __future__ import annotations

from mlflow_vault.decide.policy import json_schema, judge
from mlflow_vault.govern.policies.checking import run_checks
from mlflow_vault.govern.policies.history import Backtest, Past, backtest
from mlflow_vault.govern.policies.reading import check, read
from mlflow_vault.govern.policies.subjects import subject
from mlflow_vault.govern.policies.trying import Tried, examples

__all__ = [
    "Backtest",
    "Past",
    "Tried",
    "backtest",
    "check",
    "examples",
    "json_schema",
    "judge",
    "read",
    "run_checks",
    "subject",
]
