"""The states of policies that the matrix is tried in, and who has which role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.policy import Policy
from mlflow_vault.decide.policy.roles import Roles

if TYPE_CHECKING:
    from mlflow_vault.format.log import Actor
    from mlflow_vault.vault import Vault

# Nobody is who asks without a name.
ROLES: Final = {
    "nobody": "",
    "viewer": "vic",
    "contributor": "con",
    "approver": "app",
    "releaser": "rel",
    "admin": "adm",
}
STATES: Final = {
    "no policy": "no policy in force matches the model",
    "passes": "its policies let every version pass",
    "waits": "its policies wait for an approval that nobody gave",
    "denies": "its policies ask for a metric that no version has",
    "warns": "the same policies, in mode `warn`",
}
_RULES: Final[dict[str, dict[str, Any]]] = {
    "passes": {},
    "waits": {"approvals": {"min": 1}},
    "denies": {"metrics": {"f1": {"threshold": 0.9, "greater_is_better": True}}},
    "warns": {"metrics": {"f1": {"threshold": 0.9, "greater_is_better": True}}},
}
_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    "to-staging": {"to": "staging"},
    "to-production": {"to": "production"},
    "to-archive": {"to": "archived"},
    "roll-back": {"to": "production", "kind": "rollback"},
}


def roles() -> Roles:
    """Return who has which role: one user each."""
    named = {role: {"users": [user]} for role, user in ROLES.items() if user}
    return Roles.model_validate({"kind": "Roles", "metadata": {"name": "team"}, "roles": named})


def policies(state: str) -> list[Policy]:
    """Return the policies for ``credit`` and ``greeting`` in *state*, one for each transition."""
    made = []
    for name, transition in _TRANSITIONS.items():
        body: dict[str, Any] = {
            "metadata": {"name": name, "models": ["credit", "greeting"]},
            "mode": "warn" if state == "warns" else "enforce",
            "transition": transition,
            "baseline": "@champion",
            **_RULES[state],
        }
        made.append(Policy.model_validate(body))
    return made


def enter(vault: Vault, state: str, actor: Actor) -> None:
    """Let *state* be in force, whatever was."""
    if state == "no policy":
        for name in _TRANSITIONS:
            vault.policies.withdraw(name, actor)
        return
    for policy in policies(state):
        vault.policies.apply(policy, actor)
