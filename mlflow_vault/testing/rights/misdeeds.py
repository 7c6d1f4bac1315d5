"""What somebody with credentials may try at the objects themselves: forge, replace, delete.

What was there is put back by the admin afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.format import governed_layout, layout
from mlflow_vault.format.digest import Digest
from mlflow_vault.testing.rights.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable


def _replace(key: Callable[[Site], str]) -> Callable[[Site], None]:
    """What puts something else where *key* says, with the bytes that were there put back."""

    def replaced(site: Site) -> None:
        where = key(site)
        was = site.own.get(where)
        site.store.put(where, b"something else")
        site.own.put(where, was)

    return replaced


def _take(key: Callable[[Site], str]) -> Callable[[Site], None]:
    """What deletes what is where *key* says."""

    def taken(site: Site) -> None:
        where = key(site)
        was = site.own.get(where)
        site.store.delete(where)
        site.own.put(where, was)

    return taken


def _forge(key: Callable[[Site], str]) -> Callable[[Site], None]:
    """What creates something where nothing is."""

    def forged(site: Site) -> None:
        where = key(site)
        site.store.create(where, b"forged")
        site.own.delete(where)

    return forged


def _record(site: Site) -> str:
    return layout.record_key(site.standing.digest, site.standing.id)


def _decision(site: Site) -> str:
    return governed_layout.decision_key(site.standing.name, 0)


def _next(prefix: str) -> Callable[[Site], str]:
    return lambda site: f"{prefix}forged-{next(site.numbers)}!/{0:020d}"


def _approval(site: Site) -> str:
    digest = Digest.of(b"%d" % next(site.numbers))
    return governed_layout.statement_key("forged", digest, "0" * 32)


MISDEEDS: Final[dict[str, Callable[[Site], None]]] = {
    "forge an approval": _forge(_approval),
    "forge a decision": _forge(_next(governed_layout.DECISIONS)),
    "forge a policy": _forge(_next(governed_layout.POLICIES)),
    "replace `vault.json`": _replace(lambda _: layout.VAULT),
    "replace a pack": _replace(Site.pack),
    "delete a pack": _take(Site.pack),
    "replace a version's record": _replace(_record),
    "delete a version's record": _take(_record),
    "replace a seal": _replace(lambda site: layout.seal_key(site.standing.origin.path)),
    "delete a seal": _take(lambda site: layout.seal_key(site.standing.origin.path)),
    "replace an entry of the audit log": _replace(lambda _: layout.log_key(0)),
    "delete an entry of the audit log": _take(lambda _: layout.log_key(0)),
    "replace a checkpoint": _replace(lambda _: layout.checkpoint_key(0)),
    "replace a policy": _replace(lambda _: governed_layout.policy_key("staging", 0)),
    "replace a statement": _replace(lambda site: site.statement),
    "delete a statement": _take(lambda site: site.statement),
    "replace a decision": _replace(_decision),
    "delete a decision": _take(_decision),
}
