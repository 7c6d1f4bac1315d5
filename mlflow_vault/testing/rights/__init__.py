"""What people try at a vault, and at the objects under it: the rows of the table of rights.

    guarded.py     a store that allows what an IAM policy allows
    site.py        a vault that an admin made, and somebody who tries something there
    verbs.py       the library's verbs
    misdeeds.py    what is done to objects past the library

Each is tried by somebody with the rights of one role, on what an admin made for it, so the order
does not matter.  It was allowed if nothing refused it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import PermissionDeniedError
from mlflow_vault.testing.rights.guarded import AWS, CEPH, GuardedStore
from mlflow_vault.testing.rights.misdeeds import MISDEEDS
from mlflow_vault.testing.rights.site import Site
from mlflow_vault.testing.rights.verbs import VERBS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AWS", "CEPH", "MISDEEDS", "TRIES", "VERBS", "GuardedStore", "Site", "allowed", "tried"]

TRIES: Final[dict[str, Callable[[Site], None]]] = {**VERBS, **MISDEEDS}


def tried(site: Site) -> dict[str, bool]:
    """Try everything; say what nothing refused."""
    return {name: allowed(site, name) for name in TRIES}


def allowed(site: Site, name: str) -> bool:
    """Try one thing; say whether nothing refused it."""
    try:
        TRIES[name](site)
    except PermissionDeniedError:
        return False
    return True
