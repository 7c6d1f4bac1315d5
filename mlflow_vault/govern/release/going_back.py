"""Finds what to roll back to: a version that the vault holds, MLflow has, and nobody found bad."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow_vault.decide.rollbacks import fallen, is_failing
from mlflow_vault.errors import DeniedError, NotFoundError
from mlflow_vault.govern.release.context import held_of, numbered

if TYPE_CHECKING:
    from mlflow_vault.decide.rollbacks import Fallen
    from mlflow_vault.format.decision import Stand
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.release.keeping.ledger import Ledger
    from mlflow_vault.govern.release.surroundings import Surroundings


def back_to(around: Surroundings, ledger: Ledger, wanted: Version | None) -> Version:
    """Return what to roll back to.

    Args:
        around: Where it happens.
        ledger: What was decided about the model.
        wanted: A version that somebody asks for; None for the last healthy one.

    Raises:
        NotFoundError: There is nothing to go back to.
        DeniedError: *wanted* never stood in production, or is known to be bad.
    """
    before = fallen(tuple(ledger.history()))
    if wanted is not None:
        if wanted.name != ledger.model:
            raise DeniedError(f"{wanted.label} is no version of {ledger.model}")
        _refuse_bad(around, before, wanted)
        return wanted
    why = []
    for stand in before.stands:
        label = f"{ledger.model}/{stand.number}"
        if stand.digest in before.failed:
            why.append(f"{label} was rolled back from")
        elif _failing(around, ledger.model, stand):
            why.append(f"{label} was failing")
        elif (version := _whole(around, ledger.model, stand)) is None:
            why.append(f"{label} is gone from MLflow or the vault")
        else:
            return version
    told = "; ".join(why) or "none stood there before"
    raise NotFoundError(
        f"there is no healthy version of {ledger.model} to go back to: {told}. Promote one."
    )


def _refuse_bad(around: Surroundings, before: Fallen, wanted: Version) -> None:
    for stand in before.stands:
        if stand.digest != wanted.digest:
            continue
        if stand.digest in before.failed:
            raise DeniedError(
                f"{wanted.label} was rolled back from: if it is good after all, promote it"
            )
        if _failing(around, wanted.name, stand):
            raise DeniedError(f"{wanted.label} was failing: if it is good after all, promote it")
        return
    raise DeniedError(
        f"{wanted.label} did not stand in production before, so there is no going back to it: "
        "promote it"
    )


def _failing(around: Surroundings, model: str, stand: Stand) -> bool:
    return is_failing(around.statements.of(model, stand.digest))


def _whole(around: Surroundings, model: str, stand: Stand) -> Version | None:
    try:
        version = numbered(around, model, stand)
    except NotFoundError:
        return None
    return version if held_of(around, version) is not None else None
