"""Which role writes which keys, and how; all of them may read the whole vault.

    viewer        nothing
    contributor   models: entries, packs, versions, seals, signatures
    approver      statements, and the one-time codes that were used
    releaser      decisions, and the statements that say why there was none
    admin         everything, deleting included

A role has what its own verbs need and no more; who has several tasks is given several roles.  What
is written once may be created by those whose verb it is; only an admin may replace or delete it.

Whoever may create statements may create any: an approval, and evidence, too.  So contributors may
not; their evidence goes through a server that governs, or they are approvers besides.

Pure: no I/O.  Written down in docs/access.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from mlflow_vault.format import governed_layout, layout


class Role(StrEnum):
    """Who somebody is to the object store."""

    VIEWER = "viewer"
    CONTRIBUTOR = "contributor"
    APPROVER = "approver"
    RELEASER = "releaser"
    ADMIN = "admin"


class Access(Enum):
    """What may be done to keys, besides reading them."""

    CREATE = "create"  # only where nothing is
    PUT = "put"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Grant:
    """What may be done to the keys that start with *prefix*."""

    prefix: str
    accesses: tuple[Access, ...]


def _each(accesses: tuple[Access, ...], *prefixes: str) -> tuple[Grant, ...]:
    return tuple(Grant(prefix, accesses) for prefix in prefixes)


_CREATE: Final = (Access.CREATE,)
# Entries of the log are numbers of twenty digits, so this leaves out tiles and checkpoints.
_ENTRIES: Final = layout.log_key(0)[: len(layout.LOG) + 1]
_LOGGING: Final = (*_each(_CREATE, _ENTRIES), *_each((Access.PUT,), layout.LOG_HEAD))

GRANTS: Final[dict[Role, tuple[Grant, ...]]] = {
    Role.VIEWER: (),
    Role.CONTRIBUTOR: (
        *_each((Access.PUT, Access.DELETE), layout.TREE, layout.INTENTS),
        # Their names are random, so nobody else's is met; they are put without a condition.
        *_each((Access.PUT,), layout.PACKS, layout.CONTENT),
        *_each((Access.PUT,), layout.KNOWN_FILES, layout.FAMILIES, layout.LISTINGS),
        *_each(_CREATE, layout.OUTCOMES, layout.FEATURES, layout.SEALS),
        *_each(_CREATE, layout.RECORDS, layout.NAMES, layout.SIGNATURES),
        *_LOGGING,
    ),
    Role.APPROVER: (
        *_each(_CREATE, governed_layout.STATEMENTS, governed_layout.FACTORS),
        *_LOGGING,
    ),
    Role.RELEASER: (
        *_each(_CREATE, governed_layout.STATEMENTS, governed_layout.DECISIONS),
        *_each((Access.PUT,), governed_layout.LEDGERS),
        *_LOGGING,
    ),
    Role.ADMIN: _each((Access.PUT, Access.DELETE), ""),
}
