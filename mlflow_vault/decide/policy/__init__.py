"""Policies: conditions under which a version may move to another stage, as data.

`Policy` says what is asked, `Subject` and `Context` what is known, `judge` answers with a
`Verdict`.  `govern.policies` reads policies from files and tries their examples.

Pure: no I/O.  Written down in docs/policies.md.
"""

from __future__ import annotations

from mlflow_vault.decide.policy.evidence import (
    Answer,
    Approval,
    Context,
    Evidence,
    Finding,
    Stay,
    Subject,
)
from mlflow_vault.decide.policy.judge import judge
from mlflow_vault.decide.policy.schema import Policy, json_schema
from mlflow_vault.decide.policy.verdict import Result, State, Verdict

__all__ = [
    "Answer",
    "Approval",
    "Context",
    "Evidence",
    "Finding",
    "Policy",
    "Result",
    "State",
    "Stay",
    "Subject",
    "Verdict",
    "json_schema",
    "judge",
]
