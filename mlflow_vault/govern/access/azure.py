"""What a role may do at Azure: a role definition, and the condition of its assignment.

``blobs/add/action`` writes a blob that is not there, ``blobs/write`` one that may be, so what is
written once is allowed by the first alone.  Blobs that a client stages in blocks need the second.

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.govern.access.roles import Access

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow_vault.govern.access.roles import Grant

_CONTAINERS: Final = "Microsoft.Storage/storageAccounts/blobServices/containers"
_BLOBS: Final = f"{_CONTAINERS}/blobs"
_READ: Final = f"{_BLOBS}/read"
_ACTIONS: Final = {
    Access.CREATE: f"{_BLOBS}/add/action",
    Access.PUT: f"{_BLOBS}/write",
    Access.DELETE: f"{_BLOBS}/delete",
}
# The narrowest place that a definition may name; the assignment is for one container.
_GROUP: Final = "/subscriptions/SUBSCRIPTION/resourceGroups/GROUP"
_ACCOUNT: Final = f"{_GROUP}/providers/Microsoft.Storage/storageAccounts/ACCOUNT"


def policy(role: str, grants: tuple[Grant, ...], container: str, root: str) -> dict[str, Any]:
    """Return the definition and the assignment, in which SUBSCRIPTION, GROUP, ... are filled in."""
    prefixes = {
        action: [f"{root}{grant.prefix}" for grant in grants if access in grant.accesses]
        for access, action in _ACTIONS.items()
    }
    # To write a new blob is to write: who may replace may also create.
    prefixes[_ACTIONS[Access.CREATE]] += [
        prefix
        for prefix in prefixes[_ACTIONS[Access.PUT]]
        if prefix not in prefixes[_ACTIONS[Access.CREATE]]
    ]
    asked = {action: some for action, some in prefixes.items() if some}
    name = f"mlflow-vault {role}"
    return {
        "roleDefinition": {
            "Name": name,
            "IsCustom": True,
            "Description": f"What {role}s of a vault do to its blobs.",
            "Actions": [],
            "NotActions": [],
            "DataActions": [_READ, *asked],
            "NotDataActions": [],
            "AssignableScopes": [_GROUP],
        },
        "roleAssignment": {
            "roleDefinitionName": name,
            "principalId": "PRINCIPAL",
            "scope": f"{_ACCOUNT}/blobServices/default/containers/{container}",
            "conditionVersion": "2.0",
            "condition": _condition(root, asked),
        },
    }


def _condition(root: str, asked: dict[str, list[str]]) -> str:
    """Spell the condition: each action, where it is the one that is asked for, below its prefixes.

    Without a root, reading needs none, and neither does an action that is allowed everywhere.
    """
    parts = []
    if root:
        reading = f"{_one_of('@Resource', 'path', [root])}"
        listing = f"@Request[{_BLOBS}:prefix] StringStartsWith '{root}'"
        parts = [
            _where(
                f"ActionMatches{{'{_READ}'}} AND NOT SubOperationMatches{{'Blob.List'}}", reading
            ),
            _where(f"ActionMatches{{'{_READ}'}} AND SubOperationMatches{{'Blob.List'}}", listing),
        ]
    parts += [
        _where(f"ActionMatches{{'{action}'}}", _one_of("@Resource", "path", prefixes))
        for action, prefixes in asked.items()
        if prefixes != [""]
    ]
    return " AND ".join(parts)


def _where(action: str, holds: str) -> str:
    return f"((!({action})) OR ({holds}))"


def _one_of(source: str, attribute: str, prefixes: Iterable[str]) -> str:
    return " OR ".join(
        f"{source}[{_BLOBS}:{attribute}] StringStartsWith '{prefix}'" for prefix in prefixes
    )
