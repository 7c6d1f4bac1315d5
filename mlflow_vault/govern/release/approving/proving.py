"""Asks signed votes again, each time they are counted: whoever kept them is not believed.

A statement beside a version may have been put there by anybody who may create one.  What a key
signed is what counts of it: who, on what, when.  What nobody signed stays as it was kept.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import InvalidInputError, UntrustedError
from mlflow_vault.format.log import Actor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow_vault.format.decision import Decision
    from mlflow_vault.format.digest import Digest
    from mlflow_vault.format.statement import Statement
    from mlflow_vault.govern.release.context import Wish
    from mlflow_vault.govern.release.keeping.ledger import Ledger
    from mlflow_vault.govern.release.surroundings import Surroundings

KEY: Final = "key"  # a second factor: the voter's own signature


def shown_again(
    around: Surroundings, wish: Wish, votes: Sequence[Statement], head: Decision | None
) -> tuple[Statement, ...]:
    """Return *votes* without those that were signed before the version moved there last.

    Those whose signature no longer holds are returned as by somebody unknown.

    Args:
        around: Where it happens.
        wish: What they are counted for.
        votes: Approvals and rejections.
        head: The newest decision about the model.
    """
    if not any(one.envelope is not None or one.factor == KEY for one in votes):
        return tuple(votes)
    from mlflow_vault.govern.release.approving.signed_approvals import (  # noqa: PLC0415 - extra: sign
        open_approval,
    )

    roles = around.policies.roles()
    ledger = around.ledger(wish.version.name)
    found = []
    for one in votes:
        if one.envelope is None and one.factor != KEY:
            found.append(one)
            continue
        try:
            signed = open_approval(one.envelope or {}, roles.keys if roles is not None else {})
        except (InvalidInputError, UntrustedError):
            signed = None
        if signed is None or roles is None or not signed.agrees_with(one):
            found.append(replace(one, actor=Actor(one.actor.name), factor=""))
        elif signed.said.rejects or not moved_since(
            ledger, head, wish.version.digest, wish.to, signed.said.time
        ):
            found.append(replace(one, roles=roles.roles_of(one.actor.name)))
    return tuple(found)


def moved_since(ledger: Ledger, head: Decision | None, digest: Digest, to: str, time: int) -> bool:
    """Whether these files moved to the stage *to* after *time*, in milliseconds since 1970."""
    while head is not None and head.time > time:  # a ledger's times never go back
        if (head.digest, head.to) == (digest, to):
            return True
        head = ledger.get(head.sequence - 1) if head.sequence else None
    return False
