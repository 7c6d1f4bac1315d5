"""Which registered models a policy is for, and which transitions.

A vault calls a model of another workspace than the default one ``workspace:name``.  A pattern
without a colon is for models of that name in every workspace.

Pure: no I/O.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mlflow_vault.decide.policy.schema import Policy

_SEPARATOR: Final = ":"  # no name of MLflow's has one


def is_for(policy: Policy, model: str) -> bool:
    """Whether *policy* is for the registered model *model*.

    >>> from mlflow_vault.decide.policy.schema import Metadata, Policy, Transition
    >>> policy = Policy(
    ...     metadata=Metadata(name="p", models=("credit-*", "risk:*")),
    ...     transition=Transition(to="production"),
    ... )
    >>> [is_for(policy, name) for name in ("credit-a", "team:credit-a", "risk:b", "fraud")]
    [True, True, True, False]
    """
    bare = model.rpartition(_SEPARATOR)[2]
    return any(
        fnmatchcase(model if _SEPARATOR in pattern else bare, pattern)
        for pattern in policy.metadata.models
    )
