"""Policies in files: reads and checks them, tries their examples, asks their custom checks.

    check(path) -> Policy                           what is wrong is told with line and column
    check_document(path) -> Policy | Roles          the same of either
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
from mlflow_vault.govern.policies.reading import (
    Document,
    check,
    check_document,
    read,
    read_document,
)
from mlflow_vault.govern.policies.subjects import subject
from mlflow_vault.govern.policies.trying import Tried, examples, refuse_failing

__all__ = [
    "Backtest",
    "Document",
    "Past",
    "Tried",
    "backtest",
    "check",
    "check_document",
    "examples",
    "json_schema",
    "judge",
    "read",
    "read_document",
    "refuse_failing",
    "run_checks",
    "subject",
]
